"""The pages of help: articles with search, guided diagnosis, a request to a human; and what was agreed and invoiced."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import actor_of
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import TenantId
from cloud.entitlements.plans import plan_of
from cloud.self_service import repository, support, writings
from cloud.self_service.billing import state_of
from cloud.self_service.desk import SelfServiceDesk
from cloud.self_service.diagnosis import Answer, diagnose, first_wrong
from cloud.self_service.domain import SUPPORT_CHARACTERS_MAX, InvoiceState
from cloud.self_service.tables import InvoiceRow
from cloud.self_service.writings import Writing
from cloud.web.shell import Shell

HELP, DIAGNOSIS, SUPPORT, INVOICES, TERMS = "/help", "/help/diagnosis", "/support", "/invoices", "/terms"
SHOWN_MAX: Final = 50
ASKED_CHARACTERS_MAX: Final = 100
Reader = Annotated[Principal, requires(Right.READ)]
Asker = Annotated[Principal, requires(Right.ACKNOWLEDGE)]
Payer = Annotated[Principal, requires(Right.MANAGE_PEOPLE)]


def include(app: FastAPI, shell: Shell, desk: SelfServiceDesk) -> None:
    """Add the pages."""
    pages = HelpPages(shell, desk)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(HELP, pages.help, methods=["GET"])
    routes.add_api_route(DIAGNOSIS, pages.diagnosis, methods=["GET"])
    routes.add_api_route(SUPPORT, pages.support, methods=["GET"])
    routes.add_api_route(SUPPORT, pages.ask, methods=["POST"])
    routes.add_api_route(f"{SUPPORT}/{{request_id}}/reply", pages.reply, methods=["POST"])
    routes.add_api_route(f"{SUPPORT}/{{request_id}}/close", pages.close, methods=["POST"])
    routes.add_api_route(INVOICES, pages.invoices, methods=["GET"])
    routes.add_api_route(f"{INVOICES}/{{invoice_id}}", pages.invoice, methods=["GET"])
    routes.add_api_route(TERMS, pages.terms, methods=["GET"])
    app.include_router(routes)


class HelpPages:
    """The handlers."""

    def __init__(self, shell: Shell, desk: SelfServiceDesk) -> None:
        self._shell = shell
        self._desk = desk

    async def help(
        self,
        request: Request,
        _reader: Reader,
        article: str = "",
        asked: Annotated[str, Query(alias="q", max_length=ASKED_CHARACTERS_MAX)] = "",
    ) -> Response:
        """The articles; one of them with `article`, those with some words with `q`."""
        t = self._shell.catalogue(request)
        shown = self._article(article, t.language) if article else None
        if article and shown is None:
            return self._shell.problem(
                request, status=404, title=t("help.unknown_title"), detail=t("help.unknown", article=article)
            )
        return self._shell.page(
            request,
            "help.html",
            page_name="help",
            article=shown,
            article_html=Markup(shown.html) if shown else "",  # noqa: S704 - our own file
            found=writings.search(self._desk.articles, t.language, asked),
            asked=asked,
        )

    async def diagnosis(self, request: Request, reader: Reader) -> Response:
        """The flow, answered from the tenant's own facts."""
        answers = await self._answers(request, reader)
        return self._shell.page(
            request, "diagnosis.html", page_name="help", answers=answers, first=first_wrong(answers)
        )

    async def support(self, request: Request, reader: Reader) -> Response:
        """Ask a human, and what was asked so far."""
        return await self._support(request, reader)

    async def ask(self, request: Request, asker: Asker) -> Response:
        """One request; what diagnosis finds at this moment goes with it."""
        form = await request.form()
        first = first_wrong(await self._answers(request, asker))
        try:
            async with self._desk.database.transaction() as session:
                await support.ask_for_help(
                    session,
                    asker,
                    str(form.get("text", "")),
                    diagnosis=first.step if first else "",
                    actor=actor_of(request),
                    now_ms=self._desk.clock.utc_ms(),
                )
        except InvalidFieldError:
            return await self._support(request, asker, fault="text")
        return RedirectResponse(SUPPORT, status_code=303)

    async def reply(self, request: Request, asker: Asker, request_id: UUID) -> Response:
        """More in a request of one's own company; it waits for an answer again."""
        form, tenant_id = await request.form(max_files=0, max_fields=3), TenantId(asker.tenant_id)
        try:
            async with self._desk.database.transaction() as session:
                await support.ask_on(
                    session,
                    tenant_id,
                    request_id,
                    str(form.get("text", "")),
                    actor=actor_of(request),
                    now_ms=self._desk.clock.utc_ms(),
                )
        except InvalidFieldError:
            return await self._support(request, asker, fault="text")
        return RedirectResponse(SUPPORT, status_code=303)

    async def close(self, request: Request, asker: Asker, request_id: UUID) -> Response:
        """Nothing more is to be said; a request that is closed already stays so."""
        async with self._desk.database.transaction() as session:
            row = await support.of_tenant(session, TenantId(asker.tenant_id), request_id)
            if row.state != "closed":
                await support.close(session, row, actor=actor_of(request), now_ms=self._desk.clock.utc_ms())
        return RedirectResponse(SUPPORT, status_code=303)

    async def invoices(self, request: Request, payer: Payer) -> Response:
        """The company's invoices, the newest first."""
        tenant_id = TenantId(payer.tenant_id)
        async with self._desk.database.reading() as session:
            found = await repository.invoices(session, tenant_id, limit=SHOWN_MAX)
            subscription = await repository.subscription(session, tenant_id)
        return self._shell.page(
            request,
            "invoices.html",
            page_name="plan",
            invoices=found,
            state_of=self._state_of,
            subscription=subscription,
            pack=self._pack_name(request, subscription.pack_id) if subscription else "",
        )

    async def invoice(self, request: Request, payer: Payer, invoice_id: UUID) -> Response:
        """One invoice, to be printed."""
        async with self._desk.database.reading() as session:
            found = await repository.invoice(session, TenantId(payer.tenant_id), invoice_id)
            lines = await repository.lines(session, TenantId(payer.tenant_id), invoice_id)
        if found is None:
            raise NotFoundError("invoice", str(invoice_id))
        pack = self._pack_name(request, found.pack_id)
        return self._shell.page(
            request, "invoice.html", page_name="plan", invoice=found, lines=lines, pack=pack, state_of=self._state_of
        )

    async def terms(self, request: Request, reader: Reader) -> Response:
        """The terms in force, and which of them the company has accepted."""
        async with self._desk.database.reading() as session:
            accepted = await repository.acceptances(session, TenantId(reader.tenant_id), limit=SHOWN_MAX)
        shown = self._desk.terms[self._desk.terms_version, self._shell.catalogue(request).language]
        return self._shell.page(
            request,
            "terms.html",
            page_name="plan",
            terms=shown,
            terms_html=Markup(shown.html),  # noqa: S704 - our own file
            accepted=accepted,
        )

    async def _support(self, request: Request, reader: Principal, *, fault: str = "") -> Response:
        async with self._desk.database.reading() as session:
            found = await repository.support_requests(session, TenantId(reader.tenant_id), limit=SHOWN_MAX)
            said = await repository.messages(session, [row.request_id for row in found])
        plan = plan_of(request)
        return self._shell.page(
            request,
            "support.html",
            status=422 if fault else 200,
            page_name="help",
            requests=found,
            said=said,
            fault=fault,
            may_ask=Right.ACKNOWLEDGE in reader.rights,
            hours=plan.effective.entitlements.support_response_h if plan else None,
            characters_max=SUPPORT_CHARACTERS_MAX,
            csrf_token=reader.form_token(),
        )

    async def _answers(self, request: Request, reader: Principal) -> list[Answer]:
        plan = plan_of(request)
        facts = await self._desk.facts(TenantId(reader.tenant_id), plan.locked if plan else frozenset())
        return diagnose(facts)

    def _state_of(self, row: InvoiceRow) -> InvoiceState:
        return state_of(row, self._desk.clock.utc_ms())

    def _article(self, name: str, language: str) -> Writing | None:
        return self._desk.articles.get((name, language))

    def _pack_name(self, request: Request, pack_id: str) -> str:
        """A pack's name; one that is no longer offered goes by its id."""
        pack = self._desk.packs.get(pack_id)
        return pack.names[self._shell.catalogue(request).language] if pack else pack_id
