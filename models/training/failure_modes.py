"""The failure heads from months of many presses: each press is judged by models that have not seen it.

Those judgements set the alarm thresholds and the calibration (V. Vovk, "Cross-conformal predictors", Annals of
Mathematics and Artificial Intelligence 74 (2015)); the models that go into the bundle have learned from all presses.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from models.evaluation.budget import Thresholds, day_maxima, thresholds_for
from models.evaluation.history import Histories
from models.evaluation.reliability import Reliability, reliability_of
from models.evaluation.traces import Mask, Trace, Values, is_faulty
from models.features.schema import VALUES
from models.runtime.unsettled import unsettled
from models.training import survival
from models.training.rows import (
    INPUT_COLUMNS,
    INPUTS,
    Rows,
    ahead_of,
    between_failure_and_repair,
    one_an_hour,
    training_rows,
)
from models.training.survival import HORIZONS_H, PRESSES_WITH_FAILURE_MIN, Survival, SurvivalError

ALARM_HORIZON = len(HORIZONS_H) - 1
"""Alarms are raised by the probability within the longest horizon: it tells earliest."""
ABSTAIN_QUANTILE = 0.999
"""Of healthy shots: where neighbouring cycles spread more than in all but these, no word."""
SPREADS = np.array([name.endswith("@sd20") for name in INPUTS])
REASONS_A_MODE = 15
AT_ONCE = 20_000
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class FailureModel:
    """What becomes a bundle's failure head."""

    survival: Survival
    thresholds: Thresholds
    abstain_above: float
    """Median over the values of the logarithm of their short spread over the typical one: above it no word is said."""
    telling: Mapping[str, tuple[str, ...]]
    """By mode the values that tell most of it, most telling first."""
    rows: Rows
    reliability: Mapping[str, Reliability]
    """By output, and for all modes together as `all@72h`: of models that had not seen the press."""
    metrics: Mapping[str, float]


def train(histories: Histories, modes: Sequence[str], *, seed: int, progress: Progress | None = None) -> FailureModel:
    """Fit, calibrate and set thresholds; a mode that failed on too few presses to be learned and judged is left out.

    Args:
        histories: presses with the truth of each.
        modes: failure modes, in the order of the outputs.
        seed: of the trees.
        progress: told what is being done, how far it is, and of how many.

    Raises:
        HistoryError: a press cannot be read.
        SurvivalError: there are too few presses.
        BudgetError: there are too few healthy days.
    """
    tell = progress or (lambda _what, _done, _of_all: None)
    rows = rows_of(histories, tell)
    ahead = [ahead_of(rows, histories.episodes, mode, histories.ends_ms) for mode in modes]
    learnable = [number for number in range(len(modes)) if survival.is_learnable(ahead[number], rows.presses)]
    if not learnable:
        raise SurvivalError(
            f"too few failures: none of {len(modes)} modes failed on {PRESSES_WITH_FAILURE_MIN} presses"
        )
    modes, ahead = [modes[number] for number in learnable], [ahead[number] for number in learnable]
    counted = one_an_hour(rows)
    fitted = survival.fit(
        rows.inputs,
        ahead,
        modes,
        rows.presses,
        counted=counted,
        seed=seed,
        progress=lambda done: tell("learning", done, len(modes)),
    )
    maxima, spreads = [], []
    for number, press in enumerate(histories.presses):
        trace, spread = unseen_trace(histories, press, fitted)
        maxima.append(day_maxima(trace, histories.episodes))
        spreads.append(spread[~is_faulty(trace, histories.episodes)])
        tell("setting thresholds", number + 1, len(histories.presses))
    told = _reliability(fitted, ahead, rows.presses, counted)
    spread = np.concatenate(spreads)
    return FailureModel(
        fitted,
        thresholds_for(np.concatenate(maxima)),
        float(np.quantile(spread[np.isfinite(spread)], ABSTAIN_QUANTILE)),
        _telling(fitted),
        rows,
        told,
        _metrics(fitted, ahead, counted, told),
    )


