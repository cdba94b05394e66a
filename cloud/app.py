"""The cloud's composition root: settings in, a served application out."""

import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio
import anyio.to_thread
import structlog
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

from cloud import audit_api, gaps_api, metrics, plan_api, readiness, shots_api
from cloud.alarms import api as alarms_api
from cloud.alarms.gateway_watch import GatewayWatch
from cloud.alarms.jobs import AlarmConsumer
from cloud.alarms.keeper import AlarmKeeper
from cloud.alarms.policy import HOUR_MS
from cloud.alarms.retention import AlarmRetention
from cloud.alarms.rules import api as rules_api
from cloud.alarms.rules.desk import RuleDesk
from cloud.alarms.rules.stale_watch import StaleWatch
from cloud.alarms.rules.unreadable_watch import UnreadableWatch
from cloud.alarms.service import AlarmService
from cloud.core import audit, events, problems
from cloud.core.audit_verifier import AuditVerifier
from cloud.core.credentials import CredentialsWatch
from cloud.core.database import Database
from cloud.core.headers import SecurityHeaders
from cloud.core.limits import RequestLimits, RequestRates
from cloud.core.live import Live
from cloud.core.plain_text import refuse_nul
from cloud.core.request_ids import RequestIds
from cloud.core.request_metrics import RequestMetrics
from cloud.core.spans import no_span
from cloud.core.supervision import Supervisor
from cloud.core.tenants import DEFAULT_TENANT
from cloud.entitlements import api as entitlements_api
from cloud.entitlements import gates
from cloud.entitlements.middleware import PlanGate
from cloud.entitlements.plans import Plans, demand_open_press
from cloud.fleet import api as fleet_api
from cloud.fleet.jobs import FleetWatcher
from cloud.fleet.names import PlantNames
from cloud.fleet.plan import locked_presses
from cloud.fleet.service import FleetService
from cloud.gateways import api as gateways_api
from cloud.gateways.jobs import Reload
from cloud.gateways.parts import GatewayParts
from cloud.identity import api as identity_api
from cloud.identity import repository as identities
from cloud.identity.middleware import Identify
from cloud.identity.oidc_calls import ProviderCalls
from cloud.identity.oidc_service import SingleSignOn
from cloud.identity.parts import offer_setup
from cloud.identity.parts import parts as identity_parts
from cloud.identity.passwords import Passwords
from cloud.ingest.gate import Gate
from cloud.ingest.presence import Presence
from cloud.ingest.service import Ingest
from cloud.maintenance import api as maintenance_api
from cloud.maintenance.desk import MaintenanceDesk
from cloud.migrations.upgrade import upgrade
from cloud.production import api as production_api
from cloud.production.board import ProductionBoard
from cloud.production.jobs import ProductionConsumer
from cloud.rollouts import api as rollouts_api
from cloud.rollouts import history_api, labels_api
from cloud.rollouts.parts import RolloutParts
from cloud.rollouts.repository import labelled_alarms
from cloud.self_service import repository as self_service
from cloud.self_service.billing import issue_due
from cloud.self_service.desk import SelfServiceDesk
from cloud.serving import accounts_api, report_api
from cloud.serving import api as serving_api
from cloud.serving.facts import platform_facts
from cloud.serving.parts import ServingParts
from cloud.serving.report_reading import ReportDesk
from cloud.settings import DATABASE_FILE, TELEMETRY_FILE, CloudSettings
from cloud.telemetry.duckdb_store import DuckDBStore
from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import GatewayKey, TelemetryStore
from cloud.tiering import api as tiering_api
from cloud.tiering import manager_api, playbook_api, success_api
from cloud.tiering.desk import TieringDesk
from cloud.tiering.feeds import FeedDesk
from cloud.tiering.jobs import TieringJob
from cloud.tiering.managers import ManagerDesk
from cloud.tiering.success import SuccessDesk
from cloud.tiering.tasks import PlaybookDesk
from cloud.tracing import Traces, otlp
from cloud.web import refusals
from cloud.web.account_pages import include as include_account_pages
from cloud.web.accounts_pages import include as include_accounts_pages
from cloud.web.audit_page import include as include_audit_page
from cloud.web.calendars_page import include as include_calendars_page
from cloud.web.claim_page import include as include_claim_page
from cloud.web.customers_page import include as include_customers_page
from cloud.web.duplicates_page import include as include_duplicates_page
from cloud.web.entitlements_page import include as include_entitlements_page
from cloud.web.facts import PageFacts
from cloud.web.gaps_page import include as include_gaps_page
from cloud.web.gateways_page import include as include_gateways_page
from cloud.web.help_pages import include as include_help_pages
from cloud.web.looks import KeepLanguage
from cloud.web.maintenance_page import include as include_maintenance_page
from cloud.web.managers_page import include as include_managers_page
from cloud.web.models_page import include as include_models_page
from cloud.web.oidc_pages import include as include_oidc_pages
from cloud.web.packs_page import include as include_packs_page
from cloud.web.people_pages import include as include_people_pages
from cloud.web.plan_page import include as include_plan_page
from cloud.web.playbooks_page import include as include_playbooks_page
from cloud.web.policy_page import include as include_policy_page
from cloud.web.production_page import include as include_production_page
from cloud.web.report_page import include as include_report_pages
from cloud.web.routes import Pages
from cloud.web.routes import include as include_pages
from cloud.web.rules_page import include as include_rules_page
from cloud.web.serving_pages import include as include_serving_pages
from cloud.web.settings_page import Site
from cloud.web.settings_page import include as include_settings_page
from cloud.web.signup_pages import include as include_signup_pages
from cloud.web.start_page import START
from cloud.web.start_page import include as include_start_page
from cloud.web.success_page import include as include_success_page
from cloud.web.tasks_page import include as include_tasks_page
from cloud.web.tiering_page import include as include_tiering_page
from cloud.web.translation import load_catalogues
from cloud.web.webhooks_page import include as include_webhooks_page
from cloud.webhooks import api as webhooks_api
from cloud.webhooks import endpoints_api
from cloud.webhooks.parts import WebhookParts
from contract.sparkplug.codec import Metric
from contract.sparkplug.host import HostSession
from contract.sparkplug.topics import NodeKey
from kit.clock import Clock, SystemClock
from kit.mqtt import PahoLink, Will, client_id

