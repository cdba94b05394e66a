"""A gateway that starts with a large journal: how soon it is up, live and drained, and what it takes.

The journal is filled offline through its own class with records as the pipeline encodes them (20 parameters and a
curve, about 2 kB); then the real gateway drains it over a real broker to a host in this process that commits every
200 ms. The same is measured with an empty journal. `--records 1000000` is 2 GB. `--outage` drains what 40 presses make
in 24 h (115,200 records) into the real cloud, while 40 simulated presses go on.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import psutil
from anyio import to_thread

from bench.fault_feed import given_up, live_amid
from bench.fault_line import LOOPBACK, Broker, Line, logged_at_s, running
from bench.report import tell
from contract import commit, shot_wire
from contract.ranges import RangeSet
from contract.shot import ScoredShot, Shot
from contract.sparkplug.codec import encode_metrics
from contract.sparkplug.host import DeviceData, HostSession, NodeBorn, RebirthNeeded, StateContested
from contract.sparkplug.message import Message
from contract.sparkplug.topics import NodeKey
from contract.vocabulary import PARAMETERS
from deploy.local.processes import Child, ProcessError
from edge_agent.aliases import AliasTable
from edge_agent.app import JOURNAL_FOLDER
from edge_agent.journal.journal import NewRecord
from edge_agent.journal.segment_journal import SegmentJournal
from edge_agent.pipeline import BATCH_SHOTS_MAX, score
from kit.clock import SystemClock
from kit.ids import uuid7
from kit.mqtt import BrokerSettings, Connected, PahoLink, Received, Will

RECORDS = 100_000
PRESSES, CYCLE_S, OUTAGE_H = 40, 30, 24
OUTAGE_RECORDS = PRESSES * OUTAGE_H * 3600 // CYCLE_S
LIVE_S_MIN, PRESS_SPEED = 60.0, 10.0
LIVE_LAG_MS_MAX = 1_000.0
PARAMETERS_A_SHOT, CURVE_SAMPLES = 20, 275
RECORD_BYTES_MAX = 4_096
"""Of the journal's bound, for each record."""
BOUND_MIB_MIN = 256
FILL_BATCH = 1_000
ROUNDS = 3
TIMED = ROUNDS * 1_280
"""The last records of a backlog, whose appending is timed; at most what one append may bring."""
COMMIT_EVERY_S, SAMPLE_EVERY_S = 0.2, 0.05
SLOWEST_PER_S, PATIENCE_S_MIN = 200, 120.0
EMPTY_S = 5.0
"""How long a gateway with nothing to send is watched, for its memory."""
HOST_ID = "zhisan"
LOSSES = ("lost", "duplicated", "given_up", "live_lost", "live_duplicated")
LIVE_FIGURES = (
    "live_lag_p50_ms",
    "live_lag_p99_ms",
    "live_lag_max_ms",
    "live_overtaken_by_p50",
    "live_overtaken_by_max",
)
Figures = dict[str, float | int | str]


def bound_mib(records: int) -> int:
    """The journal's bound: nothing may be given up."""
    return BOUND_MIB_MIN + records * RECORD_BYTES_MAX // 2**20


def opened(folder: Path, records: int) -> SegmentJournal:
    """The gateway's journal, as the gateway opens it."""
    return SegmentJournal(
        folder / "gateway" / JOURNAL_FOLDER,
        size_bytes_max=bound_mib(records) * 2**20,
        new_epoch=uuid7(SystemClock().utc_ms()),
        make_gap=lambda _record, _reason: b"",
        mark_curves=lambda _record, _reason: b"",
    )


