"""`zhisan models keygen | sign | verify | inspect`: keys, and what can be told of a bundle file."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from kit.errors import ZhisanError
from models.features.schema import FEATURES_HASH
from models.runtime.bundle import Bundle, read_bundle, sign_bundle, signature_of
from models.runtime.keys import TrustList, key_id_of, load_private, load_public, make_key_pair, trust_list
from models.runtime.scorer import Scorer
from models.runtime.signature import key_named_in


def keygen(argv: Sequence[str]) -> int:
    """Make a signing key; the last line is its id."""
    parser = _parser("keygen", "make a P-256 key that signs bundles, and its public key beside it")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the private key; FILE.pub beside it")
    given = parser.parse_args(argv)

    def work() -> None:
        public_path, key_id = make_key_pair(given.out)
        print(f"private key: {given.out} (keep it where bundles are made, nowhere else)")
        print(f"public key:  {public_path} (copy it into the folder models.trusted_keys of gateways and cloud)")
        print(key_id)

    return _run(work)


def sign(argv: Sequence[str]) -> int:
    """Sign a bundle."""
    parser = _parser("sign", "sign a bundle, in place or into a new file")
    parser.add_argument("bundle", type=Path, help="the bundle (.zip)")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="private key of `zhisan models keygen`")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write it; else in place")
    given = parser.parse_args(argv)

    def work() -> None:
        key = load_private(given.key)
        bundle_id = sign_bundle(given.bundle, given.out or given.bundle, key)
        print(f"ok      bundle {bundle_id} is signed with the key {key_id_of(key.public_key())}")

    return _run(work)


def verify(argv: Sequence[str]) -> int:
    """Check a bundle as a gateway does."""
    parser = _parser("verify", "check a bundle as a gateway does: signature, manifest, features, golden rows")
    parser.add_argument("bundle", type=Path, help="the bundle (.zip)")
    trusted = parser.add_mutually_exclusive_group(required=True)
    trusted.add_argument("--trusted", type=Path, metavar="DIR", help="folder of trusted public keys (*.pub)")
    trusted.add_argument("--public-key", type=Path, metavar="FILE", help="one public key")
    given = parser.parse_args(argv)

    def work() -> None:
        bundle = read_bundle(given.bundle, trust=_trust(given.trusted, given.public_key))
        Scorer(bundle)
        print(f"ok      bundle {bundle.bundle_id} is whole, signed with the key {bundle.signed_by}, and runs here")

    return _run(work)


def inspect(argv: Sequence[str]) -> int:
    """Say what is in a bundle; the last line is one JSON object."""
    parser = _parser("inspect", "say what is in a bundle, trusted or not")
    parser.add_argument("bundle", type=Path, help="the bundle (.zip)")
    given = parser.parse_args(argv)

    def work() -> None:
        bundle = read_bundle(given.bundle, features_hash=None)
        signed = signature_of(given.bundle)
        key_id = (key_named_in(signed) or "a key it does not name") if signed is not None else ""
        for line in _lines(bundle, key_id):
            print(line)
        fits = bundle.manifest.features_hash == FEATURES_HASH
        print(json.dumps({"bundle_id": bundle.bundle_id, "key_id": key_id, "fits_this_version": fits}))

    return _run(work)


def _lines(bundle: Bundle, key_id: str) -> list[str]:
    manifest = bundle.manifest
    fits = "as this version" if manifest.features_hash == FEATURES_HASH else "other than this version's"
    lines = [
        f"bundle    {bundle.bundle_id}",
        f"signature {f'says it is of {key_id} (not checked: see verify)' if key_id else 'none'}",
        f"features  {len(manifest.features)}, hash {manifest.features_hash} ({fits})",
    ]
    for head in manifest.heads:
        lines.append(f"{head.file}: {head.kind}, {len(head.inputs)} inputs, {', '.join(head.classes)}")
        lines.append(f"  trained on {head.trained_on}; moulds {', '.join(head.normals)}")
        lines.append(f"  thresholds {head.thresholds or 'none'}: {head.threshold_basis}")
        lines += [f"  {name:42} {value:.4f}" for name, value in head.metrics.items()]
    return lines


def _trust(folder: Path | None, public_key: Path | None) -> TrustList:
    if folder is not None:
        return trust_list(folder)
    assert public_key is not None  # argparse demands one of the two
    key = load_public(public_key)
    return TrustList({key_id_of(key): key})


def _parser(command: str, what: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"zhisan models {command}", description=what)


def _run(work: Callable[[], None]) -> int:
    try:
        work()
    except ZhisanError as error:
        print(f"ERROR   {error}", file=sys.stderr)
        return 1
    return 0
