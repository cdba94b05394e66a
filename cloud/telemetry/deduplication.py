"""Which records of a batch are new, and what is durable once they are stored: pure, shared by every store."""

from collections.abc import Callable, Sequence

from cloud.telemetry.store import GatewayKey, IncomingGap, IncomingShot
from contract.ranges import RangeSet

Record = IncomingShot | IncomingGap
EpochKey = tuple[GatewayKey, str]
Ids = Sequence[tuple[int, int]]
"""Record ids as closed ranges, in order."""


def admit(
    records: Sequence[Record], durable: Callable[[GatewayKey, str], RangeSet]
) -> tuple[list[Ids], dict[EpochKey, RangeSet]]:
    """Tell for each record which of its ids are new (none: a duplicate), and the ranges as they stand after the commit.

    `durable` is asked once for each (gateway, epoch) and its answer is not changed: a failed commit leaves no trace.
    """
    after: dict[EpochKey, RangeSet] = {}
    new_ids: list[Ids] = []
    for record in records:
        key = (record.gateway, record.epoch)
        if key not in after:
            after[key] = durable(record.gateway, record.epoch).copy()
        last = record.last_id if isinstance(record, IncomingGap) else record.record_id
        new_ids.append(after[key].missing(record.record_id, last))
        after[key].add(record.record_id, last)
    return new_ids, after
