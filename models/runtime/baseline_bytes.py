"""The baselines of one press as bytes: versioned, with a checksum, and refused as a whole when they do not fit.

MAGIC, version (2 bytes), `VALUES_HASH` (16), sha256 of the rest (32); then the length of a JSON text (4), that text,
and the arrays that it lists, one after another. Numbers are little-endian.
"""

import json
import struct
from collections import deque
from collections.abc import Callable, Mapping
from hashlib import sha256
from math import prod
from typing import Any, Final

import numpy as np

from contract.shot import FloatArray
from kit.errors import ZhisanError
from models.features.resample import SAMPLES_MAX
from models.features.schema import REFERENCE_SIGNALS, VALUES, VALUES_HASH
from models.runtime.baseline_curves import BASE, CurveReference
from models.runtime.baseline_entry import Entry
from models.runtime.baseline_normal import Normal, Note
from models.runtime.baseline_standing import Options, Stage
from models.runtime.baseline_steps import SET_VALUES, Steps
from models.runtime.baseline_tracks import Tracks

MAGIC: Final = b"ZHISANBL"
VERSION: Final = 1
_HEAD: Final = struct.Struct("<8sH16s32s")
_LENGTH: Final = struct.Struct("<I")
_CURVES: Final = (len(REFERENCE_SIGNALS), SAMPLES_MAX)
_NORMALS: Final = ("normal", "before")
_REFERENCES: Final = ("reference", "coming")
_PLAIN: Final = ("settle_left", "count", "shots", "learnt_ms", "last_ms", "extended", "is_ripe")
_NUMBERS: Final = frozenset({"<f4", "<f8"})
_MISFITS: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, struct.error)
"""What reading can end with when the bytes are not those that `pack` of this version wrote."""
Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]


