"""How a test gets in: an API key of any tenant and rights, made by the application's own service."""

from collections.abc import Collection

from cloud.app import Cloud
from cloud.core.access import Right
from cloud.core.audit import SYSTEM
from cloud.core.tenants import DEFAULT_TENANT
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
