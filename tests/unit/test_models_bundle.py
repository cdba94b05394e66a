"""A bundle is whole and fits this program, or it is refused and the reason is named."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from models.features.schema import FEATURES, FEATURES_HASH, index
from models.runtime import bundle as bundle_module
from models.runtime.bundle import BundleError, manifest_of, read_bundle, write_bundle
from models.runtime.scorer import Scorer
from models.training.export import TrainedHead, onnx_model, trained_head

INPUTS = ("CushionStroke", "CycleTime")


def _head(file: str = "failure.onnx") -> TrainedHead:
    """A head that says the sigmoid of the difference of its inputs."""
    nodes = [
        helper.make_node("MatMul", ["inputs", "weights"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["outputs"]),
    ]
    rows = np.random.default_rng(0).normal(5, 1, (40, 2)).astype(np.float32)
    return trained_head(
        "failure",
        file,
        onnx_model("failure", nodes, {"weights": np.array([[1], [-1]], np.float32)}, 2, 1),
        lambda wanted: 1 / (1 + np.exp(-(wanted[:, :1].astype(float) - wanted[:, 1:]))),
        inputs=INPUTS,
        required=INPUTS[:1],
        classes=["check_ring_wear"],
        normal_rows={"M": rows},
        rows=rows,
        thresholds={"check_ring_wear": 0.8},
        threshold_basis="a test",
        trained_on="a test",
        metrics={},
        measured_on="a test",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    head = _head()
    write_bundle(tmp_path / "b.zip", manifest_of((head.head,), seed=1), {head.head.file: head.model})
    return tmp_path / "b.zip"


def _refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_bundle(path)
    assert caught.value.path == path
    assert str(path) in str(caught.value)
    return caught.value.reason


def _rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def _change_manifest(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    def rewrite(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["manifest.json"])
        change(manifest)
        files["manifest.json"] = json.dumps(manifest).encode()

    return _rewrite(path, rewrite)


def test_what_was_written_is_read(path: Path) -> None:
    bundle = read_bundle(path)
    assert bundle.manifest.features_hash == FEATURES_HASH
    assert [(feature.name, feature.unit) for feature in bundle.manifest.features] == [
        (spec.name, spec.unit) for spec in FEATURES
    ]
    assert bundle.models == {"failure.onnx": _head().model}


def test_the_same_content_gives_the_same_bytes_and_id(path: Path, tmp_path: Path) -> None:
    first = read_bundle(path)
    again = write_bundle(tmp_path / "again.zip", first.manifest, first.models)
    assert (tmp_path / "again.zip").read_bytes() == path.read_bytes()
    assert again.bundle_id == first.bundle_id
    other = manifest_of(first.manifest.heads, seed=2)
    assert write_bundle(tmp_path / "other.zip", other, first.models).bundle_id != first.bundle_id


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    assert _refusal(tmp_path / "none.zip").startswith("cannot be read")


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(b"not a zip")
    assert "no whole zip" in _refusal(tmp_path / "b.zip")


def test_any_cut_and_any_changed_byte_is_refused_or_harmless(path: Path) -> None:
    """Harmless: in the zip's own book-keeping, so that the same content is read."""
    whole, wanted = path.read_bytes(), read_bundle(path)
    rng = np.random.default_rng(0)
    damaged = [whole[:cut] for cut in range(0, len(whole), 41)]
    for position in rng.integers(0, len(whole), 300):
        changed = bytearray(whole)
        changed[position] ^= 1 << rng.integers(8)
        damaged.append(bytes(changed))
    refused = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            found = read_bundle(path)
        except BundleError:
            refused += 1
        else:
            assert (found.bundle_id, found.models) == (wanted.bundle_id, wanted.models)
    assert refused > len(damaged) / 2


def test_a_bundle_without_manifest_is_refused(path: Path) -> None:
    assert "has no manifest.json" in _refusal(_rewrite(path, lambda files: files.__delitem__("manifest.json")))


