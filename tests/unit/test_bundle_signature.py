"""Only who holds a trusted key can make a bundle that a gateway takes, and the reference tool agrees on it."""

import base64
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from models.runtime import signature
from models.runtime.keys import (
    KeyFileError,
    PublicKey,
    TrustList,
    key_id_of,
    load_private,
    load_public,
    make_key_pair,
    public_pem,
    trust_list,
)
from models.runtime.signature import SignatureError
from tests.unit.bundle_reference import (
    REFERENCE_FILES,
    REFERENCE_HINT,
    REFERENCE_PAYLOAD,
    REFERENCE_PUBLIC_KEY,
    REFERENCE_SIGNATURE,
)

FILES = {"manifest.json": b'{"a": 1}', "failure.onnx": b"model" * 100}
KEY = ec.generate_private_key(ec.SECP256R1())
KEY_ID = key_id_of(KEY.public_key())
TRUST = TrustList({KEY_ID: KEY.public_key()})


def _reference(**more: Any) -> bytes:
    content = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": REFERENCE_HINT}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": REFERENCE_PAYLOAD,
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": REFERENCE_SIGNATURE, "keyid": ""}],
        },
    }
    return json.dumps(content | more).encode()


def _refusal(files: dict[str, bytes], signed: bytes, trust: TrustList = TRUST) -> str:
    with pytest.raises(SignatureError) as caught:
        signature.verify(files, signed, trust)
    return str(caught.value)


def test_the_signer_of_unchanged_files_is_told() -> None:
    assert signature.verify(FILES, signature.sign(FILES, KEY, "m"), TRUST) == KEY_ID


def test_a_signature_of_the_reference_tool_is_taken() -> None:
    key = serialization.load_pem_public_key(REFERENCE_PUBLIC_KEY.encode())
    assert isinstance(key, PublicKey)
    trust = TrustList({key_id_of(key): key})
    assert signature.verify(REFERENCE_FILES, _reference(), trust) == REFERENCE_HINT
    older = {"publicKey": {}, "tlogEntries": []}  # before 1.1 the key was not named
    assert signature.verify(REFERENCE_FILES, _reference(verificationMaterial=older), trust) == REFERENCE_HINT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.update({"failure.onnx": b"other"}), "failure.onnx is not what was signed"),
        (lambda files: files.update({"more.onnx": b""}), "more.onnx was not signed"),
        (lambda files: files.pop("failure.onnx"), "failure.onnx was signed and is missing"),
        (lambda files: files.update({"b": files.pop("failure.onnx")}), "missing"),
    ],
)
def test_any_other_set_of_files_is_refused(change: Callable[[dict[str, bytes]], Any], said: str) -> None:
    signed, files = signature.sign(FILES, KEY, "m"), dict(FILES)
    change(files)
    assert said in _refusal(files, signed)


def test_an_unknown_and_a_revoked_key_are_refused_by_name() -> None:
    signed = signature.sign(FILES, KEY, "m")
    assert f"{KEY_ID[:12]}, which is not trusted" in _refusal(FILES, signed, TrustList())
    assert f"{KEY_ID[:12]}, which was revoked" in _refusal(FILES, signed, TRUST.without([KEY_ID]))


def test_a_revoked_key_is_refused_also_by_a_signature_that_does_not_name_it() -> None:
    content = json.loads(signature.sign(FILES, KEY, "m"))
    content["verificationMaterial"] = {"publicKey": {}}
    unnamed = json.dumps(content).encode()
    assert signature.verify(FILES, unnamed, TRUST) == KEY_ID
    assert "does not fit" in _refusal(FILES, unnamed, TRUST.without([KEY_ID]))


def test_rotation_old_and_new_key_are_both_good_until_the_old_one_is_revoked() -> None:
    new = ec.generate_private_key(ec.SECP256R1())
    both = TrustList({KEY_ID: KEY.public_key(), key_id_of(new.public_key()): new.public_key()})
    for key in (KEY, new):
        assert signature.verify(FILES, signature.sign(FILES, key, "m"), both) == key_id_of(key.public_key())
    only_new = both.without([KEY_ID])
    assert signature.verify(FILES, signature.sign(FILES, new, "m"), only_new)
    assert "revoked" in _refusal(FILES, signature.sign(FILES, KEY, "m"), only_new)


