"""How good is what a table teaches? Nested cross-validation: all tuning happens inside the rows learned from."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student_t
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from models.training.tabular.candidates import Family, Settings, answers, baselines, families, fitted, learned
from models.training.tabular.table import Table, TableError

FOLDS, INNER_FOLDS = 5, 3
CONFIDENCE = 0.95
Rows = npt.NDArray[np.intp]
Progress = Callable[[int, int], None]
"""Told how many folds are done, of all."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the training rows chose: settings by family, and which of the families speak (their mean is the answer)."""

    settings: dict[str, Settings]
    speaking: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """A figure over the folds, with the interval of the mean (Nadeau and Bengio 2003)."""

    mean: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Report:
    """What cross-validation found; `metric` is accuracy, or the root mean squared error of a quantity."""

    metric: str
    score: Score
    more: dict[str, float]
    by_class: dict[str, float]
    baselines: dict[str, float]
    random_split: float | None
    """The same figure under random folds, where rows were kept together or in time: how much those would flatter."""
    protocol: str
    choices: tuple[Choice, ...]


def judge(table: Table, *, repeats: int, seed: int, quick: bool = False, progress: Progress | None = None) -> Report:
    """Nested cross-validation of the whole procedure, tuning included, and of the baselines on the same folds.

    Raises:
        TableError: the groups or the times leave nothing to judge by.
    """
    folds = list(_outer(table, repeats, seed))
    if not all(_can_teach(table, learning) for learning, _ in folds):
        raise TableError("a fold has no rows, or those of one class, to learn from; group or order the rows otherwise")
    found = [
        _fold(table, learning, judging, seed + n, quick=quick) for n, (learning, judging) in _told(folds, progress)
    ]
    metric = "accuracy" if table.classes else "rmse"
    scores = np.array([fold.figures[metric] for fold in found])
    share = float(np.mean([len(judging) / len(learning) for learning, judging in folds]))
    kept_apart = table.groups is not None or table.times is not None
    return Report(
        metric=metric,
        score=Score(float(scores.mean()), _interval(scores, share)),
        more=_means([fold.figures for fold in found], without=metric),
        by_class=_means([fold.by_class for fold in found]),
        baselines=_means([fold.baselines for fold in found]),
        random_split=_random_split(table, seed, quick=quick) if kept_apart else None,
        protocol=_protocol(table, repeats),
        choices=tuple(fold.choice for fold in found),
    )


def choose(table: Table, rows: Rows, seed: int, *, quick: bool = False) -> Choice:
    """Tune on these rows alone: the best settings of each family, then the best of each alone and of their mean."""
    options = families(table.task, quick=quick)
    inner = [fold for fold in _inner(table, rows, seed) if _can_teach(table, fold[0])]
    if not inner:  # too few rows to choose by
        return Choice({family.name: family.settings[0] for family in options}, tuple(f.name for f in options))
    out_of_fold: dict[str, npt.NDArray[np.float64]] = {}
    settings: dict[str, Settings] = {}
    truth = np.concatenate([table.labels[judging] for _, judging in inner])
    for family in options:
        tried = [(_out_of_fold(table, family, each, inner, seed), each) for each in family.settings]
        best, settings[family.name] = min(tried, key=lambda pair: _loss(table, truth, pair[0]))
        out_of_fold[family.name] = best
    names = tuple(out_of_fold)
    teams = [*((name,) for name in names), names]
    speaking = min(teams, key=lambda team: _loss(table, truth, _mean([out_of_fold[name] for name in team])))
    return Choice(settings, speaking)


def fit(table: Table, rows: Rows, choice: Choice, seed: int) -> dict[str, Any]:
    """The families that speak, each fitted on these rows with its chosen settings."""
    options = {family.name: family for family in families(table.task)}
    return {
        name: fitted(options[name], choice.settings[name], table.rows[rows], table.labels[rows], seed)
        for name in choice.speaking
    }


def predict(table: Table, models: dict[str, Any], rows: Rows) -> npt.NDArray[np.float64]:
    """The mean answer of the models (n, classes), or (n, 1) for a quantity."""
    return _mean([answers(model, table.rows[rows], len(table.classes)) for model in models.values()])


@dataclass(frozen=True, slots=True)
class _Fold:
    figures: dict[str, float]
    by_class: dict[str, float]
    baselines: dict[str, float]
    choice: Choice


def _fold(table: Table, learning: Rows, judging: Rows, seed: int, *, quick: bool) -> _Fold:
    choice = choose(table, learning, seed, quick=quick)
    predicted = predict(table, fit(table, learning, choice, seed), judging)
    truth = table.labels[judging]
    metric = "accuracy" if table.classes else "rmse"
    compared = {}
    for name, model in baselines(table.task, seed).items():
        learned(model, table.rows[learning], table.labels[learning])
        compared[name] = _figures(table, truth, answers(model, table.rows[judging], len(table.classes)))[metric]
    return _Fold(_figures(table, truth, predicted), _by_class(table, truth, predicted), compared, choice)


def _figures(table: Table, truth: npt.NDArray[np.float64], found: npt.NDArray[np.float64]) -> dict[str, float]:
    if not table.classes:
        return {
            "rmse": float(root_mean_squared_error(truth, found[:, 0])),
            "mae": float(mean_absolute_error(truth, found[:, 0])),
            "r2": float(r2_score(truth, found[:, 0])) if len(truth) > 1 else math.nan,
        }
    named = found.argmax(axis=1)
    one_hot = truth[:, None] == np.arange(len(table.classes))
    return {
        "accuracy": float(accuracy_score(truth, named)),
        "f1_macro": float(f1_score(truth, named, average="macro", zero_division=0)),
        "log_loss": float(log_loss(truth, _proper(found), labels=np.arange(len(table.classes)))),
        "brier": float(((found - one_hot) ** 2).sum(axis=1).mean()),
    }


