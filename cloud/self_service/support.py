"""Requests for help: asked, answered, asked on, closed and opened again; nothing here commits.

Each request is a touch of a human, and the aim is none. What waits has the time by which the plan promises an answer.
"""

from typing import Final, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit, events
from cloud.core.access import Principal
from cloud.core.audit import Actor
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements.service import in_force
from cloud.self_service import repository
from cloud.self_service.domain import HOUR_MS, SUPPORT_CHARACTERS_MAX
from cloud.self_service.tables import SupportMessageRow, SupportRow
from kit.errors import ZhisanError
from kit.ids import uuid7

TOUCHED: Final = "self_service.human_asked"
ANSWERED: Final = "self_service.human_answered"
CLOSED: Final = "self_service.request_closed"
MINUTES_MAX: Final = 480
"""Of one answer; what takes longer is work of its own."""
State = Literal["open", "answered", "closed"]


class RequestStateError(ZhisanError):
    """What was asked cannot be done with a request as it stands."""


async def ask_for_help(
    session: AsyncSession, principal: Principal, text: str, *, diagnosis: str, actor: Actor, now_ms: int
) -> SupportRow:
    """Ask a human: counted as a touch, answered within what the plan promises.

    Raises:
        InvalidFieldError: there is no text, or too much.
    """
    text = _checked(text)
    tenant_id = TenantId(principal.tenant_id)
    row = SupportRow(
        request_id=uuid7(now_ms),
        tenant_id=tenant_id,
        login=principal.name[:NAME_CHARACTERS_MAX],
        text=text,
        diagnosis=diagnosis[:NAME_CHARACTERS_MAX],
        asked_ms=now_ms,
        due_ms=await _due_ms(session, tenant_id, now_ms),
        answered_by="",
        answered_ms=None,
        state="open",
        waits_ms=now_ms,
        closed_by="",
        evidence_of=None,
    )
    session.add(row)
    _tell(session, row, TOUCHED, "support_requested", actor, now_ms)
    return row


async def ask_on(
    session: AsyncSession, tenant_id: TenantId, request_id: UUID, text: str, *, actor: Actor, now_ms: int
) -> SupportRow:
    """Say more in a request of one's own; it waits for an answer again, also where it was closed.

    Raises:
        NotFoundError: the company has no such request.
        InvalidFieldError: there is no text, or too much, or the request is full.
    """
    row = await of_tenant(session, tenant_id, request_id)
    await _say(session, row, text, actor, minutes=0, is_staff=False, now_ms=now_ms)
    if row.state != "open":
        row.state, row.waits_ms, row.due_ms = "open", now_ms, await _due_ms(session, tenant_id, now_ms)
    _tell(session, row, TOUCHED, "support_asked_on", actor, now_ms)
    return row


async def answer(
    session: AsyncSession, request_id: UUID, text: str, *, minutes: int, actor: Actor, now_ms: int
) -> SupportRow:
    """Answer a request; `minutes` is what it took, and becomes cost to serve.

    Raises:
        NotFoundError: there is no such request.
        RequestStateError: it is closed: open it again first.
        InvalidFieldError: there is no text, or too much, the minutes are out of bounds, or the request is full.
    """
    if not 1 <= minutes <= MINUTES_MAX:
        raise InvalidFieldError("body.minutes", f"must be 1 to {MINUTES_MAX}")
    row = await of_anybody(session, request_id)
    if row.state == "closed":
        raise RequestStateError("This request is closed: open it again first.")
    said = await _say(session, row, text, actor, minutes=minutes, is_staff=True, now_ms=now_ms)
    if row.state == "open":
        said.waited_since_ms, said.promised_ms = row.waits_ms, row.due_ms
    if row.answered_ms is None:
        row.answered_ms, row.answered_by = now_ms, said.login
    row.state, row.waits_ms = "answered", now_ms
    _tell(session, row, ANSWERED, "support_answered", actor, now_ms)
    return row


async def close(session: AsyncSession, row: SupportRow, *, actor: Actor, now_ms: int) -> None:
    """Nothing more is to be said.

    Raises:
        RequestStateError: it is closed already.
    """
    if row.state == "closed":
        raise RequestStateError("This request is closed already.")
    row.state, row.waits_ms, row.closed_by = "closed", now_ms, actor.name[:NAME_CHARACTERS_MAX]
    _tell(session, row, CLOSED, "support_closed", actor, now_ms)


async def reopen(session: AsyncSession, request_id: UUID, *, actor: Actor, now_ms: int) -> SupportRow:
    """Let a closed request wait for an answer again.

    Raises:
        NotFoundError: there is no such request.
        RequestStateError: it is not closed.
    """
    row = await of_anybody(session, request_id)
    if row.state != "closed":
        raise RequestStateError("Only a closed request is opened again.")
    row.state, row.waits_ms, row.closed_by = "open", now_ms, ""
    row.due_ms = await _due_ms(session, TenantId(row.tenant_id), now_ms)
    audit.record(session, row.tenant_id, actor, "support_reopened", f"support:{request_id}", now_ms=now_ms)
    return row


async def of_tenant(session: AsyncSession, tenant_id: TenantId, request_id: UUID) -> SupportRow:
    """A request of a company.

    Raises:
        NotFoundError: it has none of this id.
    """
    row = await of_anybody(session, request_id)
    if row.tenant_id != tenant_id:
        raise NotFoundError("support request", str(request_id))
    return row


async def of_anybody(session: AsyncSession, request_id: UUID) -> SupportRow:
    """A request, whosever it is.

    Raises:
        NotFoundError: there is none of this id.
    """
    row = await repository.support_request(session, request_id)
    if row is None:
        raise NotFoundError("support request", str(request_id))
    return row


async def _say(
    session: AsyncSession, row: SupportRow, text: str, actor: Actor, *, minutes: int, is_staff: bool, now_ms: int
) -> SupportMessageRow:
    if await repository.messages_count(session, row.request_id) >= repository.MESSAGES_MAX:
        raise InvalidFieldError("body.text", f"{repository.MESSAGES_MAX} are the most of a request: ask anew")
    said = SupportMessageRow(
        message_id=uuid7(now_ms),
        request_id=row.request_id,
        tenant_id=row.tenant_id,
        is_staff=is_staff,
        login=actor.name[:NAME_CHARACTERS_MAX],
        text=_checked(text),
        made_ms=now_ms,
        minutes=minutes,
        waited_since_ms=None,
        promised_ms=None,
        evidence_of=None,
    )
    session.add(said)
    return said


async def _due_ms(session: AsyncSession, tenant_id: TenantId, now_ms: int) -> int | None:
    hours = (await in_force(session, tenant_id, now_ms)).entitlements.support_response_h
    return now_ms + hours * HOUR_MS if hours is not None else None


def _checked(text: str) -> str:
    if not text.strip():
        raise InvalidFieldError("body.text", "is missing: say what you tried and what happened")
    if len(text) > SUPPORT_CHARACTERS_MAX:
        raise InvalidFieldError("body.text", f"has at most {SUPPORT_CHARACTERS_MAX} characters")
    return text.strip()


def _tell(session: AsyncSession, row: SupportRow, kind: str, action: str, actor: Actor, now_ms: int) -> None:
    told = {"request_id": str(row.request_id), "due_ms": row.due_ms, "diagnosis": row.diagnosis, "state": row.state}
    events.write(session, TenantId(row.tenant_id), kind, told, now_ms)
    audit.record(session, row.tenant_id, actor, action, f"support:{row.request_id}", now_ms=now_ms)
