"""What wears out on which press, how far does it come, and what ends it? On the axis of running time. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.faults.catalogue import MODES, growth_ms
from simulators.history.calendar import DAY_MS, HOUR_MS, MINUTE_MS

MOULD_MODES: Final = frozenset(
    {"cooling_fouling", "mould_parting_wear_flash", "gate_or_nozzle_blocked", "ejector_core_friction"}
)
"""They sit in the mould: it stays on the press until it is mended."""
FATES: Final = (True, False, True, False, True, False, True)
"""Whether a mode's first, second, ... fault runs to failure; the others are mended before. Of 14, 8 fail."""
OPEN_SHARE: Final = 0.15
"""Of the presses, those on which one more fault is still growing when the record ends."""
OVERLAP_SHARE: Final = 0.2
"""Of the faults, those that begin while another one is growing."""
MAINTAINED_SHARES: Final = (0.4, 0.95)
"""Of the way to failure at which planned maintenance finds a fault."""
GROWTH_DAYS_MIN, GROWTH_DAYS_MAX = 0.5, 80.0
"""Running days from onset to failure: the least after compression by the time factor, the most before it.

A plant's screw lasts a year and more; a record of a quarter has to see its end.
"""
RUNS_ON_MS: Final = (20 * MINUTE_MS, 3 * HOUR_MS)
"""How long production goes on after a failure until somebody stops the press."""
REPAIR_MS: Final = (2 * HOUR_MS, 10 * HOUR_MS)
QUIET_MS: Final = 36 * HOUR_MS
"""A record begins with a press that is well, so that its baseline can be learnt."""
GAP_MS: Final = 12 * HOUR_MS
"""Between a repair and the next onset, at the least."""
Card = tuple[str, bool]
"""A mode, and whether it runs to failure."""


@dataclass(frozen=True, slots=True)
class Laid:
    """A fault in running time, ms since the record's begin."""

    mode: str
    onset: int
    growth: int
    runs_to_failure: bool
    stopped: int
    repair_ms: int
    """Clock time of the repair."""


def deal(rng: np.random.Generator, running: Sequence[int], faults_a_press: float) -> list[list[Card]]:
    """The faults of each press: every mode equally often, on different presses, more on those that run longer.

    Args:
        rng: chance.
        running: how long each press runs.
        faults_a_press: on average.
    """
    presses = len(running)
    cards = _cards(rng, max(round(presses * faults_a_press), 1))
    hands: list[list[Card]] = [[] for _ in running]
    for press in _seats(rng, running, len(cards)):
        held = {mode for mode, _ in hands[press]}
        place = next((at for at, (mode, _) in enumerate(cards) if mode not in held), 0)
        hands[press].append(cards.pop(place))
    return hands


def lay(rng: np.random.Generator, hand: Sequence[Card], total: int, time_factor: float) -> list[Laid]:
    """A press's faults one after another with time between them, some of them overlapping, in order of their onset.

    Args:
        rng: chance.
        hand: what befalls it.
        total: how long it runs; what does not fit is left out.
        time_factor: how much faster than in a plant faults grow.
    """
    drawn = [_drawn(rng, mode, runs_to_failure=fails, time_factor=time_factor) for mode, fails in hand]
    quiet = min(QUIET_MS, total // 10)
    gap = min(GAP_MS, total // 10)
    slack = max(total - quiet - sum(fault.stopped + gap for fault in drawn), 0)
    pauses = np.diff(np.sort(rng.uniform(0, slack, len(drawn))), prepend=0.0).round().astype(int).tolist()
    found: list[Laid] = []
    at, may_overlap = quiet, False
    for fault, pause in zip(drawn, pauses, strict=True):
        onset = at + pause
        chance, inside = rng.random(), rng.uniform(0.3, 0.9)
        may_overlap = may_overlap and chance < OVERLAP_SHARE and found[-1].mode != fault.mode
        if may_overlap:
            onset = found[-1].onset + round(inside * (found[-1].stopped - found[-1].onset))
        if onset < total:
            found.append(_moved(fault, onset))
            at = max(at, found[-1].stopped + gap)
        may_overlap = bool(found) and not may_overlap
    return [*found, *_open(rng, hand, at, total, time_factor)]


def _cards(rng: np.random.Generator, wanted: int) -> list[Card]:
    seen: Counter[str] = Counter()
    found: list[Card] = []
    while len(found) < wanted:
        for mode in rng.permutation(list(MODES))[: wanted - len(found)].tolist():
            found.append((mode, FATES[seen[mode] % len(FATES)]))
            seen[mode] += 1
    return [found[at] for at in rng.permutation(wanted)]


def _seats(rng: np.random.Generator, running: Sequence[int], wanted: int) -> list[int]:
    """Which press takes the next card; each about in proportion to how long it runs."""
    share = np.asarray(running) / max(sum(running), 1) * wanted
    counts = np.floor(share).astype(int)
    rest = np.argsort(-(share - counts), kind="stable")[: wanted - counts.sum()]
    counts[rest] += 1
    return [int(press) for press in rng.permutation(np.repeat(np.arange(len(running)), counts))]


def _drawn(rng: np.random.Generator, mode: str, *, runs_to_failure: bool, time_factor: float) -> Laid:
    longest = round(GROWTH_DAYS_MAX * DAY_MS / time_factor)
    growth = max(min(growth_ms(mode, rng, time_factor=time_factor), longest), round(GROWTH_DAYS_MIN * DAY_MS))
    found_at, goes_on = rng.uniform(*MAINTAINED_SHARES), rng.uniform(*RUNS_ON_MS)
    stopped = growth + round(goes_on) if runs_to_failure else round(found_at * growth)
    return Laid(mode, 0, growth, runs_to_failure, stopped, round(rng.uniform(*REPAIR_MS)))


def _moved(fault: Laid, onset: int) -> Laid:
    return Laid(fault.mode, onset, fault.growth, fault.runs_to_failure, onset + fault.stopped, fault.repair_ms)


def _open(rng: np.random.Generator, hand: Sequence[Card], begin: int, total: int, time_factor: float) -> list[Laid]:
    """Perhaps one more that nobody has seen the end of."""
    is_wanted, inside = rng.random() < OPEN_SHARE, rng.uniform(0.2, 0.9)
    held = {mode for mode, _ in hand}
    free = [mode for mode in MODES if mode not in held]
    if not is_wanted or not free:
        return []
    fault = _drawn(rng, str(rng.choice(free)), runs_to_failure=True, time_factor=time_factor)
    onset = total - round(inside * fault.growth)
    return [_moved(fault, onset)] if onset > begin else []
