"""Sparkplug's array types as packed bytes and back (chapter 6.4.16, "Array Types").

The text says little-endian throughout; the examples of Float and Double there are big-endian and are taken as a slip.
"""

import operator
import struct
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from contract.sparkplug.datatypes import ARRAY_DTYPE, DataType
from contract.sparkplug.errors import PayloadError

_COUNT: Final = struct.Struct("<I")


def pack(datatype: DataType, values: Any) -> bytes:
    """The bytes of a one-dimensional array, or any iterable of its elements.

    Raises:
        PayloadError: an element does not fit the type, or the array has another shape than (n,).
    """
    if datatype is DataType.StringArray:
        return _pack_strings(values)
    if datatype is DataType.BooleanArray:
        return _pack_booleans(values)
    dtype = np.dtype(ARRAY_DTYPE[datatype])
    array = values if isinstance(values, np.ndarray) and values.dtype == dtype else _converted(values, dtype)
    if array.ndim != 1:
        raise PayloadError(f"{datatype.name} of {array.ndim} dimensions: want one")
    return array.tobytes()


def unpack(datatype: DataType, raw: bytes) -> Any:
    """A read-only numpy array, or a tuple of str for StringArray.

    Raises:
        PayloadError: the length does not fit, or a text is not UTF-8.
    """
    if datatype is DataType.StringArray:
        return _unpack_strings(raw)
    if datatype is DataType.BooleanArray:
        return _unpack_booleans(raw)
    dtype = np.dtype(ARRAY_DTYPE[datatype])
    if len(raw) % dtype.itemsize:
        raise PayloadError(f"{datatype.name} of {len(raw)} bytes: not a multiple of {dtype.itemsize}")
    return np.frombuffer(raw, dtype)


def _converted(values: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    try:
        if dtype.kind == "f":
            with np.errstate(over="raise"):
                return np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype)
        # numpy would cut 1.5 to 1 and wrap 300 to 44: each element has to be an integer, and a Python int is checked
        elements = values.tolist() if isinstance(values, np.ndarray) else values
        return np.array([operator.index(element) for element in elements], dtype)
    except (TypeError, ValueError, OverflowError, FloatingPointError) as error:
        raise PayloadError(f"an element is no {dtype.name}: {error}") from error


def _pack_booleans(values: Any) -> bytes:
    array = np.asarray(values if isinstance(values, np.ndarray) else list(values))
    if array.ndim != 1 or (array.size and array.dtype != np.bool_):
        raise PayloadError("BooleanArray of something else than booleans")
    return _COUNT.pack(array.size) + np.packbits(array.astype(np.bool_)).tobytes()


def _unpack_booleans(raw: bytes) -> np.ndarray[Any, Any]:
    if len(raw) < _COUNT.size:
        raise PayloadError("BooleanArray without its count")
    (count,) = _COUNT.unpack_from(raw)
    # the declared count is compared before anything of that size is made
    if len(raw) != _COUNT.size + (count + 7) // 8:
        raise PayloadError(f"BooleanArray says {count} elements in {len(raw)} bytes")
    bits = np.unpackbits(np.frombuffer(raw, np.uint8, offset=_COUNT.size), count=count)
    array = bits.view(np.bool_)
    array.flags.writeable = False
    return array


def _pack_strings(values: Iterable[str]) -> bytes:
    parts: list[bytes] = []
    for text in values:
        if not isinstance(text, str) or "\0" in text:
            raise PayloadError(f"StringArray cannot hold {text!r}")
        try:
            parts.append(text.encode() + b"\0")
        except UnicodeEncodeError as error:
            raise PayloadError("StringArray of a text that is not Unicode") from error
    return b"".join(parts)


def _unpack_strings(raw: bytes) -> tuple[str, ...]:
    if not raw:
        return ()
    if raw[-1]:
        raise PayloadError("StringArray without its last null")
    try:
        return tuple(raw[:-1].decode().split("\0"))
    except UnicodeDecodeError as error:
        raise PayloadError("StringArray that is not UTF-8") from error