class Encoder:
    """Records as the pipeline encodes them; the features are those of a press's first shot, time and count its own."""

    def __init__(self, journal: SegmentJournal) -> None:
        rng = np.random.default_rng(1)
        self._aliases = AliasTable(journal.aliases())
        self._scored: list[ScoredShot] = []
        for number in range(PRESSES):
            names = list(PARAMETERS)[:PARAMETERS_A_SHOT]
            parameters = dict(zip(names, rng.normal(100, 1, PARAMETERS_A_SHOT).tolist(), strict=True))
            curves = {"InjectionPressure": rng.normal(0, 1, CURVE_SAMPLES).cumsum().astype(np.float32)}
            shot = Shot(f"backlog-{number:02}", 0, parameters, curves, 0.005, 1, "job", "mould")
            self._aliases.add_press(shot.press_id)
            self._scored += score([shot], None)
        self.records(0, PRESSES, 0)  # gives every metric its alias
        journal.save_aliases(self._aliases.take_unsaved())

    def records(self, first: int, count: int, first_ms: int) -> list[NewRecord]:
        """The shots number `first` and on: the presses take turns, and all make one in CYCLE_S."""
        return [self._record(number, first_ms) for number in range(first, first + count)]

    def _record(self, number: int, first_ms: int) -> NewRecord:
        cycle, press = divmod(number, PRESSES)
        scored = self._scored[press]
        ended_ms = first_ms + (cycle * CYCLE_S + press * CYCLE_S // PRESSES) * 1000
        shot = replace(scored.shot, ended_ms=ended_ms, cycle_counter=cycle + 1)
        alias_of = self._aliases.of(shot.press_id)
        body = encode_metrics(shot_wire.body_metrics(replace(scored, shot=shot), alias_of))
        return NewRecord(shot.press_id, ended_ms, body, encode_metrics(shot_wire.curve_metrics(shot, alias_of)))


def fill(folder: Path, records: int) -> Figures:
    """A journal with so many records, the last of which ended now; how fast one without and this one take them."""
    journal = opened(folder, records)
    try:
        encoder = Encoder(journal)
        sample = encoder.records(0, TIMED, 0)
        figures: Figures = {"record_bytes": sum(len(each.body) + len(each.curves) for each in sample) / TIMED}
        with tempfile.TemporaryDirectory() as other:
            empty = opened(Path(other), TIMED)
            figures["append_per_s_empty"] = append_rate(empty, sample)
            empty.close()
        first_ms = SystemClock().utc_ms() - (records // PRESSES + 1) * CYCLE_S * 1000
        untimed = max(0, records - TIMED)
        for start in range(0, untimed, FILL_BATCH):
            journal.append(encoder.records(start, min(FILL_BATCH, untimed - start), first_ms))
        if untimed:
            figures["append_per_s_backlog"] = append_rate(journal, encoder.records(untimed, TIMED, first_ms))
        elif records:
            journal.append(encoder.records(0, records, first_ms))
    finally:
        journal.close()
    return figures


def append_rate(journal: SegmentJournal, records: Sequence[NewRecord]) -> float:
    """Records a second made durable in the pipeline's largest batches; the best of three parts, the disk is shared."""
    rates, part = [], len(records) // ROUNDS
    for begin in range(0, part * ROUNDS, part):
        began_s = time.perf_counter()
        for start in range(begin, begin + part, BATCH_SHOTS_MAX):
            journal.append(records[start : min(start + BATCH_SHOTS_MAX, begin + part)])
        rates.append(part / (time.perf_counter() - began_s))
    return max(rates)


class StandInHost:
    """The least host that a gateway sends everything to: keeps ids, commits, asks for births; counts what comes."""

    def __init__(self, port: int) -> None:
        self._clock = SystemClock()
        self._session = HostSession(HOST_ID)
        self._link = PahoLink(BrokerSettings(host=LOOPBACK, port=port), "bench-host", self._will)
        self._durable: dict[tuple[NodeKey, str], RangeSet] = {}
        self._is_due: set[tuple[NodeKey, str]] = set()
        self.first_s: dict[str, float] = {}
        """When (time.monotonic) the first record of a press came."""
        self.born_s = 0.0
        self.records = self.again = 0

    def _will(self) -> Will:
        will = self._session.state_will(self._clock.utc_ms())
        return Will(will.topic, will.payload, will.qos, will.retain)

    async def run(self) -> None:
        """Serve until cancelled."""
        async with self._link, anyio.create_task_group() as tasks:
            tasks.start_soon(self._commit, name="host.commit")
            while True:
                for event in await self._link.events():
                    if isinstance(event, Connected):
                        self._link.subscribe(self._session.subscriptions())
                        self._publish(self._session.state_birth())
                    elif isinstance(event, Received):
                        self._take(event)

    def _take(self, received: Received) -> None:
        now_s = self._clock.monotonic_s()
        for event in self._session.on_message(received.topic, received.payload, self._clock.utc_ms()):
            match event:
                case NodeBorn(node, _, metrics):
                    self.born_s = self.born_s or now_s
                    epoch = next(str(metric.value) for metric in metrics if metric.name == commit.EPOCH)
                    self._tell(node, epoch)
                case DeviceData(node, press_id, metrics):
                    record = shot_wire.record_of(press_id, metrics)
                    if record is not None:
                        self._keep(node, press_id, record.epoch, record.record_id, now_s)
                case RebirthNeeded(node):
                    request = self._session.rebirth_request(node, self._clock.utc_ms(), now_s)
                    if request is not None:
                        self._publish(request)
                case StateContested(answer):
                    self._publish(answer)
                case _:
                    pass

    def _keep(self, node: NodeKey, press_id: str, epoch: str, record_id: int, now_s: float) -> None:
        self.first_s.setdefault(press_id, now_s)
        is_new = self._durable.setdefault((node, epoch), RangeSet()).add(record_id)
        self.records += is_new
        self.again += not is_new
        self._is_due.add((node, epoch))

    async def _commit(self) -> None:
        while True:
            await anyio.sleep(COMMIT_EVERY_S)
            for node, epoch in self._is_due:
                self._tell(node, epoch)
            self._is_due.clear()

    def _tell(self, node: NodeKey, epoch: str) -> None:
        word = commit.commit_of(epoch, self._durable.setdefault((node, epoch), RangeSet()))
        self._publish(self._session.command(node, commit.to_metrics(word), self._clock.utc_ms()))

    def _publish(self, message: Message) -> None:
        self._link.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)


async def drain(line: Line, records: int) -> Figures:
    """Start the gateway over what is in its journal, and watch it until nothing is left."""
    host = StandInHost(line.mqtt_port)
    patience_s = PATIENCE_S_MIN + records / SLOWEST_PER_S
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(host.run, name="host")
        began_s = time.monotonic()
        line.start("gateway")
        gateway = psutil.Process(line.children["gateway"].process.pid)
        with anyio.fail_after(patience_s):
            while not host.born_s:  # noqa: ASYNC110 - the host tells nobody
                await anyio.sleep(SAMPLE_EVERY_S)
        submitted_s = time.monotonic()
        await to_thread.run_sync(line.send, 1)
        live, rss_mib, done_s = line.jobs[0][1], 0.0, 0.0
        with anyio.fail_after(patience_s):
            while host.records < records + 1 or time.monotonic() < began_s + EMPTY_S:
                await anyio.sleep(SAMPLE_EVERY_S)
                line.children["gateway"].check()
                rss_mib = max(rss_mib, gateway.memory_info().rss / 2**20)
                if host.records == records + 1 and not done_s:
                    done_s = time.monotonic()
        done_s = done_s or time.monotonic()
        tasks.cancel_scope.cancel()
    figures: Figures = {
        "up_s": host.born_s - began_s,
        "first_live_s": host.first_s[live] - began_s,
        "live_after_submit_s": host.first_s[live] - submitted_s,
        "rss_mib": rss_mib,
    }
    if records:
        history_s = min(at_s for press, at_s in host.first_s.items() if press != live)
        figures |= {"drain_s": done_s - history_s, "drain_per_s": records / (done_s - history_s), "again": host.again}
    return figures


def measured(broker: Broker, records: int) -> Figures:
    """All figures of one journal size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = fill(folder, records)
        more = f"\n[journal]\nsize_mb_max = {bound_mib(records)}\n"
        with running(folder, broker, more_settings=more, parts=("broker",)) as line:
            return figures | anyio.run(drain, line, records)


def outage(broker: Broker) -> Figures:
    """A day's backlog into the real cloud while the presses go on; counted in the cloud's store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, OUTAGE_RECORDS)
        more = f"\n[journal]\nsize_mb_max = {bound_mib(OUTAGE_RECORDS)}\n"
        presses, sources = start_presses(folder)
        try:
            with running(folder, broker, more_settings=more + sources) as line:
                figures = watch(line, presses)
                presses.stop()
                line.wait_until(lambda: reported(line)[-1]["JournalRecords"] == 0, PATIENCE_S_MIN, "an empty journal")
                line.stop_all()
                return figures | counted(line)
        finally:
            presses.stop()


