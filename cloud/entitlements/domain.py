"""Tiers and their entitlements, and which of them are in force for a tenant at a moment. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final, Literal

from kit.errors import ZhisanError

DAY_MS: Final = 24 * 3600 * 1000
GRACE_MS: Final = 30 * DAY_MS
"""What a tenant had at any moment of this time is not taken away yet: a lower tier begins to bind after it."""
NUMBER_MAX: Final = 1_000_000
FOREVER_MS: Final = 1 << 62

Kind = Literal["amount", "hours", "flag", "depth"]
"""`amount`: more is better, none is without limit. `hours`: fewer are better, none is no promise."""
SourceKind = Literal["default", "tier", "grace", "override"]


class Tier(StrEnum):
    """How a customer is served."""

    STRATEGIC = "strategic"
    VALUE = "value"
    LONG_TAIL = "long_tail"
    PROVISIONAL = "provisional"


class ReportDepth(StrEnum):
    """How deep reports go; each has all that the one before it has."""

    SUMMARY = "summary"
    STANDARD = "standard"
    DEEP = "deep"


DEPTHS: Final = tuple(ReportDepth)


class EntitlementFieldError(ZhisanError):
    """An entitlement that is none, or a value that it cannot have; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class Entitlements:
    """What one may use; an amount of None is without limit."""

    retention_days: int | None = None
    presses_max: int | None = None
    custom_models: bool = True
    api_requests_per_min: int | None = None
    support_response_h: int | None = None
    report_depth: ReportDepth = ReportDepth.DEEP
    webhook_endpoints_max: int | None = None
    people_max: int | None = None

    def to_json(self) -> dict[str, Any]:
        """By name, as it is stored and told."""
        return {name: getattr(self, name) for name in NAMES}


Value = int | bool | ReportDepth | None
KINDS: Final[Mapping[str, Kind]] = {
    "retention_days": "amount",
    "presses_max": "amount",
    "custom_models": "flag",
    "api_requests_per_min": "amount",
    "support_response_h": "hours",
    "report_depth": "depth",
    "webhook_endpoints_max": "amount",
    "people_max": "amount",
}
NAMES: Final = tuple(field.name for field in fields(Entitlements))
UNLIMITED: Final = Entitlements()
"""Of a tenant without a tier: an installation that a company runs for itself is not limited by itself."""
Catalogue = Mapping[Tier, Entitlements]


@dataclass(frozen=True, slots=True)
class CatalogueVersion:
    """The catalogue from a moment on; version 0 is the one that comes with the program."""

    version: int
    made_ms: int
    tiers: Catalogue


@dataclass(frozen=True, slots=True)
class Assigned:
    """A tenant's tier from a moment on."""

    at_ms: int
    tier: Tier


