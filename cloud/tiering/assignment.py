"""Who looks after which strategic customer: load, sector, travel and what was before, weighed by CP-SAT. Pure.

Costs are whole points, so that a proposal can be recomputed by hand: WRONG_SECTOR, one per KM_PER_POINT, MOVED, and the
fullest manager's load in per cent. Who cannot be placed at all is told, with the reason.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from kit.errors import ZhisanError

MANAGERS_MAX: Final = 100
ACCOUNTS_MAX: Final = 1_000
SOLVE_S_MAX: Final = 10.0
WRONG_SECTOR: Final = 40
KM_PER_POINT: Final = 10
MOVED: Final = 60
"""Taking a customer from its manager has to save so many points: as much as 600 km."""
UNPLACED: Final = 1_000_000
EARTH_KM: Final = 6_371.0
Place = tuple[float, float]
"""Latitude and longitude in degrees."""
Why = Literal["nobody_in_reach", "all_in_reach_full"]


class UnsolvedError(ZhisanError):
    """The time was over before anything was found."""


@dataclass(frozen=True, slots=True)
class Manager:
    """A customer-success manager: customers at most, sectors known (none: every), where, and how far from there."""

    manager_id: str
    capacity: int
    sectors: frozenset[str]
    place: Place | None
    reach_km: float | None


@dataclass(frozen=True, slots=True)
class Account:
    """A strategic customer, and who looks after it now."""

    customer_id: str
    sector: str
    place: Place | None
    before: str | None


@dataclass(frozen=True, slots=True)
class Assigned:
    """A customer, its manager, and what that costs in points, by reason."""

    customer_id: str
    manager_id: str
    before: str | None
    sector: int
    travel: int
    moved: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the solver found; `is_best` says whether it is proven that nothing is better."""

    assigned: tuple[Assigned, ...]
    unplaced: Mapping[str, Why]
    fullest_percent: int
    cost: int
    is_best: bool


def distance_km(one: Place | None, other: Place | None) -> float | None:
    """Along the great circle; None where a place is not known."""
    if one is None or other is None:
        return None
    (lat, lon), (lat_other, lon_other) = (tuple(map(math.radians, each)) for each in (one, other))
    half = math.sin((lat_other - lat) / 2) ** 2
    half += math.cos(lat) * math.cos(lat_other) * math.sin((lon_other - lon) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))


def priced(account: Account, manager: Manager) -> Assigned | None:
    """What it costs that this manager looks after this customer; None where it is out of reach.

    Where a place is not known, travel costs nothing and everything is in reach.
    """
    km = distance_km(account.place, manager.place)
    if km is not None and manager.reach_km is not None and km > manager.reach_km:
        return None
    return Assigned(
        account.customer_id,
        manager.manager_id,
        account.before,
        sector=0 if not manager.sectors or account.sector in manager.sectors else WRONG_SECTOR,
        travel=0 if km is None else round(km / KM_PER_POINT),
        moved=MOVED if account.before not in (None, manager.manager_id) else 0,
    )


def propose(accounts: Sequence[Account], managers: Sequence[Manager]) -> Proposal:
    """The cheapest assignment that the solver finds within SOLVE_S_MAX; as many customers as can be are placed.

    Raises:
        UnsolvedError: the time was over before it found any.
    """
    assert len(accounts) <= ACCOUNTS_MAX, "the caller has checked"
    assert len(managers) <= MANAGERS_MAX, "the caller has checked"
    from ortools.sat.python import cp_model  # brings pandas: a cloud's start does not wait for it

    model: Any = cp_model.CpModel()
    fits = [[each for manager in managers if (each := priced(account, manager))] for account in accounts]
    chosen = [[model.new_bool_var("") for _ in row] for row in fits]
    left_out = [model.new_bool_var("") for _ in accounts]
    for row, out in zip(chosen, left_out, strict=True):
        model.add_exactly_one([*row, out])
    fullest = model.new_int_var(0, 100, "fullest")
    pairs = [pair for row, variables in zip(fits, chosen, strict=True) for pair in zip(row, variables, strict=True)]
    for manager in managers:
        load = sum(var for each, var in pairs if each.manager_id == manager.manager_id)
        model.add(load <= manager.capacity)
        model.add(100 * load <= fullest * manager.capacity)
    costs = sum(_points(each) * var for each, var in pairs)
    model.minimize(costs + fullest + UNPLACED * sum(left_out))
    solver: Any = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = SOLVE_S_MAX
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        raise UnsolvedError(f"no assignment was found within {SOLVE_S_MAX:g} s: give managers a reach, then ask again")
    taken = tuple(each for each, var in pairs if solver.value(var))
    placed = {each.customer_id for each in taken}
    full = solver.value(fullest)
    return Proposal(
        taken,
        {
            account.customer_id: "all_in_reach_full" if row else "nobody_in_reach"
            for account, row in zip(accounts, fits, strict=True)
            if account.customer_id not in placed
        },
        full,
        full + sum(map(_points, taken)),
        status == cp_model.OPTIMAL,
    )


def _points(each: Assigned) -> int:
    return each.sector + each.travel + each.moved
