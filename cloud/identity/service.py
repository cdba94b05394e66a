"""People and their sessions: set up, invite, sign in and out, roles; every change goes into the audit log.

Every method works in the caller's transaction and commits nothing. Nothing here hashes a password: that is slow, and
the one writer must not wait for it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.access import RIGHTS, Principal, Role
from cloud.core.audit import Actor
from cloud.core.database import announce
from cloud.core.live import Topics
from cloud.core.problems import NotFoundError
from cloud.core.tenants import DEFAULT_TENANT
from cloud.identity import domain, oidc_repository, repository, tokens
from cloud.identity.domain import LinkError, LoginTakenError, SessionRules, SignInRefusedError
from cloud.identity.tables import LinkRow, MembershipRow, SessionRow, TenantRow, UserRow

NewId = Callable[[], UUID]
Room = Callable[[AsyncSession, str, int, int], Awaitable[None]]
"""Asked before somebody new comes to (tenant) of (people) at (now_ms); raises what is to stop them."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the people page shows one."""

    user_id: str
    login: str
    name: str
    roles: tuple[Role, ...]
    has_password: bool


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A signed-in browser of a person."""

    session_id: str
    created_ms: int
    seen_ms: int
    address: str
    is_this: bool
    """Whether it is the one that asks."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """A tenant in which a person has a role."""

    tenant_id: str
    name: str


class IdentityService:
    """See the module."""

    def __init__(self, new_id: NewId, rules: SessionRules, access: Topics, room: Room | None = None) -> None:
        self._new_id = new_id
        self._rules = rules
        self._access = access
        self._room = room

    # the first person

    async def offer_setup(self, session: AsyncSession, now_ms: int) -> str | None:
        """A fresh token to set this installation up; None when somebody has."""
        if await repository.users_count(session):
            return None
        await repository.drop_links(session, None)
        token = tokens.new_token()
        session.add(LinkRow(token_hash=tokens.hash_of(token), user_id=None, expires_ms=now_ms + domain.SETUP_LINK_MS))
        return token

    async def set_up(
        self, session: AsyncSession, token: str, *, login: str, name: str, password_hash: str, address: str, now_ms: int
    ) -> str:
        """Make the first admin, of the tenant and of the platform; the token of a session.

        Raises:
            LinkError: the link is not good (any more).
        """
        row = await repository.take_link(session, tokens.hash_of(token))
        if row is None or row.user_id is not None or row.expires_ms <= now_ms or await repository.users_count(session):
            raise LinkError("the setup link is not good")
        user = self._new_user(session, login, name, now_ms)
        user.password_hash = password_hash
        await session.flush()
        for role in (Role.TENANT_ADMIN, Role.PLATFORM_ADMIN):
            session.add(MembershipRow(user_id=user.user_id, tenant_id=DEFAULT_TENANT, role=role))
        actor = Actor("user", user.user_id, user.login, address)
        audit.record(session, DEFAULT_TENANT, actor, "installation_set_up", _user(user), now_ms=now_ms)
        return self.open_session(session, user.user_id, DEFAULT_TENANT, address=address, now_ms=now_ms)

    async def found(
        self,
        session: AsyncSession,
        tenant_id: str,
        company: str,
        *,
        login: str,
        name: str,
        password_hash: str,
        address: str,
        now_ms: int,
    ) -> tuple[str, str]:
        """Make a company with its first administrator, who has shown that the address is theirs.

        Returns:
            The user id, and the token of a session.
        """
        session.add(TenantRow(tenant_id=tenant_id, name=company, created_ms=now_ms))
        user = self._new_user(session, login, name, now_ms)
        user.password_hash = password_hash
        await session.flush()
        await self._give(session, tenant_id, user.user_id, [Role.TENANT_ADMIN])
        actor = Actor("user", user.user_id, user.login, address)
        after = {"company": company, "login": user.login}
        audit.record(session, tenant_id, actor, "company_founded", _user(user), now_ms=now_ms, after=after)
        return user.user_id, self.open_session(session, user.user_id, tenant_id, address=address, now_ms=now_ms)

    # links and passwords

    async def link_login(self, session: AsyncSession, token: str, now_ms: int) -> str:
        """Whose link it is, by login; empty for the one that sets this installation up.

        Raises:
            LinkError: the link is not good (any more).
        """
        row = await repository.link(session, tokens.hash_of(token))
        if row is None or row.expires_ms <= now_ms:
            raise LinkError("the link is not good")
        user = await repository.user(session, row.user_id) if row.user_id else None
        return user.login if user else ""

    async def take_link(
        self, session: AsyncSession, token: str, *, password_hash: str, address: str, now_ms: int
    ) -> str:
        """Set the password that the link is for, end all sessions of old, and open one.

        Raises:
            LinkError: the link is not good (any more).
        """
        row = await repository.take_link(session, tokens.hash_of(token))
        user = await repository.user(session, row.user_id) if row and row.user_id else None
        if row is None or user is None or row.expires_ms <= now_ms:
            raise LinkError("the link is not good")
        await self._set_password(session, user, password_hash)
        tenant_id = await self._home(session, user)
        actor = Actor("user", user.user_id, user.login, address)
        audit.record(session, tenant_id, actor, "password_set", _user(user), now_ms=now_ms)
        return self.open_session(session, user.user_id, tenant_id, address=address, now_ms=now_ms)

    async def change_password(
        self, session: AsyncSession, principal: Principal, password_hash: str, actor: Actor, now_ms: int
    ) -> str:
        """Set one's own password, end all sessions, and open a new one here."""
        user = await self._member(session, principal.tenant_id, principal.id)
        await self._set_password(session, user, password_hash)
        audit.record(session, principal.tenant_id, actor, "password_changed", _user(user), now_ms=now_ms)
        return self.open_session(session, user.user_id, principal.tenant_id, address=actor.address, now_ms=now_ms)

    async def reset_link(self, session: AsyncSession, login: str, now_ms: int, *, actor: Actor) -> str:
        """A one-time link with which this person sets a new password; earlier links are void.

        Raises:
            NotFoundError: nobody has this login.
        """
        user = await repository.user_by_login(session, domain.tidy_login(login))
        if user is None:
            raise NotFoundError("person", login)
        tenant_id = await self._home(session, user)
        audit.record(session, tenant_id, actor, "password_link_made", _user(user), now_ms=now_ms)
        return await self._new_link(session, user, now_ms)

    # sign in and out

    async def sign_in(
        self, session: AsyncSession, user_id: str, *, right_for: str | None, address: str, now_ms: int
    ) -> str | None:
        """What comes of one try with a password; the token of a session, or None, and then it is counted.

        `right_for` is the kept hash that the password was found right for: one that was changed meanwhile lets nobody
        in by the old.
        """
        user = await repository.user(session, user_id)
        assert user is not None
        is_right = right_for is not None and right_for == user.password_hash
        actor = Actor("user", user.user_id, user.login, address)
        tenant_id = await self._home(session, user)
        if user.locked_until_ms > now_ms:
            audit.record(session, tenant_id, actor, "sign_in_locked", _user(user), now_ms=now_ms)
            return None
        if not is_right or user.is_disabled:
            user.failures += 1
            user.locked_until_ms = now_ms + domain.locked_for_ms(user.failures)
            after = {"failures": user.failures}
            audit.record(session, tenant_id, actor, "sign_in_failed", _user(user), now_ms=now_ms, after=after)
            return None
        user.failures = user.locked_until_ms = 0
        audit.record(session, tenant_id, actor, "signed_in", _user(user), now_ms=now_ms)
        return self.open_session(session, user.user_id, tenant_id, address=address, now_ms=now_ms)

    def stranger_refused(self, session: AsyncSession, address: str, now_ms: int) -> None:
        """Note a try with a login that nobody has, without the login: it may be a password in the wrong field."""
        actor = Actor("nobody", address=address)
        audit.record(session, DEFAULT_TENANT, actor, "sign_in_failed", "user:unknown", now_ms=now_ms)

    async def sign_in_external(
        self, session: AsyncSession, user_id: str, *, tenant_id: str, address: str, now_ms: int
    ) -> str:
        """Open a session in `tenant_id`, whose provider vouches for this person.

        Raises:
            SignInRefusedError: the account is disabled, or has no role in this tenant.
        """
        user = await repository.user(session, user_id)
        if user is None or user.is_disabled or not await repository.roles_of(session, tenant_id, [user_id]):
            raise SignInRefusedError("the account is disabled")
        actor = Actor("user", user.user_id, user.login, address)
        audit.record(session, tenant_id, actor, "signed_in", _user(user), now_ms=now_ms)
        return self.open_session(session, user_id, tenant_id, address=address, now_ms=now_ms)

    async def admit(
        self, session: AsyncSession, actor: Actor, *, login: str, name: str, tenant_id: str, role: Role, now_ms: int
    ) -> str:
        """Make an account without a password for somebody whom another provider vouches for; its user id.

        Raises:
            ZhisanError: whatever the given `Room` raises.
        """
        await self._check_room(session, tenant_id, now_ms)
        user = self._new_user(session, login, name, now_ms)
        await session.flush()
        await self._give(session, tenant_id, user.user_id, [role])
        after = {"login": user.login, "roles": [role]}
        audit.record(session, tenant_id, actor, "person_admitted", _user(user), now_ms=now_ms, after=after)
        return user.user_id

    def open_session(
        self,
        session: AsyncSession,
        user_id: str,
        tenant_id: str,
        *,
        address: str,
        now_ms: int,
        ends_ms: int | None = None,
    ) -> str:
        """A new session; its token is told here and never again."""
        token = tokens.new_token()
        session.add(
            SessionRow(
                token_hash=tokens.hash_of(token),
                session_id=str(self._new_id()),
                user_id=user_id,
                tenant_id=tenant_id,
                created_ms=now_ms,
                seen_ms=now_ms,
                expires_ms=now_ms + self._rules.lasts_ms if ends_ms is None else ends_ms,
                address=address,
            )
        )
        return token

    async def sign_out(self, session: AsyncSession, token: str, actor: Actor, now_ms: int) -> None:
        """End the session of this token."""
        row = await repository.session_by_hash(session, tokens.hash_of(token))
        if row is not None:
            audit.record(session, row.tenant_id, actor, "signed_out", f"user:{row.user_id}", now_ms=now_ms)
            await session.delete(row)
            announce(session, self._access.of(row.user_id))

    async def end_other_sessions(
        self, session: AsyncSession, principal: Principal, token: str, actor: Actor, now_ms: int
    ) -> None:
        """Sign out everywhere but here."""
        row = await repository.session_by_hash(session, tokens.hash_of(token))
        await repository.end_sessions(session, principal.id, but=row.session_id if row else None)
        announce(session, self._access.of(principal.id))
        audit.record(session, principal.tenant_id, actor, "sessions_ended", f"user:{principal.id}", now_ms=now_ms)

    async def end_all_sessions(self, session: AsyncSession, principal: Principal, actor: Actor, now_ms: int) -> None:
        """Sign out everywhere, here too."""
        await repository.end_sessions(session, principal.id)
        announce(session, self._access.of(principal.id))
        audit.record(session, principal.tenant_id, actor, "sessions_ended", f"user:{principal.id}", now_ms=now_ms)

    async def end_session(
        self, session: AsyncSession, principal: Principal, session_id: str, actor: Actor, now_ms: int
    ) -> None:
        """End one of one's own sessions.

        Raises:
            NotFoundError: this person has no such session.
        """
        if not await repository.end_session(session, principal.id, session_id):
            raise NotFoundError("session", session_id)
        announce(session, self._access.of(principal.id))
        audit.record(session, principal.tenant_id, actor, "session_ended", f"session:{session_id}", now_ms=now_ms)

    async def sessions(
        self, session: AsyncSession, user_id: str, token: str | None, *, before: str = "", limit: int, now_ms: int
    ) -> list[OpenSession]:
        """The open sessions of a person, newest first; `token` is of the one that asks."""
        this = tokens.hash_of(token) if token else ""
        rows = await repository.sessions_of(
            session, user_id, now_ms=now_ms, seen_after_ms=now_ms - self._rules.idle_ms, before=before, limit=limit
        )
        return [OpenSession(r.session_id, r.created_ms, r.seen_ms, r.address, r.token_hash == this) for r in rows]

    async def workplaces(self, session: AsyncSession, user_id: str) -> list[Workplace]:
        """The tenants in which a person has a role."""
        return [Workplace(row.tenant_id, row.name) for row in await repository.tenants_of(session, user_id)]

    async def go_to(
        self, session: AsyncSession, principal: Principal, token: str, tenant_id: str, actor: Actor, now_ms: int
    ) -> str:
        """Go on in another tenant, as a new session that lasts no longer than the old one; its token.

        Raises:
            NotFoundError: this person has no role in such a tenant.
        """
        row = await repository.session_by_hash(session, tokens.hash_of(token))
        roles = await repository.roles_of(session, tenant_id, [principal.id])
        if row is None or row.user_id != principal.id or not roles:
            raise NotFoundError("tenant", tenant_id)
        ends_ms = row.expires_ms
        await session.delete(row)
        before, after = {"tenant": principal.tenant_id}, {"tenant": tenant_id}
        target = f"user:{principal.id}"
        audit.record(session, tenant_id, actor, "tenant_entered", target, now_ms=now_ms, before=before, after=after)
        return self.open_session(
            session, principal.id, tenant_id, address=actor.address, now_ms=now_ms, ends_ms=ends_ms
        )

    async def company(self, session: AsyncSession, tenant_id: str) -> str:
        """The company's name; its id until somebody gives it one."""
        row = await repository.tenant(session, tenant_id)
        return row.name if row is not None else tenant_id

    async def rename_company(
        self, session: AsyncSession, principal: Principal, actor: Actor, name: str, *, now_ms: int
    ) -> None:
        """Give the company of who asks another name."""
        row = await repository.tenant(session, principal.tenant_id)
        if row is None:
            raise NotFoundError("company", principal.tenant_id)
        before, row.name = row.name, name
        audit.record(
            session,
            principal.tenant_id,
            actor,
            "company_renamed",
            f"tenant:{principal.tenant_id}",
            now_ms=now_ms,
            before={"name": before},
            after={"name": name},
        )

    async def set_look(self, session: AsyncSession, user_id: str, *, language: str = "", theme: str = "") -> None:
        """Keep what a person has chosen for the pages; what is empty stays as it was."""
        row = await repository.user(session, user_id)
        if row is not None:
            row.language, row.theme = language or row.language, theme or row.theme

    # people of a tenant

    async def people(self, session: AsyncSession, tenant_id: str, *, after: str = "", limit: int) -> list[Person]:
        """The people of a tenant, by login."""
        rows = await repository.people(session, tenant_id, after=after, limit=limit)
        roles = await repository.roles_of(session, tenant_id, [row.user_id for row in rows])
        return [_person(row, [role.role for role in roles if role.user_id == row.user_id]) for row in rows]

    async def invite(
        self,
        session: AsyncSession,
        principal: Principal,
        actor: Actor,
        *,
        login: str,
        name: str,
        roles: Sequence[Role],
        now_ms: int,
    ) -> tuple[Person, str | None]:
        """Add somebody to one's tenant; with a one-time link for who has no password and is in no other tenant.

        Raises:
            LoginTakenError: somebody here has this login.
            RoleError: the roles may not be given.
            ZhisanError: whatever the given `Room` raises.
        """
        tenant_id = principal.tenant_id
        user = await repository.user_by_login(session, domain.tidy_login(login))
        elsewhere = {row.tenant_id for row in await repository.memberships(session, user.user_id)} if user else set()
        if user is not None and tenant_id in elsewhere:
            raise LoginTakenError(f"{user.login} is here already")
        domain.check_roles(roles, (), principal.rights, tenant_id, other_admins=1)
        await self._check_room(session, tenant_id, now_ms)
        if user is None:
            user = self._new_user(session, login, name, now_ms)
            await session.flush()
        user.is_disabled = False
        await self._give(session, tenant_id, user.user_id, roles)
        after = {"login": user.login, "roles": sorted(roles)}
        audit.record(session, tenant_id, actor, "person_invited", _user(user), now_ms=now_ms, after=after)
        is_ours_alone = not elsewhere  # else the link would open another company's account to this one
        has_no_password = user.password_hash is None
        link = await self._new_link(session, user, now_ms) if is_ours_alone and has_no_password else None
        return _person(user, roles), link

    async def set_roles(
        self,
        session: AsyncSession,
        principal: Principal,
        actor: Actor,
        user_id: str,
        roles: Sequence[Role],
        *,
        now_ms: int,
    ) -> Person:
        """Change what somebody may do; their sessions here see it with the next request.

        Raises:
            NotFoundError: nobody of this tenant has this id.
            RoleError: the roles may not be given.
        """
        tenant_id = principal.tenant_id
        user = await self._member(session, tenant_id, user_id)
        held = await self._held(session, tenant_id, user_id)
        others = await self._other_admins(session, tenant_id, user_id)
        domain.check_roles(roles, held, principal.rights, tenant_id, other_admins=others)
        await repository.drop_roles(session, tenant_id, user_id)
        await self._give(session, tenant_id, user_id, roles)
        announce(session, self._access.of(user_id))
        before, after = {"roles": sorted(held)}, {"roles": sorted(roles)}
        audit.record(session, tenant_id, actor, "roles_changed", _user(user), now_ms=now_ms, before=before, after=after)
        return _person(user, roles)

    async def remove(
        self, session: AsyncSession, principal: Principal, actor: Actor, user_id: str, *, now_ms: int
    ) -> None:
        """Take somebody out of one's tenant; who is in none any more is disabled.

        Raises:
            NotFoundError: nobody of this tenant has this id.
            RoleError: it is the last admin, or somebody with more rights than one's own.
        """
        tenant_id = principal.tenant_id
        user = await self._member(session, tenant_id, user_id)
        held = await self._held(session, tenant_id, user_id)
        if any(not RIGHTS[role] <= principal.rights for role in held):
            raise domain.RoleError("beyond")
        domain.check_admin_left(held, (), other_admins=await self._other_admins(session, tenant_id, user_id))
        await repository.drop_roles(session, tenant_id, user_id)
        await repository.end_sessions(session, user_id, tenant_id=tenant_id)
        if not await repository.memberships(session, user_id):
            user.is_disabled = True
            await repository.end_sessions(session, user_id)
            await repository.drop_links(session, user_id)
            await oidc_repository.drop_identities(session, user_id)
        announce(session, self._access.of(user_id))
        before = {"login": user.login, "roles": sorted(held)}
        audit.record(session, tenant_id, actor, "person_removed", _user(user), now_ms=now_ms, before=before)

    # below

    async def _check_room(self, session: AsyncSession, tenant_id: str, now_ms: int) -> None:
        if self._room is not None:
            await self._room(session, tenant_id, await repository.people_count(session, tenant_id), now_ms)

    def _new_user(self, session: AsyncSession, login: str, name: str, now_ms: int) -> UserRow:
        user = UserRow(
            user_id=str(self._new_id()),
            login=domain.tidy_login(login),
            name=name.strip()[: domain.NAME_CHARACTERS_MAX] or domain.tidy_login(login),
            password_hash=None,
            is_disabled=False,
            failures=0,
            locked_until_ms=0,
            created_ms=now_ms,
        )
        session.add(user)
        return user

    async def _set_password(self, session: AsyncSession, user: UserRow, password_hash: str) -> None:
        user.password_hash = password_hash
        user.failures = user.locked_until_ms = 0
        await repository.end_sessions(session, user.user_id)
        announce(session, self._access.of(user.user_id))
        await repository.drop_links(session, user.user_id)

    async def _new_link(self, session: AsyncSession, user: UserRow, now_ms: int) -> str:
        await repository.drop_links(session, user.user_id)
        token = tokens.new_token()
        row = LinkRow(token_hash=tokens.hash_of(token), user_id=user.user_id, expires_ms=now_ms + domain.LINK_MS)
        session.add(row)
        return token

    async def _home(self, session: AsyncSession, user: UserRow) -> str:
        """The tenant in which a person's new session begins: the first that they are in."""
        found = await repository.memberships(session, user.user_id)
        return found[0].tenant_id if found else DEFAULT_TENANT

    async def _member(self, session: AsyncSession, tenant_id: str, user_id: str) -> UserRow:
        user = await repository.user(session, user_id)
        if user is None or not await repository.roles_of(session, tenant_id, [user_id]):
            raise NotFoundError("person", user_id)
        return user

    async def _held(self, session: AsyncSession, tenant_id: str, user_id: str) -> list[Role]:
        return [Role(row.role) for row in await repository.roles_of(session, tenant_id, [user_id])]

    async def _other_admins(self, session: AsyncSession, tenant_id: str, user_id: str) -> int:
        admins = await repository.active_with_role(session, tenant_id, Role.TENANT_ADMIN)
        return sum(admin != user_id for admin in admins)

    async def _give(self, session: AsyncSession, tenant_id: str, user_id: str, roles: Sequence[Role]) -> None:
        if await repository.tenant(session, tenant_id) is None:
            session.add(TenantRow(tenant_id=tenant_id, name=tenant_id, created_ms=0))
            await session.flush()
        session.add_all(MembershipRow(user_id=user_id, tenant_id=tenant_id, role=role) for role in sorted(set(roles)))
        await session.flush()


def _person(user: UserRow, roles: Sequence[str]) -> Person:
    known = tuple(Role(role) for role in sorted(roles))
    return Person(user.user_id, user.login, user.name, known, user.password_hash is not None)


def _user(user: UserRow) -> str:
    return f"user:{user.user_id}"
