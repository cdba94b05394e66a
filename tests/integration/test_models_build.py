"""The default bundle as it is built: the same bytes, scikit-learn's answers, and use on presses it has never seen."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.shot import Shot
from contract.vocabulary import FAILURE_MODES
from deploy import build_bundle
from models.features.extract import extract
from models.features.resample import resample
from models.features.schema import FEATURES, index
from models.runtime.bundle import manifest_of, read_bundle, write_bundle
from models.runtime.scorer import REASONS_MAX, SIGMA_MIN, Scorer
from models.training import quality
from models.training.export import TrainedHead
from simulators.faults.catalogue import wear
from simulators.faults.fault import Constant
from simulators.press.press import Press
from simulators.press.process import PROCESSES

PARITY_MAX = 1e-5
ROWS = 1_500
SIZE = build_bundle.Size(presses=160, repeats=1)
FAILURE = f"FailureProbability/{FAILURE_MODES[0]}"


@pytest.fixture(scope="module")
def simulated_heads() -> list[TrainedHead]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHISAN_DATA", "/nonexistent")
        return build_bundle.simulated_heads(7, SIZE)


@pytest.fixture(scope="module")
def quality_head(shared_data: Path) -> TrainedHead:
    return quality.train(shared_data / build_bundle.QUALITY_DATA, seed=7, repeats=1)


@pytest.fixture(scope="module")
def scorer(simulated_heads: list[TrainedHead], tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    path = tmp_path_factory.mktemp("bundle") / "b.zip"
    manifest = manifest_of(tuple(head.head for head in simulated_heads), seed=7)
    write_bundle(path, manifest, {head.head.file: head.model for head in simulated_heads})
    return Scorer(read_bundle(path))


def test_a_head_answers_as_scikit_learn_does(simulated_heads: list[TrainedHead]) -> None:
    for head in simulated_heads:
        _assert_parity(head)


def test_the_quality_head_answers_as_scikit_learn_does(quality_head: TrainedHead) -> None:
    _assert_parity(quality_head)


def _assert_parity(trained: TrainedHead) -> None:
    """Over rows as in training and far beyond, and with gaps where the head takes them."""
    rows = _rows(trained)
    found, wanted = _run(trained, rows), trained.reference(rows)
    assert len(rows) >= 1_000
    assert np.isfinite(found).all()
    assert np.abs(found - wanted).max() <= PARITY_MAX


def _rows(trained: TrainedHead) -> np.ndarray:
    rng = np.random.default_rng(0)
    head = trained.head
    normals = list(head.normals.values())
    centres = np.array([[normal.centre for normal in row] for row in normals])[rng.integers(len(normals), size=ROWS)]
    scales = np.array([[normal.scale for normal in row] for row in normals]).mean(axis=0)
    rows = centres + scales * rng.standard_t(2, centres.shape)
    optional = [column for column, name in enumerate(head.inputs) if name not in head.required]
    gaps = (rng.random((ROWS, len(optional))) < 0.2) & (np.arange(ROWS)[:, None] % 2 == 0)  # every other row is whole
    rows[:, optional] = np.where(gaps, np.nan, rows[:, optional])
    return rows.astype(np.float32)


def _run(trained: TrainedHead, rows: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(trained.model, providers=["CPUExecutionProvider"])
    return session.run(["outputs"], {"inputs": rows})[0]


def test_two_builds_give_the_same_bytes_and_a_json_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZHISAN_DATA", str(tmp_path))
    for name in ("a.zip", "b.zip"):
        assert build_bundle.main(["--out", str(tmp_path / name), "--quick"]) == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    printed = capsys.readouterr().out.splitlines()
    assert any("no quality head" in line for line in printed)
    figures = json.loads(printed[-1])
    bundle = read_bundle(tmp_path / "a.zip")
    assert figures["bundle_id"] == bundle.bundle_id
    training = bundle.manifest.training
    assert set(training) == {process.mould.mould_id for process in PROCESSES.values()}
    for summary in training.values():
        assert all(feature.usual is not None for feature in summary.features.values()), (
            "so drift is told from the start"
        )
        assert set(summary.scores) == {FAILURE, "Novelty/SPE", "Novelty/T2"}
    assert figures["failure.check_ring_wear.roc_auc"] > 0.98


def _cycles(press_id: str, process: str, severity: float, count: int) -> Iterator[Shot]:
    """Whole cycles at the press's own rate, as a gateway gets them."""
    faults = [wear("check_ring_wear", Constant(severity))] if severity else []
    press = Press(press_id, process=PROCESSES[process], seed=99, faults=faults)
    for cycle in range(count):
        yield resample(press.cycle(20_000 * (cycle + 1)))