API = "/api/v1"
HOST_CONTESTED = "host.contested"
HOUSEKEEPING_EVERY_S = 3600.0
DESCRIPTION = """\
Presses, their shots, alarms and webhook deliveries. Lists come a page at a time: pass `next_cursor` of one page as
`cursor` for the next. All `_ms` are UTC milliseconds since 1970; a number that was not measured is null. Errors are
problem documents (RFC 9457).
"""

log = structlog.get_logger()
Job = Callable[[], Awaitable[None]]


class Cloud:
    """All parts, wired; it opens the stores when it is made and closes them with `running`."""

    def __init__(
        self,
        settings: CloudSettings,
        clock: Clock,
        environ: Mapping[str, str],
        hasher: Passwords | None,
        traces: Traces | None,
    ) -> None:
        self.settings = settings
        self.traces = traces
        spans = traces.span if traces is not None else no_span
        self.clock = clock
        self.endpoints = [endpoint.endpoint(environ) for endpoint in settings.webhooks.endpoints]
        settings.storage.dir.mkdir(parents=True, exist_ok=True)
        self.store = _open_store(settings)
        self.database = Database(settings.storage.database_url())
        self.gap_ledger = gaps_api.GapLedger(self.database, self.store)
        self.live = Live()
        self.supervisor = Supervisor(clock)
        self.audit = AuditVerifier(self.database, clock)
        self.identity = identity_parts(
            self.database,
            clock,
            settings.accounts.rules(),
            hasher,
            room=gates.demand_room_for_person,
            access=self.live.access,
        )
        self.plans = Plans(self.database, clock, locked_presses)
        self.plant_names = PlantNames(self.database)
        self.sign_on = SingleSignOn(
            self.database,
            self.identity.people,
            [provider.provider(environ) for provider in settings.oidc.providers],
            ProviderCalls(clock),
            clock,
            public_url=settings.oidc.public_url,
        )
        log_of_events = self.events = events.EventLog(self.live)
        self.fleet = FleetService(log_of_events, self.live, settings.fleet.rules())
        self.alarms = AlarmService(log_of_events, self.live, settings.alarms.defaults(), settings.alarms.policy())
        self.rules = RuleDesk(self.database, self.store, self.alarms, clock, seconds=clock.monotonic_s)
        self.webhooks = WebhookParts(
            self.database,
            self.live,
            clock,
            random.Random(),  # noqa: S311 - spreads retries, guards nothing
            load_catalogues(),
            folder=settings.storage.dir,
            first_retry_s=settings.webhooks.first_retry_s,
            may_call_private=settings.webhooks.allow_private_addresses,
            relay=settings.webhooks.mail.relay(environ),
            link=f"{settings.oidc.public_url.rstrip('/')}/alarms" if settings.oidc.public_url else "",
            spans=spans,
        )
        self.gateways = GatewayParts(
            self.database,
            self.fleet,
            self.live,
            clock,
            folder=settings.storage.dir,
            host_id=settings.host.id,
            rules=settings.gateways.rules(),
            broker_folder=settings.gateways.broker_dir,
            broker_names=settings.gateways.broker_names,
            reload=Reload(settings.gateways.reload_pid_file, settings.gateways.reload_command),
        )  # before the first link: with mutual TLS its certificate is made here
        self.alarm_consumer = AlarmConsumer(self.database, self.store, self.alarms, self.live, clock)
        self.alarm_retention = AlarmRetention(
            self.database, clock, keep_ms=settings.alarms.keep_days * 24 * HOUR_MS, kept=labelled_alarms()
        )
        self.unreadable_rules = UnreadableWatch(self.database, self.alarms, clock)
        schedule = settings.production.schedule()
        self.production_consumer = ProductionConsumer(self.database, self.store, self.live, clock, schedule)
        self.production = ProductionBoard(self.database, self.live, clock, schedule)
        self.credentials = CredentialsWatch(settings.broker, lambda: self.link.reconnect())  # the link is made next
        self.link = PahoLink(settings.broker, client_id("zhisan", settings.host.id, "ingest"), lambda: None)
        self.rollouts = RolloutParts(
            self.database,
            log_of_events,
            self.live,
            clock,
            self._command,
            lambda plant_id, gateway_id: self._is_barred(GatewayKey(plant_id, gateway_id)),
            folder=settings.storage.dir,
            require_signature=settings.models.require_signature,
            trusted_keys=settings.models.trusted_keys,
        )
        self.maintenance = MaintenanceDesk(
            self.database, self.store, self.events, self.production, clock, settings.alarms.threshold
        )
        self.self_service = SelfServiceDesk(
            self.database,
            self.identity.people,
            self.identity.hasher,
            clock,
            load_catalogues(),
            signup=settings.signup.signup(),
            relay=settings.webhooks.mail.relay(environ),
            can_claim=self.gateways.identities.is_open,
        )
        self.tiering_job = TieringJob(self.database, log_of_events, clock, self.store, platform_facts)
        self.tiering = TieringDesk(self.database, log_of_events, clock, self.tiering_job)
        self.success = SuccessDesk(self.database, log_of_events, clock)
        self.playbooks = PlaybookDesk(self.database, log_of_events, clock)
        self.serving = ServingParts(self.database, log_of_events, clock)
        self.reports = ReportDesk(self.database, self.store, self.plans, clock)
        self.managers = ManagerDesk(self.database, log_of_events, clock, anyio.CapacityLimiter(1))
        registry = self.rollouts.registry(self.fleet)
        gate = Gate(self._is_barred)
        self.ingest = Ingest(self.link, HostSession(settings.host.id), self.store, registry, gate, clock, spans=spans)
        self.pages: Pages | None = None
        self.metrics = self._metrics()
        self.presence = Presence(self._state_link, settings.host.id, self.ingest.listening, clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Bring the schema up to date, run all jobs until the block ends, close the stores."""
        try:
            await self._prepare()
            async with self.link, anyio.create_task_group() as tasks:
                for name, job in self._jobs().items():
                    tasks.start_soon(self.supervisor.keep, name, job, name=name)
                log.info("cloud_started", web=f"http://{self.settings.web.host}:{self.settings.web.port}")
                try:
                    yield
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self.store.close)
                await self.database.close()
                if self.traces is not None:
                    await anyio.to_thread.run_sync(self.traces.close)
            log.info("cloud_stopped")

    async def _prepare(self) -> None:
        await upgrade(self.database)
        async with self.database.transaction() as session:
            await self.webhooks.endpoints.sync_settings(session, self.endpoints)
            audit.record(
                session,
                DEFAULT_TENANT,
                audit.SYSTEM,
                "cloud_started",
                f"host:{self.settings.host.id}",
                now_ms=self.clock.utc_ms(),
                after={"version": version("zhisan"), "settings_sha256": self.settings.fingerprint()},
            )
        folder, web_url = self.settings.storage.dir, self.settings.web.url()
        await offer_setup(self.database, self.identity.people, self.clock, folder, web_url)
        await self.gateways.follower.load()
        if self.settings.telemetry.store == "memory":
            await self.alarm_consumer.begin_again()
            await self.production_consumer.begin_again()

    def _jobs(self) -> dict[str, Job]:
        dispatcher = events.Dispatcher(self.database, self.live, self.webhooks.service.subscriber())
        return {
            "ingest": self.ingest.run,
            "ingest.credentials": self.credentials.run,
            "presence": self.presence.run,
            "presence.rivals": self._record_rivals,
            "fleet": FleetWatcher(self.database, self.fleet, self.clock).run,
            "fleet.names": self.plant_names.run,
            "alarms": self.alarm_consumer.run,
            "alarms.keeper": AlarmKeeper(self.database, self.alarms, self.clock).run,
            "alarms.stale": StaleWatch(self.database, self.store, self.alarms, self.clock).run,
            "alarms.rules": self.unreadable_rules.run,
            "alarms.gateways": GatewayWatch(self.database, self.alarms, self.clock).run,
            "production": self.production_consumer.run,
            "production.board": self.production.run,
            "events.webhooks": dispatcher.run,
            "webhooks": self.webhooks.sender.run,
            "housekeeping": self._keep_house,
            **self.gateways.jobs(),
            **self.rollouts.jobs(),
            "tiering": self.tiering_job.run,
            "serving": self.serving.job.run,
            "audit": self.audit.run,
            "metrics.loop_lag": self.metrics.lag.run,
        }

    def _metrics(self) -> metrics.Metrics:
        folder = self.settings.storage.dir
        return metrics.Metrics(
            metrics.Parts(
                database=self.database,
                store=self.store,
                clock=self.clock,
                files={"relational": folder / DATABASE_FILE, "telemetry": folder / TELEMETRY_FILE},
                ingest_counts=lambda: self.ingest.counts,
                is_listening=lambda: self.ingest.listening.is_on,
                messages_dropped=lambda: self.link.dropped,
                faults=lambda: self.supervisor.faults,
                rules_unreadable=lambda: self.unreadable_rules.found,
                live_readers=lambda: self.pages.readers() if self.pages else {},
            )
        )

    def _is_barred(self, gateway: GatewayKey) -> bool:
        return self.gateways.registry.is_refused(gateway.plant_id, gateway.gateway_id)

    def _command(self, plant_id: str, gateway_id: str, metrics: Sequence[Metric]) -> bool:
        """An NCMD by the ingest's connection, which alone may write commands."""
        node = NodeKey(plant_id, gateway_id)
        message = HostSession(self.settings.host.id).command(node, metrics, self.clock.utc_ms())
        return self.link.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)

    def _state_link(self, make_will: Callable[[], Will]) -> PahoLink:
        return PahoLink(self.settings.broker, client_id("zhisan", self.settings.host.id, "state"), make_will)

    async def _record_rivals(self) -> None:
        """People must know of another host under our id: each of the two has a part of the shots."""
        while True:
            await self.presence.next_rival()
            async with self.database.transaction() as session:
                host_id, now_ms = self.settings.host.id, self.clock.utc_ms()
                self.events.record(session, DEFAULT_TENANT, HOST_CONTESTED, {"host_id": host_id}, now_ms)

    async def _keep_house(self) -> None:
        """Forget old events, deliveries, sessions and links every hour."""
        while True:
            async with self.database.transaction() as session:
                await events.prune(session, self.clock.utc_ms())
                await self.webhooks.service.prune(session)
                await identities.prune(session, self.clock.utc_ms())
                await self_service.prune(session, self.clock.utc_ms())
                offer, now_ms = self.self_service, self.clock.utc_ms()
                await issue_due(session, now_ms, tax=offer.signup.tax, packs=offer.packs)
            forgotten = await self.alarm_retention.prune()
            if forgotten:
                log.info("alarms_forgotten", alarms=forgotten)
            await anyio.sleep(HOUSEKEEPING_EVERY_S)