class BaselineError(ZhisanError):
    """Stored baselines that cannot be taken back; the press learns anew."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"stored baseline {reason}")
        self.reason = reason


def pack(press_id: str, mould_id: str, entries: Mapping[str, Entry]) -> bytes:
    """The baselines of a press by mould, and the mould that is in."""
    arrays: list[Array] = []
    by_mould = {mould: _told(entry, arrays) for mould, entry in entries.items()}
    kinds = [(array.dtype.str, array.shape) for array in arrays]
    text = {"press_id": press_id, "mould_id": mould_id, "entries": by_mould, "arrays": kinds}
    told = json.dumps(text).encode()
    rest = b"".join([_LENGTH.pack(len(told)), told, *(np.ascontiguousarray(array).tobytes() for array in arrays)])
    return _HEAD.pack(MAGIC, VERSION, VALUES_HASH.encode(), sha256(rest).digest()) + rest


def unpack(data: bytes, options: Options) -> tuple[str, str, dict[str, Entry]]:
    """Press, mould that is in, and baselines by mould.

    Raises:
        BaselineError: it is damaged, of a newer program, or of other values.
    """
    if len(data) < _HEAD.size + _LENGTH.size or not data.startswith(MAGIC):
        raise BaselineError("is none, or is cut off")
    _, version, values_hash, digest = _HEAD.unpack_from(data)
    rest = data[_HEAD.size :]
    if version != VERSION:
        raise BaselineError(f"has version {version}, this program reads {VERSION}")
    if sha256(rest).digest() != digest:
        raise BaselineError("is damaged: its checksum is another")
    if values_hash != VALUES_HASH.encode():
        raise BaselineError(f"is of other values: {values_hash.decode('ascii', 'replace')}, not {VALUES_HASH}")
    try:
        return _read(rest, options)
    except _MISFITS as error:
        raise BaselineError(f"does not fit, though its checksum does: {error}") from error


def _read(rest: bytes, options: Options) -> tuple[str, str, dict[str, Entry]]:
    (length,) = _LENGTH.unpack_from(rest)
    text = json.loads(rest[_LENGTH.size : _LENGTH.size + length])
    arrays, place = [], _LENGTH.size + length
    for kind, shape in text["arrays"]:
        if kind not in _NUMBERS or min(shape, default=0) < 0:
            raise ValueError(f"no array is {kind} {shape}")
        array = np.frombuffer(rest, np.dtype(kind), prod(shape), place).reshape(shape).copy()
        arrays.append(array)
        place += array.nbytes
    entries = {str(mould): _made(entry, arrays, options) for mould, entry in text["entries"].items()}
    return str(text["press_id"]), str(text["mould_id"]), entries


def _told(entry: Entry, arrays: list[Array]) -> dict[str, Any]:
    """The entry as JSON, its arrays by their place in `arrays`."""

    def place(array: Array) -> int:
        arrays.append(array)
        return len(arrays) - 1

    told: dict[str, Any] = {name: getattr(entry, name) for name in _PLAIN}
    told |= {"doing": entry.doing, "notes": [(note.at_ms, note.kind, note.values) for note in entry.notes]}
    told |= {"tracks": [place(entry.tracks.fast), place(entry.tracks.slow)]}
    steps = entry.steps
    told |= {"steps": [steps.shots, place(np.stack([steps.last, steps.jump, steps.start]))]}
    told |= {"held": [place(entry.held.fast), place(entry.held.slow)]}
    told |= {"rows": place(np.array(entry.rows, np.float32).reshape(-1, len(VALUES)))}
    for name in _NORMALS:
        normal = getattr(entry, name)
        told[name] = normal and [place(normal.centre), place(normal.scale), place(normal.typical_sd)]
    for name in _REFERENCES:
        reference = getattr(entry, name)
        told[name] = reference and {
            "shots": reference.shots,
            "times": reference.times,
            "ends": [reference.fill, reference.hold],
            "curves": None if reference.curves is None else place(reference.curves),
            "first": place(np.array(reference.first, np.float32).reshape(-1, *_CURVES)),
            "second": place(np.array(reference.second, np.float32).reshape(-1, *_CURVES)),
        }
    return told


def _made(told: dict[str, Any], arrays: list[FloatArray], options: Options) -> Entry:
    def at(place: int, *shape: int) -> Any:
        """The array at a place; a shape's -1 may be any number."""
        found = arrays[place]
        if len(found.shape) != len(shape) or any(n not in {m, -1} for m, n in zip(found.shape, shape, strict=True)):
            raise ValueError(f"an array is {found.shape}, not {shape}")
        return found

    entry = Entry(options, doing=Stage(told["doing"]), **{name: told[name] for name in _PLAIN})
    entry.notes = deque((Note(at, kind, tuple(values)) for at, kind, values in told["notes"]), entry.notes.maxlen)
    count = len(VALUES)
    entry.tracks, entry.held = (
        Tracks(at(fast, 3 * count), at(slow, 2 * count)) for fast, slow in (told["tracks"], told["held"])
    )
    shots, place = told["steps"]
    last, jump, start = at(place, 3, len(SET_VALUES)).astype(np.float64)
    entry.steps = Steps(last, jump, start, shots)
    entry.rows = list(at(told["rows"], -1, count))
    for name in _NORMALS:
        if told[name]:
            setattr(entry, name, Normal(*(at(place, count) for place in told[name])))
    for name in _REFERENCES:
        if told[name]:
            setattr(entry, name, _reference(told[name], at))
    return entry


def _reference(told: dict[str, Any], at: Callable[..., Any]) -> CurveReference:
    fill, hold = told["ends"]
    first, second = (at(told[name], -1, *_CURVES) for name in ("first", "second"))
    if len(first) >= BASE:
        raise ValueError("as many curves as make a median are one")
    return CurveReference(
        told["shots"],
        None if told["curves"] is None else at(told["curves"], *_CURVES),
        fill,
        hold,
        [(injection_s, hold_s) for injection_s, hold_s in told["times"]],
        list(first),
        list(second),
    )
