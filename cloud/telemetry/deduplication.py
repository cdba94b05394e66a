"""Which records of a batch are new, and what is durable once they are stored: pure, shared by every store."""

from collections.abc import Callable, Sequence

from cloud.telemetry.store import GatewayKey, IncomingGap, IncomingShot
from contract.ranges import RangeSet

Record = IncomingShot | IncomingGap
EpochKey = tuple[GatewayKey, str]


def admit(
    records: Sequence[Record], durable: Callable[[GatewayKey, str], RangeSet]
) -> tuple[list[bool], dict[EpochKey, RangeSet]]:
    """Tell for each record whether it is new, and give the ranges as they will stand after the commit.

    `durable` is asked once for each (gateway, epoch) and its answer is not changed: a failed commit leaves no trace.
    """
    after: dict[EpochKey, RangeSet] = {}
    is_new: list[bool] = []
    for record in records:
        key = (record.gateway, record.epoch)
        if key not in after:
            after[key] = durable(record.gateway, record.epoch).copy()
        last = record.last_id if isinstance(record, IncomingGap) else record.record_id
        is_new.append(after[key].add(record.record_id, last))
    return is_new, after
