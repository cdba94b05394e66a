"""What a shot costs the gateway: 8 curves of 1,000 -> features, baselines, heads -> encode -> journal -> message.

Budget (DESIGN 9): <= 1 ms CPU a shot, >= 1,000 shots/s a core, <= 120 MB RSS. The OPC UA client and the MQTT client are
left out: `bench.transport` has the latter. Batches are of 64, the pipeline's most.
"""

import tempfile
import time
from pathlib import Path
from uuid import UUID

import psutil

from bench.report import tell, wants_json
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
EPOCH = UUID(int=1)


def shots() -> list[Shot]:
    """One shot of each press as the pipeline has it after resampling: 8 curves of 1,000."""
    processes = list(PROCESSES.values())
    presses = [
        Press(f"press-{n:02}", process=processes[n % len(processes)], seed=1, sample_interval_s=0.005, window_s=5.0)
        for n in range(PRESSES)
    ]
    return [press.cycle(1_767_225_600_000) for press in presses]


def main() -> None:
    """Measure and tell."""
    as_json = wants_json(__doc__ or "")
    made = shots()
    bundle = read_bundle(BUNDLE)
    own = LoadedBundle(bundle, Scorer(bundle))
    aliases = AliasTable(())
    session = EdgeNodeSession("plant", "gw")
    session.connect(0)
    session.connected()
    for shot in made:
        aliases.add_press(shot.press_id)
    spent = {"score": 0.0, "encode": 0.0, "journal": 0.0, "message": 0.0}
    sizes = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        roster = Roster(Lineup(own=own), BaselineStore(Path(folder) / "baselines"))
        journal = SegmentJournal(
            path,
            size_bytes_max=2**30,
            new_epoch=EPOCH,
            make_gap=lambda _record, _reason: b"",
            mark_curves=lambda _record, _reason: b"",
        )
        session.birth([], {}, 0)
        for warm_up in (True, False):
            count = BATCH_SHOTS_MAX if warm_up else SHOTS
            spent = dict.fromkeys(spent, 0.0)
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            for start in range(0, count, BATCH_SHOTS_MAX):
                batch = [made[(start + i) % PRESSES] for i in range(BATCH_SHOTS_MAX)]
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
            "bytes_per_message": sizes / (SHOTS + BATCH_SHOTS_MAX),
        },
        as_json=as_json,
    )


if __name__ == "__main__":
    main()
