"""How much does the way of splitting flatter? The failure trees of a history, judged on rows split in four ways.

Average precision of a failure within 72 h, mean over the modes, on rows that the trees have not seen: whole presses
(the figure that counts for a new press), whole moulds, the last third of the time with 72 h left out before it, and
rows by chance, whose neighbours of half an hour ago are in training. The interval is over modes.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GroupKFold, KFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from bench.report import tell
from contract.vocabulary import FAILURE_MODES
from models.evaluation.history import open_histories
from models.training.failure_modes import rows_of
from models.training.rows import HOUR_MS, Rows, ahead_of
from models.training.survival import FOLDS, HORIZONS_H, Ahead, is_learnable, press_folds, trees_of

HOURS = HORIZONS_H[-1]
LEARNED_SHARE = 2 / 3
BOOTSTRAPS = 1_000
Places = npt.NDArray[np.intp]
Split = Iterator[tuple[Places, Places]]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="press_splits", description=__doc__)
    parser.add_argument("--history", type=Path, required=True, help="of `zhisan sim press-history`")
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    histories = open_histories([options.history])
    with threadpool_limits(1):
        rows = rows_of(histories, lambda *_: None)
        ahead = {mode: ahead_of(rows, histories.episodes, mode, histories.ends_ms) for mode in FAILURE_MODES}
        ahead = {mode: after for mode, after in ahead.items() if is_learnable(after, rows.presses)}
        figures: dict[str, float | int | str] = {"rows": len(rows.ended_ms), "modes": len(ahead)}
        for name in ("press", "mould", "time", "random"):
            found = [_precision(rows, after, name, options.seed) for after in ahead.values()]
            known = np.array([value for value in found if np.isfinite(value)])
            draws = np.random.default_rng(options.seed).choice(known, (BOOTSTRAPS, len(known))).mean(axis=1)
            figures |= {f"by_{name}": float(known.mean()), f"by_{name}_modes": len(known)}
            figures |= {f"by_{name}_low": float(np.quantile(draws, 0.025))}
            figures |= {f"by_{name}_high": float(np.quantile(draws, 0.975))}
            print(f"{name}: {known.mean():.3f}", file=sys.stderr, flush=True)
    tell(figures, as_json=options.json)
    return 0


def _precision(rows: Rows, ahead: Ahead, split: str, seed: int) -> float:
    """NaN where no judged row comes before a failure, or none to learn from does."""
    known, came = ahead.within(HOURS)
    scores = np.full(len(rows.ended_ms), np.nan)
    for learning, judging in _split(rows, ahead, split, seed):
        if came[learning].any():
            scores[judging] = trees_of(rows.inputs, ahead, learning, seed).decision_function(rows.inputs[judging])
    told = known & np.isfinite(scores)
    return float(average_precision_score(came[told], scores[told])) if came[told].any() else float("nan")


def _split(rows: Rows, ahead: Ahead, split: str, seed: int) -> Split:
    if split == "press":
        return iter(press_folds(ahead, rows.presses))
    if split == "mould":
        return iter(list(GroupKFold(FOLDS).split(rows.inputs, groups=rows.moulds)))
    if split == "random":
        return iter(list(KFold(FOLDS, shuffle=True, random_state=seed).split(rows.inputs)))
    first, last = int(rows.ended_ms.min()), int(rows.ended_ms.max())
    cut_ms = first + LEARNED_SHARE * (last - first)
    before = np.flatnonzero(rows.ended_ms < cut_ms - HOURS * HOUR_MS)
    return iter([(before, np.flatnonzero(rows.ended_ms >= cut_ms))])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
