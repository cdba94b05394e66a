"""Signs the files of a bundle and checks who signed them: OpenSSF Model Signing v1.0 with ECDSA P-256.

The signature is a Sigstore bundle (JSON) around a DSSE envelope around an in-toto statement with the SHA-256 of every
file. Unpack a bundle into a folder and the reference tool (PyPI: model-signing) verifies it there:
`model_signing verify key FOLDER --signature FOLDER/model.sig --public_key KEY`.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from kit.errors import ZhisanError
from models.runtime.keys import PrivateKey, PublicKey, TrustList, key_id_of

SIGNATURE: Final = "model.sig"
SIGNATURE_BYTES_MAX: Final = 256 * 1024
KEYS_TRIED_MAX: Final = 20
"""An old signature does not name its key: this many trusted keys are tried."""

_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_SERIALIZATION: Final[Mapping[str, Any]] = {
    "method": "files",
    "hash_type": "sha256",
    "allow_symlinks": False,
    "ignore_paths": [SIGNATURE],
}


class SignatureError(ZhisanError):
    """A signature that is none, is not of these files, or is of nobody who is trusted; the message says which."""


def sign(files: Mapping[str, bytes], key: PrivateKey, name: str) -> bytes:
    """The signature over `files` (by name in the bundle); `name` is what people call the model."""
    payload = json.dumps(_statement(files, name), indent=1, sort_keys=True).encode()
    signature = key.sign(_pae(payload), ec.ECDSA(hashes.SHA256()))
    content = {
        "mediaType": _MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key_id_of(key.public_key())}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(content).encode()


def verify(files: Mapping[str, bytes], signature: bytes, trust: TrustList) -> str:
    """The id of the trusted key that has signed exactly these files.

    Raises:
        SignatureError: it is no signature, its key is unknown or revoked, or a file was added, lost or altered.
    """
    hint, payload, raw = _envelope(signature)
    key_id = _signer(hint, payload, raw, trust)
    _check_statement(files, payload)
    return key_id


def key_named_in(signature: bytes) -> str:
    """The id of the key that a signature says it is of, without any check; empty when it names none.

    Raises:
        SignatureError: it is no signature.
    """
    return _envelope(signature)[0]


def _statement(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    digests = {file: hashlib.sha256(data) for file, data in sorted(files.items())}
    root = hashlib.sha256(b"".join(digest.digest() for digest in digests.values()))
    return {
        "_type": _STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": root.hexdigest()}}],
        "predicateType": _PREDICATE_TYPE,
        "predicate": {
            "serialization": dict(_SERIALIZATION),
            "resources": [
                {"name": file, "algorithm": "sha256", "digest": digest.hexdigest()} for file, digest in digests.items()
            ],
        },
    }


def _pae(payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding, so that the type is signed with the content."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)


def _envelope(signature: bytes) -> tuple[str, bytes, bytes]:
    """Key hint, payload and raw signature."""
    if len(signature) > SIGNATURE_BYTES_MAX:
        raise SignatureError(f"its signature has {len(signature)} bytes, at most {SIGNATURE_BYTES_MAX}")
    try:
        content = json.loads(signature)
        envelope, material = content["dsseEnvelope"], content["verificationMaterial"]["publicKey"]
        (one,) = envelope["signatures"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        raw = base64.b64decode(one["sig"], validate=True)
        hint = material.get("hint") or ""
        is_ours = content["mediaType"] == _MEDIA_TYPE and envelope["payloadType"] == _PAYLOAD_TYPE
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise SignatureError(f"its {SIGNATURE} is no signature by a key: {type(error).__name__}") from error
    if not is_ours or not isinstance(hint, str):
        raise SignatureError(f"its {SIGNATURE} is a signature of another kind")
    return hint, payload, raw


def _signer(hint: str, payload: bytes, raw: bytes, trust: TrustList) -> str:
    if hint in trust.revoked:
        raise SignatureError(f"it is signed with the key {hint[:12]}, which was revoked")
    if hint and hint not in trust.keys:
        raise SignatureError(f"it is signed with the key {hint[:12]}, which is not trusted here")
    named = {hint: trust.keys[hint]} if hint else dict(list(trust.good().items())[:KEYS_TRIED_MAX])
    for key_id, key in named.items():
        if _has_signed(key, payload, raw):
            return key_id
    raise SignatureError("its signature does not fit: it was altered, or signed with another key")


def _has_signed(key: PublicKey, payload: bytes, raw: bytes) -> bool:
    try:
        key.verify(raw, _pae(payload), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _check_statement(files: Mapping[str, bytes], payload: bytes) -> None:
    """The signed statement is of this kind, consistent in itself, and tells exactly these files."""
    try:
        said = json.loads(payload)
        types = (said["_type"], said["predicateType"])
        (subject,) = said["subject"]
        root, predicate = subject["digest"]["sha256"], said["predicate"]
        serialization = predicate["serialization"]
        ways = (serialization["method"], serialization["hash_type"])
        resources = [(str(r["name"]), r["algorithm"], str(r["digest"])) for r in predicate["resources"]]
        whole = hashlib.sha256(b"".join(bytes.fromhex(digest) for _, _, digest in resources)).hexdigest()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SignatureError("what was signed is no statement on files") from error
    if types != (_STATEMENT_TYPE, _PREDICATE_TYPE) or ways != ("files", "sha256"):
        raise SignatureError("what was signed is a statement of another kind or version")
    names = [name for name, _, _ in resources]
    if root != whole or len(set(names)) < len(names) or any(algorithm != "sha256" for _, algorithm, _ in resources):
        raise SignatureError("what was signed contradicts itself")
    signed = {name: digest for name, _, digest in resources}
    if missing := sorted(signed.keys() - files.keys()):
        raise SignatureError(f"it was altered: {', '.join(missing)} was signed and is missing")
    if added := sorted(files.keys() - signed.keys()):
        raise SignatureError(f"it was altered: {', '.join(added)} was not signed")
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != signed[name]:
            raise SignatureError(f"it was altered: {name} is not what was signed")
