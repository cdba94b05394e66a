"""What it costs to score one shot with all heads, and how many times that scikit-learn takes for the same answers.

The budget is for a shot that every head speaks of. No real shot is one, because heads keep to their moulds; so here
each head is told that it knows the shot's mould. The default bundle is measured where it lies, else a quick one; the
ratio comes from the heads of a quick build, run both ways, one row at a time.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.report import bundle_and_json, tell
from deploy import build_bundle
from models.features.extract import extract
from models.features.resample import resample
from models.features.schema import index
from models.runtime.baseline_tracks import STATE_INPUTS
from models.runtime.bundle import Bundle, manifest_of, read_bundle, write_bundle
from models.runtime.scorer import Scorer
from models.training.export import TrainedHead
from simulators.press.press import Press
from simulators.press.process import PP_CAP_4CAV

REPEATS, FEW_REPEATS = 5_000, 300
BATCH = 64
SEED = 1
RSS_PROGRAM = """
import sys
from pathlib import Path
import psutil
from models.runtime.bundle import read_bundle
from models.runtime.scorer import Scorer
scorer = Scorer(read_bundle(Path(sys.argv[1])))
print(psutil.Process().memory_info().rss / 2**20)
"""


def main() -> None:
    whole = Press("bench", process=PP_CAP_4CAV, seed=SEED).cycle(20_000)
    path, as_json = bundle_and_json(__doc__ or "", build_bundle.OUT)
    kept = resample(whole)
    heads = [
        *build_bundle.simulated_heads(SEED, build_bundle.QUICK),
        *build_bundle.quality_heads(SEED, build_bundle.QUICK),
    ]
    with TemporaryDirectory() as folder:
        quick_path = Path(folder) / "quick.zip"
        manifest = manifest_of(tuple(head.head for head in heads), seed=SEED)
        quick = write_bundle(quick_path, manifest, {head.head.file: head.model for head in heads})
        name, path = (str(path), path) if path.exists() else ("quick", quick_path)
        bundle, rss_mib = read_bundle(path), _rss_mib(path)
    vector, mould_ids = extract(kept), [kept.mould_id]
    scorer, quick_scorer = Scorer(_of_mould(bundle, kept.mould_id)), Scorer(_of_mould(quick, kept.mould_id))
    states = np.random.default_rng(SEED).normal(0, 0.5, (BATCH, len(STATE_INPUTS))).astype(np.float32)
    scores = scorer.score([vector], mould_ids, states[:1])[0].values
    one_us = _times_us(lambda: scorer.score([vector], mould_ids, states[:1]), REPEATS)
    own_moulds = [next(iter(head.normals)) for head in bundle.manifest.heads if head.kind == "novelty"][:1]
    own_scorer = Scorer(bundle)
    own_us = _times_us(lambda: own_scorer.score([vector], own_moulds or mould_ids, states[:1]), REPEATS)
    batch_us = _times_us(lambda: scorer.score([vector] * BATCH, mould_ids * BATCH, states), REPEATS // BATCH)
    quick_us = _median(_times_us(lambda: quick_scorer.score([vector], mould_ids), REPEATS))
    sklearn_us = _median(_times_us(_with_scikit_learn(heads, vector), FEW_REPEATS))
    tell(
        {
            "bundle": name,
            "scores": len(scores),
            "heads": len(bundle.manifest.heads),
            "p50_us": _median(one_us),
            "p99_us": float(np.percentile(one_us, 99)),
            "of_its_mould_p50_us": _median(own_us),
            "of_its_mould_p99_us": float(np.percentile(own_us, 99)),
            "batch_us_per_shot": _median(batch_us) / BATCH,
            "sklearn_us": sklearn_us,
            "sklearn_ratio": sklearn_us / quick_us,
            "resample_us": _median(_times_us(lambda: resample(whole), FEW_REPEATS)),
            "extract_us": _median(_times_us(lambda: extract(kept), FEW_REPEATS)),
            "rss_mib": rss_mib,
        },
        as_json=as_json,
    )


def _of_mould(bundle: Bundle, mould_id: str) -> Bundle:
    """The bundle with every head ready to speak of the mould."""
    heads = tuple(
        head.model_copy(update={"normals": {mould_id: next(iter(head.normals.values()))}})
        for head in bundle.manifest.heads
    )
    return bundle.model_copy(update={"manifest": bundle.manifest.model_copy(update={"heads": heads})})


def _with_scikit_learn(heads: Sequence[TrainedHead], vector: np.ndarray) -> Callable[[], object]:
    rows = [vector[None, [index(name) for name in head.head.inputs]] for head in heads]
    return lambda: [head.reference(row) for head, row in zip(heads, rows, strict=True)]


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
    main()
