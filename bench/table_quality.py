"""The quality of parts from a public table, under nested cross-validation: all rows, and those that look measured.

The data are those of Polenta et al., Information 2022, 13(6), 272 (1,451 shots, 13 parameters, 4 classes); 276 of the
waste rows carry more decimals than the press writes and look imputed. Published: 95.04 % for the best of six methods,
tuned on the folds that judged it. `ZHISAN_DATA` names the folder of the data.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from bench.report import tell
from models.training import quality
from models.training.tabular.protocol import judge
from models.training.tabular.table import Table, read_table

DATA = Path("polenta/data.csv")
PUBLISHED = 0.9504


def main(argv: Sequence[str]) -> int:
    """Judge both tables."""
    parser = argparse.ArgumentParser(prog="table_quality", description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--repeats", type=int, default=10, help="of the 5 folds (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    folder = Path(os.environ.get("ZHISAN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    path = folder / DATA
    if not path.exists():
        print(f"skipped: {DATA} is not there; name its folder with ZHISAN_DATA")
        return 0
    table = read_table(path, label="quality")
    _, _, is_imputed = quality.read(path)
    figures: dict[str, float | int | str] = {"repeats": options.repeats, "published_accuracy": PUBLISHED}
    for name, each in (("all", table), ("clean", _rows(table, ~is_imputed))):
        with threadpool_limits(1):
            report = judge(each, repeats=options.repeats, seed=options.seed)
        low, high = report.score.interval
        figures |= {
            f"{name}_rows": len(each.labels),
            f"{name}_accuracy": report.score.mean,
            f"{name}_accuracy_low": low,
            f"{name}_accuracy_high": high,
            f"{name}_waste_f1": report.by_class["1"],
            **{f"{name}_{baseline}": value for baseline, value in report.baselines.items()},
        }
    tell(figures, as_json=options.json)
    return 0


def _rows(table: Table, kept: np.ndarray) -> Table:
    return replace(table, rows=table.rows[kept], labels=table.labels[kept])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
