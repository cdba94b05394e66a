"""Long healthy runs of simulated presses that no head has learned from: what the default bundle's drift is told by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from contract.shot import FloatArray
from models.features.extract import extract_block
from models.features.resample import INTERVAL_S, SAMPLES_MAX, resample_block
from models.features.schema import FEATURES
from models.runtime.bundle import Bundle, manifest_of
from models.runtime.drift import REFERENCE_SHOTS, WINDOW_SHOTS, TrainingSummary, summarise
from models.runtime.score_level import logarithms_of
from models.runtime.scorer import Scorer
from models.training import score_levels
from models.training.export import TrainedHead
from models.training.score_levels import ScoredRun
from simulators.press.block import IntArray
from simulators.press.press import PAGE, SAMPLE_INTERVAL_S, Press
from simulators.press.process import PROCESSES

RUNS: Final = 60
"""As many press-days as it takes to promise one with a score beyond its bounds a month, at half of that."""
RUN_SHOTS: Final = REFERENCE_SHOTS + 3 * WINDOW_SHOTS
"""Some three to six hours; it stands for a day."""
SCORED_EVERY: Final = 10
SAMPLES: Final = round(INTERVAL_S / SAMPLE_INTERVAL_S * SAMPLES_MAX) + 2
"""At the press's own rate, as much as a gateway keeps of a cycle."""
_HOUR_MS: Final = 3_600_000
_TOLD: Final = ("FailureProbability/", "Novelty/")


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    press_id: str
    mould_id: str
    ended_ms: IntArray
    features: FloatArray


def training_of(heads: Sequence[TrainedHead], *, seed: int, shots: int = RUN_SHOTS) -> dict[str, TrainingSummary]:
    """By mould how features and scores of healthy presses wander; `heads` take in features alone."""
    runs = list(_runs(seed, shots))
    summaries = summarise(
        np.concatenate([run.features for run in runs]),
        [run.mould_id for run in runs for _ in run.ended_ms],
        [run.press_id for run in runs for _ in run.ended_ms],
        [spec.name for spec in FEATURES],
    )
    manifest = manifest_of(tuple(head.head for head in heads), seed=seed)
    models = {head.head.file: head.model for head in heads}
    scorer = Scorer(Bundle(path=Path("heads"), bundle_id="", manifest=manifest, models=models))
    told = [
        scorer.score(run.features[::SCORED_EVERY], [run.mould_id] * len(run.ended_ms[::SCORED_EVERY])) for run in runs
    ]
    names = sorted({name for run in told for each in run for name in each.values if name.startswith(_TOLD)})
    scored = [
        ScoredRun(run.ended_ms[::SCORED_EVERY], np.stack([logarithms_of(names, each.values) for each in own]))
        for run, own in zip(runs, told, strict=True)
    ]
    usual = score_levels.summaries_of(names, scored, every=SCORED_EVERY)
    return {mould: summary.model_copy(update={"scores": usual}) for mould, summary in summaries.items()}


def _runs(seed: int, shots: int) -> Iterator[_Run]:
    """Each of another press, from another hour of the day on."""
    hours = np.random.default_rng([seed, RUNS]).integers(0, 24, RUNS)
    processes = list(PROCESSES.values())
    for number, hour in enumerate(hours.tolist()):
        process = processes[number % len(processes)]
        press_id = f"run-{number:04}"
        press = Press(press_id, process=process, seed=seed, started_ms=hour * _HOUR_MS)
        features, ended_ms = [], []
        for start in range(0, shots, PAGE):
            block = press.block(
                min(PAGE, shots - start),
                with_curves=True,
                sample_interval_s=SAMPLE_INTERVAL_S,
                samples=SAMPLES,
            )
            assert block.curves is not None
            curves = resample_block(block.curves, block.sample_interval_s)
            features.append(extract_block(block.parameters, curves, INTERVAL_S))
            ended_ms.append(block.ended_ms)
        yield _Run(press_id, process.mould.mould_id, np.concatenate(ended_ms), np.concatenate(features))
