"""All heads that months of many presses can teach: failures, remaining life, novelty; and what drift is told by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.evaluation.history import Histories
from models.runtime.bundle import Bundle, manifest_of
from models.runtime.drift import TrainingSummary
from models.runtime.score_level import SCORE_MIN, ScoreSummary, logarithms_of
from models.runtime.scorer import Scorer
from models.training import bundle_head, failure_modes, life_of_presses, novelty_state, score_levels
from models.training.export import TrainedHead
from models.training.failure_modes import FailureModel, Progress
from models.training.healthy import SCORED_EVERY, Run, healthy
from models.training.novelty_state import States
from models.training.rows import INPUT_COLUMNS
from models.training.score_levels import ScoredRun

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
    usual = _usual_scores(_scorer(heads, seed), model, found.runs)
    progress("what scores are usual", 1, 1)
    training = {mould: each.model_copy(update={"scores": usual}) for mould, each in found.training.items()}
    return FromHistory(tuple(heads), training)


def _scorer(heads: Sequence[TrainedHead], seed: int) -> Scorer:
    manifest = manifest_of(tuple(head.head for head in heads), seed=seed)
    models = {head.head.file: head.model for head in heads}
    return Scorer(Bundle(path=Path("heads"), bundle_id="", manifest=manifest, models=models))


def _usual_scores(scorer: Scorer, model: FailureModel, runs: Sequence[Run]) -> dict[str, ScoreSummary]:
    failures = [f"FailureProbability/{name}" for name in model.survival.outputs]
    names = [*score_levels.watched(failures), *(f"Novelty/{name}" for name in novelty_state.CLASSES)]
    places = [failures.index(name) for name in names if name in failures]
    scored = []
    for run in runs:
        told = scorer.score(run.features, [run.mould_id] * len(run.features), run.states)
        logarithms = np.array([logarithms_of(names, each.values) for each in told]).reshape(len(told), len(names))
        unseen = model.survival.predict(run.states[:, INPUT_COLUMNS], run.press_id)[:, places]
        own = logarithms[:, : len(places)]
        own[:] = np.where(np.isnan(own), np.nan, np.log(np.maximum(unseen, SCORE_MIN)))
        scored.append(ScoredRun(run.ended_ms, logarithms))
    return score_levels.summaries_of(names, scored, every=SCORED_EVERY)


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
