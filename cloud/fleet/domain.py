"""When a gateway or a press counts as online, stale or offline, and what is known of one. Pure."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["online", "stale", "offline"]
STATES: tuple[State, ...] = ("online", "stale", "offline")

GAPS_KEPT = 9
HEALTH_PREFIX = "Health/"
HEALTH_METRICS_MAX = 64
JOURNAL_RECORDS = "JournalRecords"
LAG_SECONDS = "LagSeconds"


@dataclass(frozen=True, slots=True)
class FleetRules:
    """After what silence a value is no longer live."""

    press_stale_s_min: float = 60.0
    cycles_missed: float = 3.0
    gateway_stale_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Plant:
    """A plant: the Sparkplug group, with how many gateways and presses it has in which state."""

    plant_id: str
    registered_ms: int
    gateways: Mapping[State, int]
    presses: Mapping[State, int]
    display_name: str = ""
    """What people call it; empty: by its id."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway; `health` are its own last figures by name, `clock_offset_s` how far its clock is ahead of ours."""

    plant_id: str
    gateway_id: str
    state: State
    state_since_ms: int
    registered_ms: int
    born_ms: int
    last_seen_ms: int
    epoch: str
    bundle_id: str
    version: str
    clock_offset_s: float | None
    health: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Press:
    """A press; `last_shot_ms` by the press's own clock, `expected_cycle_s` the median of its last gaps."""

    plant_id: str
    press_id: str
    gateway_id: str
    state: State
    state_since_ms: int
    registered_ms: int
    born_ms: int
    last_shot_ms: int | None
    expected_cycle_s: float | None


@dataclass(frozen=True, slots=True)
class Presence:
    """Of a press only what an overview of thousands needs."""

    plant_id: str
    press_id: str
    gateway_id: str
    state: State
    state_since_ms: int
    registered_ms: int


@dataclass(frozen=True, slots=True)
class Beginnings:
    """How far a company has come: what has introduced itself, and the gateway and the press that were first."""

    gateways: int = 0
    gateways_online: int = 0
    first_gateway: tuple[str, str] | None = None
    presses: int = 0
    presses_with_shots: int = 0
    first_press: tuple[str, str] | None = None
    """The first that made a shot, else the first that is known."""


@dataclass(frozen=True, slots=True)
class SeenShot:
    """That a shot has arrived, without what is in it."""

    plant_id: str
    gateway_id: str
    press_id: str
    ended_ms: int
    received_ms: int
    is_historical: bool = False


@dataclass(frozen=True, slots=True)
class Cadence:
    """The rhythm of a press: its last shot and the gaps before it, both by its own clock."""

    last_ended_ms: int | None = None
    gaps_ms: tuple[int, ...] = ()

    def after(self, ended_ms: int) -> "Cadence":
        """The cadence with one more live shot; a clock that stepped back leaves no gap."""
        if self.last_ended_ms is None or ended_ms <= self.last_ended_ms:
            return Cadence(ended_ms, self.gaps_ms)
        return Cadence(ended_ms, (*self.gaps_ms, ended_ms - self.last_ended_ms)[-GAPS_KEPT:])

    def typical_s(self) -> float | None:
        """The median gap: one long pause or one stepped clock does not move it."""
        return statistics.median(self.gaps_ms) / 1000 if self.gaps_ms else None


def press_stale_at_ms(live_sign_ms: int, typical_cycle_s: float | None, rules: FleetRules) -> int:
    """When a press that last gave a live sign at `live_sign_ms` (our clock) counts as stale."""
    silence_s = max(rules.cycles_missed * (typical_cycle_s or 0.0), rules.press_stale_s_min)
    return live_sign_ms + round(silence_s * 1000)


def gateway_stale_at_ms(last_seen_ms: int, rules: FleetRules) -> int:
    """When a gateway that was last heard at `last_seen_ms` counts as stale."""
    return last_seen_ms + round(rules.gateway_stale_s * 1000)


def health_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The health figures among a gateway's metrics, without their prefix; what is no finite number is left out."""
    found = {
        name.removeprefix(HEALTH_PREFIX): float(value)
        for name, value in metrics.items()
        if name.startswith(HEALTH_PREFIX) and isinstance(value, int | float) and math.isfinite(value)
    }
    return dict(sorted(found.items())[:HEALTH_METRICS_MAX])


def text_of(metrics: Mapping[str, Any], name: str, characters_max: int = 128) -> str:
    """A text metric, cut to `characters_max`; empty when the gateway does not tell."""
    value = metrics.get(name)
    return value[:characters_max] if isinstance(value, str) else ""


def by_press(shots: Sequence[SeenShot]) -> dict[tuple[str, str], list[SeenShot]]:
    """The shots of each (plant, press), in order."""
    found: dict[tuple[str, str], list[SeenShot]] = {}
    for shot in shots:
        found.setdefault((shot.plant_id, shot.press_id), []).append(shot)
    return found
