"""Remaining useful life on NASA's C-MAPSS FD001: the same procedure as for presses, on data that nobody here made.

Remaining life is capped at 125 cycles, as the publications do. A plain gradient boosting has 12.46, a published LSTM
14.93 (root mean squared error on the 100 test engines). `ZHISAN_DATA` names the folder of the data.
"""

import os
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.report import tell, wants_json
from models.training import remaining_life
from models.training.dataset import Matrix

CAP = 125.0
SENSORS = slice(5, 26)
TIME_CONSTANTS = (4, 12, 40)
"""Cycles; the running means of the sensors."""
FIRST_CYCLES = 20
"""An engine's own normal is what it shows in these."""
PLAIN_BOOSTING_RMSE, LSTM_RMSE = 12.46, 14.93
SEED = 1


def main(*, as_json: bool) -> int:
    """Learn from the training engines, judge on the last cycle of each test engine."""
    folder = Path(os.environ.get("ZHISAN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "cmapss"
    if not folder.is_dir():
        print("skipped: cmapss is not there; name its folder with ZHISAN_DATA")
        return 0
    train, test = (np.loadtxt(folder / f"{part}_FD001.txt") for part in ("train", "test"))
    truth = np.minimum(np.loadtxt(folder / "RUL_FD001.txt"), CAP)
    moving = train[:, SENSORS].std(axis=0) > 1e-6
    units, rows = train[:, 0], trends(train, moving)
    remaining = np.concatenate([np.arange((units == unit).sum())[::-1] for unit in np.unique(units)]).astype(float)
    model = remaining_life.fit(rows, remaining, units, cap=CAP, seed=SEED)
    last = np.append(np.flatnonzero(np.diff(test[:, 0])), len(test) - 1)
    found = model.predict(trends(test, moving)[last])
    unseen = model.out_of_fold
    capped = np.minimum(remaining, CAP)
    tell(
        {
            "rmse_test": _rmse(found[:, 0], truth),
            "rmse_plain_boosting_published": PLAIN_BOOSTING_RMSE,
            "rmse_lstm_published": LSTM_RMSE,
            "rmse_of_the_mean": _rmse(np.full(len(truth), capped.mean()), truth),
            "rmse_unseen_engines_all_cycles": _rmse(unseen[:, 0], capped),
            "coverage_promised": remaining_life.COVERAGE,
            "coverage_test": float(((found[:, 1] <= truth) & (truth <= found[:, 2])).mean()),
            "width_test_cycles": float((found[:, 2] - found[:, 1]).mean()),
            "engines_test": len(truth),
        },
        as_json=as_json,
    )
    return 0


def trends(table: npt.NDArray[np.float64], moving: npt.NDArray[np.bool_]) -> Matrix:
    """Running means of each sensor that moves, their distance from the engine's first cycles, and the cycle."""
    parts = []
    for unit in np.unique(table[:, 0]):
        own = table[table[:, 0] == unit]
        sensors = own[:, SENSORS][:, moving]
        short, middle, long = (_running(sensors, constant) for constant in TIME_CONSTANTS)
        first = sensors[:FIRST_CYCLES].mean(axis=0)
        parts.append(np.hstack([short, middle, middle - long, middle - first, own[:, 1:2]]))
    return np.vstack(parts).astype(np.float32)


def _running(values: npt.NDArray[np.float64], constant: int) -> npt.NDArray[np.float64]:
    found = values.copy()
    for cycle in range(1, len(values)):
        found[cycle] = found[cycle - 1] + (values[cycle] - found[cycle - 1]) / constant
    return found


def _rmse(found: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(((found - truth) ** 2).mean()))


if __name__ == "__main__":
    sys.exit(main(as_json=wants_json(__doc__)))