def create_app(
    settings: CloudSettings,
    clock: Clock | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    hasher: Passwords | None = None,
    traces: Traces | None = None,
) -> FastAPI:
    """The application; its lifespan runs everything. Tests give a clock, an environment and a faster hasher.

    Raises:
        SecretError: a webhook endpoint has no usable secret.
        ProviderSecretError: a sign-in provider's secret is not set.
        TelemetryError: the telemetry store cannot be opened.
        TracingMissingError: traces are asked for, and their packages are not installed.
    """
    if traces is None and settings.tracing.enabled:
        traces = otlp(settings.tracing.endpoint, share=settings.tracing.share)
    cloud = Cloud(settings, clock or SystemClock(), environ, hasher, traces)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with cloud.running():
            yield

    app = FastAPI(
        title="Zhisan",
        description=DESCRIPTION,
        version=version("zhisan"),
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # FastAPI's own pages load scripts from a foreign server
        redoc_url=None,
        lifespan=lifespan,
        dependencies=[Depends(refuse_nul), Depends(demand_open_press)],
    )
    problems.install(app)
    gates.install(app)
    limits = settings.limits.limits()
    app.add_middleware(KeepLanguage, database=cloud.database, people=cloud.identity.people)
    app.add_middleware(PlanGate, plans=cloud.plans, clock=cloud.clock)  # the last added is the outermost
    app.add_middleware(RequestRates, limits=limits, clock=cloud.clock)
    app.add_middleware(
        Identify,
        database=cloud.database,
        clock=cloud.clock,
        rules=cloud.identity.rules,
        access=cloud.live.access,
        refuse=lambda request: refusals.foreign(app.state.pages.shell, request),
    )
    app.add_middleware(RequestLimits, limits=limits)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(
        RequestMetrics, waits=cloud.metrics.waits, clock=cloud.clock, routes=lambda: _handlers(app.routes)
    )
    if traces is not None:
        app.add_middleware(traces.around, routes=lambda: _handlers(app.routes))
    app.add_middleware(RequestIds)
    app.include_router(readiness.router(cloud.database, cloud.ingest, cloud.presence, cloud.supervisor))
    app.include_router(metrics.router(cloud.metrics))
    app.include_router(_api(cloud))
    facts = PageFacts(
        cloud.database, cloud.store, cloud.alarms, cloud.live, cloud.clock, cloud.production, plans=cloud.plans
    )
    app.state.cloud = cloud
    app.state.pages = cloud.pages = include_pages(
        app, facts, live=cloud.live, clock=cloud.clock, names=cloud.plant_names
    )
    refusals.include(app, app.state.pages.shell)
    _include_identity_pages(app, cloud)
    _include_gateway_pages(app, cloud)
    include_audit_page(app, app.state.pages.shell, cloud.database, cloud.audit)
    include_rules_page(app, app.state.pages.shell, cloud.rules)
    include_gaps_page(app, app.state.pages.shell, cloud.gap_ledger)
    include_help_pages(app, app.state.pages.shell, cloud.self_service)
    include_packs_page(app, app.state.pages.shell, cloud.self_service)
    include_entitlements_page(app, app.state.pages.shell, cloud.database, cloud.clock)
    include_plan_page(app, app.state.pages.shell, cloud.database, cloud.clock)
    include_models_page(app, app.state.pages.shell, cloud.rollouts, cloud.store)
    zone = settings.production.schedule().zone
    include_maintenance_page(app, app.state.pages.shell, cloud.maintenance, zone)
    include_production_page(app, app.state.pages.shell, cloud.database, cloud.production, zone)
    site = Site(
        settings.production.schedule(),
        settings.alarms.keep_days,
        tuple((provider.label_zh, provider.label_en) for provider in settings.oidc.providers),
    )
    include_settings_page(app, app.state.pages.shell, cloud.database, cloud.identity.people, cloud.plant_names, site)
    tiering_pages = include_tiering_page(app, app.state.pages.shell, cloud.tiering, cloud.success)
    include_success_page(app, tiering_pages, cloud.success)
    include_tasks_page(app, tiering_pages, cloud.playbooks)
    include_customers_page(app, tiering_pages, cloud.tiering)
    include_calendars_page(app, tiering_pages, FeedDesk(cloud.database, cloud.clock, cloud.success))
    include_playbooks_page(app, tiering_pages, cloud.playbooks)
    include_managers_page(app, tiering_pages, cloud.managers)
    include_policy_page(app, tiering_pages, cloud.tiering)
    include_duplicates_page(app, tiering_pages, cloud.tiering)
    include_report_pages(app, app.state.pages.shell, cloud.reports)
    include_accounts_pages(app, app.state.pages.shell, cloud.serving.accounts)
    include_serving_pages(app, app.state.pages.shell, cloud.serving)
    include_webhooks_page(app, app.state.pages.shell, cloud.webhooks)
    return app


