"""A bundle: one zip with a manifest and an ONNX file a head; whole and fitting, or refused with the reason."""

import json
import zipfile
import zlib
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kit.errors import ZhisanError
from models.features.schema import FEATURES, FEATURES_HASH, hash_of
from models.runtime import signature
from models.runtime.baseline_tracks import STATE_INPUTS
from models.runtime.drift import TrainingSummary
from models.runtime.keys import PrivateKey, TrustList
from models.runtime.signature import SIGNATURE, SignatureError

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
FILE_BYTES_MAX = 16 * 2**20
BUNDLE_BYTES_MAX = 64 * 2**20
HEADS_MAX = 20
MOULDS_MAX = 1_000
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The same bytes whenever a bundle is built."""

_STATES = frozenset(STATE_INPUTS)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class BundleError(ZhisanError):
    """A bundle that must not run; the one that runs stays."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"bundle {path} {reason}")
        self.path = path
        self.reason = reason


HeadKind = Literal["failure", "novelty", "quality", "remaining_life", "table"]
"""`table`: learned from a customer's own columns; it answers for them alone."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Feature(_Part):
    """A feature that the heads were trained on; its place in the list is its place in the vector."""

    name: str
    unit: str


class Normal(_Part):
    """What is usual for one input of a head: robust centre and scale over its healthy training data."""

    centre: float
    scale: float = Field(gt=0)


class Golden(_Part):
    """A row of inputs and the outputs that it must give on the machine that loads the bundle."""

    inputs: tuple[float, ...]
    outputs: tuple[float, ...]


class ReliabilityBin(_Part):
    """Rows with about the same probability: what was said on the mean, and in what share of them it came."""

    rows: int = Field(ge=1)
    said: float = Field(ge=0, le=1)
    came: float = Field(ge=0, le=1)


class Head(_Part):
    """One model: what it is, what it needs, and how good it was measured to be, on what."""

    kind: HeadKind
    file: str = Field(pattern=r"^[a-z0-9_]+\.onnx$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    inputs: tuple[str, ...] = Field(
        min_length=1,
        description="In the order of the model's columns: features, or states beside the press's own baseline.",
    )
    required: tuple[str, ...] = Field(description="Inputs that a shot must have; the others may be NaN.")
    classes: tuple[str, ...] = Field(min_length=1, description="Names of the outputs, in their order.")
    normals: dict[str, tuple[Normal, ...]] = Field(
        min_length=1,
        description="By mould, in the order of inputs; the head speaks of shots of these moulds only, with `*` of all.",
    )
    telling: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="By failure mode the values that tell most of it: where reasons are looked for.",
    )
    abstain_above: float | None = Field(
        None, description="Where neighbouring cycles spread more than this (`unsettled`), the head says nothing."
    )
    thresholds: dict[str, float] = Field(description="Of an output by name: from here on it is worth an alarm.")
    reliability: dict[str, tuple[ReliabilityBin, ...]] = Field(
        default_factory=dict,
        description="By output, and for all modes together as `all@72h`: out of fold, what was said and what came.",
    )
    threshold_basis: str = Field(description="The false-alarm budget that the thresholds were chosen for, and on what.")
    golden: tuple[Golden, ...] = Field(min_length=1)
    trained_on: str
    metrics: dict[str, float]
    measured_on: str = Field(description="The data of the metrics, and how they were kept apart from training.")

    @model_validator(mode="after")
    def _fits(self) -> "Head":
        if not set(self.required) <= set(self.inputs):
            raise ValueError("a required feature is no input")
        if len({name in _STATES for name in self.inputs}) > 1:
            raise ValueError("features and states are mixed among the inputs")
        if not self.thresholds.keys() <= set(self.classes):
            raise ValueError("a threshold is for no class of the head")
        if any(len(normals) != len(self.inputs) for normals in self.normals.values()):
            raise ValueError(f"the normals of a mould are not one for each of {len(self.inputs)} inputs")
        for golden in self.golden:
            if len(golden.inputs) != len(self.inputs) or len(golden.outputs) != len(self.classes):
                raise ValueError("a golden row does not fit inputs and classes")
        return self


class Manifest(_Part):
    """What is in the bundle; `heads` stand in the order in which they are asked for reasons."""

    schema_version: Literal[1]
    features_hash: str
    features: tuple[Feature, ...]
    heads: tuple[Head, ...] = Field(min_length=1, max_length=HEADS_MAX)
    seed: int
    training: dict[str, TrainingSummary] = Field(
        default_factory=dict, max_length=MOULDS_MAX, description="By mould, what was trained on: drift is told by it."
    )
    labels: int = Field(0, ge=0, description="Alarms that engineers had judged, among the training data.")
    created_ms: int | None = Field(None, ge=0, description="Left out where the same content is to give the same bytes.")
    commit: str = Field("", max_length=64, description="Of the program that has trained it.")

    @model_validator(mode="after")
    def _is_unambiguous(self) -> "Manifest":
        if len({head.file for head in self.heads}) < len(self.heads):
            raise ValueError("two heads share a file")
        known = {feature.name for feature in self.features}
        unknown = [name for head in self.heads for name in head.inputs if name not in known and name not in _STATES]
        if unknown:
            raise ValueError(f"inputs {', '.join(unknown)} are no features of the bundle")
        if self.features_hash != hash_of((feature.name, feature.unit) for feature in self.features):
            raise ValueError("the hash of the features is not that of the list")
        return self


class Bundle(_Part):
    """A bundle that has passed all checks."""

    path: Path
    bundle_id: str
    manifest: Manifest
    models: dict[str, bytes]
    """ONNX files by head file name."""
    signed_by: str = ""
    """Id of the trusted key that signed it; empty when no trust was asked for."""


OWN_FEATURES = tuple(Feature(name=spec.name, unit=spec.unit) for spec in FEATURES)
"""What this version computes of a shot."""


def manifest_of(
    heads: tuple[Head, ...],
    *,
    seed: int,
    features: tuple[Feature, ...] = OWN_FEATURES,
    training: dict[str, TrainingSummary] | None = None,
    labels: int = 0,
    created_ms: int | None = None,
    commit: str = "",
) -> Manifest:
    """The manifest of a new bundle; with other `features` than OWN_FEATURES no gateway takes it."""
    return Manifest(
        schema_version=SCHEMA_VERSION,
        features_hash=hash_of((feature.name, feature.unit) for feature in features),
        features=features,
        heads=heads,
        seed=seed,
        training=training or {},
        labels=labels,
        created_ms=created_ms,
        commit=commit,
    )


def write_bundle(path: Path, manifest: Manifest, models: dict[str, bytes]) -> Bundle:
    """Write a bundle, the same bytes for the same content, in one step; unsigned: see `sign_bundle`."""
    text = manifest.model_dump_json(indent=1).encode()
    _write(path, {MANIFEST: text, **dict(sorted(models.items()))})
    return Bundle(path=path, bundle_id=_id_of(text), manifest=manifest, models=models)


def sign_bundle(path: Path, out: Path, key: PrivateKey) -> str:
    """Write a bundle once more with a signature in place of any that it had; its id, which stays the same.

    Raises:
        BundleError: it cannot be read or is no zip with a manifest.
    """
    files = _read(path)
    files.pop(SIGNATURE, None)
    bundle_id = _id_of(files[MANIFEST])
    _write(out, {**files, SIGNATURE: signature.sign(files, key, bundle_id)})
    return bundle_id


def read_bundle(path: Path, *, features_hash: str | None = FEATURES_HASH, trust: TrustList | None = None) -> Bundle:
    """Read and check a bundle.

    Args:
        path: the zip file.
        features_hash: the features that it must be for; None takes one of any columns.
        trust: the keys of which one must have signed it; None takes it unsigned, or signed by anybody.

    Raises:
        BundleError: it cannot be read, is no bundle, is too new or too large, was altered, is for other features, or is
            not signed by a trusted key.
    """
    files = _read(path)
    signed = files.pop(SIGNATURE, None)
    signed_by = _signer(path, files, signed, trust) if trust is not None else ""
    text = files.pop(MANIFEST)
    manifest = _manifest(path, text, features_hash)
    for head in manifest.heads:
        if head.file not in files:
            raise BundleError(path, f"lacks {head.file}")
        if sha256(files[head.file]).hexdigest() != head.sha256:
            raise BundleError(path, f"was altered: the sha256 of {head.file} is not the manifest's")
    unlisted = files.keys() - {head.file for head in manifest.heads}
    if unlisted:
        raise BundleError(path, f"was altered: its manifest does not know {', '.join(sorted(unlisted))}")
    return Bundle(path=path, bundle_id=_id_of(text), manifest=manifest, models=files, signed_by=signed_by)


def signature_of(path: Path) -> bytes | None:
    """The signature in a bundle, unchecked; None when it has none.

    Raises:
        BundleError: as `sign_bundle`.
    """
    return _read(path).get(SIGNATURE)


def _signer(path: Path, files: dict[str, bytes], signed: bytes | None, trust: TrustList) -> str:
    if signed is None:
        raise BundleError(path, "is not signed")
    try:
        return signature.verify(files, signed, trust)
    except SignatureError as error:
        raise BundleError(path, f"is refused: {error}") from error


def _write(path: Path, files: dict[str, bytes]) -> None:
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_bytes(content.getvalue())
    draft.replace(path)


def _read(path: Path) -> dict[str, bytes]:
    """All files by name, a manifest among them."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = _files(path, archive)
    except OSError as error:
        raise BundleError(path, f"cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise BundleError(path, f"is no whole zip file: {error}") from error
    if MANIFEST not in files:
        raise BundleError(path, f"has no {MANIFEST}")
    return files


def _files(path: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    """All entries by name; their sizes are known to be in bounds before any is unpacked."""
    entries = archive.infolist()
    unsigned = [entry for entry in entries if entry.filename != SIGNATURE]
    if len(unsigned) > HEADS_MAX + 1:
        raise BundleError(path, f"has {len(unsigned)} files, at most {HEADS_MAX + 1}")
    if sum(entry.file_size for entry in entries) > BUNDLE_BYTES_MAX:
        raise BundleError(path, f"is larger than {BUNDLE_BYTES_MAX} bytes")
    if len({entry.filename for entry in entries}) < len(entries):
        raise BundleError(path, "holds two files of one name")
    for entry in entries:
        if entry.file_size > FILE_BYTES_MAX:
            raise BundleError(path, f"holds {entry.filename} of {entry.file_size} bytes, at most {FILE_BYTES_MAX}")
        if entry.compress_type not in _METHODS:
            raise BundleError(path, f"holds {entry.filename} in a compression that bundles do not use")
    return {entry.filename: archive.read(entry) for entry in entries}


def _manifest(path: Path, text: bytes, features_hash: str | None) -> Manifest:
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(path, f"has a {MANIFEST} that is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise BundleError(path, f"has a {MANIFEST} that is no object")
    version = raw.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BundleError(path, f"is too new: schema {version}, this program reads up to {SCHEMA_VERSION}")
    if features_hash is not None and raw.get("features_hash") != features_hash:
        raise BundleError(
            path, f"is for other features: {raw.get('features_hash')}, this program computes {features_hash}"
        )
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        raise BundleError(path, f"has a wrong {MANIFEST}: {problems}") from error


def _id_of(manifest: bytes) -> str:
    return sha256(manifest).hexdigest()[:12]
