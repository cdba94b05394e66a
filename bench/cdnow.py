"""Purchases of 2,357 customers of CDNOW: Pareto/NBD, BG/NBD and Gamma-Gamma fitted on 39 weeks, judged on 39 more.

The data are those of Fader and Hardie (a tenth of the cohort that first bought in early 1997); `ZHISAN_DATA` names the
folder of the data. Repeat transactions of all customers are tracked from their first purchases on: the error at week 78
and the mean error over weeks 40 to 78. Each customer's number stands beside two naive guesses: as many as in the first
39 weeks, and as many as the mean customer. BG/NBD, whose own authors show it 4 % low at week 78, stands beside.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.report import tell
from cloud.tiering.evidence import Floats
from cloud.tiering.pareto import ParetoNbd, fit_pareto_nbd
from cloud.tiering.purchase_log import PurchaseLog, read_purchases
from cloud.tiering.purchases import BgNbd, History, fit_bg_nbd, fit_gamma_gamma, histories

DATA = Path("cdnow/CDNOW_sample.txt")
WEEKS = 39


def main(argv: Sequence[str]) -> int:
    """Fit, judge, tell."""
    parser = argparse.ArgumentParser(prog="cdnow", description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    options = parser.parse_args(argv)
    folder = Path(os.environ.get("ZHISAN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / DATA).exists():
        print(f"skipped: {DATA} is not there; name its folder with ZHISAN_DATA")
        return 0
    tell(judge(read_purchases(folder / DATA)), as_json=options.json)
    return 0


def judge(log: PurchaseLog) -> dict[str, float | int | str]:
    """Fit on the first WEEKS weeks, judge on as many after."""
    seen, whole = _seen(log, WEEKS), _seen(log, 2 * WEEKS)
    pareto, bg, money = fit_pareto_nbd(seen), fit_bg_nbd(seen), fit_gamma_gamma(seen)
    later = whole.frequency - seen.frequency
    spent = np.bincount(log.customer, weights=log.amount * (log.day > 7 * WEEKS), minlength=log.customers)
    told = float((money.expected(seen) * pareto.expected(seen, WEEKS)).sum())
    return {
        "customers": log.customers,
        "repeat_transactions": int(whole.frequency.sum()),
        "holdout_transactions": int(later.sum()),
        **_figures(pareto, log, seen, later, ""),
        **_figures(bg, log, seen, later, "bg_"),
        "mae_naive_same": _mae(seen.frequency, later),
        "mae_naive_mean": _mae(np.full(len(later), seen.frequency.mean()), later),
        "spend_error": told / float(spent.sum()) - 1,
        "r": pareto.r,
        "alpha": pareto.alpha,
        "s": pareto.s,
        "beta": pareto.beta,
        "bg_r": bg.r,
        "bg_alpha": bg.alpha,
        "bg_a": bg.a,
        "bg_b": bg.b,
        "p": money.p,
        "q": money.q,
        "gamma": money.gamma / 100,
    }


def _figures(model: ParetoNbd | BgNbd, log: PurchaseLog, seen: History, later: Floats, name: str) -> dict[str, float]:
    expected = model.expected(seen, WEEKS)
    tracked = [_tracked(model, log, WEEKS - seen.age, week) for week in range(WEEKS + 1, 2 * WEEKS + 1)]
    return {
        f"{name}cumulative_error_end": tracked[-1],
        f"{name}cumulative_error_mean": float(np.mean(np.abs(tracked))),
        f"{name}holdout_error": float(expected.sum() / later.sum()) - 1,
        f"{name}mae": _mae(expected, later),
    }


def _tracked(model: ParetoNbd | BgNbd, log: PurchaseLog, first: Floats, week: int) -> float:
    """By how much the expected repeat transactions of all, up to a week, differ from the true ones."""
    told = float(model.expected_of_new(week - first[first < week]).sum())
    return told / float(_seen(log, week).frequency.sum()) - 1


def _seen(log: PurchaseLog, week: int) -> History:
    return histories(log.customer, log.day / 7, log.amount, log.customers, week)


def _mae(told: Floats, true: Floats) -> float:
    return float(np.abs(told - true).mean())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
