"""What may be learned from a table, with the settings that are tried, and what it is compared with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.training.tabular.table import Matrix, Task

Labels = npt.NDArray[np.float64]
Settings = Mapping[str, Any]
TREES: Final = 200


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of model: how to make one, and the settings among which the training data choose."""

    name: str
    make: Callable[[int], Any]
    settings: Sequence[Settings]


def families(task: Task, *, quick: bool = False) -> tuple[Family, ...]:
    """Gradient boosting and extremely randomised trees: both take missing values and become ONNX exactly."""
    boosting: list[Settings] = [
        {"max_iter": 100, "max_leaf_nodes": 16, "min_samples_leaf": 8, "max_features": 0.3},
        {"max_iter": 250, "max_leaf_nodes": 16, "min_samples_leaf": 8, "max_features": 0.3},
        {"max_iter": 250, "max_leaf_nodes": 31, "min_samples_leaf": 5, "max_features": 0.5, "learning_rate": 0.03},
        {"max_iter": 100, "max_leaf_nodes": 8, "min_samples_leaf": 20, "max_features": 1.0},
    ]
    forest: list[Settings] = [
        {"max_features": 1.0, "min_samples_leaf": 1},
        {"max_features": 0.5, "min_samples_leaf": 1},
        {"max_features": 0.5, "min_samples_leaf": 4},
    ]
    if quick:
        boosting, forest = [{**boosting[0], "max_iter": 50}], [{**forest[0], "n_estimators": 50}]
    return (
        Family("gradient_boosting", lambda seed: _boosting(task, seed), boosting),
        Family("extra_trees", lambda seed: _forest(task, seed), forest),
    )


def baselines(task: Task, seed: int) -> dict[str, Any]:
    """What a model must beat: the most usual answer, a linear model, and boosting as it comes out of the box."""
    if task == "classification":
        linear = LogisticRegression(max_iter=2_000)
        return {
            "most_frequent": DummyClassifier(strategy="most_frequent"),
            "logistic_regression": _scaled(linear),
            "untuned_boosting": HistGradientBoostingClassifier(random_state=seed),
        }
    return {
        "mean": DummyRegressor(),
        "ridge": _scaled(Ridge()),
        "untuned_boosting": HistGradientBoostingRegressor(random_state=seed),
    }


def fitted(family: Family, settings: Settings, rows: Matrix, labels: Labels, seed: int) -> Any:
    """A model of the family with these settings, learned from these rows."""
    return learned(clone(family.make(seed)).set_params(**settings), rows, labels)


def learned(model: Any, rows: Matrix, labels: Labels) -> Any:
    """The model, learned from these rows; a column that has no value among them teaches it nothing.

    A sensor that was built in later is such a column in early rows; scikit-learn's binning fails on it.
    """
    is_empty = np.isnan(rows).all(axis=0)
    return model.fit(np.where(is_empty, np.float32(0), rows), labels)


def answers(model: Any, rows: Matrix, classes: int) -> npt.NDArray[np.float64]:
    """Probabilities (n, classes), zero for a class that the model never saw; without classes the quantity (n, 1)."""
    if not classes:
        return np.asarray(model.predict(rows), np.float64)[:, None]
    found = np.zeros((len(rows), classes))
    found[:, model.classes_.astype(int)] = model.predict_proba(rows)
    return found


def _boosting(task: Task, seed: int) -> Any:
    kind = HistGradientBoostingClassifier if task == "classification" else HistGradientBoostingRegressor
    return kind(learning_rate=0.05, early_stopping=False, random_state=seed)


def _forest(task: Task, seed: int) -> Any:
    kind = ExtraTreesClassifier if task == "classification" else ExtraTreesRegressor
    return kind(n_estimators=TREES, random_state=seed)


def _scaled(model: Any) -> Any:
    return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), model)
