"""What became of shots that nobody will ever store, in lines: of one press, for one reason, however many. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

THINNED: Final = "thinned"
DAMAGED: Final = "damaged"
FULL: Final = "full"
REFUSED: Final = "refused"
MISSED_CYCLES: Final = "missed_cycles"
"""Why content was given up or never had: as gap records and dropped curves say it."""


@dataclass(frozen=True, slots=True)
class GapLine:
    """`count` shots of a press are missing for one reason; the first and the last of them ended at these times."""

    press_id: str
    reason: str
    count: int
    from_ms: int
    to_ms: int


def join(lines: Iterable[GapLine]) -> tuple[GapLine, ...]:
    """One line for each press and reason, in the order of their first appearance: bounded by the presses there are."""
    joined: dict[tuple[str, str], GapLine] = {}
    for line in lines:
        before = joined.get((line.press_id, line.reason))
        joined[line.press_id, line.reason] = line if before is None else _sum(before, line)
    return tuple(joined.values())


def _sum(before: GapLine, line: GapLine) -> GapLine:
    return replace(
        before,
        count=before.count + line.count,
        from_ms=min(before.from_ms, line.from_ms),
        to_ms=max(before.to_ms, line.to_ms),
    )
