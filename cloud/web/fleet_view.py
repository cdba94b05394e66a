"""What the tiles of the fleet overview show, in which order, after which filter."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cloud.alarms.domain import risks
from cloud.telemetry.store import StoredShot
from contract.shot import Scores

Connection = Literal["online", "stale", "offline"]
Condition = Literal["alarm", "offline", "stale", "watch", "waiting", "normal"]
Level = Literal["normal", "watch", "alarm"]

CONDITIONS: tuple[Condition, ...] = ("alarm", "offline", "stale", "watch", "waiting", "normal")
"""Worst first; `waiting` is a press that was born but has sent no shot."""

TILES_MAX = 300
SEARCH_CHARACTERS_MAX = 80
WATCH_SHARE = 0.5
"""From half of the alarm's threshold on, a probability is worth a look before it is worth an alarm."""

NOVELTY_PREFIX = "Novelty/"
NOVELTY_SHOWN_MAX = 2.0
"""A novelty bar is full at twice the limit."""


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """An alarm as a tile names it."""

    alarm_id: str
    mode: str
    since_ms: int
    is_acknowledged: bool


@dataclass(frozen=True, slots=True, eq=False)
class PressFacts:
    """All that is known of a press when a page is made."""

    plant_id: str
    press_id: str
    gateway_id: str
    connection: Connection
    shot: StoredShot | None
    alarms: tuple[AlarmLine, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayLine:
    """A gateway as the strip shows it; what it has not told is None."""

    plant_id: str
    gateway_id: str
    connection: Connection
    changed_ms: int | None
    journal_depth: int | None
    lag_s: float | None
    clock_off_s: float | None
    """How far its clock is ahead of ours, when that is more than CLOCK_OFF_S_MAX."""


@dataclass(frozen=True, slots=True, eq=False)
class FleetFacts:
    """All presses and gateways at one moment; `threshold` is the failure probability that raises an alarm."""

    presses: Sequence[PressFacts]
    gateways: Sequence[GatewayLine]
    threshold: float


@dataclass(frozen=True, slots=True)
class Gauge:
    """One score: what it is of, its value, and how far its bar and its limit mark reach (0..1)."""

    subject: str
    value: float
    share: float
    limit_share: float
    level: Level


@dataclass(frozen=True, slots=True)
class Tile:
    """What one tile shows; equal tiles look alike, so that only changed ones are sent."""

    plant_id: str
    press_id: str
    connection: Connection
    condition: Condition
    shot_ended_ms: int | None
    cycle_time_s: float | None
    job_name: str
    mould_id: str
    quality_class: str | None
    failure: Gauge | None
    novelty: Gauge | None
    alarm: AlarmLine | None
    more_alarms: int


@dataclass(frozen=True, slots=True)
class FleetFilter:
    """What the reader wants to see; empty means all."""

    plant: str = ""
    state: str = ""
    search: str = ""

    def query(self, **changes: str) -> dict[str, str]:
        """The filter as URL parameters, with `changes`; empty ones left out."""
        values = {"plant": self.plant, "state": self.state, "q": self.search, **changes}
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class Board:
    """The tiles that pass a filter, by plant, and how many presses are in each condition before `state` is applied."""

    plants: tuple[tuple[str, tuple[Tile, ...]], ...]
    counts: Mapping[Condition, int]
    total: int
    left_out: int


def tile_of(facts: PressFacts, *, threshold: float) -> Tile:
    """A press's tile; `threshold` is the failure probability that raises an alarm."""
    scored = facts.shot.scored if facts.shot else None
    failure = failure_gauge(scored.scores, threshold=threshold) if scored else None
    novelty = novelty_gauge(scored.scores) if scored else None
    alarm = min(facts.alarms, key=lambda a: (a.is_acknowledged, a.since_ms), default=None)
    return Tile(
        plant_id=facts.plant_id,
        press_id=facts.press_id,
        connection=facts.connection,
        condition=_condition(facts, (failure, novelty)),
        shot_ended_ms=scored.shot.ended_ms if scored else None,
        cycle_time_s=_round(scored.shot.parameters.get("CycleTime")) if scored else None,
        job_name=scored.shot.job_name if scored else "",
        mould_id=scored.shot.mould_id if scored else "",
        quality_class=scored.scores.quality_class if scored else None,
        failure=failure,
        novelty=novelty,
        alarm=alarm,
        more_alarms=max(0, len(facts.alarms) - 1),
    )


def board_of(tiles: Iterable[Tile], wanted: FleetFilter, *, tiles_max: int = TILES_MAX) -> Board:
    """Filter, count, sort worst first within a plant, plants with the worst press first; beyond `tiles_max` cut."""
    search = wanted.search.casefold()
    seen = [tile for tile in tiles if _passes(tile, wanted.plant, search)]
    counts = Counter(tile.condition for tile in seen)
    shown = sorted((tile for tile in seen if not wanted.state or tile.condition == wanted.state), key=_rank)
    kept = shown[:tiles_max]
    plants: dict[str, list[Tile]] = {}
    for tile in kept:
        plants.setdefault(tile.plant_id, []).append(tile)
    return Board(
        plants=tuple((plant, tuple(tiles)) for plant, tiles in plants.items()),
        counts={condition: counts[condition] for condition in CONDITIONS},
        total=len(seen),
        left_out=len(shown) - len(kept),
    )


def failure_gauge(scores: Scores, *, threshold: float) -> Gauge | None:
    """The failure probability that is nearest to its threshold (the bundle's own, else `threshold`), or over it most.

    None when no head spoke.
    """
    found = {mode: risk for mode, risk in risks(scores).items() if math.isfinite(risk.probability)}
    if not found:
        return None
    limits = {mode: risk.limit(threshold) for mode, risk in found.items()}
    mode = max(found, key=lambda name: (found[name].probability / max(limits[name], 1e-9), name))
    value, threshold = found[mode].probability, limits[mode]
    level: Level = "alarm" if value >= threshold else "watch" if value >= threshold * WATCH_SHARE else "normal"
    # Whole percent: a tile is sent again only for a change that the eye can see.
    shown = round(value, 2) if 0.01 <= value <= 0.99 else round(value, 4)
    return Gauge(mode, shown, share=_clip(shown), limit_share=_clip(threshold), level=level)


def novelty_gauge(scores: Scores) -> Gauge | None:
    """The larger of T² and SPE as a multiple of its limit; None when the novelty head did not speak."""
    multiples = _under(scores, NOVELTY_PREFIX)
    if not multiples:
        return None
    name, value = max(multiples, key=lambda pair: (pair[1], pair[0]))
    return Gauge(
        name,
        round(value, 1),
        share=_clip(round(value / NOVELTY_SHOWN_MAX, 2)),
        limit_share=1 / NOVELTY_SHOWN_MAX,
        level="watch" if value > 1 else "normal",
    )


def _under(scores: Scores, prefix: str) -> Sequence[tuple[str, float]]:
    """The scores whose key begins with `prefix`; a reading that is no number never counts."""
    pairs = ((key.removeprefix(prefix), value) for key, value in scores.values.items() if key.startswith(prefix))
    return [(name, value) for name, value in pairs if math.isfinite(value)]


def _condition(facts: PressFacts, gauges: Iterable[Gauge | None]) -> Condition:
    if facts.alarms:
        return "alarm"
    if facts.connection != "online":
        return facts.connection
    if facts.shot is None:
        return "waiting"
    return "watch" if any(gauge and gauge.level != "normal" for gauge in gauges) else "normal"


def _passes(tile: Tile, plant: str, search: str) -> bool:
    if plant and tile.plant_id != plant:
        return False
    if not search:
        return True
    return any(search in text.casefold() for text in (tile.press_id, tile.plant_id, tile.job_name, tile.mould_id))


def _rank(tile: Tile) -> tuple[int, bool, str, str]:
    # Not by the probability itself: tiles that trade places at every shot cannot be read or clicked.
    acknowledged = tile.alarm is not None and tile.alarm.is_acknowledged
    return CONDITIONS.index(tile.condition), acknowledged, tile.plant_id, tile.press_id


def _round(value: float | None) -> float | None:
    return round(value, 2) if value is not None and math.isfinite(value) else None


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))
