"""What engineers said of alarms, as the truth that a training is judged by: faults with their ends, and repairs. Pure.

- **right**: a fault of that mode was at work since the alarm was raised. Nobody has repaired it yet, so it goes on
  until now, and has not failed: what will become of it is not known.
- **right, and repaired**: the same, and at the time of that word the part was changed. It counts as failed then: a part
  that is condemned has come to its end, even if the press would have made some more shots with it.
- **false alarm**: no fault. The press was well, and its shots are examples of that; the label is counted.

Alarms of one mode on one press between two of its repairs are one fault, from the first of them on. A repair ends the
fault of its own mode alone: that the others were mended as well, nobody has said. But for the baselines it is an event
of the whole press, as the gateway learns all of them anew.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cloud.rollouts.domain import PressKey, Verdict

REPAIRED: Final = "maintenance_done"
MAINTENANCE, REPAIR = "maintenance", "repair"
"""The kind of event after which baselines begin anew, and what was done: words of the press history."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An alarm of a press, and what was said of it."""

    press: PressKey
    mode: str
    verdict: Verdict
    raised_ms: int
    labelled_ms: int


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Something wrong with a press, from its first alarm to its repair, or to now; failed when it was repaired."""

    press: PressKey
    mode: str
    onset_ms: int
    failed_ms: int | None
    ended_ms: int
    kind: Literal["fault"] = "fault"


@dataclass(frozen=True, slots=True, order=True)
class Maintenance:
    """A repair of a press that was told of."""

    press: PressKey
    at_ms: int
    kind: str = MAINTENANCE
    detail: str = REPAIR


def faults(labels: Iterable[Judged], now_ms: int) -> list[Fault]:
    """The faults that the labels tell of, by press, mode and time.

    Args:
        labels: in any order.
        now_ms: until when a fault that nobody has repaired is known to go on.
    """
    alarms: dict[tuple[PressKey, str], list[Judged]] = {}
    for label in labels:
        if label.verdict != "false":
            alarms.setdefault((label.press, label.mode), []).append(label)
    return sorted(fault for (press, mode), own in alarms.items() for fault in _of_mode(press, mode, own, now_ms))


def _of_mode(press: PressKey, mode: str, labels: Sequence[Judged], now_ms: int) -> Iterable[Fault]:
    repairs = sorted(_repaired_ms(label) for label in labels if label.verdict == REPAIRED)
    begun: dict[int | None, int] = {}
    for label in labels:
        end_ms = next((at_ms for at_ms in repairs if at_ms >= label.raised_ms), None)
        begun[end_ms] = min(label.raised_ms, begun.get(end_ms, label.raised_ms))
    for failed_ms, onset_ms in begun.items():
        ended_ms = max(now_ms, onset_ms) if failed_ms is None else failed_ms
        yield Fault(press, mode, onset_ms, failed_ms, ended_ms)


def _repaired_ms(label: Judged) -> int:
    """Not before the alarm: a clock may have been set back in between."""
    return max(label.labelled_ms, label.raised_ms)


def maintenance(labels: Iterable[Judged]) -> list[Maintenance]:
    """The repairs that the labels tell of, by press and time; two at one time are one."""
    return sorted({Maintenance(label.press, _repaired_ms(label)) for label in labels if label.verdict == REPAIRED})


def counts(labels: Iterable[Judged]) -> Counter[str]:
    """How many alarms were judged how, by verdict."""
    return Counter(label.verdict for label in labels)
