"""What a shot costs the gateway: 8 curves of 1,000 -> features, baselines, heads -> encode -> journal -> message.

Budget (DESIGN 9): <= 1 ms CPU a shot, >= 1,000 shots/s a core, <= 120 MB RSS. The OPC UA client and the MQTT client are
left out: `bench.transport` has the latter. Batches are of 64, the pipeline's most. Baselines are in force: so many
shots of each press go before. BLAS has one thread, as in the gateway. The simulator is in the same process.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded, as `zhisan edge` does

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from uuid import UUID

import psutil

from bench.report import bundle_and_json, tell
from contract import shot_wire
from contract.shot import Shot
from contract.sparkplug.codec import encode_metrics
from contract.sparkplug.edge_node import EdgeNodeSession
from edge_agent.aliases import AliasTable
from edge_agent.journal.journal import NewRecord
from edge_agent.journal.segment_journal import SegmentJournal
from edge_agent.models.baselines import BaselineStore
from edge_agent.models.lineup import Lineup
from edge_agent.models.loaded import LoadedBundle
from edge_agent.models.roster import Roster
from edge_agent.pipeline import BATCH_SHOTS_MAX, score
from models.runtime.bundle import read_bundle
from models.runtime.scorer import Scorer
from simulators.press.press import Press
from simulators.press.process import PROCESSES

BUNDLE = Path("build/bundle/default.zip")
PRESSES, SHOTS = 40, 4_096
SHOTS_BEFORE = 300
"""Of each press: it settles for 40 and learns from 200."""
CYCLES, CYCLE_MS = 12, 20_000
EPOCH = UUID(int=1)


def shots() -> list[list[Shot]]:
    """By press, some shots as the pipeline has them after resampling: 8 curves of 1,000."""
    processes = list(PROCESSES.values())
    presses = [
        Press(f"press-{n:02}", process=processes[n % len(processes)], seed=1, sample_interval_s=0.005, window_s=5.0)
        for n in range(PRESSES)
    ]
    return [[press.cycle(1_767_225_600_000 + n * CYCLE_MS) for n in range(CYCLES)] for press in presses]


def stream(made: list[list[Shot]]) -> Iterator[Shot]:
    """The presses in turn, each going through its shots again and again, a cycle later each time."""
    for number in count():
        for press in made:
            shot = press[number % CYCLES]
            yield replace(shot, ended_ms=press[0].ended_ms + number * CYCLE_MS, cycle_counter=number)


def main() -> None:
    """Measure and tell."""
    path, as_json = bundle_and_json(__doc__ or "", BUNDLE)
    made = shots()
    coming = stream(made)
    bundle = read_bundle(path)
    own = LoadedBundle(bundle, Scorer(bundle))
    aliases = AliasTable(())
    session = EdgeNodeSession("plant", "gw")
    session.connect(0)
    session.connected()
    for [shot, *_] in made:
        aliases.add_press(shot.press_id)
    spent = {"score": 0.0, "encode": 0.0, "journal": 0.0, "message": 0.0}
    sizes = 0
    with tempfile.TemporaryDirectory() as folder:
        roster = Roster(Lineup(own=own), BaselineStore(Path(folder) / "baselines"))
        for _ in range(SHOTS_BEFORE * PRESSES // BATCH_SHOTS_MAX):
            score(list(islice(coming, BATCH_SHOTS_MAX)), roster)
        journal = SegmentJournal(
            Path(folder) / "journal",
            size_bytes_max=2**30,
            new_epoch=EPOCH,
            make_gap=lambda _record, _reason: b"",
            mark_curves=lambda _record, _reason: b"",
        )
        session.birth([], {}, 0)
        for warm_up in (True, False):
            wanted = BATCH_SHOTS_MAX if warm_up else SHOTS
            spent = dict.fromkeys(spent, 0.0)
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            for _ in range(0, wanted, BATCH_SHOTS_MAX):
                batch = list(islice(coming, BATCH_SHOTS_MAX))
                began_s = time.process_time()
                scored = score(batch, roster)
                spent["score"] += time.process_time() - began_s
                began_s = time.process_time()
                records = []
                for item in scored:
                    alias_of = aliases.of(item.shot.press_id)
                    body = encode_metrics(shot_wire.body_metrics(item, alias_of))
                    curves = encode_metrics(shot_wire.curve_metrics(item.shot, alias_of))
                    records.append(NewRecord(item.shot.press_id, item.shot.ended_ms, body, curves))
                spent["encode"] += time.process_time() - began_s
                began_s = time.process_time()
                journal.save_aliases(aliases.take_unsaved())
                first = journal.append(records)
                spent["journal"] += time.process_time() - began_s
                began_s = time.process_time()
                for record in journal.read(first, first + len(records), limit=len(records)):
                    if record.press_id not in session.devices:
                        session.device_birth(record.press_id, aliases.birth_metrics(record.press_id, 0), 0)
                    alias_of = aliases.of(record.press_id)
                    head = encode_metrics(
                        shot_wire.head_metrics(journal.epoch, record.record_id, record.ended_ms, alias_of)
                    )
                    message = session.device_data(record.press_id, head + record.body + record.curves, 0)
                    sizes += len(message.payload)
                spent["message"] += time.process_time() - began_s
            wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        rss_mib = psutil.Process().memory_info().rss / 2**20
        journal.close()
    tell(
        {
            "cpu_ms_per_shot": cpu_s / SHOTS * 1e3,
            "shots_per_s_core": SHOTS / cpu_s,
            "shots_per_s_wall": SHOTS / wall_s,
            "rss_mib": rss_mib,
            **{f"{name}_us": value / SHOTS * 1e6 for name, value in spent.items()},
            "heads": len(bundle.manifest.heads),
            "scores_per_shot": len(scored[-1].scores.values),
            "bytes_per_message": sizes / (SHOTS + BATCH_SHOTS_MAX),
        },
        as_json=as_json,
    )


if __name__ == "__main__":
    main()