@pytest.mark.parametrize("process", PROCESSES)
def test_a_worn_ring_of_an_unseen_press_is_named_and_a_healthy_one_is_not(scorer: Scorer, process: str) -> None:
    found: dict[float, list[float]] = {}
    for severity in (0.0, 0.5, 1.0):
        shots = [shot for number in range(4) for shot in _cycles(f"new-{number}", process, severity, 10)]
        scores = scorer.score([extract(shot) for shot in shots], [shot.mould_id for shot in shots])
        found[severity] = [score.values[FAILURE] for score in scores]
    assert np.mean(np.array(found[0.0]) >= 0.8) <= 0.05
    assert np.mean(np.array(found[0.5]) >= 0.8) >= 0.9
    assert np.mean(np.array(found[1.0]) >= 0.8) >= 0.9


def test_reasons_are_the_features_that_moved_furthest_first(scorer: Scorer) -> None:
    shot = next(_cycles("new-0", "PP_cap_4cav", 1.0, 1))
    vector = extract(shot)
    [score] = scorer.score([vector], [shot.mould_id])
    sigmas = [abs(reason.sigma) for reason in score.reasons]
    assert len(sigmas) == REASONS_MAX
    assert sigmas == sorted(sigmas, reverse=True)
    assert min(sigmas) >= SIGMA_MIN
    assert all(reason.value == pytest.approx(vector[index(reason.feature)]) for reason in score.reasons)
    assert {"ScrewPosition.HoldCreep", "PlastificationVolume"} & {reason.feature for reason in score.reasons}


def test_the_answer_for_a_shot_does_not_depend_on_its_batch(scorer: Scorer) -> None:
    shots = [shot for severity in (0.0, 0.3, 1.0) for shot in _cycles("new-1", "ABS_housing_2cav", severity, 5)]
    shots += list(_cycles("new-2", "PP_cap_4cav", 0.6, 5))
    vectors, mould_ids = [extract(shot) for shot in shots], [shot.mould_id for shot in shots]
    together = scorer.score(vectors, mould_ids)
    for vector, mould_id, score in zip(vectors, mould_ids, together, strict=True):
        [alone] = scorer.score([vector], [mould_id])
        assert alone.reasons == score.reasons
        assert alone.values == pytest.approx(score.values, rel=1e-5, abs=1e-6)


def test_a_press_without_a_cavity_sensor_still_gets_its_failure_probability(scorer: Scorer) -> None:
    for severity, is_worn in ((0.0, False), (1.0, True)):
        vectors, mould_ids = [], []
        for shot in _cycles("new-3", "PP_cap_4cav", severity, 10):
            vector = extract(shot)
            vector[[position for position, spec in enumerate(FEATURES) if "Cavity" in spec.name]] = np.nan
            vectors.append(vector)
            mould_ids.append(shot.mould_id)
        for score in scorer.score(vectors, mould_ids):
            assert (score.values[FAILURE] >= 0.8) == is_worn
            assert "Novelty/T2" not in score.values


def test_heads_are_silent_on_another_mould_and_on_parameters_alone(scorer: Scorer) -> None:
    shot = next(_cycles("new-0", "PP_cap_4cav", 1.0, 1))
    vector = extract(shot)
    bare = vector.copy()
    bare[[position for position, spec in enumerate(FEATURES) if "." in spec.name]] = np.nan
    for scores in scorer.score([vector, vector, bare], ["HOUSING-3", "", shot.mould_id]):
        assert (scores.values, scores.quality_class, scores.reasons) == ({}, None, ())


def test_no_shots_give_no_scores(scorer: Scorer) -> None:
    assert scorer.score([], []) == []


def test_quality_reaches_what_was_measured_on_the_real_data(quality_head: TrainedHead) -> None:
    metrics = quality_head.head.metrics
    assert metrics["accuracy"] >= 0.93
    assert metrics["clean.rows"] == 1_451 - 276
    assert metrics["clean.accuracy"] >= 0.91


def test_real_shots_get_a_class_and_its_probabilities(
    quality_head: TrainedHead, tmp_path: Path, shared_data: Path
) -> None:
    path = tmp_path / "b.zip"
    write_bundle(path, manifest_of((quality_head.head,), seed=7), {quality_head.head.file: quality_head.model})
    rows, labels, _ = quality.read(shared_data / build_bundle.QUALITY_DATA)
    vectors = np.full((len(rows), len(FEATURES)), np.nan, np.float32)
    vectors[:, [index(name) for name in quality.INPUTS]] = rows
    scores = Scorer(read_bundle(path)).score(vectors, [quality.MOULD_ID] * len(rows))
    for score in scores:
        assert sum(score.values.values()) == pytest.approx(1.0, abs=1e-5)
        likeliest = max(score.values, key=score.values.__getitem__)
        assert likeliest == f"QualityProbability/{score.quality_class}"
    hits = [quality.CLASSES[label] == score.quality_class for label, score in zip(labels, scores, strict=True)]
    assert np.mean(hits) > 0.95
