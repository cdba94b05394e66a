"""A small plant behind the real pages: the real database, services and alarm consumer, shots made by a formula."""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import anyio.lowlevel
import numpy as np
from fastapi import FastAPI
from sqlalchemy import select
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.alarms.domain import AlarmDefaults
from cloud.alarms.jobs import AlarmConsumer
from cloud.alarms.points import Point, Raising
from cloud.alarms.rules.desk import RuleDesk
from cloud.alarms.rules.tables import RuleRow
from cloud.alarms.rules.unreadable_watch import UnreadableWatch
from cloud.alarms.service import AlarmService
from cloud.core import problems
from cloud.core.access import RIGHTS, SCOPE_KEY, Principal, Role
from cloud.core.database import Database, sqlite_url
from cloud.core.events import Dispatcher, EventLog
from cloud.core.headers import SecurityHeaders
from cloud.core.live import Live
from cloud.core.tenants import DEFAULT_TENANT
from cloud.fleet.domain import FleetRules, SeenShot
from cloud.fleet.service import FleetService
from cloud.gateways.domain import GatewayRules
from cloud.gateways.parts import GatewayParts
from cloud.maintenance.desk import MaintenanceDesk
from cloud.migrations.upgrade import upgrade
from cloud.production.board import ProductionBoard
from cloud.production.jobs import ProductionConsumer
from cloud.production.windows import Schedule
from cloud.rollouts.parts import RolloutParts
from cloud.rollouts.tables import OrderRow
from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import GatewayKey, IncomingShot
from cloud.web import claim_page, gateways_page, maintenance_page, models_page, routes, rules_page
from cloud.web.facts import PageFacts
from cloud.web.translation import load_catalogues
from cloud.web.webhooks_page import include as include_webhooks
from cloud.webhooks.domain import ConfiguredEndpoint
from cloud.webhooks.parts import WebhookParts
from contract.alarming import AlarmRules
from contract.shot import NOT_TOLD, FloatArray, ProductionDataset, ScoredShot, Scores, Shot
from kit.clock import SystemClock
from tests.e2e import web_models

PLANT = "suzhou"
GATEWAY = "gateway-1"
PRESSES = ("IMM-01", "IMM-02", "IMM-03", "IMM-04")
UNSETTLED_PRESS = "IMM-01"
WORN_PRESS = "IMM-02"
FORESEEN_PRESS = "IMM-03"
REPLAYED_PRESS = "IMM-04"
SAMPLE_INTERVAL_S = 0.004
CYCLE_S = 18.0
QUALITIES = {"Target": 0.6, "Acceptable": 0.2, "Waste": 0.1}


READER = Principal("user", "u-1", "Li Na", DEFAULT_TENANT, RIGHTS[Role.OPERATOR], "token-of-the-session")


class SignedIn:
    """In place of identity: everybody is the same reader; signing in has tests of its own."""

    def __init__(self, app: ASGIApp, reader: Principal) -> None:
        self._app = app
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, SCOPE_KEY: self._reader} if scope["type"] == "http" else scope, receive, send)