def test_a_signature_that_claims_another_key_is_refused() -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    content = json.loads(signature.sign(FILES, stranger, "m"))
    content["verificationMaterial"]["publicKey"]["hint"] = KEY_ID
    assert "does not fit" in _refusal(FILES, json.dumps(content).encode())


def test_a_changed_statement_is_refused() -> None:
    content = json.loads(signature.sign(FILES, KEY, "m"))
    envelope = content["dsseEnvelope"]
    said = json.loads(base64.b64decode(envelope["payload"]))
    said["subject"][0]["name"] = "another"
    envelope["payload"] = base64.b64encode(json.dumps(said).encode()).decode()
    assert "does not fit" in _refusal(FILES, json.dumps(content).encode())


@pytest.mark.parametrize(
    "signed",
    [b"", b"{}", b"[]", b"null", b"\xff", b'"x"', b"[" * 100_000, b'{"dsseEnvelope": 3}', _reference(mediaType="x")],
)
def test_garbage_is_refused_with_a_reason(signed: bytes) -> None:
    assert "signature" in _refusal(FILES, signed)


def test_every_changed_byte_of_a_signature_is_refused_or_harmless() -> None:
    """Harmless: in what is not signed about the signature, such as an unused key id."""
    signed = signature.sign(FILES, KEY, "m")
    refused = 0
    for position in range(0, len(signed), 7):
        changed = bytearray(signed)
        changed[position] ^= 1
        try:
            assert signature.verify(FILES, bytes(changed), TRUST) == KEY_ID
        except SignatureError:
            refused += 1
    assert refused > 0.9 * len(range(0, len(signed), 7))


def test_keys_lie_in_files_that_only_the_owner_reads_and_are_never_overwritten(tmp_path: Path) -> None:
    private = tmp_path / "keys" / "release.pem"
    public, key_id = make_key_pair(private)
    assert private.stat().st_mode & 0o777 == 0o600
    assert key_id_of(load_public(public)) == key_id == key_id_of(load_private(private).public_key())
    with pytest.raises(KeyFileError, match="never overwritten"):
        make_key_pair(private)


def test_the_trust_list_is_the_folder_less_what_is_revoked(tmp_path: Path) -> None:
    (tmp_path / "a.pub").write_bytes(public_pem(KEY.public_key()))
    assert list(trust_list(tmp_path).good()) == [KEY_ID]
    (tmp_path / "revoked.txt").write_text(f"# lost laptop\n\n{KEY_ID} 2026-11-01 lost\n", encoding="utf-8")
    assert trust_list(tmp_path).good() == {}


def test_a_trusted_key_that_cannot_be_read_is_an_error_and_not_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.pub").write_text("no key", encoding="utf-8")
    with pytest.raises(KeyFileError, match=r"a\.pub"):
        trust_list(tmp_path)
    with pytest.raises(KeyFileError, match="no folder"):
        trust_list(tmp_path / "none")
    other = ec.generate_private_key(ec.SECP384R1())
    (tmp_path / "a.pub").write_bytes(public_pem(other.public_key()))
    with pytest.raises(KeyFileError, match="P-256"):
        trust_list(tmp_path)


@pytest.mark.skipif("ZHISAN_MODEL_SIGNING" not in os.environ, reason="ZHISAN_MODEL_SIGNING names no reference tool")
def test_the_reference_tool_takes_our_signature(tmp_path: Path) -> None:
    """With the command of PyPI's model-signing in ZHISAN_MODEL_SIGNING; it has packages that this project has not."""
    tool = shutil.which(os.environ["ZHISAN_MODEL_SIGNING"])
    assert tool is not None
    folder, public = tmp_path / "bundle", tmp_path / "key.pub"
    public.write_bytes(public_pem(KEY.public_key()))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for name, data in {**FILES, signature.SIGNATURE: signature.sign(FILES, KEY, "m")}.items():
            archive.writestr(name, data)
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extractall(folder)
    command = [
        tool,
        "verify",
        "key",
        str(folder),
        "--signature",
        str(folder / "model.sig"),
        "--public_key",
        str(public),
    ]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
    (folder / "failure.onnx").write_bytes(b"other")
    assert subprocess.run(command, check=False, timeout=60).returncode != 0