def unseen_trace(histories: Histories, press_id: str, fitted: Survival) -> tuple[Trace, Values]:
    """A press's probabilities within the longest horizon by models that have not seen it; and how its cycles spread."""
    history = histories.read(press_id)
    standings = history.standings()
    told = np.flatnonzero(standings.in_force)
    inputs = standings.inputs
    scores, spread = [], []
    for start in range(0, len(told), AT_ONCE):
        rows = inputs[told[start : start + AT_ONCE]][:, INPUT_COLUMNS]
        scores.append(fitted.predict(rows, press_id)[:, ALARM_HORIZON :: len(HORIZONS_H)])
        spread.append(unsettled(rows[:, SPREADS]))
    none = np.zeros((0, len(fitted.modes)))
    trace = Trace(press_id, history.ended_ms[told], np.concatenate([none, *scores]))
    return trace, np.concatenate([np.zeros(0), *spread])


def rows_of(histories: Histories, tell: Progress) -> Rows:
    """The rows to learn from, of all presses; none between a failure and its repair."""
    parts = []
    for number, press in enumerate(histories.presses):
        parts.append(training_rows(histories.read(press), histories.episodes))
        tell("reading", number + 1, len(histories.presses))
    rows = Rows.joined(parts)
    return rows.of(~between_failure_and_repair(rows, histories.episodes))


def _telling(fitted: Survival) -> dict[str, tuple[str, ...]]:
    """The values that a mode's trees split by, by the gain that they bring there."""
    found = {}
    for mode, model in zip(fitted.modes, fitted.models, strict=True):
        gains: dict[str, float] = {}
        for [tree] in model.trees._predictors:
            branches = tree.nodes[tree.nodes["is_leaf"] == 0]
            for feature, gain in zip(branches["feature_idx"].tolist(), branches["gain"].tolist(), strict=True):
                value = INPUTS[feature].partition("@")[0]
                gains[value] = gains.get(value, 0.0) + gain
        found[mode] = tuple(sorted(gains, key=gains.__getitem__, reverse=True)[:REASONS_A_MODE])
    assert all(set(values) <= {spec.name for spec in VALUES} for values in found.values())
    return found


def _reliability(
    fitted: Survival, ahead: Sequence[survival.Ahead], presses: npt.NDArray[np.str_], counted: Mask
) -> dict[str, Reliability]:
    found = {}
    together: dict[str, list[tuple[Values, Mask, npt.NDArray[np.str_]]]] = {f"{hours:g}h": [] for hours in HORIZONS_H}
    for column, name in enumerate(fitted.outputs):
        after, place = ahead[column // len(HORIZONS_H)], column % len(HORIZONS_H)
        known, came = after.within(HORIZONS_H[place])
        known &= counted
        own = fitted.out_of_fold[known, column], came[known], presses[known]
        found[name] = reliability_of(*own)
        together[name.partition("@")[2]].append(own)
    for hours, told in together.items():
        said, came, names = (np.concatenate(parts) for parts in zip(*told, strict=True))
        found[f"all@{hours}"] = reliability_of(said, came, names)
    return found


def _metrics(
    fitted: Survival, ahead: Sequence[survival.Ahead], counted: Mask, told: Mapping[str, Reliability]
) -> dict[str, float]:
    """Within the alarm horizon, by mode: average precision, Brier score, and that of always saying the base rate."""
    found: dict[str, float] = {}
    for number, mode in enumerate(fitted.modes):
        column = number * len(HORIZONS_H) + ALARM_HORIZON
        known, came = ahead[number].within(HORIZONS_H[ALARM_HORIZON])
        known &= counted
        found[f"{mode}.average_precision"] = float(
            average_precision_score(came[known], fitted.out_of_fold[known, column])
        )
        found[f"{mode}.base_rate"] = float(came[known].mean())
        found[f"{mode}.brier"] = told[fitted.outputs[column]].brier
        found[f"{mode}.brier_of_base_rate"] = told[fitted.outputs[column]].brier_of_base_rate
    return found