class Plant:
    """Four presses at one gateway; the second wears, the fourth sends parameters and quality classes only.

    The third is scored by a bundle that looks ahead; of the last shot of the first the failure head says nothing.
    """

    def __init__(self, folder: Path, reader: Principal = READER) -> None:
        self._folder = folder
        self._reader = reader
        self._store = MemoryStore()
        self._clock = SystemClock()
        self._record_id = 0
        self._live: Live
        self._loop: asyncio.AbstractEventLoop

    def app(self) -> FastAPI:
        """The pages over this plant; a second app goes on with the same data."""
        self._live = Live()
        database = Database(sqlite_url(self._folder / "cloud.sqlite"))
        events = EventLog(self._live)
        self.database = database
        self._fleet = FleetService(events, self._live, FleetRules())
        alarms = self._alarms = AlarmService(events, self._live, AlarmDefaults(AlarmRules(on_delay_shots=3)))
        webhooks = WebhookParts(
            database,
            self._live,
            self._clock,
            random.Random(0),
            load_catalogues(),
            folder=self._folder,
            may_call_private=True,
        )
        self._dispatcher = Dispatcher(database, self._live, webhooks.service.subscriber())
        self._consumer = AlarmConsumer(database, self._store, alarms, self._live, self._clock)

        @asynccontextmanager
        async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
            self._loop = asyncio.get_running_loop()
            await upgrade(database)
            async with database.transaction() as session:
                endpoint = ConfiguredEndpoint("operations", "https://example.invalid/", "secret")
                await webhooks.endpoints.sync_settings(session, [endpoint])
            yield
            await database.close()

        app = FastAPI(lifespan=lifespan)
        problems.install(app)
        app.add_middleware(SignedIn, reader=self._reader)
        app.add_middleware(SecurityHeaders)
        schedule = Schedule(ZoneInfo("Asia/Shanghai"), (6, 14, 22))
        self._production = ProductionConsumer(database, self._store, self._live, self._clock, schedule)
        self._board = ProductionBoard(database, self._live, self._clock, schedule)
        facts = PageFacts(database, self._store, alarms, self._live, self._clock, self._board)
        self._pages = routes.include(app, facts, live=self._live, clock=self._clock)
        parts = RolloutParts(
            database,
            events,
            self._live,
            self._clock,
            lambda *_: False,
            lambda *_: False,
            folder=self._folder / "bundles",
            require_signature=False,
            trusted_keys=None,
        )
        desk = RuleDesk(database, self._store, alarms, self._clock, seconds=self._clock.monotonic_s)
        rules_page.include(app, self._pages.shell, desk)
        work = MaintenanceDesk(database, self._store, events, self._board, self._clock, 0.8)
        maintenance_page.include(app, self._pages.shell, work, ZoneInfo("Asia/Shanghai"))
        models_page.include(app, self._pages.shell, parts, self._store)
        gateways = GatewayParts(
            database,
            lambda *_: anyio.lowlevel.checkpoint(),
            self._live,
            self._clock,
            folder=self._folder / "gateways",
            host_id="host",
            rules=GatewayRules(),
        )
        parts_of_claims = (self._pages.shell, database, gateways.identities)
        gateways_view = gateways_page.include(app, *parts_of_claims, self._clock)
        self._pages.count(
            "claims", claim_page.include(app, gateways_view, *parts_of_claims, self._clock, self._live.pages)
        )
        include_webhooks(app, self._pages.shell, webhooks)
        return app

    def run(self, *, shots: int, wear: float) -> None:
        """Bring the plant up and let every press make `shots` shots, the last ending now; `wear` is 0..1."""
        self._call(self._be_born())
        now_ms = self._clock.utc_ms()
        for at in range(shots):
            ended_ms = now_ms - round((shots - 1 - at) * CYCLE_S * 1000)
            for press_id in PRESSES:
                shot = self._shot(press_id, ended_ms, wear if press_id == WORN_PRESS else 0.0, CYCLE_S + at % 5 * 0.02)
                shot = _of_job(shot, "JOB-7730") if at < shots // 4 else shot
                shot = _made_of(shot, "PP MFR 30") if at < shots // 2 else shot
                shot = _before_the_move(shot) if at < 2 * shots // 3 else shot
                is_silent = press_id == UNSETTLED_PRESS and at == shots - 1
                self._write(web_models.without_failures(shot) if is_silent else shot)
        self._call(self._tell(PRESSES, now_ms))

    def crowd(self, presses: int, *, shots: int = 25) -> None:
        """A hall full of presses: most run, some slowly, some stand still, one gateway is gone, the first two wear."""
        self._call(self._fill_hall([f"IMM-{number:03}" for number in range(1, presses + 1)], shots))

    async def _fill_hall(self, press_ids: list[str], shots: int) -> None:
        now_ms = self._clock.utc_ms()
        born_ms = now_ms - round(shots * CYCLE_S * 1000)
        gateways = {press_id: f"gw-{at // 40 + 1}" for at, press_id in enumerate(press_ids)}
        still = {press_id for at, press_id in enumerate(press_ids) if at % 23 == 7}
        slow = {press_id for at, press_id in enumerate(press_ids) if at % 31 == 11}
        async with self.database.transaction() as session:
            for gateway_id in dict.fromkeys(gateways.values()):
                await self._fleet.node_born(session, PLANT, gateway_id, epoch="e", metrics={}, now_ms=born_ms)
            for press_id, gateway_id in gateways.items():
                await self._fleet.device_born(session, PLANT, gateway_id, press_id, now_ms=born_ms)
        for at, press_id in enumerate(press_ids):
            last_ms = now_ms - (600_000 if press_id in still else at * 977 % round(CYCLE_S * 1000))
            for shot in range(shots):
                is_last = shot == shots - 1
                cycle_s = CYCLE_S * (1.24 if press_id in slow and is_last else 1 + shot % 5 * 0.002)
                ended_ms = last_ms - round((shots - 1 - shot) * CYCLE_S * 1000)
                self._write(self._shot(press_id, ended_ms, 0.95 if at < 2 else 0.45 if at % 41 == 5 else 0.0, cycle_s))
        seen = [
            SeenShot(PLANT, gateways[press_id], press_id, now_ms, now_ms - (600_000 if press_id in still else 0))
            for press_id in press_ids
        ]
        async with self.database.transaction() as session:
            await self._fleet.shots_seen(session, seen)
            await self._fleet.mark_silent(session, now_ms)
            if len(press_ids) > 160:
                await self._fleet.node_died(session, PLANT, gateways[press_ids[-1]], now_ms=now_ms)
        await self._digest()

    def shoot(self, press_id: str, *, cycle_time_s: float = CYCLE_S) -> None:
        """One more shot of a press, ending now."""
        now_ms = self._clock.utc_ms()
        self._write(self._shot(press_id, now_ms, 0.0, cycle_time_s))
        self._call(self._tell([press_id], now_ms))

    def raise_at(self, press_id: str, mode: str, *, priority: str = "medium") -> None:
        """An alarm of a rule, now."""
        self._call(self._raise(Raising(DEFAULT_TENANT, Point(PLANT, press_id, "", "rule", mode), priority)))

    def spoil_rules(self) -> None:
        """Let every saved rule say what this version does not know, and be told of."""
        self._call(self._spoil_rules())

    def go_dark(self) -> None:
        """The gateway's connection ends."""
        self._call(self._die())

    def close_streams(self) -> None:
        """What the program does before its server stops."""
        self._loop.call_soon_threadsafe(self._pages.close)

    async def _be_born(self) -> None:
        now_ms = self._clock.utc_ms()
        health = {
            "Health/JournalRecords": 12,
            "Health/LagSeconds": 0.4,
            "Health/CommitsPerSecond": 0.8,
            "Health/BaselineFailures": 3,
            "Health/PressesConnected": 4,
        }
        async with self.database.transaction() as session:
            await self._fleet.node_born(session, PLANT, GATEWAY, epoch="e", metrics=health, now_ms=now_ms)
            for press_id in PRESSES:
                await self._fleet.device_born(session, PLANT, GATEWAY, press_id, now_ms=now_ms)
            if await session.get(OrderRow, (PLANT, GATEWAY)) is None:
                session.add(web_models.order_of(PLANT, GATEWAY, PRESSES, now_ms))

    async def _tell(self, press_ids: tuple[str, ...] | list[str], now_ms: int) -> None:
        seen = [SeenShot(PLANT, GATEWAY, press_id, now_ms, now_ms) for press_id in press_ids]
        async with self.database.transaction() as session:
            await self._fleet.shots_seen(session, seen)
        await self._digest()

    async def _digest(self) -> None:
        """Let who follows the shots take all of them in."""
        self._live.shots.publish()
        while await self._consumer.consume_batch():
            pass
        while await self._production.consume_batch():
            pass
        self._board.forget(DEFAULT_TENANT)
        await self._dispatcher.deliver_batch()

    async def _raise(self, raising: Raising) -> None:
        async with self.database.transaction() as session:
            await self._alarms.raise_at(session, raising, self._clock.utc_ms())

    async def _spoil_rules(self) -> None:
        async with self.database.transaction() as session:
            for row in await session.scalars(select(RuleRow)):
                row.definition, row.version = {**row.definition, "colour": "red"}, row.version + 1
        await UnreadableWatch(self.database, self._alarms, self._clock).look()

    async def _die(self) -> None:
        async with self.database.transaction() as session:
            await self._fleet.node_died(session, PLANT, GATEWAY, now_ms=self._clock.utc_ms())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def _write(self, scored: ScoredShot) -> None:
        self._record_id += 1
        received_ms = self._clock.utc_ms()
        self._store.write(
            [IncomingShot(GatewayKey(PLANT, GATEWAY), "epoch", self._record_id, received_ms, False, scored)]
        )

    def _shot(self, press_id: str, ended_ms: int, wear: float, cycle_time_s: float) -> ScoredShot:
        ripple = np.sin(self._record_id * 1.7)
        parameters = {
            "CycleTime": cycle_time_s,
            "InjectionTime": 1.2 + 0.004 * ripple,
            "DosingTime": 4.1 - 0.03 * ripple,
            "CushionStroke": 6.0 - 3.0 * wear + 0.1 * ripple,
            "SpecificPressureMaximum": 700.0 + 5.0 * ripple,
            "MeltTemperature": 230.4,
            "HoldTime": 4.01,
            "CoolingTime": 8.0,
            "BackPressure": 60.3 + 0.2 * ripple,
            "HoldSpecificPressureAverage": 379.1 + 0.6 * ripple,
            "BarrelTemperature1": 195.2,
            "NozzleTemperature": 233.8 + 0.2 * ripple,
            "MouldTemperature": 60.2 + 0.2 * ripple,
        }
        is_replayed = press_id == REPLAYED_PRESS
        if not is_replayed:
            parameters["EnergyPerCycle"] = 0.118 + 0.001 * ripple
        values = {"Novelty/T2": 0.5 + wear, "Novelty/SPE": 0.4 + 0.1 * abs(ripple)}
        if not is_replayed:
            values["FailureProbability/check_ring_wear"] = min(0.99, 0.02 + wear + 0.01 * abs(ripple))
        else:
            values |= {f"QualityProbability/{name}": share + 0.05 * abs(ripple) for name, share in QUALITIES.items()}
        if press_id == FORESEEN_PRESS:
            values = web_models.foreseen(abs(ripple))
        scores = Scores(
            "bundle",
            values,
            ("Target", "Acceptable", "Target", "Waste")[self._record_id // len(PRESSES) % 4] if is_replayed else None,
            web_models.reasons(parameters) if wear or press_id == FORESEEN_PRESS else (),
        )
        shot = Shot(
            press_id,
            ended_ms,
            parameters,
            {} if is_replayed else _curves(cycle_time_s, 1 + 0.02 * ripple),
            0.0 if is_replayed else SAMPLE_INTERVAL_S,
            cycle_counter=self._record_id,
            job_name="JOB-7731",
            mould_id="M-208",
            material="PP MFR 12",
            product_name="Cap 28 mm",
            cavities=None if is_replayed else 4,
            dataset=NOT_TOLD if is_replayed else _set_to(cycle_time_s),
        )
        return ScoredShot(shot, np.zeros(4, np.float32), "features", scores)


def _of_job(scored: ScoredShot, job_name: str) -> ScoredShot:
    return replace(scored, shot=replace(scored.shot, job_name=job_name))


def _made_of(scored: ScoredShot, material: str) -> ScoredShot:
    return replace(scored, shot=replace(scored.shot, material=material))


def _set_to(cycle_time_s: float) -> ProductionDataset:
    """What the press's own settings are, a little off what it does."""
    set_points = {
        "CycleTime": round(cycle_time_s),
        "HoldTime": 4.0,
        "CoolingTime": 8.0,
        "BackPressure": 60.0,
        "HoldSpecificPressureAverage": 380.0,
        "MouldTemperature": 60.0,
        "BarrelTemperature1": 195.0,
        "NozzleTemperature": 235.0,
    }
    told = tuple(sorted((name, float(value)) for name, value in set_points.items()))
    return ProductionDataset("CAP28-4K-03", "PP, long runner", "4 cavities, hot runner", told)


def _before_the_move(scored: ScoredShot) -> ScoredShot:
    """As it was set before an operator moved two set points."""
    was = {"NozzleTemperature": 230.0, "HoldSpecificPressureAverage": 358.5}
    dataset = scored.shot.dataset
    told = tuple((name, was.get(name, value)) for name, value in dataset.set_points)
    return replace(scored, shot=replace(scored.shot, dataset=replace(dataset, set_points=told)))


def _curves(cycle_time_s: float, scale: float) -> dict[str, FloatArray]:
    """Fill, hold, dosing and rest by straight lines: enough to see each panel."""
    time_s = np.arange(round(cycle_time_s / SAMPLE_INTERVAL_S)) * SAMPLE_INTERVAL_S
    corners_s = [0.0, 1.2, 1.3, 4.0, 4.1, 8.0, cycle_time_s]
    corners = {
        "InjectionPressure": [90, 700, 450, 440, 40, 60, 30],
        "CavityPressure": [0, 310, 300, 180, 120, 20, 0],
        "ScrewPosition": [80, 24, 23, 20, 20, 80, 80],
        "ScrewVelocity": [45, 50, 2, 1, 0, 0, 0],
        "MeltTemperature": [230, 233, 233, 232, 231, 230, 230],
        "ClampForce": [800, 805, 805, 803, 801, 800, 20],
    }
    return {name: (scale * np.interp(time_s, corners_s, values)).astype(np.float32) for name, values in corners.items()}
