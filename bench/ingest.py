"""Shots a second one ingest worker takes: decode, de-duplicate, store, commit (60 features + 2 curves of 1,000).

Budget (DESIGN 9): >= 5,000 shots/s a worker. The messages are as a gateway sends them; the broker is left out. The
ingest, DuckDB and SQLite are the real ones, on disk.
"""

import tempfile
import time
from pathlib import Path

import anyio
import numpy as np

from bench.report import tell, wants_json
from cloud.core.database import Database, sqlite_url
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tables import Base
from cloud.fleet.domain import FleetRules
from cloud.fleet.service import FleetService
from cloud.ingest.digest import digest
from cloud.ingest.gate import Gate
from cloud.ingest.registry import FleetRegistry
from cloud.ingest.service import Ingest
from cloud.telemetry.duckdb_store import DuckDBStore
from contract import commit, shot_wire
from contract.shot import ScoredShot, Scores, Shot
from contract.sparkplug.codec import Metric, encode_metrics
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import EdgeNodeSession
from contract.sparkplug.host import HostSession
from contract.vocabulary import PARAMETERS
from edge_agent.aliases import AliasTable
from kit.clock import SystemClock
from kit.mqtt import Connected, LinkEvent, Received

EPOCH = "00000000-0000-0000-0000-000000000001"
PRESSES, SHOTS, BATCH = 40, 20_000, 500
PLANTS = frozenset({"plant"})
NOW_MS = 1_767_225_600_000


def messages() -> list[tuple[str, bytes]]:
    """Births and SHOTS data messages of one gateway with PRESSES presses."""
    rng = np.random.default_rng(1)
    aliases = AliasTable(())
    bodies = []
    for number in range(PRESSES):
        press = f"press-{number:02}"
        aliases.add_press(press)
        alias_of = aliases.of(press)
        parameters = dict(zip(PARAMETERS, rng.normal(100, 1, len(PARAMETERS)).tolist(), strict=True))
        curves = {
            name: rng.normal(0, 1, 1_000).cumsum().astype(np.float32) for name in ("InjectionPressure", "ScrewPosition")
        }
        shot = Shot(press, NOW_MS, parameters, curves, 0.005, number, "job", "mould")
        scores = Scores("bundle", {"FailureProbability/check_ring_wear": 0.1, "Novelty/T2": 0.5, "Novelty/SPE": 0.4})
        scored = ScoredShot(shot, rng.normal(0, 1, 60).astype(np.float32), "hash", scores)
        metrics = [*shot_wire.body_metrics(scored, alias_of), *shot_wire.curve_metrics(shot, alias_of)]
        bodies.append((press, encode_metrics(metrics)))
    session = EdgeNodeSession("plant", "gw")
    session.connect(0)
    session.connected()
    births = session.birth(
        [Metric(commit.EPOCH, EPOCH, DataType.UUID)],
        {press: aliases.birth_metrics(press, NOW_MS) for press, _ in bodies},
        NOW_MS,
    )
    sent = [(birth.topic, birth.payload) for birth in births]
    for record_id in range(1, SHOTS + 1):
        press, body = bodies[record_id % PRESSES]
        head = encode_metrics(shot_wire.head_metrics(EPOCH, record_id, NOW_MS, aliases.of(press)))
        message = session.device_data(press, head + body, NOW_MS)
        sent.append((message.topic, message.payload))
    return sent


class FeedLink:
    """A link that brings prepared messages in batches as a busy broker does, and counts what is answered."""

    dropped = 0

    def __init__(self, sent: list[tuple[str, bytes]]) -> None:
        self._events: list[LinkEvent] = [Connected(), *(Received(topic, payload) for topic, payload in sent)]
        self.answers = 0

    async def events(self) -> list[LinkEvent]:
        """The next BATCH of what is left; waits for ever at the end."""
        if not self._events:
            await anyio.sleep_forever()
        taken, self._events = self._events[:BATCH], self._events[BATCH:]
        return taken

    def subscribe(self, topics: list[tuple[str, int]]) -> None:
        """Nothing to do: all comes anyway."""

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> bool:
        """Count an answer."""
        del topic, payload, qos, retain
        self.answers += 1
        return True

    async def reconnect(self, *, after_s: float = 0.0) -> None:
        """Nothing to do."""


async def ingest(sent: list[tuple[str, bytes]], store: DuckDBStore, folder: Path) -> int:
    """Run the ingest until all records are stored; how many commits and requests it sent."""
    live, clock, link = Live(), SystemClock(), FeedLink(sent)
    database = Database(sqlite_url(folder / "cloud.sqlite"))
    async with database.schema_change() as connection:
        await connection.run_sync(Base.metadata.create_all)
    fleet = FleetService(EventLog(live), live, FleetRules())
    worker = Ingest(link, HostSession("zhisan"), store, FleetRegistry(database, fleet, live), Gate(), clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        while sum(store.counts(PLANTS).values()) < SHOTS:  # noqa: ASYNC110 - the store tells nobody
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    await database.close()
    return link.answers


def main() -> None:
    """Measure and tell."""
    as_json = wants_json(__doc__ or "")
    sent = messages()
    host, began_s = HostSession("zhisan"), time.perf_counter()
    for start in range(0, len(sent), BATCH):
        digest(host, Gate(), sent[start : start + BATCH], NOW_MS, 0.0)
    decode_s = time.perf_counter() - began_s
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "telemetry.duckdb"
        store = DuckDBStore(path)
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        answers = anyio.run(ingest, sent, store, folder)
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        store.close()
        size = path.stat().st_size
    tell(
        {
            "shots_per_s": SHOTS / wall_s,
            "cpu_us_per_shot": cpu_s / SHOTS * 1e6,
            "decode_us_per_shot": decode_s / SHOTS * 1e6,
            "bytes_per_message": sum(len(payload) for _, payload in sent) / len(sent),
            "bytes_per_shot_stored": size / SHOTS,
            "commits": answers,
            "shots": SHOTS,
        },
        as_json=as_json,
    )


if __name__ == "__main__":
    main()
