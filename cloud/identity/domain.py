"""Rules of accounts: lock-out, who may give which role, how long a session lasts. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from cloud.core.access import PLANT_ROLES, RIGHTS, Right, Role
from cloud.core.tenants import DEFAULT_TENANT
from kit.errors import ZhisanError

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
LINK_MS: Final = 7 * DAY_MS
SETUP_LINK_MS: Final = DAY_MS
FREE_FAILURES: Final = 4
LOCK_MS_MIN: Final = 30_000
LOCK_MS_MAX: Final = 15 * MINUTE_MS
KEY_DAYS_DEFAULT: Final = 90
KEY_DAYS_MAX: Final = 366
LOGIN_CHARACTERS_MAX: Final = 100
NAME_CHARACTERS_MAX: Final = 100


class SignInRefusedError(ZhisanError):
    """Login or password is wrong, or the account is locked or disabled: nobody is told which."""


class LinkError(ZhisanError):
    """A one-time link that was used, has expired or never was."""


class RoleError(ZhisanError):
    """A change of roles that is not allowed; `reason` is `beyond`, `platform`, `last_admin` or `none`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The roles cannot be changed so: {reason}.")
        self.reason = reason


class LoginTakenError(ZhisanError):
    """Somebody in this tenant has this login."""


@dataclass(frozen=True, slots=True)
class SessionRules:
    """How long a session may be idle, how long it lasts at most, and whether its cookie goes over https only."""

    idle_ms: int = 12 * HOUR_MS
    lasts_ms: int = 7 * DAY_MS
    is_https_only: bool = False


def locked_for_ms(failures: int) -> int:
    """How long an account is locked after so many wrong passwords in a row: 30 s doubling to 15 minutes, never longer.

    OWASP ASVS 4.0.3, 2.2.1, allows 100 tries an hour: in the long run these are four.
    """
    over = failures - FREE_FAILURES
    return 0 if over <= 0 else min(LOCK_MS_MAX, LOCK_MS_MIN << min(over - 1, 10))


def known_rights(names: Iterable[object]) -> frozenset[Right]:
    """The rights among these names; what is none is passed over."""
    return frozenset(Right(str(name)) for name in names if name in set(Right))


def rights_of(roles: Iterable[str]) -> frozenset[Right]:
    """What these roles together allow."""
    return frozenset(right for role in roles if role in set(Role) for right in RIGHTS[Role(role)])


def check_roles(
    given: Collection[Role], held: Collection[Role], own: frozenset[Right], tenant_id: str, *, other_admins: int
) -> None:
    """Whether one with the rights `own` may give `given` to somebody who holds `held`.

    Raises:
        RoleError: no role is given, one is beyond the giver's own rights, a platform role is given in a customer's
            tenant, or the tenant would be left without an admin.
    """
    if not given:
        raise RoleError("none")
    if any(not RIGHTS[role] <= own for role in {*given, *held}):
        raise RoleError("beyond")
    if tenant_id != DEFAULT_TENANT and any(role not in PLANT_ROLES for role in given):
        raise RoleError("platform")
    check_admin_left(held, given, other_admins=other_admins)


def check_admin_left(held: Collection[Role], given: Collection[Role], *, other_admins: int) -> None:
    """Whether a tenant still has an admin when one's roles change from `held` to `given`.

    Raises:
        RoleError: it has not.
    """
    if Role.TENANT_ADMIN in held and Role.TENANT_ADMIN not in given and not other_admins:
        raise RoleError("last_admin")


def tidy_login(login: str) -> str:
    """The login as it is kept: without blanks around it, in lower case."""
    return login.strip().casefold()[:LOGIN_CHARACTERS_MAX]
