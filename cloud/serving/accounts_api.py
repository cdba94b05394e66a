"""Invoices of all companies and their requests for help as JSON, for the platform's own people."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from cloud.core.audit import actor_of
from cloud.core.numbers import Number
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_uuid, page_of, slice_of
from cloud.core.problems import responses
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.entitlements.domain import Tier
from cloud.self_service import repository
from cloud.self_service.billing import REASON_CHARACTERS_MAX, InvoiceStateError, Payment, open_minor, state_of
from cloud.self_service.domain import SUPPORT_CHARACTERS_MAX, InvoiceState
from cloud.self_service.support import MINUTES_MAX, RequestStateError
from cloud.self_service.tables import InvoiceRow
from cloud.serving.accounts_desk import AccountsDesk, OpenedInvoice, Thread
from cloud.serving.options import DAY_MAX
from cloud.tiering.api import Staff
from cloud.tiering.evidence import AMOUNT_MINOR_MAX

InvoiceId = Annotated[UUID, Path(description="Invoice id.")]
RequestId = Annotated[UUID, Path(description="Support request id.")]
RequestState = Literal["open", "answered", "closed"]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class PaymentIn(_In):
    """Money that came."""

    day: int = Field(ge=0, le=DAY_MAX, description="Days since 1970; from the invoice's day to today.")
    amount_minor: int = Field(ge=1, le=AMOUNT_MINOR_MAX, description="At most what is still owed.")
    reference: str = Field(min_length=1, max_length=NAME_CHARACTERS_MAX, description="Counts once for an invoice.")

    def payment(self) -> Payment:
        """As the desk takes it."""
        return Payment(self.day, self.amount_minor, self.reference)


class CancelIn(_In):
    """Why an invoice is taken back."""

    reason: str = Field(min_length=1, max_length=REASON_CHARACTERS_MAX)


class InvoiceOut(BaseModel):
    """An invoice, or a credit note, whose amounts are below zero."""

    invoice_id: UUID
    number: str
    tenant_id: str
    company: str
    state: InvoiceState
    net_minor: int
    tax_rate_bp: int = Field(description="In hundredths of a per cent.")
    tax_minor: int
    amount_minor: int = Field(description="With tax.")
    open_minor: int = Field(description="Still owed.")
    currency: str
    issued_ms: int
    due_ms: int
    paid_ms: int | None
    reminders: int
    credits_id: UUID | None = Field(description="Of a credit note, the invoice that it takes back.")
    reason: str


class LineOut(_Out):
    """A line beside the pack."""

    names: dict[str, str]
    amount_minor: int
    from_ms: int
    until_ms: int | None
    reference: str


class PaymentOut(_Out):
    """A payment that was recorded."""

    payment_id: UUID
    day: int
    amount_minor: int
    reference: str
    made_ms: int
    made_by: str


class OpenedInvoiceOut(InvoiceOut):
    """An invoice with what belongs to it."""

    lines: list[LineOut]
    payments: list[PaymentOut]


class AnswerIn(_In):
    """An answer, and the minutes that it took."""

    text: str = Field(min_length=1, max_length=SUPPORT_CHARACTERS_MAX)
    minutes: int = Field(ge=1, le=MINUTES_MAX)


class MessageOut(_Out):
    """What was said after the request."""

    is_staff: bool
    login: str
    text: str
    made_ms: int
    minutes: int
    waited_since_ms: int | None
    promised_ms: int | None


class ThreadOut(BaseModel):
    """A request for help with what was said."""

    request_id: UUID
    tenant_id: str
    company: str
    tier: Tier | None
    login: str
    text: str
    diagnosis: str
    asked_ms: int
    state: RequestState
    due_ms: int | None = Field(description="By when the plan promises the answer that is waited for.")
    left_ms: int | None = Field(description="Until then; below zero: it is late. Null where nothing is waited for.")
    answered_ms: int | None
    answered_by: str
    messages: list[MessageOut]


class PromiseOut(_Out):
    """Answers of the last 90 days against what plans promise."""

    answers: int
    promised: int
    kept: int
    kept_share: Number
    median_h: Number
    minutes: int


class QueueOut(BaseModel):
    """Requests, what is due first, first."""

    items: list[ThreadOut]
    promise: PromiseOut


@asynccontextmanager
async def states() -> AsyncIterator[None]:
    """What cannot be done as things stand is a 409."""
    try:
        yield
    except (InvoiceStateError, RequestStateError) as error:
        raise HTTPException(409, str(error)) from error


def router(desk: AccountsDesk) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["serving"], prefix="/serving")
    _invoices(routes, desk)
    _support(routes, desk)
    return routes


def _invoices(routes: APIRouter, desk: AccountsDesk) -> None:
    @routes.get("/invoices", responses=responses(422), summary="Invoices of all companies, newest first")
    async def listed(_principal: Staff, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> Page[InvoiceOut]:
        before = decode_uuid(cursor)
        async with desk.database.reading() as session:
            rows = await repository.all_invoices(session, is_owed=False, before=before, limit=limit + 1)
        now_ms = desk.clock.utc_ms()
        return page_of(slice_of(rows, limit), lambda row: _invoice(row, now_ms), lambda row: (str(row.invoice_id),))

    one = "/invoices/{invoice_id}"

    @routes.get(one, responses=responses(404, 422), summary="One invoice with its lines and payments")
    async def opened(_principal: Staff, invoice_id: InvoiceId) -> OpenedInvoiceOut:
        return _opened(await desk.invoice(invoice_id), desk.clock.utc_ms())

    @routes.post(
        f"{one}/payments", responses=responses(404, 409, 422), status_code=201, summary="Record that it was paid"
    )
    async def pay(
        request: Request, principal: Staff, invoice_id: InvoiceId, body: Annotated[PaymentIn, Body()]
    ) -> OpenedInvoiceOut:
        async with states():
            await desk.pay(invoice_id, body.payment(), actor_of(request))
        return await opened(principal, invoice_id)

    @routes.post(
        f"{one}/cancel", responses=responses(404, 409, 422), status_code=201, summary="Take it back by a credit note"
    )
    async def cancel(
        request: Request, principal: Staff, invoice_id: InvoiceId, body: Annotated[CancelIn, Body()]
    ) -> OpenedInvoiceOut:
        async with states():
            return await opened(principal, await desk.cancel(invoice_id, body.reason, actor_of(request)))


def _support(routes: APIRouter, desk: AccountsDesk) -> None:
    @routes.get("/support", responses=responses(422), summary="Requests for help of all companies, the first due first")
    async def queue(
        _principal: Staff,
        state: Annotated[RequestState | None, Query(description="Only in this state; absent: all but closed.")] = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> QueueOut:
        found, now_ms = await desk.queue(state, limit=limit), desk.clock.utc_ms()
        promise = PromiseOut.model_validate(await desk.promise())
        return QueueOut(items=[_thread(each, now_ms) for each in found], promise=promise)

    one = "/support/{request_id}"

    @routes.get(one, responses=responses(404, 422), summary="One request for help with what was said")
    async def thread(_principal: Staff, request_id: RequestId) -> ThreadOut:
        return _thread(await desk.thread(request_id), desk.clock.utc_ms())

    @routes.post(f"{one}/answers", responses=responses(404, 409, 422), status_code=201, summary="Answer it")
    async def answer(
        request: Request, principal: Staff, request_id: RequestId, body: Annotated[AnswerIn, Body()]
    ) -> ThreadOut:
        async with states():
            await desk.answer(request_id, body.text, minutes=body.minutes, actor=actor_of(request))
        return await thread(principal, request_id)

    @routes.post(f"{one}/close", responses=responses(404, 409, 422), summary="Close it")
    async def close(request: Request, principal: Staff, request_id: RequestId) -> ThreadOut:
        async with states():
            await desk.close(request_id, actor_of(request))
        return await thread(principal, request_id)

    @routes.post(f"{one}/reopen", responses=responses(404, 409, 422), summary="Open a closed one again")
    async def reopen(request: Request, principal: Staff, request_id: RequestId) -> ThreadOut:
        async with states():
            await desk.reopen(request_id, actor_of(request))
        return await thread(principal, request_id)


def _invoice(row: InvoiceRow, now_ms: int) -> InvoiceOut:
    return InvoiceOut(**_columns(row, now_ms))


def _opened(found: OpenedInvoice, now_ms: int) -> OpenedInvoiceOut:
    return OpenedInvoiceOut(
        **_columns(found.invoice, now_ms),
        lines=[LineOut.model_validate(each) for each in found.lines],
        payments=[PaymentOut.model_validate(each) for each in found.payments],
    )


def _columns(row: InvoiceRow, now_ms: int) -> dict[str, Any]:
    told = InvoiceOut.model_fields.keys() - {"state", "open_minor"}
    return {name: getattr(row, name) for name in told} | {
        "state": state_of(row, now_ms),
        "open_minor": open_minor(row),
    }


def _thread(found: Thread, now_ms: int) -> ThreadOut:
    row = found.request
    waits = row.state == "open" and row.due_ms is not None
    told = ThreadOut.model_fields.keys() - {"company", "tier", "left_ms", "messages"}
    return ThreadOut(
        **{name: getattr(row, name) for name in told},
        company=found.company,
        tier=Tier(found.tier) if found.tier is not None else None,
        left_ms=row.due_ms - now_ms if waits and row.due_ms is not None else None,
        messages=[MessageOut.model_validate(each) for each in found.messages],
    )
