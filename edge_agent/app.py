"""The gateway's composition root: settings in, running tasks out."""

import math
import random
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from uuid import UUID

import anyio
import structlog

from contract import shot_wire
from contract.sparkplug.codec import Metric, encode_metrics
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import EdgeNodeSession
from edge_agent.alarms.watch import LocalAlarmWatch
from edge_agent.aliases import AliasTable
from edge_agent.health import Health
from edge_agent.identity.files import IdentityFiles
from edge_agent.identity.renewal import Renewal
from edge_agent.journal.journal import Record
from edge_agent.journal.segment_journal import SegmentJournal
from edge_agent.journal.thread import JournalThread
from edge_agent.models import parts as model_parts
from edge_agent.models.baselines import BaselineStore
from edge_agent.models.lineup import Lineup
from edge_agent.models.roster import Roster
from edge_agent.pipeline import Pipeline, gap_body
from edge_agent.settings import EdgeSettings
from edge_agent.sources.opcua.press import OpcUaPress
from edge_agent.sources.replay import ReplayInbox, inbox_of
from edge_agent.uplink.uplink import Uplink
from edge_agent.uplink.window import Window
from kit.clock import Clock, SystemClock
from kit.ids import uuid7
from kit.mqtt import PahoLink, Will, client_id

JOURNAL_FOLDER, BASELINES_FOLDER = "journal", "baselines"
RESTART_S_MIN, RESTART_S_MAX = 1.0, 60.0
STEADY_S = 60.0
"""A source that ran this long before it crashed is restarted without the pause of its earlier crashes."""
log = structlog.get_logger()


async def run(settings: EdgeSettings, clock: Clock | None = None) -> None:
    """Run the gateway until cancelled.

    Raises:
        JournalError: the journal cannot be opened.
        BundleError: the model bundle of the settings is refused.
        KeyFileError: the trusted keys cannot be read.
    """
    clock = clock or SystemClock()
    health = Health(presses={source.press: False for source in settings.sources.opcua})
    baselines = BaselineStore(settings.gateway.state_dir / BASELINES_FOLDER, health=health)
    baselines.restore()
    roster = Roster(Lineup(own=model_parts.own_bundle(settings)), baselines)
    journal, aliases = _open_journal(settings, uuid7(clock.utc_ms()))
    thread = JournalThread(journal)
    for source in settings.sources.opcua:
        aliases.add_press(source.press)
    session = EdgeNodeSession(
        settings.gateway.plant, settings.gateway.id, primary_host_id=settings.uplink.primary_host_id or None
    )

    def make_will() -> Will:
        will = session.connect(thread.next_bd_seq())
        return Will(will.topic, will.payload, will.qos, will.retain)

    window = Window(
        thread.epoch,
        journal.bounds()[1],
        records_max=settings.uplink.records_max,
        bytes_max=settings.uplink.bytes_max,
        resend_after_s=settings.uplink.resend_after_s if settings.uplink.confirmation == "commit" else math.inf,
    )

    link = PahoLink(settings.broker, client_id(settings.gateway.plant, settings.gateway.id), make_will)
    desk = model_parts.desk(settings, roster, lambda: uplink.report_soon())
    desk.restore()
    watch = LocalAlarmWatch(settings, clock)
    uplink = Uplink(
        link,
        session,
        thread,
        aliases,
        window,
        health,
        clock,
        instance=str(uuid7(clock.utc_ms())),
        new_epoch=lambda: uuid7(clock.utc_ms()),
        health_every_s=settings.uplink.health_every_s,
        node_properties=[Metric("Gateway/Version", version("zhisan"), DataType.String)],
        confirmation=settings.uplink.confirmation,
        reports=desk.metrics,
        on_command=desk.ordered,
        on_word=watch.heard,
        on_health=watch.health,
    )
    pipeline = Pipeline(
        thread,
        aliases,
        roster,
        health,
        uplink.appended,
        curve_interval_s=settings.curves.interval_s,
        curve_samples_max=settings.curves.samples_max,
        on_scored=watch.scored,
    )
    positions = journal.positions()
    sources = [
        OpcUaPress(
            source,
            pipeline.deliver,
            health,
            clock,
            position=positions.get(f"opcua:{source.press}"),
            randomness=random.Random(),  # noqa: S311 - spreads reconnections, guards nothing
        )
        for source in settings.sources.opcua
    ]
    identity = IdentityFiles(settings.gateway.state_dir)
    renewal = Renewal(identity, clock, random.Random(), link.reconnect)  # noqa: S311 - spreads tries, guards nothing
    replay = ReplayInbox(inbox_of(settings.gateway.state_dir), pipeline.deliver, thread.positions)
    log.info("gateway_started", plant=settings.gateway.plant, gateway=settings.gateway.id, presses=len(sources))
    try:
        async with link, anyio.create_task_group() as tasks:
            tasks.start_soon(uplink.run, name="uplink")
            tasks.start_soon(pipeline.run, name="pipeline")
            tasks.start_soon(desk.run, name="models")
            tasks.start_soon(baselines.run, name="baselines")
            tasks.start_soon(watch.run, name="alarms")
            for press in sources:
                tasks.start_soon(_supervise, clock, press.source_id, press.run, name=press.source_id)
            tasks.start_soon(_supervise, clock, "replay", replay.run, name="replay")
            tasks.start_soon(_supervise, clock, "identity", renewal.run, name="identity")
            for name, output in watch.outputs.items():
                tasks.start_soon(_supervise, clock, name, output, name=name)
    finally:
        journal.close()
        log.info("gateway_stopped")


def _open_journal(settings: EdgeSettings, new_epoch: UUID) -> tuple[SegmentJournal, AliasTable]:
    """The journal and its aliases; what it writes in place of content that it gave up is written with them."""
    tables: list[AliasTable] = []

    def make_gap(record: Record, reason: str) -> bytes:
        return gap_body(record, reason, tables[0].of(record.press_id))

    def mark_curves(record: Record, reason: str) -> bytes:
        return encode_metrics(shot_wire.curves_dropped_metrics(record.ended_ms, reason, tables[0].of(record.press_id)))

    journal = SegmentJournal(
        settings.gateway.state_dir / JOURNAL_FOLDER,
        size_bytes_max=settings.journal.size_mb_max * 2**20,
        grace_bytes=settings.journal.grace_mb_max * 2**20,
        new_epoch=new_epoch,
        make_gap=make_gap,
        mark_curves=mark_curves,
    )
    tables.append(AliasTable(journal.aliases()))
    for press_id in tables[0].presses():
        tables[0].add_press(press_id)
    return journal, tables[0]


async def _supervise(clock: Clock, name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Keep one task running: a bug in it is reported and does not stop the presses."""
    pause_s = RESTART_S_MIN
    while True:
        started_s = clock.monotonic_s()
        try:
            await work()
        except Exception:  # supervision: the one place that catches all
            if clock.monotonic_s() - started_s >= STEADY_S:
                pause_s = RESTART_S_MIN
            log.exception("source_crashed", source=name, restart_in_s=pause_s)
        await anyio.sleep(pause_s)
        pause_s = min(2 * pause_s, RESTART_S_MAX)
