"""People, API keys and one's own sessions as JSON."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from cloud.core.access import Principal, Right, Role, current_principal, requires
from cloud.core.audit import actor_of
from cloud.core.database import Database
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, page_of, slice_of
from cloud.core.problems import InvalidFieldError, NotFoundError, responses
from cloud.identity import domain
from cloud.identity.cookies import session_token
from cloud.identity.domain import LoginTakenError, RoleError
from cloud.identity.keys import ApiKeys
from cloud.identity.service import IdentityService
from kit.clock import Clock

Me = Annotated[Principal, Depends(current_principal)]
PeopleManager = Annotated[Principal, requires(Right.MANAGE_PEOPLE)]
Login = Annotated[str, Field(min_length=1, max_length=domain.LOGIN_CHARACTERS_MAX, pattern=r"^\S+$")]
Name = Annotated[str, Field(min_length=1, max_length=domain.NAME_CHARACTERS_MAX)]
Id = Annotated[str, Path(max_length=64)]
ROLES_MAX = len(Role)


class MeOut(BaseModel):
    """Who asks."""

    kind: str
    id: str
    name: str
    tenant_id: str
    rights: list[Right]


class SessionOut(BaseModel):
    """A browser in which one is signed in."""

    model_config = ConfigDict(from_attributes=True)

    session_id: str
    created_ms: int
    seen_ms: int
    address: str
    is_this: bool = Field(description="The one that asks.")


class PersonOut(BaseModel):
    """A person of this tenant."""

    model_config = ConfigDict(from_attributes=True)

    user_id: str
    login: str
    name: str
    roles: list[Role]
    has_password: bool = Field(description="False: invited, and has not followed the link yet.")


class InvitationIn(BaseModel):
    """Who is to come."""

    model_config = ConfigDict(extra="forbid")

    login: Login
    name: Name
    roles: list[Role] = Field(min_length=1, max_length=ROLES_MAX)


class InvitationOut(BaseModel):
    """The person, and where the first password is set; told once."""

    person: PersonOut
    link: str | None = Field(description="Path of the one-time link; null for who has a password already.")


class RolesIn(BaseModel):
    """What somebody may do from now on."""

    model_config = ConfigDict(extra="forbid")

    roles: list[Role] = Field(min_length=1, max_length=ROLES_MAX)


class KeyOut(BaseModel):
    """An API key without its secret."""

    model_config = ConfigDict(from_attributes=True)

    key_id: str
    name: str
    rights: list[Right] = Field(description="What it may do now: never more than its maker; none: it opens nothing.")
    made_by: str
    created_ms: int
    expires_ms: int
    used_ms: int | None
    revoked_ms: int | None


class KeyIn(BaseModel):
    """What a program is to be allowed, and how long."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    rights: list[Right] = Field(min_length=1, max_length=len(Right), description="At most one's own.")
    days: int = Field(domain.KEY_DAYS_DEFAULT, ge=1, le=domain.KEY_DAYS_MAX)


class NewKeyOut(BaseModel):
    """A new key; its text is told here and never again."""

    key: KeyOut
    text: str


