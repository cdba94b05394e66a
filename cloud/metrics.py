"""The program's figures for Prometheus, at `/metrics`: only for who has the right, since they are of all companies."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import anyio
import anyio.to_thread
from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from prometheus_client.registry import Collector

from cloud import metrics_repository
from cloud.core.access import Principal, Right, requires
from cloud.core.database import Database
from cloud.core.events import CURSOR_PREFIX
from cloud.core.request_metrics import LoopLag, RequestWaits
from cloud.ingest.service import IngestCounts
from cloud.metrics_repository import Counts
from cloud.telemetry.store import TelemetryStore
from kit.clock import Clock

GATEWAYS_MAX: Final = 500
"""Gateways whose own figures are told; how many are not is told as well."""
FIGURES: Final[Mapping[str, str]] = {
    "JournalRecords": "journal_records",
    "JournalBytes": "journal_bytes",
    "LagSeconds": "lag_seconds",
    "RssMiB": "rss_mib",
    "ScoresPerSecond": "scores_per_second",
    "CommitsPerSecond": "commits_per_second",
    "ShotsRefused": "shots_refused",
    "CurvesDropped": "curves_dropped",
    "RecordsThinned": "records_thinned",
    "RecordsDamaged": "records_damaged",
    "RecordsSentAgain": "records_sent_again",
    "PressesConnected": "presses_connected",
}
"""Of a gateway's `Health/` metrics those that are told, by the name of their series."""
SHOT_READERS: Final = {"shots:alarms": "alarms", "shots:production": "production"}

Scraper = Annotated[Principal, requires(Right.READ_METRICS)]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the figures are read from at the moment they are asked for."""

    database: Database
    store: TelemetryStore
    clock: Clock
    files: Mapping[str, Path]
    ingest_counts: Callable[[], IngestCounts]
    is_listening: Callable[[], bool]
    messages_dropped: Callable[[], int]
    faults: Callable[[], Mapping[str, str | None]]
    rules_unreadable: Callable[[], int]
    live_readers: Callable[[], Mapping[str, int]]


class Metrics:
    """All series; those that are counted as things happen, and those that are read when asked."""

    def __init__(self, parts: Parts) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library gives it no type
        self._parts = parts
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self.waits = RequestWaits(self._registry)
        self.lag = LoopLag(self._registry, parts.clock)
        self._read = _Read()
        self._registry.register(self._read)
        self._lock = anyio.Lock()

    async def text(self) -> bytes:
        """The exposition; one is made at a time."""
        async with self._lock:
            async with self._parts.database.reading() as session:
                counts = await metrics_repository.counts(session, gateways_max=GATEWAYS_MAX)
            self._read.families = list(families(self._parts, counts))
            return await anyio.to_thread.run_sync(generate_latest, self._registry)


class _Read(Collector):
    def __init__(self) -> None:
        self.families: list[Metric] = []

    def collect(self) -> Iterable[Metric]:
        """What was read last."""
        return self.families


def router(metrics: Metrics) -> APIRouter:
    """The one route."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/metrics")
    async def exposition(_scraper: Scraper) -> Response:
        return Response(await metrics.text(), media_type=CONTENT_TYPE_PLAIN_1_0_0)

    return routes


def families(parts: Parts, counts: Counts) -> Iterator[Metric]:
    """The series that are read when they are asked for."""
    yield from _program(parts)
    yield from _ingest(parts)
    yield from _stores(parts, counts)
    yield _gauge("zhisan_presses", "Presses by state.", counts.presses, "state")
    yield _gauge("zhisan_gateways", "Gateways by state.", counts.gateways, "state")
    yield _gauge(
        "zhisan_alarms_open", "Alarms that are active or not acknowledged, by state.", counts.open_alarms, "state"
    )
    yield _gauge(
        "zhisan_alarm_rules_unreadable", "Stored rules of alarms that cannot be read.", parts.rules_unreadable()
    )
    yield from _outbox(parts, counts)
    yield from _gateways(counts)


