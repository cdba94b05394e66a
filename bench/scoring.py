"""What it costs to score one shot with every head of a bundle learned from a history, and what scikit-learn takes.

The bundle has all failure modes, remaining life and the novelty of each mould. It is learned here, from `--history DIR`
or from a small history without physics, which has as many trees; scikit-learn answers the same rows with the same
heads in the same run, one row at a time. With `--bundle FILE` that file is measured (rows are then its own golden
ones) and only the ratio is that of the learned bundle.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from bench import synthetic_history
from bench.report import tell
from contract.shot import FloatArray
from contract.vocabulary import FAILURE_MODES
from models.evaluation.history import open_histories
from models.features.extract import extract
from models.features.resample import resample
from models.features.schema import FEATURES, index
from models.runtime.baseline_tracks import STATE_INPUTS, state_index
from models.runtime.bundle import Bundle, manifest_of, read_bundle, write_bundle
from models.runtime.scorer import ANY_MOULD, Scorer, session_of
from models.training.export import TrainedHead
from models.training.from_history import heads_of
from simulators.press.press import Press
from simulators.press.process import PP_CAP_4CAV

ROWS = 250
"""Different shots, from in force to failing; a repeated one would find its way through the trees in the cache."""
REPEATS, FEW_REPEATS, ROWS_WITH_SKLEARN = 5_000, 300, 60
BATCH = 64
SEED = 1
SIGNAL: Final = dict(zip(FAILURE_MODES, (spec.name for spec in FEATURES), strict=False))
SMALL: Final = {"presses": 16, "days": 19, "failures": 4}
"""The least in which each mode fails on three presses, which is what it takes to be learned."""
RSS_PROGRAM = """
import sys
from pathlib import Path
import psutil
from models.runtime.bundle import read_bundle
from models.runtime.scorer import Scorer
scorer = Scorer(read_bundle(Path(sys.argv[1])))
print(psutil.Process().memory_info().rss / 2**20)
"""


@dataclass(frozen=True, slots=True, eq=False)
class Shots:
    """What a gateway gives the heads: features (n, F), states (n, S) and the mould of each."""

    features: FloatArray
    states: FloatArray
    moulds: list[str]

    def one_by_one(self, scorer: Scorer) -> Callable[[], object]:
        """Scores one shot a call, the next one each time."""
        places = cycle(range(len(self.moulds)))
        rows = [(self.features[n][None], [self.moulds[n]], self.states[n][None]) for n in range(len(self.moulds))]
        return lambda: scorer.score(*rows[next(places)])


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="scoring", description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--history", type=Path, help="of `zhisan sim press-history`: learn from it")
    parser.add_argument("--bundle", type=Path, help="measure this file")
    options = parser.parse_args(argv)
    with TemporaryDirectory() as folder, threadpool_limits(1):
        history = options.history or synthetic_history.write(Path(folder) / "small", seed=SEED, signal=SIGNAL, **SMALL)
        heads, shots = _learned(history)
        own = _written(Path(folder) / "learned.zip", heads)
        bundle = read_bundle(options.bundle) if options.bundle else own
        figures = _measured(bundle, _golden(bundle) if options.bundle else shots)
        learned_us = _median(_times_us(shots.one_by_one(Scorer(own)), REPEATS)) if options.bundle else figures["p50_us"]
        sklearn_us = _median(_times_us(_with_scikit_learn(heads, shots), ROWS_WITH_SKLEARN))
        parity = max(_apart(head, shots) for head in heads)
    tell(
        {
            "bundle": str(options.bundle or options.history or "of a small history"),
            **figures,
            "learned_p50_us": learned_us,
            "sklearn_us": sklearn_us,
            "sklearn_ratio": sklearn_us / learned_us,
            "parity_millionths": 1e6 * parity,
            **_before_the_heads(),
        },
        as_json=options.json,
    )


def _learned(history: Path) -> tuple[tuple[TrainedHead, ...], Shots]:
    """The heads, and shots of the first press from when its baseline is in force, evenly to the end."""
    histories = open_histories([history])
    heads = heads_of(histories, FAILURE_MODES, seed=SEED, progress=lambda *_: None).heads
    press = histories.read(histories.presses[0])
    standings = press.standings()
    told = np.flatnonzero(standings.in_force)
    told = told[np.linspace(0, len(told) - 1, ROWS).astype(int)]
    features = press.values[told, : len(FEATURES)]
    return heads, Shots(features, standings.inputs[told], press.mould_ids[told].tolist())


def _golden(bundle: Bundle) -> Shots:
    """Shots of which every head has a golden row, of each mould in turn."""
    heads = bundle.manifest.heads
    moulds = sorted({mould for head in heads for mould in head.normals if mould != ANY_MOULD}) or [ANY_MOULD]
    features = np.full((ROWS, len(FEATURES)), np.nan, np.float32)
    states = np.full((ROWS, len(STATE_INPUTS)), np.nan, np.float32)
    for head in heads:
        rows = np.array([head.golden[n % len(head.golden)].inputs for n in range(ROWS)], np.float32)
        if head.inputs[0] in STATE_INPUTS:
            states[:, [state_index(name) for name in head.inputs]] = rows
        else:
            features[:, [index(name) for name in head.inputs]] = rows
    return Shots(features, states, [moulds[n % len(moulds)] for n in range(ROWS)])


def _written(path: Path, heads: Sequence[TrainedHead]) -> Bundle:
    manifest = manifest_of(tuple(head.head for head in heads), seed=SEED)
    write_bundle(path, manifest, {head.head.file: head.model for head in heads})
    return read_bundle(path)


def _measured(bundle: Bundle, shots: Shots) -> dict[str, float | int]:
    scorer = Scorer(bundle)
    one_us = _times_us(shots.one_by_one(scorer), REPEATS)
    batch = slice(0, BATCH)
    batch_us = _times_us(
        lambda: scorer.score(shots.features[batch], shots.moulds[batch], shots.states[batch]), REPEATS // BATCH
    )
    spoken = [len(found.values) for found in scorer.score(shots.features, shots.moulds, shots.states)]
    failure = next(head for head in bundle.manifest.heads if head.kind == "failure")
    return {
        "heads": len(bundle.manifest.heads),
        "modes": len({name.partition("@")[0] for name in failure.classes}),
        "scores": int(np.median(spoken)),
        "bundle_kib": bundle.path.stat().st_size / 1024,
        "p50_us": _median(one_us),
        "p99_us": float(np.percentile(one_us, 99)),
        "batch_us_per_shot": _median(batch_us) / BATCH,
        "rss_mib": _rss_mib(bundle.path),
    }


def _heads_of_each(heads: Sequence[TrainedHead], shots: Shots) -> list[list[tuple[TrainedHead, FloatArray]]]:
    """By shot the heads that speak of its mould, with what they take in."""
    columns = {head.head.file: [state_index(name) for name in head.head.inputs] for head in heads}
    return [
        [
            (head, shots.states[n : n + 1, columns[head.head.file]])
            for head in heads
            if shots.moulds[n] in head.head.normals or ANY_MOULD in head.head.normals
        ]
        for n in range(len(shots.moulds))
    ]


def _with_scikit_learn(heads: Sequence[TrainedHead], shots: Shots) -> Callable[[], object]:
    rows, places = _heads_of_each(heads, shots), cycle(range(len(shots.moulds)))
    return lambda: [head.reference(row) for head, row in rows[next(places)]]


def _apart(head: TrainedHead, shots: Shots) -> float:
    """The largest difference to scikit-learn over all rows, as a share of what is said where that is over 1."""
    rows = shots.states[:, [state_index(name) for name in head.head.inputs]]
    session = session_of(Path(head.head.file), head.head, head.model)
    found, wanted = session.run(["outputs"], {"inputs": rows})[0], head.reference(rows)
    return float((np.abs(found - wanted) / np.maximum(np.abs(wanted), 1.0)).max())


def _before_the_heads() -> dict[str, float]:
    whole = Press("bench", process=PP_CAP_4CAV, seed=SEED).cycle(20_000)
    kept = resample(whole)
    return {
        "resample_us": _median(_times_us(lambda: resample(whole), FEW_REPEATS)),
        "extract_us": _median(_times_us(lambda: extract(kept), FEW_REPEATS)),
    }


def _times_us(call: Callable[[], object], repeats: int) -> list[float]:
    for _ in range(repeats // 10):
        call()
    times = []
    for _ in range(repeats):
        started_ns = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - started_ns) / 1000)
    return times


def _median(times: Sequence[float]) -> float:
    return float(np.median(times))


def _rss_mib(path: Path) -> float:
    """Of a program that has loaded numpy, onnxruntime and the bundle, and nothing to train with."""
    run = subprocess.run([sys.executable, "-c", RSS_PROGRAM, str(path)], capture_output=True, text=True, check=True)
    return float(run.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
