"""API keys: made by a person for a program, with a part of the rights that this person has, for a while."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.access import Right
from cloud.core.audit import Actor
from cloud.core.database import announce
from cloud.core.live import Topics
from cloud.core.problems import NotFoundError
from cloud.identity import repository, tokens
from cloud.identity.domain import DAY_MS, NAME_CHARACTERS_MAX, known_rights, rights_of
from cloud.identity.service import NewId
from cloud.identity.tables import ApiKeyRow


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as lists show it: all but its secret."""

    key_id: str
    name: str
    rights: tuple[Right, ...]
    """What it may do now (`rights_now`)."""
    made_by: str
    created_ms: int
    expires_ms: int
    used_ms: int | None
    revoked_ms: int | None


class ApiKeys:
    """Every method works in the caller's transaction and commits nothing."""

    def __init__(self, new_id: NewId, access: Topics) -> None:
        self._new_id = new_id
        self._access = access

    async def make(
        self,
        session: AsyncSession,
        tenant_id: str,
        actor: Actor,
        *,
        name: str,
        rights: Collection[Right],
        days: int,
        now_ms: int,
    ) -> tuple[ApiKey, str]:
        """A new key and its text, which is told here and never again; the caller has checked the rights."""
        assert rights
        secret = tokens.new_token()
        row = ApiKeyRow(
            key_id=self._new_id().hex,
            tenant_id=tenant_id,
            name=name.strip()[:NAME_CHARACTERS_MAX],
            secret_hash=tokens.hash_of(secret),
            rights=sorted(rights),
            made_by=actor.name,
            maker_id=await _person_behind(session, actor),
            created_ms=now_ms,
            expires_ms=now_ms + days * DAY_MS,
            used_ms=None,
            revoked_ms=None,
        )
        session.add(row)
        after = {"name": row.name, "rights": row.rights, "expires_ms": row.expires_ms}
        audit.record(session, tenant_id, actor, "api_key_made", f"api_key:{row.key_id}", now_ms=now_ms, after=after)
        return _key(row, known_rights(rights)), tokens.api_key(row.key_id, secret)

    async def keys(self, session: AsyncSession, tenant_id: str, *, before: str = "", limit: int) -> list[ApiKey]:
        """The keys of a tenant, newest first."""
        rows = await repository.keys(session, tenant_id, before=before, limit=limit)
        return [_key(row, rights) for row, rights in zip(rows, await rights_now(session, rows), strict=True)]

    async def revoke(self, session: AsyncSession, tenant_id: str, key_id: str, actor: Actor, now_ms: int) -> ApiKey:
        """Refuse a key from now on; once revoked it stays so.

        Raises:
            NotFoundError: this tenant has no such key.
        """
        row = await repository.key(session, key_id)
        if row is None or row.tenant_id != tenant_id:
            raise NotFoundError("API key", key_id)
        if row.revoked_ms is None:
            row.revoked_ms = now_ms
            announce(session, self._access.of(key_id))
            audit.record(session, tenant_id, actor, "api_key_revoked", f"api_key:{key_id}", now_ms=now_ms)
        (rights,) = await rights_now(session, [row])
        return _key(row, rights)


async def rights_now(session: AsyncSession, rows: Sequence[ApiKeyRow]) -> list[frozenset[Right]]:
    """What each of these keys of one tenant may do: what it was given, as far as its maker may still do it there."""
    makers = {row.maker_id for row in rows if row.maker_id is not None}
    roles = await repository.active_roles(session, rows[0].tenant_id, makers) if makers else {}
    return [
        known_rights(row.rights)
        & (frozenset(Right) if row.maker_id is None else rights_of(roles.get(row.maker_id, ())))
        for row in rows
    ]


async def _person_behind(session: AsyncSession, actor: Actor) -> str | None:
    """Who answers for a new key; a key that makes another one passes its own maker on."""
    if actor.kind == "user":
        return actor.id
    parent = await repository.key(session, actor.id) if actor.kind == "api_key" else None
    return parent.maker_id if parent is not None else None


def _key(row: ApiKeyRow, rights: Collection[Right]) -> ApiKey:
    return ApiKey(
        row.key_id,
        row.name,
        tuple(sorted(rights)),
        row.made_by,
        row.created_ms,
        row.expires_ms,
        row.used_ms,
        row.revoked_ms,
    )