def _handlers(routes: Sequence[BaseRoute]) -> Iterator[tuple[object, str]]:
    for route in iter_route_contexts(routes):
        if route.endpoint is not None and route.path is not None:
            yield route.endpoint, route.path


def _include_identity_pages(app: FastAPI, cloud: Cloud) -> None:
    shell, identity, database = app.state.pages.shell, cloud.identity, cloud.database
    folder = cloud.settings.storage.dir
    include_account_pages(
        app,
        shell,
        database,
        identity.desk,
        identity.people,
        rules=identity.rules,
        folder=folder,
        clock=cloud.clock,
        providers=cloud.sign_on.choices(),
        has_signup=cloud.self_service.signup.is_open,
    )
    if cloud.self_service.signup.is_open:
        public_url = cloud.settings.oidc.public_url
        include_signup_pages(app, shell, cloud.self_service, rules=identity.rules, public_url=public_url)
    if cloud.settings.oidc.providers:
        include_oidc_pages(app, shell, cloud.sign_on, rules=identity.rules)
    include_people_pages(app, shell, database, identity.people, identity.keys, clock=cloud.clock)


def _include_gateway_pages(app: FastAPI, cloud: Cloud) -> None:
    pages, changes = app.state.pages, cloud.live.pages
    parts = (pages.shell, cloud.database, cloud.gateways.identities)
    page = include_gateways_page(app, *parts, cloud.clock)
    pages.count("claims", include_claim_page(app, page, *parts, cloud.clock, changes))
    pages.count("start", include_start_page(app, *parts, cloud.identity.people, cloud.clock, changes))
    pages.start_url = START


