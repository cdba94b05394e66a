"""The pages of invoices and requests for help of all companies, for the platform's own people."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response

from cloud.core.audit import actor_of
from cloud.core.problems import InvalidFieldError
from cloud.self_service import repository
from cloud.self_service.billing import InvoiceStateError, Payment, open_minor, state_of
from cloud.self_service.domain import SUPPORT_CHARACTERS_MAX
from cloud.self_service.support import MINUTES_MAX, RequestStateError
from cloud.serving.accounts_desk import AccountsDesk
from cloud.tiering.api import Staff
from cloud.tiering.money import shown
from cloud.tiering.runs import DAY_MS
from cloud.web import forms, serving_forms
from cloud.web.shell import Shell
from cloud.web.tiering_page import PAGE, day_text, form_token

INVOICES, SUPPORT = f"{PAGE}/invoices", f"{PAGE}/support"
SHOWN_MAX: Final = 100
STATES: Final = ("open", "answered", "closed")


def include(app: FastAPI, shell: Shell, desk: AccountsDesk) -> None:
    """Add the pages."""
    pages = AccountsPages(shell, desk)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(INVOICES, pages.invoices, methods=["GET"])
    routes.add_api_route(f"{INVOICES}/{{invoice_id}}", pages.invoice, methods=["GET"])
    routes.add_api_route(f"{INVOICES}/{{invoice_id}}/pay", pages.pay, methods=["POST"])
    routes.add_api_route(f"{INVOICES}/{{invoice_id}}/cancel", pages.cancel, methods=["POST"])
    routes.add_api_route(SUPPORT, pages.queue, methods=["GET"])
    routes.add_api_route(f"{SUPPORT}/{{request_id}}", pages.thread, methods=["GET"])
    routes.add_api_route(f"{SUPPORT}/{{request_id}}/{{deed}}", pages.act, methods=["POST"])
    app.include_router(routes)


class AccountsPages:
    """The handlers; a form that cannot be taken shows its page again, with the reason."""

    def __init__(self, shell: Shell, desk: AccountsDesk) -> None:
        self._shell = shell
        self._desk = desk

    async def invoices(
        self, request: Request, _principal: Staff, shown: Annotated[Literal["owed", "all"], Query()] = "owed"
    ) -> Response:
        """Those that are owed, the oldest due first; or all."""
        async with self._desk.database.reading() as session:
            rows = await repository.all_invoices(session, is_owed=shown == "owed", before=None, limit=SHOWN_MAX + 1)
        now_ms = self._shell.clock.utc_ms()
        return self._shell.page(
            request,
            "serving_invoices.html",
            page_name="tiering",
            tab="invoices",
            invoices=rows[:SHOWN_MAX],
            has_more=len(rows) > SHOWN_MAX,
            shown_max=SHOWN_MAX,
            shown=shown,
            state_of=lambda row: state_of(row, now_ms),
            open_minor=open_minor,
        )

    async def invoice(self, request: Request, _principal: Staff, invoice_id: UUID) -> Response:
        """One invoice with its lines, payments, and the forms that pay it or take it back."""
        return await self._invoice(request, invoice_id)

    async def pay(self, request: Request, _principal: Staff, invoice_id: UUID) -> Response:
        """Record a payment."""
        form = await request.form(max_files=0, max_fields=5)
        currency = (await self._desk.invoice(invoice_id)).invoice.currency

        async def pay() -> str:
            amount_minor = serving_forms.money(form, "amount", currency)
            payment = Payment(forms.day(form, "day"), amount_minor, forms.text(form, "reference"))
            await self._desk.pay(invoice_id, payment, actor_of(request))
            return f"{INVOICES}/{invoice_id}"

        return await self._tried(request, pay, lambda fault: self._invoice(request, invoice_id, fault))

    async def cancel(self, request: Request, _principal: Staff, invoice_id: UUID) -> Response:
        """Take an invoice back; its credit note is shown."""
        form = await request.form(max_files=0, max_fields=3)

        async def cancel() -> str:
            note_id = await self._desk.cancel(invoice_id, forms.text(form, "reason"), actor_of(request))
            return f"{INVOICES}/{note_id}"

        return await self._tried(request, cancel, lambda fault: self._invoice(request, invoice_id, fault))

    async def queue(
        self,
        request: Request,
        _principal: Staff,
        state: Annotated[Literal["", "open", "answered", "closed"], Query()] = "",
    ) -> Response:
        """What waits, the first due first, and how answers were against what was promised."""
        found = await self._desk.queue(state or None, limit=SHOWN_MAX + 1)
        return self._shell.page(
            request,
            "serving_support.html",
            page_name="tiering",
            tab="support",
            threads=found[:SHOWN_MAX],
            has_more=len(found) > SHOWN_MAX,
            shown_max=SHOWN_MAX,
            state=state,
            states=STATES,
            promise=await self._desk.promise(),
        )

    async def thread(self, request: Request, _principal: Staff, request_id: UUID) -> Response:
        """One request, what was said, and the form of an answer."""
        return await self._thread(request, request_id)

    async def act(
        self, request: Request, _principal: Staff, request_id: UUID, deed: Literal["answer", "close", "reopen"]
    ) -> Response:
        """Answer a request, close it, or open it again."""
        form, actor = await request.form(max_files=0, max_fields=4), actor_of(request)

        async def act() -> str:
            if deed == "answer":
                minutes = forms.whole(form, "minutes")
                await self._desk.answer(request_id, forms.text(form, "text"), minutes=minutes, actor=actor)
            elif deed == "close":
                await self._desk.close(request_id, actor)
            else:
                await self._desk.reopen(request_id, actor)
            return f"{SUPPORT}/{request_id}"

        return await self._tried(request, act, lambda fault: self._thread(request, request_id, fault))

    async def _tried(
        self, request: Request, do: Callable[[], Awaitable[str]], again: Callable[[str], Awaitable[Response]]
    ) -> Response:
        """Do it and go where it leads; what is refused shows the page again."""
        try:
            path = await do()
        except InvalidFieldError as error:
            t, field = self._shell.catalogue(request), error.field.removeprefix("body.")
            return await again(t("serving.refused", field=t.find(f"serving.field.{field}") or field, why=error.message))
        except (InvoiceStateError, RequestStateError) as error:
            return await again(str(error))
        return RedirectResponse(path, status_code=303)

    async def _invoice(self, request: Request, invoice_id: UUID, fault: str = "") -> Response:
        found, now_ms = await self._desk.invoice(invoice_id), self._shell.clock.utc_ms()
        row = found.invoice
        return self._shell.page(
            request,
            "serving_invoice.html",
            status=422 if fault else 200,
            page_name="tiering",
            tab="invoices",
            found=found,
            invoice=row,
            state=state_of(row, now_ms),
            owed_minor=open_minor(row),
            owed=shown(open_minor(row), row.currency),
            may_cancel=row.credits_id is None and row.cancelled_ms is None and not row.paid_minor,
            fault=fault,
            today=day_text(now_ms // DAY_MS),
            day_text=day_text,
            csrf_token=form_token(request),
        )

    async def _thread(self, request: Request, request_id: UUID, fault: str = "") -> Response:
        return self._shell.page(
            request,
            "serving_thread.html",
            status=422 if fault else 200,
            page_name="tiering",
            tab="support",
            thread=await self._desk.thread(request_id),
            fault=fault,
            characters_max=SUPPORT_CHARACTERS_MAX,
            minutes_max=MINUTES_MAX,
            csrf_token=form_token(request),
        )
