"""What each tenant may do at this moment, kept in memory for as long as nothing has changed."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import Database
from cloud.core.tenants import TenantId
from cloud.entitlements import repository, service
from cloud.entitlements.domain import Effective
from cloud.entitlements.gates import EntitlementError
from cloud.entitlements.sight import hidden_before_ms
from kit.clock import Clock

SCOPE_KEY: Final = "plan"
"""Where a request finds the `Plan` of its tenant."""
TENANTS_MAX: Final = 10_000

Locked = Callable[[AsyncSession, TenantId, int | None], Awaitable[frozenset[tuple[str, str]]]]
"""The (plant, press) of a tenant that are beyond a number of presses; the fleet knows."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tenant has, and which of its presses are beyond it."""

    tenant_id: TenantId
    effective: Effective
    locked: frozenset[tuple[str, str]]

    def hidden_before_ms(self, now_ms: int) -> int:
        """The moment before which data are hidden."""
        return hidden_before_ms(self.effective.entitlements, now_ms)

    def demand_open(self, plant_id: str, press_id: str) -> None:
        """Let somebody look at a press.

        Raises:
            EntitlementError: it came when the plan's presses were all there.
        """
        if (plant_id, press_id) in self.locked:
            limit = self.effective.entitlements.presses_max
            raise EntitlementError("presses_max", limit, tier=self.effective.tier)


class Plans:
    """Asks the count of changes each time, which costs one row, and reads the rest when it has moved."""

    def __init__(self, database: Database, clock: Clock, locked: Locked) -> None:
        self._database = database
        self._clock = clock
        self._locked = locked
        self._kept: OrderedDict[TenantId, tuple[int, Plan]] = OrderedDict()

    async def of(self, tenant_id: TenantId) -> Plan:
        """The plan of a tenant now."""
        now_ms = self._clock.utc_ms()
        async with self._database.reading() as session:
            changes = await repository.changes(session)
            kept = self._kept.get(tenant_id)
            if kept is not None and kept[0] == changes and now_ms < (kept[1].effective.until_ms or now_ms + 1):
                return kept[1]
            found = await service.in_force(session, tenant_id, now_ms)
            locked = await self._locked(session, tenant_id, found.entitlements.presses_max)
        plan = Plan(tenant_id, found, locked)
        self._kept[tenant_id] = changes, plan
        self._kept.move_to_end(tenant_id)
        while len(self._kept) > TENANTS_MAX:
            self._kept.popitem(last=False)
        return plan

    async def hidden_before_ms(self, tenant_id: TenantId) -> int:
        """The moment before which a tenant's data are hidden."""
        return (await self.of(tenant_id)).hidden_before_ms(self._clock.utc_ms())


def plan_of(request: Request) -> Plan | None:
    """The plan of who asks; None where nobody is known to ask."""
    found = request.scope.get(SCOPE_KEY)
    assert found is None or isinstance(found, Plan)
    return found


async def demand_open_press(request: Request) -> None:
    """A dependency of every operation: what is about one press is refused while that press is beyond the plan.

    Raises:
        EntitlementError: it is.
    """
    plan, path = plan_of(request), request.path_params
    if plan is not None and "press_id" in path:
        plan.demand_open(str(path.get("plant_id", "")), str(path["press_id"]))