def _api(cloud: Cloud) -> APIRouter:
    api = APIRouter(prefix=API, responses=problems.responses(401, 403, 429))
    api.include_router(fleet_api.router(cloud.database, cloud.plant_names, cloud.clock))
    api.include_router(shots_api.router(cloud.database, cloud.store, cloud.plans))
    api.include_router(gaps_api.router(cloud.gap_ledger))
    api.include_router(plan_api.router(cloud.database, cloud.clock))
    api.include_router(entitlements_api.router(cloud.database, cloud.clock))
    api.include_router(rules_api.router(cloud.rules))  # before the routes of /alarms/{alarm_id}
    api.include_router(alarms_api.router(cloud.database, cloud.alarms, cloud.clock))
    api.include_router(webhooks_api.router(cloud.webhooks))
    api.include_router(endpoints_api.router(cloud.webhooks))
    api.include_router(production_api.router(cloud.database, cloud.production, cloud.clock))
    gateways = cloud.gateways
    api.include_router(gateways_api.router(cloud.database, gateways.identities, gateways.keeper, cloud.clock))
    api.include_router(rollouts_api.router(cloud.rollouts))
    api.include_router(maintenance_api.router(cloud.maintenance))
    api.include_router(tiering_api.router(cloud.tiering))
    api.include_router(success_api.router(cloud.success))
    api.include_router(playbook_api.router(cloud.playbooks))
    api.include_router(manager_api.router(cloud.managers))
    api.include_router(serving_api.router(cloud.serving.catalogue, cloud.serving.sales))
    api.include_router(accounts_api.router(cloud.serving.accounts))
    api.include_router(report_api.router(cloud.reports))
    api.include_router(labels_api.router(cloud.rollouts, cloud.store))
    api.include_router(history_api.router(cloud.rollouts, cloud.store))
    api.include_router(audit_api.router(cloud.database, cloud.audit))
    people, keys = cloud.identity.people, cloud.identity.keys
    api.include_router(identity_api.router(cloud.database, people, keys, cloud.clock))
    return api


def _open_store(settings: CloudSettings) -> TelemetryStore:
    if settings.telemetry.store == "memory":
        return MemoryStore()
    return DuckDBStore(settings.storage.dir / TELEMETRY_FILE)
