"""Finds out for each request what its tenant may do, and holds its programs to the plan's rate of API requests."""

import math
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.core.access import SCOPE_KEY as PRINCIPAL_KEY
from cloud.core.access import Principal
from cloud.core.problems import answer
from cloud.core.rate_limit import RateLimit
from cloud.core.tenants import TenantId
from cloud.entitlements.gates import EntitlementError
from cloud.entitlements.plans import SCOPE_KEY, Plan, Plans
from kit.clock import Clock

API_PREFIX: Final = "/api/"
FREE_PATHS: Final = ("/api/v1/plan",)
"""Who is over the rate must be able to read what the rate is."""
RATES_MAX: Final = 1_000


class PlanGate:
    """Leaves the `Plan` in the scope; it stands inside of what finds the principal.

    Requests of all people and programs of a tenant count together, those to the API alone: pages have the limits of
    `cloud.core.limits` only.
    """

    def __init__(self, app: ASGIApp, plans: Plans, clock: Clock) -> None:
        self._app = app
        self._plans = plans
        self._clock = clock
        self._rates: dict[int, RateLimit] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say when to come again."""
        principal = scope.get(PRINCIPAL_KEY) if scope["type"] == "http" else None
        if not isinstance(principal, Principal):
            await self._app(scope, receive, send)
            return
        plan = scope[SCOPE_KEY] = await self._plans.of(TenantId(principal.tenant_id))
        limit = plan.effective.entitlements.api_requests_per_min
        if limit is not None and scope["path"].startswith(API_PREFIX) and scope["path"] not in FREE_PATHS:
            wait_s = self._take(plan, limit)
            if wait_s > 0:
                error = EntitlementError("api_requests_per_min", limit, tier=plan.effective.tier)
                headers = {"Retry-After": str(math.ceil(wait_s))}
                await answer(429, str(error), entitlement=error.fact, headers=headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _take(self, plan: Plan, limit: int) -> float:
        """One request of the tenant: 0.0 when it may be, else for how long to wait."""
        if limit not in self._rates and len(self._rates) >= RATES_MAX:
            self._rates.clear()
        rate = self._rates.setdefault(limit, RateLimit(per_s=limit / 60, burst=limit))
        return rate.take(plan.tenant_id, self._clock.monotonic_s())
