"""Alarms against the truth: which failures were foreseen, how early, what was false; bootstrap over presses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.alarms import Alarm
from models.evaluation.traces import Episode, Trace, is_faulty, months_of

BOOTSTRAPS = 500
CONFIDENCE = 0.95
HOUR_MS = 3600 * 1000


@dataclass(frozen=True, slots=True)
class Figure:
    """A value and its interval over presses drawn with replacement; NaN where there is nothing to count."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One failure: whether an alarm came before it, of its own mode or of any, and how many hours before."""

    press_id: str
    mode: str
    own_lead_h: float | None
    any_lead_h: float | None


@dataclass(frozen=True, slots=True)
class PressAccount:
    """What one press adds to the figures."""

    press_id: str
    healthy_months: float
    foreseen: tuple[Foreseen, ...]
    right: Mapping[str, int]
    """Alarms by mode that stood in an episode of that mode."""
    other: Mapping[str, int]
    """Alarms by mode while another fault was at work: trouble found, misnamed."""
    false: Mapping[str, int]
    """Alarms by mode with no fault at work."""
    false_in_upset: Mapping[str, int]
    """Those of them that were raised in an upset, by its kind."""


def account_of(
    trace: Trace, alarms: Sequence[Alarm], episodes: Sequence[Episode], channels: Sequence[str | None]
) -> PressAccount:
    """The account of one press.

    Args:
        trace: its scores, for the time that it was healthy.
        alarms: its alarms.
        episodes: of all presses, faults and upsets.
        channels: by score column the mode that it speaks of; None for one that tells trouble of any kind.
    """
    own = [episode for episode in episodes if episode.press_id == trace.press_id]
    faults = [episode for episode in own if episode.kind == "fault"]
    right: dict[str, int] = {}
    other: dict[str, int] = {}
    false: dict[str, int] = {}
    in_upset: dict[str, int] = {}
    for alarm in alarms:
        mode = channels[alarm.channel]
        name = mode or "any"
        active = [fault for fault in faults if fault.onset_ms <= alarm.raised_ms <= fault.ended_ms]
        if any(mode is None or fault.mode == mode for fault in active):
            right[name] = right.get(name, 0) + 1
        elif active:
            other[name] = other.get(name, 0) + 1
        else:
            false[name] = false.get(name, 0) + 1
            for upset in own:
                if upset.kind == "upset" and upset.onset_ms <= alarm.raised_ms <= upset.ended_ms:
                    in_upset[upset.mode] = in_upset.get(upset.mode, 0) + 1
                    break
    return PressAccount(
        trace.press_id,
        months_of(trace, ~is_faulty(trace, episodes)),
        tuple(_foreseen(fault, alarms, channels) for fault in faults if fault.failed_ms is not None),
        right,
        other,
        false,
        in_upset,
    )


def _foreseen(fault: Episode, alarms: Sequence[Alarm], channels: Sequence[str | None]) -> Foreseen:
    failed_ms = fault.failed_ms
    assert failed_ms is not None
    before = [alarm for alarm in alarms if fault.onset_ms <= alarm.raised_ms < failed_ms]
    own = [alarm for alarm in before if channels[alarm.channel] in (fault.mode, None)]
    return Foreseen(fault.press_id, fault.mode, _lead_h(own, failed_ms), _lead_h(before, failed_ms))


def _lead_h(alarms: Sequence[Alarm], failed_ms: int) -> float | None:
    return (failed_ms - min(alarm.raised_ms for alarm in alarms)) / HOUR_MS if alarms else None


Measure = Callable[[Sequence[PressAccount]], float]


def figure(accounts: Sequence[PressAccount], measure: Measure, *, seed: int = 1) -> Figure:
    """The measure over all presses, with the percentile interval of BOOTSTRAPS draws of presses with replacement."""
    rng = np.random.default_rng(seed)
    drawn = [measure([accounts[i] for i in rng.integers(0, len(accounts), len(accounts))]) for _ in range(BOOTSTRAPS)]
    known = np.array([value for value in drawn if np.isfinite(value)])
    if not len(known):
        return Figure(measure(accounts), np.nan, np.nan)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Figure(measure(accounts), float(low), float(high))


def false_alarms_a_press_month(accounts: Sequence[PressAccount]) -> float:
    """Alarms with no fault at work over the healthy months."""
    return _ratio(sum(sum(each.false.values()) for each in accounts), sum(each.healthy_months for each in accounts))


def recall(accounts: Sequence[PressAccount], mode: str | None = None, *, by_any: bool = False) -> float:
    """Failures (of a mode) with an alarm of their own mode, or of any, before them."""
    failures = _failures(accounts, mode)
    leads = [each.any_lead_h if by_any else each.own_lead_h for each in failures]
    return _ratio(sum(lead is not None for lead in leads), len(failures))


def median_lead_h(accounts: Sequence[PressAccount], mode: str | None = None, *, by_any: bool = False) -> float:
    """Hours from the first alarm to the failure, median over the foreseen failures (of a mode)."""
    leads = [each.any_lead_h if by_any else each.own_lead_h for each in _failures(accounts, mode)]
    known = [lead for lead in leads if lead is not None]
    return float(np.median(known)) if known else float("nan")


def precision(accounts: Sequence[PressAccount], mode: str | None = None) -> float:
    """Alarms (of a mode) that stood in an episode of the mode that they named, of all alarms."""
    counts = [
        sum(_count(part, mode) for part in parts)
        for parts in zip(*[(each.right, each.other, each.false) for each in accounts], strict=True)
    ]
    return _ratio(counts[0], sum(counts))


def _count(part: Mapping[str, int], mode: str | None) -> int:
    return sum(part.values()) if mode is None else part.get(mode, 0)


def _failures(accounts: Sequence[PressAccount], mode: str | None) -> list[Foreseen]:
    return [each for account in accounts for each in account.foreseen if mode in (None, each.mode)]


def _ratio(above: float, below: float) -> float:
    return above / below if below else float("nan")
