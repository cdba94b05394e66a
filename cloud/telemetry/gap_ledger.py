"""From single given-up records to the ledger that people read: one line a run."""

from collections.abc import Iterable
from itertools import groupby

from cloud.telemetry.store import IncomingGap, PressKey, StoredGap

RunKey = tuple[PressKey, str, str, str]


def ledger(gaps: Iterable[IncomingGap]) -> list[StoredGap]:
    """Join the gaps of one press, gateway, epoch and reason into one line each, newest first."""
    lines = [_line(key, list(run)) for key, run in groupby(sorted(gaps, key=_order), key=_run)]
    return sorted(lines, key=lambda line: -line.to_ended_ms)


def _run(gap: IncomingGap) -> RunKey:
    return PressKey(gap.gateway.plant_id, gap.press_id), gap.gateway.gateway_id, gap.epoch, gap.reason


def _order(gap: IncomingGap) -> tuple[RunKey, int]:
    return _run(gap), gap.record_id


def _line(key: RunKey, run: list[IncomingGap]) -> StoredGap:
    press, gateway_id, _, reason = key
    return StoredGap(
        press=press,
        gateway_id=gateway_id,
        reason=reason,
        count=len(run),
        from_ended_ms=min(gap.ended_ms for gap in run),
        to_ended_ms=max(gap.ended_ms for gap in run),
    )