@dataclass(frozen=True, slots=True)
class Override:
    """One entitlement of one tenant that is not its tier's, until it ends."""

    override_id: str
    entitlement: str
    value: Value
    from_ms: int
    until_ms: int

    def is_in_force(self, now_ms: int) -> bool:
        """Whether it counts at this moment."""
        return self.from_ms <= now_ms < self.until_ms


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from; `until_ms` is set where it ends by itself."""

    kind: SourceKind
    override_id: str = ""
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """A value that is lower than it is now, and when it begins to bind."""

    entitlement: str
    now: Value
    then: Value
    at_ms: int


@dataclass(frozen=True, slots=True)
class Effective:
    """What is in force for a tenant; it changes by itself at `until_ms` (None: not by itself)."""

    tier: Tier | None
    catalogue_version: int
    entitlements: Entitlements
    sources: Mapping[str, Source]
    pending: tuple[Pending, ...]
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class _Step:
    """What the tier gave from a moment until the next step."""

    from_ms: int
    until_ms: int
    tier: Tier | None
    version: int
    entitlements: Entitlements


def checked_value(name: str, value: object) -> Value:
    """A value of this entitlement.

    Raises:
        EntitlementFieldError: there is no such entitlement, or it cannot be this.
    """
    kind = KINDS.get(name)
    if kind is None:
        raise EntitlementFieldError(name, f"is no entitlement; there are {', '.join(NAMES)}")
    if kind == "flag":
        if not isinstance(value, bool):
            raise EntitlementFieldError(name, "must be true or false")
        return value
    if kind == "depth":
        if value not in DEPTHS:
            raise EntitlementFieldError(name, f"must be one of {', '.join(DEPTHS)}")
        return ReportDepth(str(value))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= NUMBER_MAX:
        raise EntitlementFieldError(name, f"must be a whole number of 1 to {NUMBER_MAX}, or null for no limit")
    return value


def checked_entitlements(values: Mapping[str, object], *, where: str = "") -> Entitlements:
    """All entitlements of a tier; every name must be there, and no other.

    Raises:
        EntitlementFieldError: one is missing, unknown, or cannot be this.
    """
    prefix = f"{where}." if where else ""
    for name in NAMES:
        if name not in values:
            raise EntitlementFieldError(f"{prefix}{name}", "is missing")
    try:
        return Entitlements(**{name: checked_value(name, value) for name, value in values.items()})  # type: ignore[arg-type]
    except EntitlementFieldError as error:
        raise EntitlementFieldError(f"{prefix}{error.field}", error.message) from error


def checked_catalogue(tiers: Mapping[str, Mapping[str, object]]) -> dict[Tier, Entitlements]:
    """A catalogue of every tier.

    Raises:
        EntitlementFieldError: a tier is missing or unknown, or one of its entitlements cannot be this.
    """
    for name in tiers:
        if name not in set(Tier):
            raise EntitlementFieldError(name, f"is no tier; there are {', '.join(Tier)}")
    for tier in Tier:
        if tier not in tiers:
            raise EntitlementFieldError(tier, "is missing: a catalogue has every tier")
    return {tier: checked_entitlements(tiers[tier], where=tier) for tier in Tier}


def more_generous(name: str, one: Value, other: Value) -> Value:
    """The better of two values for who has it."""
    match KINDS[name]:
        case "flag":
            return bool(one or other)
        case "depth":
            return max((one, other), key=lambda depth: DEPTHS.index(ReportDepth(str(depth))))
        case "hours":
            return min((one, other), key=lambda hours: NUMBER_MAX + 1 if hours is None else int(hours))
        case _:
            return max((one, other), key=lambda amount: NUMBER_MAX + 1 if amount is None else int(amount))


def effective(
    catalogues: Sequence[CatalogueVersion],
    assigned: Sequence[Assigned],
    overrides: Iterable[Override],
    now_ms: int,
    *,
    since_ms: int = 0,
) -> Effective:
    """What is in force at `now_ms`: an override, else the best that the tier gave within GRACE_MS, its last included.

    Args:
        catalogues: By version, the one before the time of grace included; version 0 stands for all time.
        assigned: In order, the last before the time of grace included.
        overrides: Those that were in force at some time.
        now_ms: The moment.
        since_ms: When the tenant began: before it, it had nothing that could be taken away.
    """
    steps = _steps(catalogues, [one for one in assigned if one.at_ms <= now_ms], now_ms, since_ms)
    due = steps[-1]
    in_force = {one.entitlement: one for one in sorted(overrides, key=_place) if one.is_in_force(now_ms)}
    values: dict[str, Value] = {}
    sources: dict[str, Source] = {}
    pending: list[Pending] = []
    for name in NAMES:
        best, until_ms = _best(name, steps)
        then: Value = getattr(due.entitlements, name)
        if (override := in_force.get(name)) is not None:
            values[name] = override.value
            sources[name] = Source("override", override.override_id, _end(override.until_ms))
            best, until_ms = override.value, override.until_ms
        elif best != then:
            values[name], sources[name] = best, Source("grace", until_ms=until_ms)
        else:
            values[name], sources[name] = then, Source("default" if due.tier is None else "tier")
        if best != then and more_generous(name, best, then) == best and until_ms < FOREVER_MS:
            pending.append(Pending(name, best, then, until_ms))
    return Effective(
        tier=due.tier,
        catalogue_version=due.version,
        entitlements=Entitlements(**values),  # type: ignore[arg-type]
        sources=sources,
        pending=tuple(pending),
        until_ms=min((source.until_ms for source in sources.values() if source.until_ms is not None), default=None),
    )


def _steps(
    catalogues: Sequence[CatalogueVersion], assigned: Sequence[Assigned], now_ms: int, since_ms: int
) -> list[_Step]:
    """What the tier gave, from step to step; those that ended before the time of grace are left out."""
    begins = {min(since_ms, now_ms)}
    begins |= {one.at_ms for one in (*assigned,)} | {one.made_ms for one in catalogues}
    times = sorted(at_ms for at_ms in begins if min(since_ms, now_ms) <= at_ms <= now_ms)
    found: list[_Step] = []
    for from_ms, until_ms in pairwise([*times, FOREVER_MS]):
        if until_ms <= now_ms - GRACE_MS:
            continue
        tier = next((one.tier for one in reversed(assigned) if one.at_ms <= from_ms), None)
        catalogue = next(one for one in reversed(catalogues) if one.made_ms <= from_ms or not one.version)
        entitlements = UNLIMITED if tier is None else catalogue.tiers[tier]
        found.append(_Step(from_ms, until_ms, tier, catalogue.version, entitlements))
    return found


def _best(name: str, steps: Sequence[_Step]) -> tuple[Value, int]:
    """The best value of these steps, and when the last of them that gave it has been over for GRACE_MS."""
    best: Value = getattr(steps[-1].entitlements, name)
    for step in steps:
        best = more_generous(name, best, getattr(step.entitlements, name))
    last_ms = max(step.until_ms for step in steps if getattr(step.entitlements, name) == best)
    return best, min(last_ms + GRACE_MS, FOREVER_MS)


def _place(override: Override) -> tuple[int, str]:
    return override.from_ms, override.override_id


def _end(until_ms: int) -> int | None:
    return until_ms if until_ms < FOREVER_MS else None