def _by_class(table: Table, truth: npt.NDArray[np.float64], found: npt.NDArray[np.float64]) -> dict[str, float]:
    """F1 of each class."""
    if not table.classes:
        return {}
    each = f1_score(truth, found.argmax(axis=1), labels=np.arange(len(table.classes)), average=None, zero_division=0)
    return dict(zip(table.classes, map(float, each), strict=True))


def _loss(table: Table, truth: npt.NDArray[np.float64], found: npt.NDArray[np.float64]) -> float:
    """What tuning makes small: the logarithmic loss, smoother than accuracy; or the mean squared error."""
    if not table.classes:
        return float(((found[:, 0] - truth) ** 2).mean())
    return float(log_loss(truth, _proper(found), labels=np.arange(len(table.classes))))


def _proper(found: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probabilities that are never quite 0: a forest's are, and one such row would decide all."""
    kept = np.clip(found, 0.01, None)
    return np.asarray(kept / kept.sum(axis=1, keepdims=True))


def _out_of_fold(
    table: Table, family: Family, settings: Settings, inner: Sequence[tuple[Rows, Rows]], seed: int
) -> npt.NDArray[np.float64]:
    parts = [
        answers(
            fitted(family, settings, table.rows[learning], table.labels[learning], seed),
            table.rows[judging],
            len(table.classes),
        )
        for learning, judging in inner
    ]
    return np.concatenate(parts)


def _outer(table: Table, repeats: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    everything = np.arange(len(table.labels))
    if table.times is not None:  # there is but one order of time
        yield from _in_time(table, everything, FOLDS)
        return
    for repeat in range(repeats):
        yield from _folds(table, everything, FOLDS, seed + repeat)


def _inner(table: Table, rows: Rows, seed: int) -> Iterator[tuple[Rows, Rows]]:
    if table.times is not None:
        yield from _in_time(table, rows, INNER_FOLDS)
        return
    yield from _folds(table, rows, INNER_FOLDS, seed)


def _folds(table: Table, rows: Rows, folds: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    labels = table.labels[rows]
    groups = None if table.groups is None else table.groups[rows]
    if groups is not None and len(np.unique(groups)) < folds:
        raise TableError(f"{len(np.unique(groups))} groups are too few to keep apart; at least {FOLDS + 1} are needed")
    splitter: Any
    if groups is None:
        splitter = StratifiedKFold if table.classes else KFold
    else:
        splitter = StratifiedGroupKFold if table.classes else GroupKFold
    for learning, judging in splitter(folds, shuffle=True, random_state=seed).split(rows, labels, groups):
        yield rows[learning], rows[judging]


def _in_time(table: Table, rows: Rows, folds: int) -> Iterator[tuple[Rows, Rows]]:
    """Each block of rows judged by what came before it, without what shares a group with it."""
    assert table.times is not None
    ordered = rows[np.argsort(table.times[rows], kind="stable")]
    for before, block in TimeSeriesSplit(folds).split(ordered):
        learning, judging = ordered[before], ordered[block]
        if table.groups is not None:
            learning = learning[~np.isin(table.groups[learning], table.groups[judging])]
        yield learning, judging


def _can_teach(table: Table, learning: Rows) -> bool:
    return len(np.unique(table.labels[learning])) >= 2 if table.classes else len(learning) > 0


def _random_split(table: Table, seed: int, *, quick: bool) -> float:
    loose = Table(
        table.inputs, table.rows, table.labels, table.classes, None, None, table.dropped, table.rows_without_label
    )
    folds = _folds(loose, np.arange(len(loose.labels)), FOLDS, seed)
    metric = "accuracy" if loose.classes else "rmse"
    return float(np.mean([_fold(loose, *fold, seed, quick=quick).figures[metric] for fold in folds]))


def _interval(scores: npt.NDArray[np.float64], share: float) -> tuple[float, float]:
    """The mean's interval with the variance corrected for folds that share rows: (1/k + judged/learned) s^2.

    Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003).
    """
    count = len(scores)
    if count < 2:
        return (math.nan, math.nan)
    half = float(student_t.ppf((1 + CONFIDENCE) / 2, count - 1)) * math.sqrt((1 / count + share) * scores.var(ddof=1))
    return (float(scores.mean() - half), float(scores.mean() + half))


def _protocol(table: Table, repeats: int) -> str:
    inside = f"all tuning inside the rows learned from ({INNER_FOLDS}-fold)"
    if table.times is not None:
        apart = ", no group on both sides" if table.groups is not None else ""
        return f"{FOLDS} blocks in time, each judged by what came before it{apart}; {inside}"
    kind = "stratified " if table.classes else ""
    if table.groups is not None:
        return f"{kind}{FOLDS}-fold, no group on both sides, repeated {repeats} times; {inside}"
    return f"{kind}{FOLDS}-fold, repeated {repeats} times; {inside}"


def _told(folds: Sequence[tuple[Rows, Rows]], progress: Progress | None) -> Iterator[tuple[int, tuple[Rows, Rows]]]:
    for number, fold in enumerate(folds):
        yield number, fold
        if progress is not None:
            progress(number + 1, len(folds))


def _mean(found: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    return np.asarray(np.mean(found, axis=0))


def _means(found: Sequence[dict[str, float]], without: str = "") -> dict[str, float]:
    return {name: float(np.mean([each[name] for each in found])) for name in found[0] if name != without}
