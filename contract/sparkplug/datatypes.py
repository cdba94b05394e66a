"""The datatypes of Sparkplug B 3.0 and, for each, where its value lies and what it may be (chapter 6.4.16)."""

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt


class DataType(IntEnum):
    """The code of a metric's type; 0 ("Unknown") on the wire is read as no datatype at all."""

    Int8 = 1
    Int16 = 2
    Int32 = 3
    Int64 = 4
    UInt8 = 5
    UInt16 = 6
    UInt32 = 7
    UInt64 = 8
    Float = 9
    Double = 10
    Boolean = 11
    String = 12
    DateTime = 13
    Text = 14
    UUID = 15
    DataSet = 16
    Bytes = 17
    File = 18
    Template = 19
    PropertySet = 20
    PropertySetList = 21
    Int8Array = 22
    Int16Array = 23
    Int32Array = 24
    Int64Array = 25
    UInt8Array = 26
    UInt16Array = 27
    UInt32Array = 28
    UInt64Array = 29
    FloatArray = 30
    DoubleArray = 31
    BooleanArray = 32
    StringArray = 33
    DateTimeArray = 34


INTEGER_BITS: Final = {
    DataType.Int8: (8, True),
    DataType.Int16: (16, True),
    DataType.Int32: (32, True),
    DataType.Int64: (64, True),
    DataType.UInt8: (8, False),
    DataType.UInt16: (16, False),
    DataType.UInt32: (32, False),
    DataType.UInt64: (64, False),
    DataType.DateTime: (64, False),
}
"""Width in bits of each integer type, and whether it is signed."""

FIELD: Final = {
    DataType.Int8: "int_value",
    DataType.Int16: "int_value",
    DataType.Int32: "int_value",
    DataType.Int64: "long_value",
    DataType.UInt8: "int_value",
    DataType.UInt16: "int_value",
    DataType.UInt32: "long_value",  # npm's sparkplug-payload reads it nowhere else; int_value is read as well
    DataType.UInt64: "long_value",
    DataType.Float: "float_value",
    DataType.Double: "double_value",
    DataType.Boolean: "boolean_value",
    DataType.String: "string_value",
    DataType.DateTime: "long_value",
    DataType.Text: "string_value",
    DataType.UUID: "string_value",
}
"""The field of the value oneof that holds each scalar, the same in metrics, properties, parameters and cells."""

ARRAY_DTYPE: Final[dict[DataType, npt.DTypeLike]] = {
    DataType.Int8Array: np.dtype("<i1"),
    DataType.Int16Array: np.dtype("<i2"),
    DataType.Int32Array: np.dtype("<i4"),
    DataType.Int64Array: np.dtype("<i8"),
    DataType.UInt8Array: np.dtype("<u1"),
    DataType.UInt16Array: np.dtype("<u2"),
    DataType.UInt32Array: np.dtype("<u4"),
    DataType.UInt64Array: np.dtype("<u8"),
    DataType.FloatArray: np.dtype("<f4"),
    DataType.DoubleArray: np.dtype("<f8"),
    DataType.DateTimeArray: np.dtype("<u8"),
}
"""The elements of the packed number arrays; BooleanArray and StringArray have layouts of their own."""
