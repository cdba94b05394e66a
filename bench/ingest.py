"""Shots a second one ingest worker takes: decode, de-duplicate, store, commit (60 features + 2 curves of 1,000).

Budget (DESIGN 9): >= 5,000 shots/s a worker. The messages are as a gateway sends them; the broker is left out, the
DuckDB store is the real one on disk, its checkpoint at the end included.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from bench.report import tell, wants_json
from cloud.ingest.digest import digest
from cloud.telemetry.duckdb_store import DuckDBStore
from cloud.telemetry.store import GatewayKey
from contract import commit, shot_wire
from contract.shot import ScoredShot, Scores, Shot
from contract.sparkplug.codec import Metric, encode_metrics
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import EdgeNodeSession
from contract.sparkplug.host import HostSession
from contract.vocabulary import PARAMETERS
from edge_agent.aliases import AliasTable

EPOCH = "00000000-0000-0000-0000-000000000001"
PRESSES, SHOTS, BATCH = 40, 20_000, 500
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
        metrics = [*shot_wire.body_metrics(scored, EPOCH, alias_of), *shot_wire.curve_metrics(shot, alias_of)]
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
        head = encode_metrics([shot_wire.id_metric(record_id, NOW_MS, aliases.of(press))])
        message = session.device_data(press, head + body, NOW_MS)
        sent.append((message.topic, message.payload))
    return sent


def main() -> None:
    """Measure and tell."""
    as_json = wants_json(__doc__ or "")
    sent = messages()
    host = HostSession("zhisan")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "telemetry.duckdb"
        store = DuckDBStore(path)
        decode_s = 0.0
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        for start in range(0, len(sent), BATCH):
            began_s = time.perf_counter()
            result = digest(host, sent[start : start + BATCH], NOW_MS)
            decode_s += time.perf_counter() - began_s
            store.write(result.records)
            commit.to_metrics(commit.commit_of(EPOCH, store.committed(GatewayKey("plant", "gw"), EPOCH)))
        stored = sum(store.counts().values())
        store.close()
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        size = path.stat().st_size
    assert stored == SHOTS
    tell(
        {
            "shots_per_s": SHOTS / wall_s,
            "cpu_us_per_shot": cpu_s / SHOTS * 1e6,
            "decode_us_per_shot": decode_s / SHOTS * 1e6,
            "bytes_per_message": sum(len(payload) for _, payload in sent) / len(sent),
            "bytes_per_shot_stored": size / SHOTS,
            "shots": SHOTS,
        },
        as_json=as_json,
    )


if __name__ == "__main__":
    main()
