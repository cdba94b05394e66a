"""An evaluation for people and for programs: one HTML page with plots, and one JSON document with every figure."""

import html
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Plot

from models.evaluation import judging
from models.evaluation.budget import BUDGET_A_PRESS_MONTH
from models.evaluation.judging import CONFIDENCE, Figure, PressAccount, figure
from models.training.evaluate import MODEL, Evaluation
from models.training.survival import HORIZONS_H

mpl.rcParams["svg.hashsalt"] = "zhisan"
"""The same figures give the same bytes."""

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1c1f22;background:#fff}
table{border-collapse:collapse;margin:1rem 0}
td,th{padding:.25rem .75rem;border-bottom:1px solid #d5d9dd;text-align:right}
td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}.soft{color:#5c6670}
@media(prefers-color-scheme:dark){body{color:#e6e9ec;background:#15181b}td,th{border-color:#3a4046}svg{background:#fff}}
"""


def as_json(found: Evaluation, about: Mapping[str, Any]) -> dict[str, Any]:
    """Every figure; numbers that nothing can be said of are null."""
    upsets = Counter(episode.mode for episode in found.episodes if episode.kind == "upset")
    return _clean(
        {
            **about,
            "budget_a_press_month": BUDGET_A_PRESS_MONTH,
            "presses_judged": len(found.presses),
            "shots_judged": found.shots,
            "abstained_share": found.abstained,
            "methods": {name: _method(accounts) for name, accounts in found.accounts.items()},
            "by_mode": {mode: _by_mode(found, mode) for mode in found.modes},
            "by_upset": {
                kind: {
                    "episodes": count,
                    "false_alarms": {
                        name: sum(account.false_in_upset.get(kind, 0) for account in accounts)
                        for name, accounts in found.accounts.items()
                    },
                }
                for kind, count in sorted(upsets.items())
            },
            "calibration": {
                mode: {
                    f"{hours:g}h": {
                        "rows": told.rows,
                        "brier": told.brier,
                        "brier_of_base_rate": told.brier_of_base_rate,
                        "skill": _figure(told.skill),
                        "bins": [[b.low, b.high, b.rows, b.said, *_figure(b.came)] for b in told.bins],
                    }
                    for hours, told in by_horizon.items()
                }
                for mode, by_horizon in found.reliability.items()
            },
        }
    )


def _method(accounts: Sequence[PressAccount]) -> dict[str, Any]:
    return {
        "false_alarms_a_press_month": _figure(figure(accounts, judging.false_alarms_a_press_month)),
        "recall_of_failures": _figure(figure(accounts, lambda drawn: judging.recall(drawn, by_any=True))),
        "recall_by_own_mode": _figure(figure(accounts, judging.recall)),
        "median_lead_h": _figure(figure(accounts, lambda drawn: judging.median_lead_h(drawn, by_any=True))),
        "precision": _figure(figure(accounts, judging.precision)),
        "healthy_months": sum(account.healthy_months for account in accounts),
        "failures": sum(len(account.foreseen) for account in accounts),
    }


def _by_mode(found: Evaluation, mode: str) -> dict[str, Any]:
    accounts = found.accounts[MODEL]
    foreseen = [each for account in accounts for each in account.foreseen if each.mode == mode]
    others = {name: judging.recall(other, mode, by_any=True) for name, other in found.accounts.items() if name != MODEL}
    return {
        "failures": len(foreseen),
        "recall": _figure(figure(accounts, lambda drawn: judging.recall(drawn, mode))),
        "recall_by_any_alarm": judging.recall(accounts, mode, by_any=True),
        "median_lead_h": _figure(figure(accounts, lambda drawn: judging.median_lead_h(drawn, mode))),
        "precision": judging.precision(accounts, mode),
        "false_alarms": sum(account.false.get(mode, 0) for account in accounts),
        "recall_of_comparisons": others,
    }


def _figure(found: Figure) -> list[float]:
    return [found.value, found.low, found.high]


def as_html(document: Mapping[str, Any], found: Evaluation, title: str) -> str:
    """The page: tables with intervals, reliability, lead times; no script, no file beside it."""
    methods = document["methods"]
    rows = [
        [
            html.escape(name.replace("_", " ")),
            *(
                _with_interval(figures[key])
                for key in (
                    "false_alarms_a_press_month",
                    "recall_of_failures",
                    "recall_by_own_mode",
                    "median_lead_h",
                    "precision",
                )
            ),
        ]
        for name, figures in methods.items()
    ]
    modes = [
        [
            html.escape(mode.replace("_", " ")),
            str(figures["failures"]),
            _with_interval(figures["recall"]),
            _number(figures["recall_by_any_alarm"]),
            _with_interval(figures["median_lead_h"]),
            _number(figures["precision"]),
            str(figures["false_alarms"]),
            *(_number(figures["recall_of_comparisons"][name]) for name in methods if name != MODEL),
        ]
        for mode, figures in document["by_mode"].items()
    ]
    upsets = [
        [html.escape(kind.replace("_", " ")), str(each["episodes"]), *(str(each["false_alarms"][n]) for n in methods)]
        for kind, each in document["by_upset"].items()
    ]
    calibration = [
        [
            html.escape(mode.replace("_", " ")),
            hours,
            str(each["rows"]),
            _number(each["brier"]),
            _number(each["brier_of_base_rate"]),
            _with_interval(each["skill"]),
        ]
        for mode, horizons in document["calibration"].items()
        for hours, each in horizons.items()
    ]
    names = [name.replace("_", " ") for name in methods]
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
            '<meta name="viewport" content="width=device-width"><style>' + STYLE + "</style></head><body>",
            f"<h1>{html.escape(title)}</h1>",
            f"<p>{document['presses_judged']} presses, {document['shots_judged']:,} shots, none of which the model has"
            f" seen. Budget: at most {BUDGET_A_PRESS_MONTH:g} false alarm a press and month for every method."
            f" Intervals: {CONFIDENCE:.0%}, bootstrap over presses. The model abstained on"
            f" {document['abstained_share']:.1%} of the shots.</p>",
            "<h2>Beside what a plant has without it</h2>",
            _table(
                [
                    "method",
                    "false alarms a press-month",
                    "failures foreseen",
                    "by the right mode",
                    "median lead, h",
                    "precision",
                ],
                rows,
            ),
            "<h2>By failure mode</h2>",
            _table(
                ["mode", "failures", "foreseen", "by any alarm", "median lead, h", "precision", "false", *names[1:]],
                modes,
            ),
            _leads(found),
            "<h2>Upsets, which are no failures</h2>",
            _table(["upset", "episodes", *(f"false alarms: {name}" for name in names)], upsets),
            "<h2>Calibration</h2>",
            _reliability(found),
            _table(["mode", "within", "rows", "Brier", "Brier of the base rate", "share saved"], calibration),
            "</body></html>",
        ]
    )


def _leads(found: Evaluation) -> str:
    plot = Plot(figsize=(9, 4.5), layout="constrained")
    axes = plot.subplots()
    for place, mode in enumerate(found.modes):
        leads = [
            each.own_lead_h
            for account in found.accounts[MODEL]
            for each in account.foreseen
            if each.mode == mode and each.own_lead_h is not None
        ]
        axes.plot(leads, [place] * len(leads), "o", alpha=0.6, color="#33658a")
    axes.set_yticks(range(len(found.modes)), [mode.replace("_", " ") for mode in found.modes])
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlabel("hours from the first alarm of the mode to its failure; a dot a failure")
    axes.grid(axis="x", alpha=0.3)
    return _svg(plot)


def _reliability(found: Evaluation) -> str:
    plot = Plot(figsize=(9, 3.6), layout="constrained")
    for axes, hours in zip(plot.subplots(1, len(HORIZONS_H), sharey=True), HORIZONS_H, strict=True):
        bins = found.reliability["all"][hours].bins
        axes.plot([0, 1], [0, 1], "--", color="#8a949e", linewidth=1)
        axes.plot([each.said for each in bins], [each.came.value for each in bins], "o-", color="#33658a")
        for each in bins:
            axes.plot([each.said] * 2, [each.came.low, each.came.high], color="#33658a", linewidth=1)
        axes.set_xlabel(f"said: within {hours:g} h")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
    plot.axes[0].set_ylabel("came")
    return _svg(plot)


def _svg(plot: Plot) -> str:
    out = StringIO()
    plot.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def _with_interval(values: Sequence[float | None]) -> str:
    value, low, high = values
    between = f' <span class="soft">({_number(low)} to {_number(high)})</span>' if low is not None else ""
    return _number(value) + between


def _number(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.3g}"


def _clean(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _clean(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
