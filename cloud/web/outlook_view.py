"""What a press's page says of what may come: failures by mode and horizon, remaining life, what is strange. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cloud.telemetry.store import StoredShot
from cloud.web.fleet_view import WATCH_SHARE, Gauge, Level, novelty_gauge
from contract.alarming import risks
from contract.model_orders import BaselineReport
from contract.shot import Reason

FAILURE_PREFIX: Final = "FailureProbability/"
LIFE_SHOWN_H: Final = 168.0
"""Heads look a week ahead; beyond that "long" is all that they say."""
IN_FORCE: Final = frozenset({"ripening", "watching"})
FIRST_MODES: Final = 5

State = Literal["told", "learning", "abstains", "silent", "no_bundle", "no_shot"]
"""`abstains`: the head spoke of earlier shots; `silent`: of none of them."""


@dataclass(frozen=True, slots=True)
class ModeRow:
    """A failure mode: its probability within each horizon, from where it is worth an alarm, and how near it is."""

    mode: str
    probabilities: tuple[float | None, ...]
    threshold: float
    level: Level


@dataclass(frozen=True, slots=True)
class Life:
    """Hours until the next failure with their interval, and where they lie on a strip of LIFE_SHOWN_H, 0 to 100."""

    expected_h: float
    low_h: float
    high_h: float

    @property
    def is_long(self) -> bool:
        """Whether no end is in sight."""
        return self.low_h >= LIFE_SHOWN_H - 1

    @property
    def is_open(self) -> bool:
        """Whether the interval ends beyond what is looked at."""
        return self.high_h >= LIFE_SHOWN_H - 1

    @property
    def places(self) -> tuple[float, float, float]:
        """Of low, expected and high."""
        low, expected, high = (
            round(100 * min(hours / LIFE_SHOWN_H, 1.0), 1) for hours in (self.low_h, self.expected_h, self.high_h)
        )
        return low, expected, high


@dataclass(frozen=True, slots=True)
class Strange:
    """How strange a shot is: T2 and SPE as multiples of their limits; the reasons make most of it if `is_beyond`."""

    gauge: Gauge
    multiples: tuple[tuple[str, float], ...]
    is_beyond: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """All that the heads say of the newest shot; `spoke_ms`: when the failure head last did, where it does not now."""

    state: State
    hours: tuple[str, ...] = ()
    rows: tuple[ModeRow, ...] = ()
    life: Life | None = None
    strange: Strange | None = None
    reasons: tuple[Reason, ...] = ()
    spoke_ms: int | None = None


def outlook_of(rows: Sequence[StoredShot], baseline: BaselineReport | None, *, threshold: float) -> Outlook:
    """Of the newest of `rows`, which stand newest first; `threshold` is for bundles that give none."""
    newest = max(rows, key=lambda row: (row.scored.shot.ended_ms, row.row_id), default=None)
    if newest is None:
        return Outlook("no_shot")
    scores = newest.scored.scores
    modes = _modes(scores.values)
    if not scores.bundle_id and not modes:
        return Outlook("no_bundle")
    hours = tuple(sorted({name for found in modes.values() for name in found}, key=_hours))
    limits = {mode: risk.limit(threshold) for mode, risk in risks(scores).items()}
    found = [_row(mode, modes[mode], hours, limits[mode]) for mode in modes]
    state, spoke_ms = _state(rows, newest, baseline) if not modes else ("told", None)
    return Outlook(
        state,
        hours,
        tuple(sorted(found, key=lambda row: (-_nearness(row), row.mode))),
        _life(scores.values),
        _strange(newest, is_alarming=any(row.level == "alarm" for row in found)),
        scores.reasons,
        spoke_ms,
    )


def _modes(values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """By mode the probability by horizon; a horizon that has no name is empty."""
    found: dict[str, dict[str, float]] = {}
    for key, value in values.items():
        if key.startswith(FAILURE_PREFIX) and math.isfinite(value):
            mode, _, horizon = key.removeprefix(FAILURE_PREFIX).partition("@")
            found.setdefault(mode, {})[horizon.removesuffix("h")] = value
    return found


def _row(mode: str, by_hours: Mapping[str, float], hours: Sequence[str], limit: float) -> ModeRow:
    longest = by_hours[max(by_hours, key=_hours)]
    level: Level = "alarm" if longest >= limit else "watch" if longest >= limit * WATCH_SHARE else "normal"
    return ModeRow(mode, tuple(by_hours.get(name) for name in hours), limit, level)


def _nearness(row: ModeRow) -> float:
    longest = next((value for value in reversed(row.probabilities) if value is not None), 0.0)
    return longest / max(row.threshold, 1e-9)


def _state(rows: Sequence[StoredShot], newest: StoredShot, baseline: BaselineReport | None) -> tuple[State, int | None]:
    if baseline is not None and baseline.stage not in IN_FORCE:
        return "learning", None
    mould_id, bundle_id = newest.scored.shot.mould_id, newest.scored.scores.bundle_id
    spoken = [
        row.scored.shot.ended_ms
        for row in rows
        if (row.scored.shot.mould_id, row.scored.scores.bundle_id) == (mould_id, bundle_id)
        and any(key.startswith(FAILURE_PREFIX) for key in row.scored.scores.values)
    ]
    return ("abstains", max(spoken)) if spoken else ("silent", None)


def _life(values: Mapping[str, float]) -> Life | None:
    hours = [values.get(f"RemainingLife/{name}", math.nan) for name in ("expected", "low", "high")]
    return Life(*hours) if all(map(math.isfinite, hours)) else None


def _strange(row: StoredShot, *, is_alarming: bool) -> Strange | None:
    gauge = novelty_gauge(row.scored.scores)
    if gauge is None:
        return None
    values = row.scored.scores.values
    multiples = tuple((name, value) for name in ("T2", "SPE") if (value := values.get(f"Novelty/{name}")) is not None)
    return Strange(gauge, multiples, is_beyond=gauge.value > 1 and not is_alarming)


def _hours(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return 0.0
