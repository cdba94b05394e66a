"""What the tiles of the fleet overview show, in which order, after which filter."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from operator import attrgetter
from typing import Any, Literal

from cloud.production.reading import Figures, Report
from cloud.production.windows import WINDOWS, WindowName
from cloud.telemetry.store import StoredShot
from contract.alarming import risks
from contract.shot import Scores

Connection = Literal["online", "stale", "offline"]
Condition = Literal["alarm", "offline", "stale", "watch", "waiting", "normal"]
Level = Literal["normal", "watch", "alarm"]
Sort = Literal["worst", "name", "pace", "health", "age", "oee"]
Density = Literal["tiles", "compact", "list"]

CONDITIONS: tuple[Condition, ...] = ("alarm", "offline", "stale", "watch", "waiting", "normal")
"""Worst first.

`offline` is out of reach, press or gateway; `stale` is heard and makes no shot: it stands still; `waiting` was born but
has sent no shot yet; `normal` runs.
"""
_PLACE = {condition: place for place, condition in enumerate(CONDITIONS)}

SORTS: tuple[Sort, ...] = ("worst", "name", "pace", "health", "age", "oee")
DENSITIES: tuple[Density, ...] = ("tiles", "compact", "list")

TILES_MAX = 300
MOULDS_MAX = 200
"""Moulds that the filter offers; others can be typed."""
LAG_S_MAX = 60.0
"""A gateway whose oldest record has waited longer is behind."""
PACE_WATCH_SHARE = 0.1
"""A cycle that is so far off the expected one is worth a look."""
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
    expected_s: float | None = None


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

    @property
    def is_odd(self) -> bool:
        """Whether something is to be said of it."""
        is_behind = self.lag_s is not None and self.lag_s > LAG_S_MAX
        return self.connection != "online" or is_behind or self.clock_off_s is not None


@dataclass(frozen=True, slots=True, eq=False)
class FleetFacts:
    """All presses and gateways at one moment; `threshold` is the failure probability that raises an alarm.

    Presses of which nothing has changed are the same objects as before; `report` may be older than they are.
    """

    presses: Sequence[PressFacts]
    gateways: Sequence[GatewayLine]
    threshold: float
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class Gauge:
    """One score: what it is of, its value, and how far its bar and its limit mark reach (0..1)."""

    subject: str
    value: float
    share: float
    limit_share: float
    level: Level

    @property
    def of_limit(self) -> float:
        """The value as a multiple of its limit."""
        return self.share / max(self.limit_share, 1e-9)


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
    expected_s: float | None = None
    pace: float | None = None
    """How much longer than expected the cycle took, as a share of the expected time."""
    rank: tuple[int, bool, str, str] = field(compare=False, default=(0, False, "", ""))
    """Its place, worst first. Not by the probability itself: tiles that trade places at every shot cannot be read."""
    haystack: str = field(compare=False, default="")
    """What a search looks through."""

    @property
    def is_off_pace(self) -> bool:
        """Whether the cycle is so far off the expected one that it is worth a look."""
        return self.pace is not None and abs(self.pace) >= PACE_WATCH_SHARE


@dataclass(frozen=True, slots=True)
class OeeLine:
    """OEE as a tile or a plant shows it, in whole percent; None where a factor is not known."""

    index: float | None
    availability: float | None
    effectiveness: float | None
    quality: float | None
    known_product: float | None
    unknown: tuple[str, ...]
    is_unheard: bool


@dataclass(frozen=True, slots=True)
class FleetFilter:
    """What the reader wants to see, and how; empty means all."""

    plant: str = ""
    state: str = ""
    search: str = ""
    mould: str = ""
    sort: Sort = "worst"
    window: WindowName = "shift"
    density: Density = "tiles"
    view: Literal["", "wall"] = ""

    def query(self, **changes: str) -> dict[str, str]:
        """The filter as URL parameters, with `changes`; what is empty or goes without saying is left out."""
        values = {
            "plant": self.plant,
            "state": self.state,
            "q": self.search,
            "mould": self.mould,
            "sort": self.sort,
            "window": self.window,
            "density": self.density,
            "view": self.view,
            **changes,
        }
        return {name: value for name, value in values.items() if value and value != DEFAULTS.get(name)}


DEFAULTS: Mapping[str, str] = {"sort": "worst", "window": "shift", "density": "tiles"}


def filter_of(query: Mapping[str, str]) -> FleetFilter:
    """The filter in a URL; what is not one of the choices counts as not said."""
    state = query.get("state", "")
    return FleetFilter(
        plant=query.get("plant", "").strip(),
        state=state if state in CONDITIONS else "",
        search=query.get("q", "").strip()[:SEARCH_CHARACTERS_MAX],
        mould=query.get("mould", "").strip()[:SEARCH_CHARACTERS_MAX],
        sort=next((sort for sort in SORTS if sort == query.get("sort")), "worst"),
        window=next((window for window in WINDOWS if window == query.get("window")), "shift"),
        density=next((density for density in DENSITIES if density == query.get("density")), "tiles"),
        view="wall" if query.get("view") == "wall" else "",
    )


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
    condition = _condition(facts, (failure, novelty))
    is_acknowledged = alarm is not None and alarm.is_acknowledged
    job_name, mould_id = (scored.shot.job_name, scored.shot.mould_id) if scored else ("", "")
    return Tile(
        plant_id=facts.plant_id,
        press_id=facts.press_id,
        connection=facts.connection,
        condition=condition,
        shot_ended_ms=scored.shot.ended_ms if scored else None,
        cycle_time_s=_round(scored.shot.parameters.get("CycleTime")) if scored else None,
        job_name=job_name,
        mould_id=mould_id,
        quality_class=scored.scores.quality_class if scored else None,
        failure=failure,
        novelty=novelty,
        alarm=alarm,
        more_alarms=max(0, len(facts.alarms) - 1),
        expected_s=_round(facts.expected_s),
        pace=_pace(scored.shot.parameters.get("CycleTime") if scored else None, facts.expected_s),
        rank=(_PLACE[condition], is_acknowledged, facts.plant_id, facts.press_id),
        haystack="\n".join((facts.press_id, facts.plant_id, job_name, mould_id)).casefold(),
    )


def board_of(
    tiles: Iterable[Tile], wanted: FleetFilter, *, report: Report | None = None, tiles_max: int = TILES_MAX
) -> Board:
    """Filter, count, sort as wanted, plants in the order of their first press; beyond `tiles_max` cut."""
    seen = _passing(tiles, wanted)
    counts = Counter(tile.condition for tile in seen)
    wanted_ones = [tile for tile in seen if tile.condition == wanted.state] if wanted.state else seen
    kept = nsmallest(tiles_max, wanted_ones, key=_order(wanted.sort, report))
    plants: dict[str, list[Tile]] = {}
    for tile in kept:
        plants.setdefault(tile.plant_id, []).append(tile)
    return Board(
        plants=tuple((plant, tuple(tiles)) for plant, tiles in plants.items()),
        counts={condition: counts[condition] for condition in CONDITIONS},
        total=len(seen),
        left_out=len(wanted_ones) - len(kept),
    )


def failure_gauge(scores: Scores, *, threshold: float) -> Gauge | None:
    """The failure probability that is nearest to its threshold (the bundle's own, else `threshold`), or over it most.

    None when no head spoke.
    """
    nearest: tuple[float, str, float, float] | None = None
    for mode, risk in risks(scores).items():
        limit = risk.limit(threshold)
        here = risk.probability / max(limit, 1e-9), mode, risk.probability, limit
        if math.isfinite(risk.probability) and (nearest is None or here > nearest):
            nearest = here
    if nearest is None:
        return None
    _, mode, value, threshold = nearest
    level: Level = "alarm" if value >= threshold else "watch" if value >= threshold * WATCH_SHARE else "normal"
    # Whole percent: a tile is sent again only for a change that the eye can see.
    shown = round(value, 2) if 0.01 <= value <= 0.99 else round(value, 4)
    return Gauge(mode, shown, share=_clip(shown), limit_share=_clip(threshold), level=level)


def novelty_gauge(scores: Scores) -> Gauge | None:
    """The larger of T² and SPE as a multiple of its limit; None when the novelty head did not speak."""
    value, name = -math.inf, ""
    for key, multiple in scores.values.items():
        if key.startswith(NOVELTY_PREFIX) and math.isfinite(multiple) and (multiple, key) > (value, name):
            value, name = multiple, key
    if not name:
        return None
    return Gauge(
        name.removeprefix(NOVELTY_PREFIX),
        round(value, 1),
        share=_clip(round(value / NOVELTY_SHOWN_MAX, 2)),
        limit_share=1 / NOVELTY_SHOWN_MAX,
        level="watch" if value > 1 else "normal",
    )


def _condition(facts: PressFacts, gauges: Iterable[Gauge | None]) -> Condition:
    if facts.alarms:
        return "alarm"
    if facts.connection != "online":
        return facts.connection
    if facts.shot is None:
        return "waiting"
    return "watch" if any(gauge and gauge.level != "normal" for gauge in gauges) else "normal"


def moulds_of(presses: Iterable[PressFacts]) -> list[str]:
    """The moulds that presses run, at most MOULDS_MAX."""
    return sorted({press.shot.scored.shot.mould_id for press in presses if press.shot} - {""})[:MOULDS_MAX]


def oee_line(figures: Figures | None) -> OeeLine | None:
    """What is shown of a press's or plant's figures; None when there are none yet."""
    if figures is None:
        return None
    oee = figures.oee
    return OeeLine(
        index=_round(oee.index),
        availability=_round(oee.availability),
        effectiveness=_round(oee.effectiveness),
        quality=_round(oee.quality),
        known_product=_round(oee.known_product),
        unknown=oee.unknown,
        is_unheard=figures.unheard_ms > 0,
    )


def _passing(tiles: Iterable[Tile], wanted: FleetFilter) -> list[Tile]:
    found = list(tiles)
    if wanted.plant:
        found = [tile for tile in found if tile.plant_id == wanted.plant]
    if wanted.mould:
        found = [tile for tile in found if tile.mould_id == wanted.mould]
    search = wanted.search.casefold()
    if search:
        found = [tile for tile in found if search in tile.haystack]
    return found


def _order(sort: Sort, report: Report | None) -> Callable[[Tile], tuple[Any, ...]]:
    """The sort key; presses of which the wanted value is not known come last."""

    def by(value: float | None, tile: Tile) -> tuple[Any, ...]:
        return value is None, value or 0.0, tile.plant_id, tile.press_id

    places = report.places if report else {}
    orders: dict[Sort, Callable[[Tile], tuple[Any, ...]]] = {
        "worst": attrgetter("rank"),
        "name": lambda tile: (tile.plant_id, tile.press_id),
        "pace": lambda tile: by(None if tile.pace is None else -tile.pace, tile),
        "health": lambda tile: by(None if tile.failure is None else -tile.failure.of_limit, tile),
        "age": lambda tile: by(tile.shot_ended_ms, tile),
        "oee": lambda tile: (places.get((tile.plant_id, tile.press_id), len(places)), tile.press_id),
    }
    return orders[sort]


def _pace(cycle_s: float | None, expected_s: float | None) -> float | None:
    if cycle_s is None or expected_s is None or not math.isfinite(cycle_s):
        return None
    return round(cycle_s / expected_s - 1, 2)


def _round(value: float | None) -> float | None:
    return round(value, 2) if value is not None and math.isfinite(value) else None


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))