def start_presses(folder: Path) -> tuple[Child, str]:
    """Forty simulated presses at ten times their pace, and the gateway's settings to read them."""
    status = folder / "presses.json"
    command = [sys.executable, "-m", "simulators.plant", "--presses", str(PRESSES), "--base-port", "0", "--seed", "7"]
    command += ["--speed", str(PRESS_SPEED)]
    child = Child.start("presses", [*command, "--status-file", status], folder / "presses.log")
    deadline_s = time.monotonic() + PATIENCE_S_MIN
    while not status.exists():
        if time.monotonic() > deadline_s or not child.is_running:
            child.stop()
            raise ProcessError(f"the simulated presses do not start:\n{child.log_tail()}")
        time.sleep(SAMPLE_EVERY_S)
    listed = json.loads(status.read_text(encoding="utf-8"))
    tables = (
        f"\n[[sources.opcua]]\npress = {json.dumps(p['press_id'])}\nurl = {json.dumps(p['url'])}\n" for p in listed
    )
    return child, "".join(tables)


def watch(line: Line, presses: Child) -> Figures:
    """Until the backlog is through, and LIVE_S_MIN at least."""
    line.wait_until_up()
    born_s, began_s = logged_at_s(line.logged("node_born")[0]), time.monotonic()

    def is_drained() -> bool:
        presses.check()
        last = (reported(line) or [{}])[-1]
        is_through = last.get("RecordsSent", 0) >= OUTAGE_RECORDS and last["JournalRecords"] <= PRESSES
        return is_through and time.monotonic() - began_s >= LIVE_S_MIN

    line.wait_until(is_drained, PATIENCE_S_MIN + OUTAGE_RECORDS / SLOWEST_PER_S, "a drained backlog")
    drained = next(r for r in reported(line) if r["JournalRecords"] <= PRESSES and r["RecordsSent"] >= OUTAGE_RECORDS)
    drain_s = logged_at_s(drained) - born_s
    return {"records": OUTAGE_RECORDS, "drain_s": drain_s, "drain_per_s": OUTAGE_RECORDS / drain_s}


