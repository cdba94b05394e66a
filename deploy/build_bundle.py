"""`zhisan models build`: the default bundle, from simulated presses and, where it lies, the public quality data."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from contract.shot import Shot
from contract.vocabulary import FAILURE_MODES
from deploy.simulated_runs import RUN_SHOTS, training_of
from kit.errors import ZhisanError
from models.evaluation.history import open_histories
from models.features.resample import INTERVAL_S, SAMPLES_MAX
from models.runtime.bundle import Bundle, manifest_of, read_bundle, write_bundle
from models.runtime.drift import REFERENCE_SHOTS, WINDOW_SHOTS
from models.runtime.scorer import Scorer
from models.training import failure, novelty, quality
from models.training.dataset import HEALTHY, dataset_of, split_by_press
from models.training.export import TrainedHead
from models.training.from_history import heads_of
from simulators.faults.catalogue import wear
from simulators.faults.fault import Constant
from simulators.press.press import SAMPLE_INTERVAL_S, Press
from simulators.press.process import PROCESSES

OUT = Path("build/bundle/default.zip")
SHOTS_A_PRESS = 10
SEVERITY_MIN = 0.25
"""Wear below this is not worth an alarm: no example of the mode, and none of health either."""
CYCLE_MS, HOUR_MS = 20_000, 3_600_000
WINDOW_S = INTERVAL_S * SAMPLES_MAX + 2 * SAMPLE_INTERVAL_S
"""What the gateway keeps of a cycle; it resamples the press's own rate, and so does training."""
QUALITY_DATA = Path("polenta/data.csv")


@dataclass(frozen=True, slots=True)
class Size:
    """How much a build simulates and judges; every press gives SHOTS_A_PRESS shots."""

    presses: int
    repeats: int
    run_shots: int = RUN_SHOTS
    """Of each of the healthy runs that drift is told by."""


FULL, QUICK = Size(presses=1_600, repeats=3), Size(presses=200, repeats=1, run_shots=REFERENCE_SHOTS + WINDOW_SHOTS)


def main(argv: Sequence[str]) -> int:
    """Build the bundle; the last line is one JSON object with its figures."""
    parser = argparse.ArgumentParser(prog="zhisan models build", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="where to write it (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of simulation and training (default: %(default)s)")
    parser.add_argument(
        "--history",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="of `zhisan sim press-history` or `zhisan models fetch-history`: learn all failure modes, remaining life"
        " and novelty from it, beside each press's own baseline; may be given several times",
    )
    parser.add_argument("--quick", action="store_true", help="fewer presses and one cross-validation: for tests")
    options = parser.parse_args(argv)
    started_s = time.monotonic()
    try:
        bundle = build(options.out, options.seed, QUICK if options.quick else FULL, folders=options.history)
    except ZhisanError as error:
        print(f"zhisan models build: {error}", file=sys.stderr)
        return 1
    size_bytes = options.out.stat().st_size
    for head in bundle.manifest.heads:
        print(f"{head.file}: {head.trained_on}\n  measured on {head.measured_on}")
        for name, value in head.metrics.items():
            print(f"  {name:42} {value:.4f}")
    print(f"{options.out}: bundle {bundle.bundle_id}, {size_bytes} bytes, {time.monotonic() - started_s:.0f} s")
    figures = {
        f"{head.file.removesuffix('.onnx')}.{name}": value
        for head in bundle.manifest.heads
        for name, value in head.metrics.items()
    }
    print(json.dumps({"bundle_id": bundle.bundle_id, "size_bytes": size_bytes, **figures}))
    return 0


def build(out: Path, seed: int, size: Size, *, folders: Sequence[Path] = ()) -> Bundle:
    """Train, write, read back and try on this machine; the same bytes for the same seed, size and histories.

    Raises:
        ZhisanError: a history is none, or too short to learn from.
    """
    # One thread: sums over threads round differently, and the bytes of the bundle are to be the same everywhere.
    with threadpool_limits(1):
        if folders:
            histories = open_histories(folders)
            found = heads_of(histories, FAILURE_MODES, seed=seed, progress=_tell)
            heads, training, labels = list(found.heads), found.training, histories.labels
        else:
            heads, labels = simulated_heads(seed, size), 0
            print("running healthy presses for what is usual ...", flush=True)
            training = training_of(heads, seed=seed, shots=size.run_shots)
        heads += quality_heads(seed, size)
    manifest = manifest_of(tuple(head.head for head in heads), seed=seed, training=training, labels=labels)
    write_bundle(out, manifest, {head.head.file: head.model for head in heads})
    bundle = read_bundle(out)
    Scorer(bundle)  # the golden rows hold on this machine
    return bundle


def labelled_shots(seed: int, size: Size) -> Iterator[tuple[Shot, str]]:
    """Shots of many presses, half of them worn, each to its own degree; labels are the truth, features never see it."""
    rng = np.random.default_rng(seed)
    processes = list(PROCESSES.values())
    for number in range(size.presses):
        is_worn = number // len(processes) % 2 == 1
        severity, hour = rng.uniform(SEVERITY_MIN, 1.0), rng.uniform(0, 24)
        press = Press(
            f"train-{number:04}",
            process=processes[number % len(processes)],
            seed=seed,
            faults=[wear("check_ring_wear", Constant(float(severity)))] if is_worn else [],
            window_s=WINDOW_S,
            started_ms=int(hour * HOUR_MS),  # the hall's daily swing is in the data
        )
        for cycle in range(SHOTS_A_PRESS):
            shot = press.cycle(int(hour * HOUR_MS) + CYCLE_MS * (cycle + 1))
            yield shot, FAILURE_MODES[0] if is_worn else HEALTHY


def simulated_heads(seed: int, size: Size) -> list[TrainedHead]:
    """From single shots of presses that are worn and not: what can be said before a baseline is in force."""
    print(f"simulating {size.presses} presses, half of them with worn check rings ...", flush=True)
    data = dataset_of(labelled_shots(seed, size))
    split = split_by_press(data, seed=seed)
    print("training the failure head and a novelty head for each mould ...", flush=True)
    modes = [mode for mode in FAILURE_MODES if (data.labels == mode).any()]
    moulds = [process.mould.mould_id for process in PROCESSES.values()]
    return [
        failure.train(data, modes, split, seed=seed),
        *(
            novelty.train(data, mould_id, split, file=f"novelty_{number}.onnx")
            for number, mould_id in enumerate(moulds, start=1)
        ),
    ]


def quality_heads(seed: int, size: Size) -> list[TrainedHead]:
    """The quality head, where its data lie."""
    folder = Path(os.environ.get("ZHISAN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / QUALITY_DATA).exists():
        print(f"no quality head: its data ({QUALITY_DATA}) are not there; name their folder with ZHISAN_DATA")
        return []
    print("training the quality head on the public data of Polenta et al. 2022 ...", flush=True)
    return [quality.train(folder / QUALITY_DATA, seed=seed, repeats=size.repeats)]


def _tell(what: str, done: int, of_all: int) -> None:
    print(f"\r{what}: {done} of {of_all}   ", end="\n" if done == of_all else "", file=sys.stderr, flush=True)
