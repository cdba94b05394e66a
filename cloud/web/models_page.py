"""The pages of bundles: the registry with who runs what, a model card, a trial with its guard figures."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.datastructures import FormData, UploadFile

from cloud.core.access import Principal, Right, requires
from cloud.core.audit import Actor, actor_of
from cloud.core.problems import NotFoundError
from cloud.core.tenants import Tenant, TenantId
from cloud.rollouts import labels, repository, views
from cloud.rollouts.domain import WHY_CHARACTERS_MAX, BundleRefusedError, RolloutError
from cloud.rollouts.parts import RolloutParts
from cloud.rollouts.shapes import BundleOut, RolloutOut
from cloud.telemetry.store import TelemetryStore
from cloud.web.drift_view import STATES, drift_rows
from cloud.web.lists import back_to
from cloud.web.models_view import VERDICTS, card_view, guards_chart, press_rows
from cloud.web.shell import HEADERS, Shell
from contract.model_orders import Bounds
from models.runtime.bundle import BUNDLE_BYTES_MAX

PAGE = "/models"
SHOWN_MAX = 50
DRIFT_ROWS_MAX = 300
STAGE_SHOTS = 200
Reader = Annotated[Principal, requires(Right.READ)]
Engineer = Annotated[Principal, requires(Right.CONFIGURE)]
Judge = Annotated[Principal, requires(Right.ACKNOWLEDGE)]
Step = Callable[[FormData, TenantId, Actor, int], Awaitable[str]]
"""Does what a form asks for; where to go then."""


def include(app: FastAPI, shell: Shell, parts: RolloutParts, store: TelemetryStore) -> None:
    """Add the pages and their forms."""
    page = ModelsPage(shell, parts, store)
    routes = APIRouter(include_in_schema=False)
    routes.add_api_route(PAGE, page.registry, methods=["GET"])
    routes.add_api_route(f"{PAGE}/drift", page.drift, methods=["GET"])
    routes.add_api_route(f"{PAGE}/upload", page.upload, methods=["POST"])
    routes.add_api_route(f"{PAGE}/trials/{{rollout_id}}", page.trial, methods=["GET"])
    routes.add_api_route(f"{PAGE}/trials/{{rollout_id}}/guards.json", page.guards, methods=["GET"])
    routes.add_api_route(f"{PAGE}/trials/{{rollout_id}}/advance", page.advance, methods=["POST"])
    routes.add_api_route(f"{PAGE}/trials/{{rollout_id}}/stop", page.stop, methods=["POST"])
    routes.add_api_route(f"{PAGE}/bundles/{{bundle_id}}", page.card, methods=["GET"])
    routes.add_api_route(f"{PAGE}/bundles/{{bundle_id}}/try", page.start, methods=["POST"])
    routes.add_api_route("/alarms/{alarm_id}/label", page.label, methods=["POST"])
    app.include_router(routes)


class ModelsPage:
    """The handlers; the identity middleware lets forms of our own pages through alone."""

    def __init__(self, shell: Shell, parts: RolloutParts, store: TelemetryStore) -> None:
        self._shell = shell
        self._parts = parts
        self._database = parts.database
        self._store = store

    async def registry(self, request: Request, principal: Reader) -> Response:
        """All bundles, the trial under way, and what each gateway runs."""
        return await self._registry(request, principal)

    async def _registry(
        self, request: Request, principal: Principal, *, fault: str = "", status: int = 200
    ) -> Response:
        tenant_id = TenantId(principal.tenant_id)
        async with self._database.reading() as session:
            bundles = await repository.bundles(session, tenant_id, before=None, limit=SHOWN_MAX)
            trials = await repository.rollouts(session, tenant_id, before=None, limit=SHOWN_MAX)
            gateways = await views.gateways(session, tenant_id)
            counts = await repository.label_counts(session, tenant_id)
        return self._shell.page(
            request,
            "models.html",
            status=status,
            page_name="models",
            bundles=[BundleOut.model_validate(row) for row in bundles],
            trials=[RolloutOut.model_validate(row) for row in trials],
            gateways=gateways,
            counts={name: counts.get(name, 0) for name in VERDICTS},
            fault=fault,
            moved=sum(press.state == "moved" for press in drift_rows(gateways)),
            **self._form_values(principal),
        )

    async def drift(self, request: Request, tenant: Tenant) -> Response:
        """What drifts and what is missing on each press, by what scores it now."""
        async with self._database.reading() as session:
            gateways = await views.gateways(session, tenant)
        rows = drift_rows(gateways)
        counts = {name: sum(row.state == name for row in rows) for name in STATES}
        return self._shell.page(
            request,
            "drift.html",
            page_name="models",
            rows=rows[:DRIFT_ROWS_MAX],
            left_out=max(0, len(rows) - DRIFT_ROWS_MAX),
            counts=counts,
        )

    async def card(self, request: Request, tenant: Tenant, principal: Reader, bundle_id: str) -> Response:
        """A bundle's model card."""
        try:
            async with self._database.reading() as session:
                shown = await views.card(session, tenant, bundle_id)
                events = await repository.events(session, tenant, bundle_id, before=None, limit=SHOWN_MAX)
                trials = await repository.rollouts(session, tenant, bundle_id=bundle_id, before=None, limit=SHOWN_MAX)
        except NotFoundError:
            return self._unknown(request)
        return self._shell.page(
            request,
            "model_card.html",
            page_name="models",
            bundle=shown,
            card=card_view(shown.card),
            counts=shown.labels_since.model_dump(),
            events=events,
            trials=[RolloutOut.model_validate(row) for row in trials],
            stage_shots=STAGE_SHOTS,
            **self._form_values(principal),
        )

    async def trial(self, request: Request, principal: Reader, rollout_id: UUID) -> Response:
        """A trial with its guard figures."""
        return await self._trial(request, principal, rollout_id)

    async def _trial(
        self, request: Request, principal: Principal, rollout_id: UUID, *, fault: str = "", status: int = 200
    ) -> Response:
        try:
            async with self._database.reading() as session:
                shown = await views.rollout(session, TenantId(principal.tenant_id), rollout_id)
        except NotFoundError:
            return self._unknown(request)
        return self._shell.page(
            request,
            "model_trial.html",
            status=status,
            page_name="models",
            trial=shown,
            rows=press_rows(shown),
            fault=fault,
            **self._form_values(principal),
        )

    async def guards(self, request: Request, tenant: Tenant, rollout_id: UUID) -> Response:
        """The guard figures of a trial over time, as a chart."""
        async with self._database.reading() as session:
            shown = await views.rollout(session, tenant, rollout_id)
        return JSONResponse(guards_chart(self._shell.catalogue(request), shown), headers={"Cache-Control": "no-store"})

    async def upload(self, request: Request, principal: Engineer) -> Response:
        """Register a bundle."""
        async with request.form(max_files=1, max_fields=5) as form:
            file = form.get("bundle")
            content = await file.read(BUNDLE_BYTES_MAX) if isinstance(file, UploadFile) else b""
        try:
            bundle, digest = await to_thread.run_sync(self._parts.files.take, content)
        except BundleRefusedError as error:
            if request.headers.get("hx-request") == "true":
                html = self._shell.fragment("model_refused.html", self._shell.catalogue(request), fault=str(error))
                return HTMLResponse(html, headers=dict(HEADERS))
            return await self._registry(request, principal, fault=str(error), status=422)
        tenant_id, actor, now_ms = TenantId(principal.tenant_id), actor_of(request), self._parts.clock.utc_ms()
        async with self._database.transaction() as session:
            await self._parts.service.add_bundle(session, tenant_id, bundle, digest, len(content), actor, now_ms=now_ms)
        path = f"{PAGE}/bundles/{bundle.bundle_id}"
        if request.headers.get("hx-request") == "true":
            return Response(headers={"HX-Redirect": path})
        return RedirectResponse(path, status_code=303)

    async def start(self, request: Request, principal: Engineer, bundle_id: str) -> Response:
        """Begin a trial."""

        async def step(form: FormData, tenant_id: TenantId, actor: Actor, now_ms: int) -> str:
            async with self._database.transaction() as session:
                row = await self._parts.service.start(
                    session,
                    tenant_id,
                    bundle_id,
                    actor,
                    bounds=Bounds(),
                    is_automatic=form.get("is_automatic") is not None,
                    stage_shots=STAGE_SHOTS,
                    why=_why(form),
                    now_ms=now_ms,
                )
            return f"{PAGE}/trials/{row.rollout_id}"

        return await self._do(request, principal, step)

    async def advance(self, request: Request, principal: Engineer, rollout_id: UUID) -> Response:
        """On to the next stage."""

        async def step(form: FormData, tenant_id: TenantId, actor: Actor, now_ms: int) -> str:
            seen = str(form.get("stage", "")) or None
            async with self._database.transaction() as session:
                await self._parts.service.advance(
                    session, tenant_id, rollout_id, actor, seen=seen, why=_why(form), now_ms=now_ms
                )
            return f"{PAGE}/trials/{rollout_id}"

        return await self._do(request, principal, step)

    async def stop(self, request: Request, principal: Engineer, rollout_id: UUID) -> Response:
        """Back to what scored before."""

        async def step(form: FormData, tenant_id: TenantId, actor: Actor, now_ms: int) -> str:
            async with self._database.transaction() as session:
                await self._parts.service.stop(session, tenant_id, rollout_id, actor, why=_why(form), now_ms=now_ms)
            return f"{PAGE}/trials/{rollout_id}"

        return await self._do(request, principal, step)

    async def label(self, request: Request, principal: Judge, alarm_id: UUID, verdict: str = "") -> Response:
        """Say what an alarm was."""

        async def step(form: FormData, tenant_id: TenantId, actor: Actor, now_ms: int) -> str:
            chosen = VERDICTS.get(verdict)
            if chosen is None:
                raise NotFoundError("verdict", verdict)
            await labels.judge(
                self._database,
                self._store,
                self._parts.events,
                tenant_id,
                alarm_id,
                actor,
                verdict=chosen,
                comment=_why(form),
                now_ms=now_ms,
            )
            return back_to(request, "/alarms")

        return await self._do(request, principal, step)

    async def _do(self, request: Request, principal: Principal, step: Step) -> Response:
        form = await request.form(max_files=0, max_fields=10)
        try:
            path = await step(form, TenantId(principal.tenant_id), actor_of(request), self._parts.clock.utc_ms())
        except NotFoundError:
            return self._unknown(request)
        except RolloutError as error:
            return await self._registry(request, principal, fault=str(error), status=409)
        return RedirectResponse(path, status_code=303)

    def _form_values(self, principal: Principal) -> dict[str, Any]:
        return {
            "may_change": Right.CONFIGURE in principal.rights,
            "csrf_token": principal.form_token(),
            "why_characters_max": WHY_CHARACTERS_MAX,
        }

    def _unknown(self, request: Request) -> Response:
        t = self._shell.catalogue(request)
        return self._shell.problem(request, status=404, title=t("models.unknown_title"), detail=t("models.unknown"))


def _why(form: FormData) -> str:
    return str(form.get("why", "")).strip()[:WHY_CHARACTERS_MAX]