def router(database: Database, people: IdentityService, keys: ApiKeys, clock: Clock) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["identity"])

    @routes.get("/me", summary="Who asks, and what they may do")
    async def me(principal: Me) -> MeOut:
        return MeOut(
            kind=principal.kind,
            id=principal.id,
            name=principal.name,
            tenant_id=principal.tenant_id,
            rights=sorted(principal.rights),
        )

    @routes.get("/sessions", responses=responses(422), summary="Where one is signed in, newest first")
    async def session_list(
        request: Request, principal: Me, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[SessionOut]:
        before, token = _position(cursor), session_token(request)
        async with database.reading() as session:
            now_ms = clock.utc_ms()
            found = await people.sessions(session, principal.id, token, before=before, limit=limit + 1, now_ms=now_ms)
        return page_of(slice_of(found, limit), SessionOut.model_validate, lambda row: (row.session_id,))

    @routes.delete("/sessions", status_code=204, responses=responses(404), summary="Sign out everywhere, here too")
    async def end_all(request: Request, principal: Me) -> None:
        _check_is_person(principal)
        async with database.transaction() as session:
            await people.end_all_sessions(session, principal, actor_of(request), clock.utc_ms())

    @routes.delete("/sessions/{session_id}", status_code=204, responses=responses(404, 422), summary="Sign out there")
    async def end_one(request: Request, principal: Me, session_id: Id) -> None:
        _check_is_person(principal)
        async with database.transaction() as session:
            await people.end_session(session, principal, session_id, actor_of(request), clock.utc_ms())

    @routes.get("/people", responses=responses(422), summary="The people of this tenant")
    async def people_list(
        principal: PeopleManager, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[PersonOut]:
        after = _position(cursor)
        async with database.reading() as session:
            found = await people.people(session, principal.tenant_id, after=after, limit=limit + 1)
        return page_of(slice_of(found, limit), PersonOut.model_validate, lambda person: (person.login,))

    @routes.post("/people", status_code=201, responses=responses(409, 422), summary="Invite somebody")
    async def invite(
        request: Request, principal: PeopleManager, body: Annotated[InvitationIn, Body()]
    ) -> InvitationOut:
        with _refusals():
            async with database.transaction() as session:
                person, token = await people.invite(
                    session,
                    principal,
                    actor_of(request),
                    login=body.login,
                    name=body.name,
                    roles=body.roles,
                    now_ms=clock.utc_ms(),
                )
        return InvitationOut(person=PersonOut.model_validate(person), link=f"/welcome?token={token}" if token else None)

    @routes.put("/people/{user_id}/roles", responses=responses(404, 409, 422), summary="Change what somebody may do")
    async def set_roles(
        request: Request, principal: PeopleManager, user_id: Id, body: Annotated[RolesIn, Body()]
    ) -> PersonOut:
        with _refusals():
            async with database.transaction() as session:
                person = await people.set_roles(
                    session, principal, actor_of(request), user_id, body.roles, now_ms=clock.utc_ms()
                )
        return PersonOut.model_validate(person)

    @routes.delete(
        "/people/{user_id}", status_code=204, responses=responses(404, 409, 422), summary="Take somebody out"
    )
    async def remove(request: Request, principal: PeopleManager, user_id: Id) -> None:
        with _refusals():
            async with database.transaction() as session:
                await people.remove(session, principal, actor_of(request), user_id, now_ms=clock.utc_ms())

    @routes.get("/keys", responses=responses(422), summary="The API keys of this tenant, newest first")
    async def key_list(principal: PeopleManager, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[KeyOut]:
        before = _position(cursor)
        async with database.reading() as session:
            found = await keys.keys(session, principal.tenant_id, before=before, limit=limit + 1)
        return page_of(slice_of(found, limit), KeyOut.model_validate, lambda key: (key.key_id,))

    @routes.post("/keys", status_code=201, responses=responses(422), summary="Make an API key")
    async def make_key(request: Request, principal: PeopleManager, body: Annotated[KeyIn, Body()]) -> NewKeyOut:
        beyond = sorted(set(body.rights) - principal.rights)
        if beyond:
            raise InvalidFieldError("body.rights", f"has {', '.join(beyond)}, which you do not have yourself")
        async with database.transaction() as session:
            key, text = await keys.make(
                session,
                principal.tenant_id,
                actor_of(request),
                name=body.name,
                rights=set(body.rights),
                days=body.days,
                now_ms=clock.utc_ms(),
            )
        return NewKeyOut(key=KeyOut.model_validate(key), text=text)

    @routes.delete("/keys/{key_id}", responses=responses(404, 422), summary="Revoke an API key")
    async def revoke(request: Request, principal: PeopleManager, key_id: Id) -> KeyOut:
        async with database.transaction() as session:
            key = await keys.revoke(session, principal.tenant_id, key_id, actor_of(request), clock.utc_ms())
        return KeyOut.model_validate(key)

    return routes


def _check_is_person(principal: Principal) -> None:
    if principal.kind != "user":
        raise NotFoundError("session of API key", principal.name)


def _position(cursor: str | None) -> str:
    parts = decode_cursor(cursor, str)
    return str(parts[0]) if parts else ""


@contextmanager
def _refusals() -> Iterator[None]:
    """What the rules of roles refuse is a conflict with how things stand."""
    try:
        yield
    except (LoginTakenError, RoleError) as error:
        raise HTTPException(409, str(error)) from error
