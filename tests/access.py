"""How a test gets in: with an API key or in a session, of any tenant, made by the application's own services."""

from collections.abc import Collection

from cloud.app import Cloud
from cloud.core import csrf
from cloud.core.access import Right, Role
from cloud.core.audit import SYSTEM
from cloud.core.tenants import DEFAULT_TENANT
from cloud.identity import repository, tokens
from cloud.identity.cookies import COOKIE
from cloud.identity.tables import TenantRow


async def key_headers(
    cloud: Cloud, *, tenant_id: str = DEFAULT_TENANT, rights: Collection[Right] = frozenset(Right)
) -> dict[str, str]:
    """The headers of a request with a new key."""
    async with cloud.database.transaction() as session:
        if await session.get(TenantRow, tenant_id) is None:
            session.add(TenantRow(tenant_id=tenant_id, name=tenant_id, created_ms=0))
            await session.flush()
        _, text = await cloud.identity.keys.make(
            session, tenant_id, SYSTEM, name="test", rights=rights, days=1, now_ms=cloud.clock.utc_ms()
        )
    return {"Authorization": f"Bearer {text}"}


async def session_headers(cloud: Cloud, login: str, role: Role, *, tenant_id: str = DEFAULT_TENANT) -> dict[str, str]:
    """What the browser of somebody sends who has just signed in, and what our pages add to it."""
    now_ms, people = cloud.clock.utc_ms(), cloud.identity.people
    async with cloud.database.transaction() as session:
        known = await repository.user_by_login(session, login)
        user_id = known.user_id if known else None
        if user_id is None:
            user_id = await people.admit(
                session, SYSTEM, login=login, name=login, tenant_id=tenant_id, role=role, now_ms=now_ms
            )
        token = people.open_session(session, user_id, tenant_id, address="10.0.0.1", now_ms=now_ms)
    return {
        "Cookie": f"{COOKIE}={token}",
        "X-CSRF-Token": csrf.masked(tokens.csrf_secret_of(token)),
        "Origin": "http://cloud",
    }
