"""How many hours will a press still run? The remaining life of presses, of whatever mode ends it first."""

from collections.abc import Sequence

import numpy as np

from models.evaluation.history import Histories
from models.runtime.scorer import ANY_MOULD
from models.training import remaining_life
from models.training.dataset import Matrix
from models.training.export import TrainedHead, trained_head
from models.training.remaining_life import COVERAGE, OUTPUTS, Settings
from models.training.rows import INPUTS, Rows, ahead_of
from models.training.survival import Values

FILE = "remaining_life.onnx"
CAP_H = 168.0
"""A week: further ahead healthy presses and those that have just begun to fail look alike."""
SETTINGS: Settings = {
    "learning_rate": 0.1,
    "max_iter": 60,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 20,
    "max_features": 0.3,
    "max_bins": 64,
    "early_stopping": False,
}
"""Fewer and smaller trees than for one kind of engine: a gateway runs them for every shot."""
UNIT_PRESSES_MIN = 10
"""Fewer are no ground for an interval that holds on others."""


def head_of(
    histories: Histories, rows: Rows, modes: Sequence[str], abstain_above: float, *, required: Sequence[str], seed: int
) -> TrainedHead | None:
    """The bundle's head; None where fewer than UNIT_PRESSES_MIN presses have failed."""
    chosen, remaining_h = last_weeks(histories, rows, modes, seed=seed)
    failing = np.unique(rows.presses[chosen[remaining_h < CAP_H]])
    if len(failing) < UNIT_PRESSES_MIN:
        return None
    inputs, presses = rows.inputs[chosen], rows.presses[chosen]
    model = remaining_life.fit(inputs, remaining_h, presses, cap=CAP_H, seed=seed, settings=SETTINGS)
    said, near = model.out_of_fold, remaining_h < CAP_H
    held = (said[:, 1] <= remaining_h) & (remaining_h <= said[:, 2])
    whole = inputs[~np.isnan(inputs).any(axis=1)]

    def reference(wanted: Matrix) -> Values:
        return model.predict(wanted)

    found = trained_head(
        "remaining_life",
        FILE,
        model.to_onnx(len(INPUTS)),
        reference,
        inputs=INPUTS,
        required=required,
        classes=OUTPUTS,
        normal_rows={ANY_MOULD: inputs},
        rows=whole[np.argsort(model.predict(whole)[:, 0], kind="stable")],
        thresholds={},
        threshold_basis=f"none: low and high hold the hours to the next failure in {COVERAGE:.0%} of cases",
        trained_on=f"{len(chosen)} rows of {len(np.unique(presses))} presses, half from the week before a failure",
        metrics={
            "rmse_h": _rmse(said[:, 0], remaining_h),
            "rmse_h.last_week": _rmse(said[near, 0], remaining_h[near]),
            "rmse_h.always_the_mean": float(np.std(remaining_h)),
            "coverage": float(held.mean()),
            "coverage.last_week": float(held[near].mean()),
            "interval_h": float((said[:, 2] - said[:, 1]).mean()),
        },
        measured_on="the same rows by models that had not seen the press; the intervals' widening is from all of them",
    )
    head = found.head.model_copy(update={"abstain_above": round(abstain_above, 6)})
    return TrainedHead(head, found.model, found.reference)


def last_weeks(histories: Histories, rows: Rows, modes: Sequence[str], *, seed: int) -> tuple[Matrix, Values]:
    """(places of rows, hours to the failure or CAP_H): all from the week before a failure, and as many from before it.

    What would have come after a repair or the record's end is not known, so rows that come close to one are left out.
    """
    ahead = [ahead_of(rows, histories.episodes, mode, histories.ends_ms) for mode in modes]
    failure_h = np.min([each.failure_h for each in ahead], axis=0)
    watched_h = np.min([each.watched_h for each in ahead], axis=0)
    near = np.flatnonzero((failure_h < CAP_H) & (failure_h <= watched_h))
    far = np.flatnonzero((failure_h >= CAP_H) & (watched_h >= CAP_H))
    kept = np.random.default_rng(seed).choice(far, min(len(far), len(near)), replace=False)
    chosen = np.sort(np.concatenate([near, kept]))
    return chosen, np.minimum(failure_h[chosen], CAP_H)


def _rmse(said: Values, truth: Values) -> float:
    return float(np.sqrt(((said - truth) ** 2).mean()))
