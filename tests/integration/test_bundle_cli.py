"""`zhisan models keygen | sign | verify | inspect` as a person types them."""

import json
from pathlib import Path

import pytest

from deploy import models_cli
from models.features import schema
from tests.rollout_bundles import bundle_file


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = models_cli.main([str(word) for word in words])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_a_key_is_made_a_bundle_signed_and_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle_file(tmp_path / "b.zip")
    key, public = tmp_path / "release.pem", tmp_path / "release.pub"
    status, out, _ = run(capsys, "keygen", "--out", key)
    key_id = out.splitlines()[-1]
    assert (status, len(key_id)) == (0, 64)
    assert "not signed" in run(capsys, "verify", tmp_path / "b.zip", "--public-key", public)[2]
    assert run(capsys, "sign", tmp_path / "b.zip", "--key", key, "--out", tmp_path / "s.zip")[0] == 0
    status, out, _ = run(capsys, "verify", tmp_path / "s.zip", "--public-key", public)
    assert (status, key_id in out) == (0, True)
    assert run(capsys, "verify", tmp_path / "s.zip", "--trusted", tmp_path)[0] == 0
    (tmp_path / "revoked.txt").write_text(key_id, encoding="utf-8")
    status, _, err = run(capsys, "verify", tmp_path / "s.zip", "--trusted", tmp_path)
    assert (status, "revoked" in err) == (1, True)


def test_a_bundle_is_inspected_whoever_signed_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = bundle_file(tmp_path / "b.zip")
    status, out, _ = run(capsys, "inspect", tmp_path / "b.zip")
    last = json.loads(out.splitlines()[-1])
    assert (status, last) == (0, {"bundle_id": made.bundle_id, "key_id": "", "fits_this_version": True})
    assert f"{len(schema.FEATURES)}, hash {schema.FEATURES_HASH}" in out
    assert "failure.onnx: failure, 2 inputs, check_ring_wear" in out


def test_a_key_is_not_overwritten_and_a_wrong_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle_file(tmp_path / "b.zip")
    (tmp_path / "k.pem").write_text("mine", encoding="utf-8")
    status, _, err = run(capsys, "keygen", "--out", tmp_path / "k.pem")
    assert (status, "never overwritten" in err) == (1, True)
    assert (tmp_path / "k.pem").read_text(encoding="utf-8") == "mine"
    status, _, err = run(capsys, "sign", tmp_path / "b.zip", "--key", tmp_path / "k.pem")
    assert (status, "k.pem is no unencrypted private key" in err) == (1, True)
    status, _, err = run(capsys, "inspect", tmp_path / "none.zip")
    assert (status, "cannot be read" in err) == (1, True)