@pytest.mark.parametrize("text", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_no_object_is_refused(path: Path, text: bytes) -> None:
    assert "manifest.json" in _refusal(_rewrite(path, lambda files: files.update({"manifest.json": text})))


def test_a_newer_schema_is_refused(path: Path) -> None:
    assert "too new" in _refusal(_change_manifest(path, lambda manifest: manifest.update(schema_version=2)))


def test_other_features_are_refused(path: Path) -> None:
    reason = _refusal(_change_manifest(path, lambda manifest: manifest.update(features_hash="0" * 16)))
    assert FEATURES_HASH in reason


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda head: head.update(kind="oracle"), "kind"),
        (lambda head: head.update(inputs=["CycleTime", "Luck"], required=[]), "Luck"),
        (lambda head: head.update(required=["HoldTime"]), "required"),
        (lambda head: head["normals"]["M"].pop(), "normals"),
        (lambda head: head["normals"]["M"][0].update(scale=0.0), "scale"),
        (lambda head: head["thresholds"].update(luck=0.5), "threshold"),
        (lambda head: head["golden"][0].update(outputs=[]), "golden"),
        (lambda head: head.update(file="../escape.onnx"), "file"),
        (lambda head: head.update(weather="fine"), "weather"),
        (lambda head: head.pop("measured_on"), "measured_on"),
    ],
)
def test_a_wrong_manifest_is_refused_and_the_key_is_named(path: Path, change: Any, named: str) -> None:
    assert named in _refusal(_change_manifest(path, lambda manifest: change(manifest["heads"][0])))


def test_an_altered_model_is_refused(path: Path) -> None:
    other = _head().model.replace(b"zhisan", b"zhisaN")
    assert "was altered" in _refusal(_rewrite(path, lambda files: files.update({"failure.onnx": other})))


def test_a_missing_model_is_refused(path: Path) -> None:
    assert "lacks failure.onnx" in _refusal(_rewrite(path, lambda files: files.__delitem__("failure.onnx")))


def test_a_file_that_the_manifest_does_not_know_is_refused(path: Path) -> None:
    assert "extra.onnx" in _refusal(_rewrite(path, lambda files: files.update({"extra.onnx": b""})))


@pytest.mark.parametrize(("bound", "value"), [("FILE_BYTES_MAX", 100), ("BUNDLE_BYTES_MAX", 100), ("HEADS_MAX", 0)])
def test_what_is_too_large_is_refused_before_it_is_unpacked(
    path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(bundle_module, bound, value)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("unpacked"))
    _refusal(path)


def test_two_files_of_one_name_are_refused(path: Path) -> None:
    content = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(content, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("manifest.json", b"{}")
    path.write_bytes(content.getvalue())
    assert "two files of one name" in _refusal(path)


def _scored_with(tmp_path: Path, head: TrainedHead) -> Scorer:
    path = tmp_path / "s.zip"
    write_bundle(path, manifest_of((head.head,), seed=1), {head.head.file: head.model})
    return Scorer(read_bundle(path))


def _replaced(head: TrainedHead, **changes: Any) -> TrainedHead:
    return TrainedHead(head.head.model_copy(update=changes), head.model, head.reference)


def test_a_model_that_gives_other_answers_on_this_machine_is_refused(tmp_path: Path) -> None:
    head = _head()
    golden = head.head.golden[0].model_copy(update={"outputs": (0.123,)})
    with pytest.raises(BundleError, match="golden"):
        _scored_with(tmp_path, _replaced(head, golden=(golden,)))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    from hashlib import sha256

    head, junk = _head(), b"no model"
    broken = TrainedHead(head.head.model_copy(update={"sha256": sha256(junk).hexdigest()}), junk, head.reference)
    with pytest.raises(BundleError, match="no model that can be run"):
        _scored_with(tmp_path, broken)


def test_a_model_of_another_width_is_refused(tmp_path: Path) -> None:
    head = _head()
    normals = {"M": (*head.head.normals["M"], head.head.normals["M"][0])}
    golden = tuple(g.model_copy(update={"inputs": (*g.inputs, 0.0)}) for g in head.head.golden)
    wider = _replaced(head, inputs=(*INPUTS, "HoldTime"), normals=normals, golden=golden)
    with pytest.raises(BundleError, match="another number of inputs"):
        _scored_with(tmp_path, wider)


def test_a_head_needs_its_mould_and_what_it_requires(tmp_path: Path) -> None:
    scorer = _scored_with(tmp_path, _head())
    whole = np.full(len(FEATURES), np.nan, np.float32)
    whole[index("CushionStroke")], whole[index("CycleTime")] = 8.0, 5.0
    lacking = whole.copy()
    lacking[index("CushionStroke")] = np.nan
    spoken, foreign, silent = scorer.score([whole, whole, lacking], ["M", "N", "M"])
    assert spoken.values["FailureProbability/check_ring_wear"] == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-6)
    assert [(reason.feature, reason.value) for reason in spoken.reasons] == [("CushionStroke", 8.0)]
    assert foreign.values == silent.values == {}
    assert {score.bundle_id for score in (spoken, foreign, silent)} == {scorer.bundle_id}
