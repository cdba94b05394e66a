"""A bundle from months of presses: every head as it was trained, at work on a gateway's roster beside a baseline."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from bench import synthetic_history
from bench.synthetic_history import DAY_MS, GROWS_H, HOUR_MS, MOULDS, SHOT_MS, SIGNAL
from contract.shot import Shot
from deploy import build_bundle
from edge_agent.models.baselines import BaselineStore
from edge_agent.models.lineup import Lineup
from edge_agent.models.loaded import load
from edge_agent.models.roster import Roster
from models.evaluation.history import HistoryError, open_histories
from models.features.schema import FEATURES
from models.runtime.baseline_tracks import STATE_INPUTS, state_index
from models.runtime.bundle import Bundle, read_bundle
from models.runtime.scorer import Scorer
from models.training import from_history
from models.training.from_history import FromHistory

PRESSES, DAYS = 16, 12
PARITY_MAX = 2e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_history.write(tmp_path_factory.mktemp("h") / "own", presses=PRESSES, days=DAYS, seed=1, labels=3)


@dataclass(frozen=True)
class Made:
    """The bundle, and what went into it."""

    bundle: Bundle
    learned: FromHistory


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    path = tmp_path_factory.mktemp("bundle") / "b.zip"
    kept = []

    def heads_of(*args: Any, **options: Any) -> FromHistory:
        kept.append(from_history.heads_of(*args, **options))
        return kept[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHISAN_DATA", "/nonexistent")
        patch.setattr(build_bundle, "heads_of", heads_of)
        assert build_bundle.main(["--history", str(folder), "--out", str(path)]) == 0
    return Made(read_bundle(path), kept[0])


@pytest.fixture(scope="module")
def built(made: Made) -> Bundle:
    return made.bundle


def test_the_bundle_has_every_head_with_what_an_engineer_asks_of_it(built: Bundle) -> None:
    heads = {head.file: head for head in built.manifest.heads}
    assert set(heads) == {"failure.onnx", "remaining_life.onnx", "novelty_1.onnx", "novelty_2.onnx"}
    failure = heads["failure.onnx"]
    assert failure.classes == tuple(f"{mode}@{hours}h" for mode in SIGNAL for hours in (8, 24, 72))
    assert set(failure.thresholds) == {f"{mode}@72h" for mode in SIGNAL}
    assert "conformal" in failure.threshold_basis
    assert failure.metrics["check_ring_wear.average_precision"] > 0.5
    assert failure.metrics["check_ring_wear.brier"] < failure.metrics["check_ring_wear.brier_of_base_rate"]
    assert {"all@72h", "check_ring_wear@8h"} <= set(failure.reliability)
    assert all(head.abstain_above is not None for head in heads.values()), "each is silent where nothing is settled"
    life = heads["remaining_life.onnx"].metrics
    assert life["rmse_h"] < life["rmse_h.always_the_mean"]
    assert 0.8 <= life["coverage"] <= 1
    assert built.manifest.labels == 3
    assert set(built.manifest.training) == set(MOULDS)
    assert set(built.manifest.training[MOULDS[0]].features) == {spec.name for spec in FEATURES}
    scores = built.manifest.training[MOULDS[0]].scores
    longest = {f"FailureProbability/{mode}@72h" for mode in ("check_ring_wear", "pump_leakage")}
    assert set(scores) == longest | {"Novelty/T2", "Novelty/SPE"}
    assert all(score.low < score.usual < score.high for score in scores.values())


def test_every_head_answers_as_it_was_trained(made: Made, folder: Path) -> None:
    history = open_histories([folder]).read("P-00")
    states = history.standings()
    rows = states.inputs[states.in_force][::7]
    assert len(rows) > 500
    for head in made.learned.heads:
        inputs = rows[:, [state_index(name) for name in head.head.inputs]]
        gaps = np.random.default_rng(0).random(inputs.shape) < 0.1
        gaps[:, [head.head.inputs.index(name) for name in head.head.required]] = False
        inputs = np.concatenate([inputs, np.where(gaps, np.float32(np.nan), inputs)])
        found, wanted = _run(head.model, inputs), head.reference(inputs)
        scale = np.maximum(np.abs(wanted), 1.0)
        assert (np.abs(found - wanted) / scale).max() <= PARITY_MAX, head.head.file


def _run(model: bytes, rows: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(["outputs"], {"inputs": rows})[0]


def test_a_press_that_fails_is_foreseen_by_the_gateway_and_named_with_its_reason(built: Bundle, tmp_path: Path) -> None:
    """Through the roster, shot by shot: silent while the baseline is learnt, quiet, and then sure of the right mode."""
    roster = Roster(Lineup(own=load(built.path, None)), BaselineStore(tmp_path))
    ended_ms = np.arange(6 * DAY_MS // SHOT_MS, dtype=np.int64) * SHOT_MS + 1_800_000_000_000
    values = synthetic_history.values_of(len(ended_ms), 77)
    onset_ms = int(ended_ms[0] + 3 * DAY_MS)
    synthetic_history.worn(values, ended_ms, "pump_leakage", onset_ms, onset_ms + GROWS_H * HOUR_MS)
    is_alone = (ended_ms > onset_ms - 2 * HOUR_MS) & (ended_ms <= onset_ms + GROWS_H * HOUR_MS)
    shots = [Shot("new", int(at), {}, mould_id=MOULDS[1]) for at in ended_ms]
    vectors = list(values[:, : len(FEATURES)])
    batches = [slice(start, start + 40) for start in range(0, len(shots), 40)]
    found = [scores for batch in batches for scores in roster.score(shots[batch], vectors[batch])]
    assert "FailureProbability/pump_leakage@72h" not in found[0].values, "nothing is known of this press yet"
    limit = found[-1].values["FailureThreshold/pump_leakage"]
    said = np.array([scores.values.get("FailureProbability/pump_leakage@72h", np.nan) for scores in found])
    assert np.nanmean(said[ended_ms < onset_ms] >= limit) < 0.02
    late = (ended_ms > onset_ms + 0.7 * GROWS_H * HOUR_MS) & is_alone
    assert np.nanmean(said[late] >= limit) > 0.9
    last = found[int(np.flatnonzero(late)[-1])]
    assert last.values["FailureProbability/pump_leakage@72h"] > last.values["FailureProbability/check_ring_wear@72h"]
    assert last.reasons[0].feature == SIGNAL["pump_leakage"]
    low, expected, high = (last.values[f"RemainingLife/{name}"] for name in ("low", "expected", "high"))
    assert low <= expected <= high
    assert expected < found[int(np.flatnonzero(is_alone)[0])].values["RemainingLife/expected"]
    assert last.values["Novelty/T2"] > 1 or last.values["Novelty/SPE"] > 1


def test_what_no_head_foresees_is_told_by_novelty_with_the_values_that_make_it(built: Bundle) -> None:
    scorer = Scorer(built)
    state = np.zeros((1, len(STATE_INPUTS)), np.float32)
    state[0, state_index("MouldClosingTime@ewma20")] = 30.0
    features = np.ones((1, len(FEATURES)), np.float32)
    [scores] = scorer.score(features, [MOULDS[0]], state)
    assert max(scores.values["Novelty/T2"], scores.values["Novelty/SPE"]) > 1
    assert scores.reasons[0].feature == "MouldClosingTime"
    assert scores.reasons[0].sigma == pytest.approx(30.0)


def test_several_histories_are_one_and_bad_ones_are_refused_by_name(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = synthetic_history.write(tmp_path / "other", presses=1, days=8, seed=2)
    both = open_histories([folder, other])
    assert len(both.presses) == PRESSES + 1
    assert both.read("other/P-00").press_id == "other/P-00"
    assert all(episode.press_id in both.presses for episode in both.episodes)
    with pytest.raises(HistoryError, match="one name"):
        open_histories([folder, folder])
    out = tmp_path / "never.zip"
    for history, word in ((tmp_path / "nothing", "no shots"), (other, "too few")):
        assert build_bundle.main(["--history", str(history), "--out", str(out)]) == 1
        assert word in capsys.readouterr().err
    assert json.loads((folder / "meta.json").read_text()) == {"labels": 3}
    assert not out.exists()