def reported(line: Line) -> list[dict[str, Any]]:
    return line.logged("gateway_health")


def counted(line: Line) -> Figures:
    """What the stopped cloud's store holds; live records are those of the presses that came while history did."""
    backlog = "SELECT count(*), count(DISTINCT (press_id, cycle_counter)) FROM shots WHERE press_id LIKE 'backlog-%'"
    stored, distinct = line.query(backlog)[0]
    live = f"""SELECT count(*), quantile_cont(lag_ms, [0.5, 0.99, 1]), quantile_cont(overtaken_by, [0.5, 1])
               FROM ({live_amid("backlog-%")})"""
    during, lag_ms, overtaken_by = line.query(live)[0]
    presses = """SELECT count(*), sum(stored - distinct_), sum(last - first + 1 - distinct_) FROM
                 (SELECT count(*) AS stored, count(DISTINCT cycle_counter) AS distinct_, min(cycle_counter) AS first,
                         max(cycle_counter) AS last FROM shots WHERE press_id NOT LIKE 'backlog-%' GROUP BY press_id)"""
    heard, live_doubled, live_lost = line.query(presses)[0]
    return {
        "lost": OUTAGE_RECORDS - distinct,
        "duplicated": stored - distinct,
        "given_up": given_up(line.folder),
        "live_presses": heard,
        "live_records_during": during,
        "live_lost": int(live_lost or 0),
        "live_duplicated": int(live_doubled or 0),
    } | dict(zip(LIVE_FIGURES, map(float, [*(lag_ms or []), *(overtaken_by or [])]), strict=False))


def failures(figures: Figures) -> list[str]:
    """What a day without the cloud has cost that it must not; `figures` are those of `outage`."""
    told = [f"{name} is {figures[name]}" for name in LOSSES if figures[name]]
    if figures["live_presses"] != PRESSES or not figures["live_records_during"]:
        told.append("not every press was heard, or none while the backlog came")
    elif float(figures["live_lag_p99_ms"]) >= LIVE_LAG_MS_MAX:
        told.append(f"live shots were {figures['live_lag_p99_ms']} ms behind (p99)")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--records", type=int, default=RECORDS, help="that wait in the journal (1000000 are 2 GB)")
    parser.add_argument("--outage", action="store_true", help="a day of 40 presses into the real cloud instead")
    parser.add_argument("--broker", choices=("nats", "mosquitto"), default="nats")
    arguments = parser.parse_args()
    if arguments.outage:
        survived = outage(arguments.broker)
        told = {f"outage_{key}": value for key, value in survived.items()}
        tell({"broker": arguments.broker} | told, as_json=arguments.json)
        if failed := failures(survived):
            sys.exit("the outage was not survived: " + "; ".join(failed))
        return
    empty = measured(arguments.broker, 0)
    full = measured(arguments.broker, arguments.records)
    figures: Figures = {"backlog_records": arguments.records, "broker": arguments.broker} | full
    figures |= {f"{key}_empty": empty[key] for key in ("up_s", "first_live_s", "rss_mib")}
    tell(figures, as_json=arguments.json)


if __name__ == "__main__":
    main()
