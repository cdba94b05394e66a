"""The failure heads from months of many presses: learned on some, their alarm thresholds set on others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, brier_score_loss

from models.evaluation.budget import Thresholds, thresholds_for
from models.evaluation.history import PressHistory, press_ids, read_episodes, read_press
from models.evaluation.traces import Episode, Trace
from models.features.schema import VALUES
from models.runtime.unsettled import unsettled
from models.training import survival
from models.training.dataset import Matrix
from models.training.rows import INPUT_COLUMNS, INPUTS, Rows, ahead_of, between_failure_and_repair, training_rows
from models.training.survival import HORIZONS_H, Survival

CALIBRATING_SHARE = 0.25
"""Of the presses: their healthy days set the thresholds, and nothing is learned from them."""
ALARM_HORIZON = len(HORIZONS_H) - 1
"""Alarms are raised by the probability within the longest horizon: it tells earliest."""
ABSTAIN_QUANTILE = 0.999
"""Of the calibrating presses' healthy shots: where neighbouring cycles spread more than in all but these, no word."""
SPREADS = np.array([name.endswith("@sd20") for name in INPUTS])
REASONS_A_MODE = 15


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
    calibrated_on: tuple[str, ...]


def split_presses(presses: Sequence[str], episodes: Sequence[Episode], *, seed: int) -> tuple[list[str], list[str]]:
    """(to learn from, to set thresholds on): every fourth press of each number of failures."""
    rng = np.random.default_rng(seed)
    failures = dict.fromkeys(presses, 0)
    for episode in episodes:
        if episode.failed_ms is not None and episode.press_id in failures:
            failures[episode.press_id] += 1
    shuffled = list(presses)
    rng.shuffle(shuffled)
    ordered = sorted(shuffled, key=failures.__getitem__)
    step = round(1 / CALIBRATING_SHARE)
    calibrating = sorted(ordered[step // 2 :: step])
    return sorted(set(presses) - set(calibrating)), calibrating


def train(
    learning: Iterable[PressHistory],
    calibrating: Sequence[PressHistory],
    episodes: Sequence[Episode],
    modes: Sequence[str],
    record_end_ms: int,
    *,
    seed: int,
    every: int = 1,
) -> FailureModel:
    """Fit and set thresholds; a mode that failed on too few presses to be learned and judged is left out.

    Args:
        learning: presses to learn from.
        calibrating: other presses, whose healthy days set thresholds and what counts as unsettled.
        episodes: the truth of all of them.
        modes: failure modes, in the order of the outputs.
        record_end_ms: when the record ends.
        seed: of the trees.
        every: score each so-maniest shot of the calibrating presses.

    Raises:
        SurvivalError: there are too few presses.
        BudgetError: the calibrating presses have too few healthy days.
    """
    rows = training_rows(learning, episodes)
    useful = ~between_failure_and_repair(rows, episodes)
    rows = Rows(rows.inputs[useful], rows.presses[useful], rows.moulds[useful], rows.ended_ms[useful])
    told = {mode: ahead_of(rows, episodes, mode, record_end_ms) for mode in modes}
    modes = [mode for mode in modes if survival.is_learnable(told[mode], rows.presses)]
    fitted = survival.fit(rows.inputs, [told[mode] for mode in modes], modes, rows.presses, seed=seed)
    traces = []
    calm = []
    for history in calibrating:
        inputs, ended_ms = scored_inputs(history, every)
        probabilities = fitted.predict(inputs)[:, ALARM_HORIZON :: len(HORIZONS_H)]
        traces.append(Trace(history.press_id, ended_ms, probabilities))
        calm.append(unsettled(inputs[:, SPREADS]))
    thresholds = thresholds_for(traces, episodes)
    spread = np.concatenate(calm)
    abstain_above = float(np.quantile(spread[np.isfinite(spread)], ABSTAIN_QUANTILE))
    names = tuple(history.press_id for history in calibrating)
    return FailureModel(fitted, thresholds, abstain_above, _telling(fitted), rows, names)


def scored_inputs(history: PressHistory, every: int = 1) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """The inputs and times of a press's shots while its baseline is in force."""
    chosen = np.arange(0, len(history.ended_ms), every)
    standings = history.standings(chosen)
    told = np.flatnonzero(standings.in_force)
    return standings.inputs[told][:, INPUT_COLUMNS], history.ended_ms[chosen][told]


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


def train_from(
    folder: Path, modes: Sequence[str], *, seed: int, every: int = 1
) -> tuple[FailureModel, dict[str, float]]:
    """Learn from a press history on disk; the figures are those of models that had not seen the press.

    Raises:
        HistoryError: the folder is no history of this version's features.
        SurvivalError, BudgetError: it is too short.
    """
    presses, episodes = press_ids(folder), read_episodes(folder)
    learning, calibrating = split_presses(presses, episodes, seed=seed)
    held_back = [read_press(folder, press) for press in calibrating]
    end_ms = max(int(history.ended_ms[-1]) for history in held_back)
    reading = (read_press(folder, press) for press in learning)
    model = train(reading, held_back, episodes, modes, end_ms, seed=seed, every=every)
    return model, _figures(model, episodes, end_ms)


def _figures(model: FailureModel, episodes: Sequence[Episode], end_ms: int) -> dict[str, float]:
    """Average precision and Brier score within the alarm horizon, by mode."""
    found: dict[str, float] = {}
    for number, mode in enumerate(model.survival.modes):
        ahead = ahead_of(model.rows, episodes, mode, end_ms)
        hours = HORIZONS_H[ALARM_HORIZON]
        known = (ahead.failure_h <= hours) | (ahead.watched_h >= hours)
        truth = (ahead.failure_h <= hours)[known]
        said = model.survival.out_of_fold[known, number * len(HORIZONS_H) + ALARM_HORIZON]
        found[f"{mode}.average_precision"] = float(average_precision_score(truth, said))
        found[f"{mode}.brier"] = float(brier_score_loss(truth, said))
        found[f"{mode}.base_rate"] = float(truth.mean())
    return found