def _program(parts: Parts) -> Iterator[Metric]:
    yield _gauge("zhisan_build", "1, with the version.", {version("zhisan"): 1}, "version")
    faults = {job: int(fault is not None) for job, fault in parts.faults().items()}
    yield _gauge("zhisan_job_crashed", "1 while a job of the program waits to be started again.", faults, "job")
    yield _gauge("zhisan_live_readers", "Open live pages by kind.", parts.live_readers(), "page")


def _ingest(parts: Parts) -> Iterator[Metric]:
    counts = parts.ingest_counts()
    yield _gauge(
        "zhisan_ingest_listening", "1 while the broker has granted the subscriptions.", int(parts.is_listening())
    )
    records = {"shot": counts.shots, "gap": counts.gaps}
    yield _counter("zhisan_ingest_records", "Records that came, those that came again too, by kind.", records, "kind")
    yield _counter("zhisan_ingest_batches", "Batches of messages.", counts.batches)
    yield _counter(
        "zhisan_ingest_batches_not_stored", "Batches that the store refused; they come again.", counts.not_stored
    )
    yield _counter("zhisan_ingest_store_seconds", "Time spent in writing records to the store.", counts.store_s)
    yield _counter("zhisan_ingest_letters", "Messages of which nothing could be made.", counts.letters)
    yield _counter("zhisan_ingest_seq_gaps", "Gaps in Sparkplug sequence numbers.", counts.seq_gaps)
    yield _counter(
        "zhisan_ingest_messages_dropped",
        "Messages that a full inbox let go; they come again.",
        parts.messages_dropped(),
    )


def _stores(parts: Parts, counts: Counts) -> Iterator[Metric]:
    stored = parts.store.total()
    yield _gauge("zhisan_store_shots", "Shots in the telemetry store.", stored)
    sizes = {name: path.stat().st_size for name, path in parts.files.items() if path.exists()}
    yield _gauge("zhisan_store_bytes", "Size of the embedded stores' files.", sizes, "store")
    behind = {told: max(0, stored - counts.cursors.get(name, 0)) for name, told in SHOT_READERS.items()}
    yield _gauge("zhisan_shots_behind", "Stored shots that a reader has not had yet.", behind, "reader")
    readers = {n.removeprefix(CURSOR_PREFIX): at for n, at in counts.cursors.items() if n.startswith(CURSOR_PREFIX)}
    events = {reader: max(0, counts.newest_event - position) for reader, position in readers.items()}
    yield _gauge("zhisan_events_behind", "Events that a reader has not had yet.", events, "reader")


def _outbox(parts: Parts, counts: Counts) -> Iterator[Metric]:
    oldest_ms, now_ms = counts.oldest_pending_ms, parts.clock.utc_ms()
    age_s = 0.0 if oldest_ms is None else max(0, now_ms - oldest_ms) / 1000
    yield _gauge("zhisan_deliveries_pending", "Webhook calls that are owed.", counts.pending)
    yield _gauge("zhisan_delivery_oldest_pending_seconds", "Age of the oldest call that is owed.", age_s)


def _gateways(counts: Counts) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "zhisan_gateway_figure", "A gateway's own last figures.", labels=("plant", "gateway", "figure")
    )
    for plant_id, gateway_id, health in counts.figures:
        for name, figure in FIGURES.items():
            if name in health:
                family.add_metric((plant_id, gateway_id, figure), health[name])
    yield family
    untold = max(0, sum(counts.gateways.values()) - GATEWAYS_MAX)
    yield _gauge("zhisan_gateways_untold", "Gateways whose own figures are left out, being too many.", untold)


def _gauge(name: str, what: str, values: Mapping[str, float] | float, label: str = "") -> Metric:
    return _filled(GaugeMetricFamily(name, what, labels=(label,) if label else None), values)


def _counter(name: str, what: str, values: Mapping[str, float] | float, label: str = "") -> Metric:
    return _filled(CounterMetricFamily(name, what, labels=(label,) if label else None), values)


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, float] | float
) -> GaugeMetricFamily | CounterMetricFamily:
    for label, value in values.items() if isinstance(values, Mapping) else [("", values)]:
        family.add_metric((label,) if isinstance(values, Mapping) else (), value)
    return family
