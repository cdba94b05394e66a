"""All SQL of people, sessions, links and keys."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.identity.tables import ApiKeyRow, LinkRow, MembershipRow, SessionRow, TenantRow, UserRow


async def user(session: AsyncSession, user_id: str) -> UserRow | None:
    """One person."""
    return await session.get(UserRow, user_id)


async def user_by_login(session: AsyncSession, login: str) -> UserRow | None:
    """One person by login, which is kept in lower case."""
    found: UserRow | None = await session.scalar(select(UserRow).where(UserRow.login == login))
    return found


async def users_count(session: AsyncSession) -> int:
    """How many people there are, in all tenants."""
    return await session.scalar(select(func.count()).select_from(UserRow)) or 0


async def people_count(session: AsyncSession, tenant_id: str) -> int:
    """How many people a tenant has."""
    statement = select(func.count(func.distinct(MembershipRow.user_id))).where(MembershipRow.tenant_id == tenant_id)
    return await session.scalar(statement) or 0


async def people(session: AsyncSession, tenant_id: str, *, after: str, limit: int) -> list[UserRow]:
    """The people of a tenant by login, behind `after`."""
    members = select(MembershipRow.user_id).where(MembershipRow.tenant_id == tenant_id)
    statement = select(UserRow).where(UserRow.user_id.in_(members), UserRow.login > after)
    return list(await session.scalars(statement.order_by(UserRow.login).limit(limit)))


async def memberships(session: AsyncSession, user_id: str) -> list[MembershipRow]:
    """Every role of a person, by tenant."""
    statement = select(MembershipRow).where(MembershipRow.user_id == user_id)
    return list(await session.scalars(statement.order_by(MembershipRow.tenant_id, MembershipRow.role)))


async def roles_of(session: AsyncSession, tenant_id: str, user_ids: Sequence[str]) -> list[MembershipRow]:
    """The roles of these people in one tenant."""
    statement = select(MembershipRow).where(
        MembershipRow.tenant_id == tenant_id, MembershipRow.user_id.in_(list(user_ids))
    )
    return list(await session.scalars(statement.order_by(MembershipRow.role)))


async def drop_roles(session: AsyncSession, tenant_id: str, user_id: str) -> None:
    """Take every role in one tenant."""
    await session.execute(
        delete(MembershipRow).where(MembershipRow.tenant_id == tenant_id, MembershipRow.user_id == user_id)
    )


async def active_with_role(session: AsyncSession, tenant_id: str, role: str) -> list[str]:
    """Who has a role in a tenant and is not disabled, by user id."""
    statement = select(UserRow.user_id).join(MembershipRow, MembershipRow.user_id == UserRow.user_id)
    where = (MembershipRow.tenant_id == tenant_id, MembershipRow.role == role, UserRow.is_disabled.is_(False))
    return list(await session.scalars(statement.where(*where)))


async def active_roles(session: AsyncSession, tenant_id: str, user_ids: Collection[str]) -> dict[str, list[str]]:
    """The roles in a tenant of those of these people who are not disabled."""
    statement = select(MembershipRow).join(UserRow, UserRow.user_id == MembershipRow.user_id)
    where = (MembershipRow.tenant_id == tenant_id, MembershipRow.user_id.in_(user_ids), UserRow.is_disabled.is_(False))
    found: dict[str, list[str]] = {}
    for row in await session.scalars(statement.where(*where)):
        found.setdefault(row.user_id, []).append(row.role)
    return found


async def signed_in(
    session: AsyncSession, tenant_id: str, roles: Collection[str], *, now_ms: int, seen_after_ms: int
) -> int:
    """How many people with one of these roles have an open session in a tenant and were seen since then."""
    statement = (
        select(func.count(func.distinct(SessionRow.user_id)))
        .join(MembershipRow, MembershipRow.user_id == SessionRow.user_id)
        .where(
            SessionRow.tenant_id == tenant_id,
            SessionRow.expires_ms > now_ms,
            SessionRow.seen_ms > seen_after_ms,
            MembershipRow.tenant_id == tenant_id,
            MembershipRow.role.in_(roles),
        )
    )
    return await session.scalar(statement) or 0


async def session_by_hash(session: AsyncSession, token_hash: str) -> SessionRow | None:
    """One session."""
    return await session.get(SessionRow, token_hash)


async def sessions_of(
    session: AsyncSession, user_id: str, *, now_ms: int, seen_after_ms: int, before: str, limit: int
) -> list[SessionRow]:
    """The open sessions of a person, newest first (ids are in order of time), older than `before` (empty: all)."""
    is_open = (SessionRow.expires_ms > now_ms, SessionRow.seen_ms > seen_after_ms)
    statement = select(SessionRow).where(SessionRow.user_id == user_id, *is_open)
    if before:
        statement = statement.where(SessionRow.session_id < before)
    return list(await session.scalars(statement.order_by(SessionRow.session_id.desc()).limit(limit)))


async def end_sessions(
    session: AsyncSession, user_id: str, *, tenant_id: str | None = None, but: str | None = None
) -> None:
    """End the sessions of a person: all, or those in one tenant, or all but one."""
    where = [SessionRow.user_id == user_id]
    if tenant_id is not None:
        where.append(SessionRow.tenant_id == tenant_id)
    if but is not None:
        where.append(SessionRow.session_id != but)
    await session.execute(delete(SessionRow).where(*where))


async def end_session(session: AsyncSession, user_id: str, session_id: str) -> bool:
    """End one session of a person; whether there was such a one."""
    statement = delete(SessionRow).where(SessionRow.user_id == user_id, SessionRow.session_id == session_id)
    return bool((await session.execute(statement.returning(SessionRow.session_id))).first())


async def prune(session: AsyncSession, now_ms: int) -> None:
    """Forget sessions and links that have expired."""
    await session.execute(delete(SessionRow).where(SessionRow.expires_ms <= now_ms))
    await session.execute(delete(LinkRow).where(LinkRow.expires_ms <= now_ms))


async def take_link(session: AsyncSession, token_hash: str) -> LinkRow | None:
    """Take a one-time link away; None when it was taken before, or never was."""
    row = await session.get(LinkRow, token_hash)
    if row is not None:
        await session.delete(row)
        await session.flush()
    return row


async def link(session: AsyncSession, token_hash: str) -> LinkRow | None:
    """Look at a one-time link."""
    return await session.get(LinkRow, token_hash)


async def drop_links(session: AsyncSession, user_id: str | None) -> None:
    """Void the links of a person, or those that set this installation up."""
    await session.execute(
        delete(LinkRow).where(LinkRow.user_id.is_(None) if user_id is None else LinkRow.user_id == user_id)
    )


async def key(session: AsyncSession, key_id: str) -> ApiKeyRow | None:
    """One API key."""
    return await session.get(ApiKeyRow, key_id)


async def keys(session: AsyncSession, tenant_id: str, *, before: str, limit: int) -> list[ApiKeyRow]:
    """The keys of a tenant, newest first, older than key id `before` (empty: all)."""
    statement = select(ApiKeyRow).where(ApiKeyRow.tenant_id == tenant_id)
    if before:
        statement = statement.where(ApiKeyRow.key_id < before)
    return list(await session.scalars(statement.order_by(ApiKeyRow.key_id.desc()).limit(limit)))


async def mark_used(session: AsyncSession, key_id: str, now_ms: int) -> None:
    """Note when a key was last used."""
    await session.execute(update(ApiKeyRow).where(ApiKeyRow.key_id == key_id).values(used_ms=now_ms))


async def mark_seen(session: AsyncSession, token_hash: str, now_ms: int) -> None:
    """Note when a session was last heard of."""
    await session.execute(update(SessionRow).where(SessionRow.token_hash == token_hash).values(seen_ms=now_ms))


async def tenants_of(session: AsyncSession, user_id: str) -> list[TenantRow]:
    """The tenants in which a person has a role, by id."""
    theirs = select(MembershipRow.tenant_id).where(MembershipRow.user_id == user_id)
    statement = select(TenantRow).where(TenantRow.tenant_id.in_(theirs))
    return list(await session.scalars(statement.order_by(TenantRow.tenant_id)))


async def tenants(session: AsyncSession, *, after: str, limit: int) -> list[TenantRow]:
    """All tenants by id, behind `after`: for the platform's own people."""
    statement = select(TenantRow).where(TenantRow.tenant_id > after).order_by(TenantRow.tenant_id)
    return list(await session.scalars(statement.limit(limit)))


async def tenant(session: AsyncSession, tenant_id: str) -> TenantRow | None:
    """One tenant."""
    return await session.get(TenantRow, tenant_id)
