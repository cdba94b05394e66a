"""How fast is `zhisan sim press-history`, what does a shot cost in each of its steps, and how large is it on disk?

The steps are CPU time of one process; the whole is wall time of all workers and depends on what else the machine does.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from bench.report import tell
from models.features.extract import extract_block
from models.runtime.baseline import Baselines
from simulators.history.files import PressWriter
from simulators.history.moulds import JOBS
from simulators.history.plan import plans
from simulators.history.press_record import CYCLES_AT_ONCE, run
from simulators.history.workers import Order, Progress, carry_out
from simulators.press.press import Press

CURVES_EVERY = 500
BLOCKS = 40


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="press_history", description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--presses", type=int, default=6)
    parser.add_argument("--days", type=float, default=6.0)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args(argv)
    with threadpool_limits(1):
        steps = _steps()
    figures: dict[str, float | int | str] = {
        "presses": options.presses,
        "days": options.days,
        "workers": options.workers,
        **steps,
        **_whole(options.presses, options.days, options.workers),
    }
    tell(figures, as_json=options.json)
    return 0


def _steps() -> dict[str, float]:
    """CPU microseconds a shot."""
    press, baselines, spent = Press("bench", process=JOBS[0], seed=1), Baselines(), dict.fromkeys("pfb", 0.0)
    for _ in range(BLOCKS):
        at = time.process_time()
        block = press.block(CYCLES_AT_ONCE, with_curves=True)
        made = time.process_time()
        assert block.curves is not None
        features = extract_block(block.parameters, block.curves, block.sample_interval_s)
        told = time.process_time()
        baselines.observe_block("bench", "m", block.ended_ms, features, block.curves)
        spent = {
            "p": spent["p"] + made - at,
            "f": spent["f"] + told - made,
            "b": spent["b"] + time.process_time() - told,
        }
    shots = BLOCKS * CYCLES_AT_ONCE
    return {
        "press_us": spent["p"] / shots * 1e6,
        "features_us": spent["f"] / shots * 1e6,
        "baseline_us": spent["b"] / shots * 1e6,
        "all_us": _one_press_us(),
    }


def _one_press_us() -> float:
    """The whole of one press in this process, writing included."""
    (plan,) = plans(1, 4, 1)
    with TemporaryDirectory() as folder:
        writer, shots, begun = (
            PressWriter(Path(folder), "a", every=1, curves_every=CURVES_EVERY),
            0,
            time.process_time(),
        )
        for part in run(plan, 1):
            writer.write(part)
            shots += len(part.block)
        writer.finish()
        return (time.process_time() - begun) / shots * 1e6


def _whole(presses: int, days: float, workers: int) -> dict[str, float]:
    planned = list(plans(presses, days, 1))
    with TemporaryDirectory() as name:
        folder, begun = Path(name), time.perf_counter()
        counts = carry_out(Order(folder, 1, 1, CURVES_EVERY), planned, workers=workers, tell=_silent)
        seconds = time.perf_counter() - begun
        shots = sum(each.shots for each in counts.values())
        curves = sum(each.curves for each in counts.values())
        return {
            "shots": float(shots),
            "shots_per_s": shots / seconds,
            "bytes_a_shot": _size(folder / "shots") / shots,
            "bytes_a_curve": _size(folder / "curves") / curves,
        }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.parquet"))


def _silent(_progress: Progress) -> None:
    """Nothing to tell."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
