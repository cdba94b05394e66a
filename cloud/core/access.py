"""Who asks, and what they may do: identity finds it out for each request, every route demands it here."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Request

from cloud.core import csrf
from cloud.core.live import Topic, wait_for_change
from kit.errors import ZhisanError

SCOPE_KEY: Final = "principal"
"""Where the identity middleware leaves the request's `Principal`."""
ASK_AGAIN_KEY: Final = "principal_now"
"""Where it leaves how to find out once more: a request that stays open outlives sign-outs and changed roles."""
CHANGES_KEY: Final = "principal_changes"
"""Where it leaves the topic of such changes."""


class Right(StrEnum):
    """One thing that one may do, in one's own tenant."""

    READ = "read"
    ACKNOWLEDGE = "acknowledge"
    CONFIGURE = "configure"
    MANAGE_GATEWAYS = "manage_gateways"
    MANAGE_PEOPLE = "manage_people"
    READ_AUDIT = "read_audit"
    READ_METRICS = "read_metrics"
    TIERING = "tiering"
    ENTITLEMENTS = "entitlements"
    INSIGHT = "insight"
    COMMUNITY = "community"
    PACKS = "packs"
    EFFICIENCY = "efficiency"
    REPORTS = "reports"


class Role(StrEnum):
    """A job in a plant, or one in the company that runs the platform."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    PLANT_MANAGER = "plant_manager"
    TENANT_ADMIN = "tenant_admin"
    CUSTOMER_SUCCESS = "customer_success"
    ANALYST = "analyst"
    COMMUNITY_OPERATOR = "community_operator"
    PACK_DELIVERY = "pack_delivery"
    DEPARTMENT_HEAD = "department_head"
    MANAGEMENT = "management"
    PLATFORM_ADMIN = "platform_admin"


PLANT_ROLES: Final = (Role.VIEWER, Role.OPERATOR, Role.ENGINEER, Role.PLANT_MANAGER, Role.TENANT_ADMIN)
"""Each may do all that the one before it may."""
PLANT_RIGHTS: Final = frozenset(
    {Right.READ, Right.ACKNOWLEDGE, Right.CONFIGURE, Right.MANAGE_GATEWAYS, Right.MANAGE_PEOPLE, Right.READ_AUDIT}
)
RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.VIEWER: frozenset({Right.READ}),
    Role.OPERATOR: frozenset({Right.READ, Right.ACKNOWLEDGE}),
    Role.ENGINEER: frozenset({Right.READ, Right.ACKNOWLEDGE, Right.CONFIGURE}),
    Role.PLANT_MANAGER: PLANT_RIGHTS - {Right.MANAGE_PEOPLE},
    Role.TENANT_ADMIN: PLANT_RIGHTS,
    Role.CUSTOMER_SUCCESS: frozenset({Right.TIERING, Right.ENTITLEMENTS, Right.INSIGHT}),
    Role.ANALYST: frozenset({Right.INSIGHT}),
    Role.COMMUNITY_OPERATOR: frozenset({Right.COMMUNITY}),
    Role.PACK_DELIVERY: frozenset({Right.PACKS}),
    Role.DEPARTMENT_HEAD: frozenset({Right.EFFICIENCY}),
    Role.MANAGEMENT: frozenset({Right.EFFICIENCY, Right.REPORTS, Right.TIERING}),
    Role.PLATFORM_ADMIN: frozenset(Right),
}


class NotAuthenticatedError(ZhisanError):
    """The request does not say who asks, or not in a way that can be believed: 401, or the way to the login page."""

    def __init__(self) -> None:
        super().__init__("Sign in, or send an API key as `Authorization: Bearer`.")


class ForbiddenError(ZhisanError):
    """Who asks may not do this: 403."""

    def __init__(self, right: Right) -> None:
        super().__init__(f"This needs the right {right.value!r}, which you do not have.")
        self.right = right


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a person in a session, or a program with an API key; always in exactly one tenant."""

    kind: Literal["user", "api_key"]
    id: str
    name: str
    tenant_id: str
    rights: frozenset[Right]
    csrf_secret: str = ""
    """What the tokens of this session's forms are made of; empty for an API key, which no browser sends by itself."""
    company: str = field(default="", compare=False)
    """The name of the tenant, for a page to show."""
    language: str = field(default="", compare=False)
    theme: str = field(default="", compare=False)
    """Of the pages, as the person has chosen; empty where nothing was chosen."""

    def form_token(self) -> str:
        """What a form of this session sends back; another one at each call, empty without a session."""
        return csrf.masked(self.csrf_secret)

    def is_form_token(self, told: str) -> bool:
        """Whether `told` was made for a form of this session."""
        return csrf.is_token_of(told, self.csrf_secret)


def principal_of(request: Request) -> Principal | None:
    """Who asks, or None."""
    found = request.scope.get(SCOPE_KEY)
    assert found is None or isinstance(found, Principal)
    return found


async def is_still_so(request: Request) -> bool:
    """Whether the one who asked would now be let in as the same, with the same rights."""
    ask: Callable[[], Awaitable[Principal | None]] | None = request.scope.get(ASK_AGAIN_KEY)
    return ask is None or await ask() == principal_of(request)


async def let_out(request: Request, *, look_every_s: float) -> None:
    """Return when the one who asked would no longer be let in as the same.

    That is looked at whenever this program changes something about them, and now and then for what ends by itself.
    """
    changes: Topic = request.scope.get(CHANGES_KEY) or Topic()
    while True:
        seen = changes.version
        if not await is_still_so(request):
            return
        await wait_for_change(changes, seen, at_most_s=look_every_s)


def address_of(request: Request) -> str:
    """The network address that a request comes from; empty where there is none."""
    return request.client.host if request.client is not None else ""


def current_principal(request: Request) -> Principal:
    """Who asks.

    Raises:
        NotAuthenticatedError: nobody that we know.
    """
    principal = principal_of(request)
    if principal is None:
        raise NotAuthenticatedError
    return principal


def requires(right: Right) -> Any:
    """The dependency of a route that demands `right`; it gives the `Principal`."""
    return Depends(_demand(right))


def _demand(right: Right) -> Callable[[Principal], Principal]:
    def demand(principal: Annotated[Principal, Depends(current_principal)]) -> Principal:
        if right not in principal.rights:
            raise ForbiddenError(right)
        return principal

    return demand
