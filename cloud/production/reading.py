"""OEE of a tenant's presses and plants in a window, from the sums of its hours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.fleet import reading as fleet
from cloud.fleet.domain import Presence
from cloud.production import repository
from cloud.production.oee import FACTORS, Account, Factor, Oee, Pace, account_of, oee_of, planned_busy_ms
from cloud.production.repository import ExpectedKey, Sum
from cloud.production.windows import HOUR_MS, Window

DOWNTIMES_MAX = 1_000
"""Planned downtimes of one tenant."""

PressId = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Expected:
    """The cycle time expected of a press and mould; `is_set` by hand, else the press's own median."""

    cycle_s: float
    is_set: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """OEE of a press, or of a plant's presses together.

    `unheard_ms` of the window the press was out of reach: what it made then comes later, and is in no factor yet.
    `lacking` tells of how many presses each factor is not known, and so not in this one.
    """

    account: Account
    oee: Oee
    unheard_ms: int = 0
    presses: int = 1
    lacking: Mapping[Factor, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """All figures of one tenant and window."""

    window: Window
    presses: Mapping[PressId, Figures]
    places: Mapping[PressId, int]
    """Each press's place by the product of its known factors, the lowest first, without one last."""
    plants: Mapping[str, Figures]
    expected: Mapping[ExpectedKey, Expected]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """What a report is made of."""

    window: Window
    presences: Sequence[Presence]
    sums: Sequence[Sum]
    expected: Mapping[ExpectedKey, Expected]
    pauses: Mapping[PressId, list[tuple[int, int]]]


async def read(session: AsyncSession, tenant_id: TenantId, window: Window) -> Sums:
    """All that is known of the window."""
    return Sums(
        window,
        await fleet.presences(session, tenant_id),
        await repository.sums(session, tenant_id, window.start_ms, window.end_ms),
        expected_of(await repository.expected(session, tenant_id)),
        await _pauses(session, tenant_id, window),
    )


def report(found: Sums) -> Report:
    """The figures of every press and plant; pure, and dear enough for a thread of its own."""
    by_press: dict[PressId, list[Sum]] = {}
    for each in found.sums:
        by_press.setdefault((each.plant_id, each.press_id), []).append(each)
    presses: dict[PressId, Figures] = {}
    by_plant: dict[str, list[Figures]] = {}
    for presence in found.presences:
        key = (presence.plant_id, presence.press_id)
        presses[key] = figures = _figures(presence, by_press.get(key, ()), found)
        by_plant.setdefault(presence.plant_id, []).append(figures)
    plants = {plant_id: together(parts) for plant_id, parts in by_plant.items()}
    return Report(found.window, presses, _places(presses), plants, found.expected)


def _places(presses: Mapping[PressId, Figures]) -> dict[PressId, int]:
    products = {key: figures.oee.known_product for key, figures in presses.items()}
    worst_first = sorted(products, key=lambda key: (products[key] is None, products[key] or 0.0, key))
    return {key: place for place, key in enumerate(worst_first)}


def expected_of(rows: Iterable[tuple[str, str, str, float | None, float | None]]) -> dict[ExpectedKey, Expected]:
    """What is expected, by hand before the press's own; nothing where neither is known."""
    found: dict[ExpectedKey, Expected] = {}
    for plant_id, press_id, mould_id, own_s, set_s in rows:
        cycle_s = own_s if set_s is None else set_s
        if cycle_s is not None:
            found[plant_id, press_id, mould_id] = Expected(cycle_s, is_set=set_s is not None)
    return found


def together(parts: Sequence[Figures]) -> Figures:
    """Several presses as one: each factor over those of which it is known."""
    total = Account()
    for part in parts:
        account = part.account
        if part.oee.availability is None:
            account = replace(account, planned_ms=0, produced_ms=0.0, unaccounted=0)
        total += account
    lacking = {name: sum(getattr(part.oee, name) is None for part in parts) for name in FACTORS}
    return Figures(total, oee_of(total), max((part.unheard_ms for part in parts), default=0), len(parts), lacking)


def _figures(presence: Presence, sums: Sequence[Sum], found: Sums) -> Figures:
    """One press: its planned busy time begins with its first sign, and ends where it was last in reach."""
    window, plant_id, press_id = found.window, presence.plant_id, presence.press_id
    first_hour_ms = min((each.first_hour_ms for each in sums), default=window.end_ms)
    is_older = first_hour_ms + HOUR_MS <= presence.registered_ms  # it made shots before it was registered
    begins_ms = first_hour_ms if is_older else presence.registered_ms
    start_ms = min(max(window.start_ms, begins_ms), window.end_ms)
    heard_ms = presence.state_since_ms if presence.state == "offline" else window.end_ms
    end_ms = min(max(start_ms, heard_ms), window.end_ms)
    pauses = [*found.pauses.get((plant_id, ""), ()), *found.pauses.get((plant_id, press_id), ())]
    paces = [Pace(each.output, _expected_s(found.expected, each)) for each in sums]
    account = account_of(paces, planned_busy_ms(start_ms, end_ms, pauses))
    return Figures(account, oee_of(account), unheard_ms=window.end_ms - end_ms)


def _expected_s(expected: Mapping[ExpectedKey, Expected], made: Sum) -> float | None:
    known = expected.get((made.plant_id, made.press_id, made.mould_id))
    return None if known is None else known.cycle_s


async def _pauses(session: AsyncSession, tenant_id: TenantId, window: Window) -> dict[PressId, list[tuple[int, int]]]:
    rows = await repository.downtimes(session, tenant_id, window.start_ms, window.end_ms, limit=DOWNTIMES_MAX)
    pauses: dict[PressId, list[tuple[int, int]]] = {}
    for row in rows:
        pauses.setdefault((row.plant_id, row.press_id), []).append((row.start_ms, row.end_ms))
    return pauses
