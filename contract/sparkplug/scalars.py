"""Scalars as the fields of a value oneof: integers in two's complement, the rest as they are.

Metrics, properties, template parameters and data set cells all have the same six fields.
"""

import math
import operator
from typing import Any, Final

import numpy as np

from contract.sparkplug.datatypes import FIELD, INTEGER_BITS, DataType
from contract.sparkplug.errors import PayloadError

FLOAT_MAX: Final = float(np.finfo(np.float32).max)


def write(target: Any, datatype: DataType, value: Any) -> None:
    """Set the field of `target` that holds a scalar of this type.

    Raises:
        PayloadError: the value is not of the type or out of its range.
    """
    try:
        setattr(target, FIELD[datatype], _to_field(datatype, value))
    except (TypeError, ValueError, OverflowError) as error:
        raise PayloadError(f"{value!r:.80} is no {datatype.name}") from error


def _to_field(datatype: DataType, value: Any) -> Any:
    bits = INTEGER_BITS.get(datatype)
    if bits is not None:
        return _to_unsigned(datatype, operator.index(value), *bits)
    if datatype is DataType.Boolean:
        if not isinstance(value, bool | np.bool_):
            raise TypeError(value)
        return bool(value)
    if datatype is DataType.Float or datatype is DataType.Double:
        number = float(value)
        if isinstance(value, str) or (
            datatype is DataType.Float and abs(number) > FLOAT_MAX and not math.isinf(number)
        ):
            raise TypeError(value)
        return number
    return value


def _to_unsigned(datatype: DataType, number: int, bits: int, is_signed: bool) -> int:  # noqa: FBT001
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if is_signed else (0, (1 << bits) - 1)
    if not low <= number <= high:
        raise ValueError(number)
    # narrow signed integers are extended to the whole field, as the other implementations do
    return number & (0xFFFF_FFFF if FIELD[datatype] == "int_value" else 0xFFFF_FFFF_FFFF_FFFF)


def read(source: Any, datatype: DataType, field: str) -> Any:
    """The scalar of this type in `field`, the one of `source`'s oneof that is set.

    Signed integers narrower than their field are read both extended to it and masked to their own width.

    Raises:
        PayloadError: the type's value does not belong into this field, or is out of range.
    """
    wanted = FIELD.get(datatype)
    if field != wanted and not (datatype is DataType.UInt32 and field == "int_value"):
        raise PayloadError(f"{datatype.name} in {field}")
    value = getattr(source, field)
    bits = INTEGER_BITS.get(datatype)
    return value if bits is None else _from_unsigned(datatype, value, *bits)


def _from_unsigned(datatype: DataType, number: int, bits: int, is_signed: bool) -> int:  # noqa: FBT001
    field_bits = 64 if bits == 64 else 32
    if is_signed and number >= (1 << field_bits) - (1 << bits - 1):
        return number - (1 << field_bits)
    if number >> bits:
        raise PayloadError(f"{number} is beyond {datatype.name}")
    return number - (1 << bits) if is_signed and number >> bits - 1 else number
