"""All heads that months of many presses can teach: failures, remaining life, novelty; and what drift is told by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.evaluation.history import Histories
from models.runtime import drift
from models.runtime.bundle import Bundle, manifest_of
from models.runtime.drift import TrainingSummary
from models.runtime.scorer import Scorer
from models.training import bundle_head, failure_modes, life_of_presses, novelty_state
from models.training.export import TrainedHead
from models.training.failure_modes import Progress
from models.training.healthy import Run, healthy
from models.training.novelty_state import States

LEARNING, LIMITING, TESTING = 0.5, 0.3, 0.2
"""Shares of the presses of a mould, for the components of its novelty, for its limits, and for its figures."""
PRESSES_A_MOULD_MIN = 4


@dataclass(frozen=True, slots=True, eq=False)
class FromHistory:
    """What goes into a bundle."""

    heads: tuple[TrainedHead, ...]
    training: dict[str, TrainingSummary]


def heads_of(histories: Histories, modes: Sequence[str], *, seed: int, progress: Progress) -> FromHistory:
    """Learn all heads; a mode, a mould or the remaining life of which too little is known is left out.

    Raises:
        HistoryError: a press cannot be read.
        SurvivalError: there are too few presses.
        BudgetError: there are too few healthy days.
    """
    model = failure_modes.train(histories, modes, seed=seed, progress=progress)
    presses = f"{len(histories.presses)} presses"
    heads = [
        bundle_head.head_of(
            model,
            trained_on=f"{len(model.rows.ended_ms)} rows of {presses}",
            metrics=dict(model.metrics),
            measured_on="the same rows, each by models that had not seen its press",
        )
    ]
    progress("remaining life", 0, 1)
    life = life_of_presses.head_of(
        histories, model.rows, modes, model.abstain_above, required=bundle_head.REQUIRED, seed=seed
    )
    progress("remaining life", 1, 1)
    if life is not None:
        heads.append(life)
    found = healthy(histories, progress)
    for number, (mould, states) in enumerate(found.states.items(), start=1):
        head = _novelty(mould, states, f"novelty_{number}.onnx", seed)
        if head is not None:
            more = {"abstain_above": round(model.abstain_above, 6)}
            heads.append(TrainedHead(head.head.model_copy(update=more), head.model, head.reference))
        progress("novelty", number, len(found.states))
    scorer = _scorer(heads, seed)
    scores = [(each, run) for run in found.runs for each in _scores(scorer, run)]
    progress("what scores are usual", 1, 1)
    training = drift.with_scores(
        found.training,
        [each for each, _ in scores],
        [run.mould_id for _, run in scores],
        [run.press_id for _, run in scores],
    )
    return FromHistory(tuple(heads), training)


def _scorer(heads: Sequence[TrainedHead], seed: int) -> Scorer:
    manifest = manifest_of(tuple(head.head for head in heads), seed=seed)
    models = {head.head.file: head.model for head in heads}
    return Scorer(Bundle(path=Path("heads"), bundle_id="", manifest=manifest, models=models))


def _scores(scorer: Scorer, run: Run) -> list[Mapping[str, float]]:
    """What the heads say of healthy shots; of presses that they have learnt from, as there are no others."""
    return [found.values for found in scorer.score(run.features, [run.mould_id] * len(run.features), run.states)]


def _novelty(mould_id: str, states: States, file: str, seed: int) -> TrainedHead | None:
    presses = np.unique(states.presses)
    if len(presses) < PRESSES_A_MOULD_MIN:
        return None
    np.random.default_rng(seed).shuffle(presses)
    first = max(round(LEARNING * len(presses)), 1)
    second = min(first + max(round(LIMITING * len(presses)), 1), len(presses) - 1)
    learning, limiting, testing = presses[:first], presses[first:second], presses[second:]
    return novelty_state.train(
        states.of(learning.tolist()), states.of(limiting.tolist()), states.of(testing.tolist()), mould_id, file=file
    )
