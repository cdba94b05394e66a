"""Bytes to values: any bytes give a `Payload` or a `PayloadError`, within named bounds."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import DecodeError

from contract.sparkplug import arrays, scalars
from contract.sparkplug.datatypes import ARRAY_DTYPE, FIELD, DataType
from contract.sparkplug.errors import PayloadError
from contract.sparkplug.limits import METRICS_MAX, NESTING_MAX, PAYLOAD_BYTES_MAX, SEQ_MAX, TIMESTAMP_MS_MAX
from contract.sparkplug.message_count import check_message_count
from contract.sparkplug.metrics import (
    DataSet,
    MetaData,
    Metric,
    Parameter,
    Payload,
    PropertySet,
    PropertyValue,
    Template,
)
from contract.sparkplug.sparkplug_b_pb2 import Payload as Wire

# Below this size even a payload of nothing but empty messages parses into a few MiB; above it they are counted first.
_COUNTED_ABOVE_BYTES: Final = 64 * 1024

Known = Mapping[int | str, tuple[str, DataType | None]]
"""What a birth told: alias and name, each to name and datatype."""

_TYPES: Final[tuple[DataType | None, ...]] = (None, *DataType)
_ARRAYS: Final = {*ARRAY_DTYPE, DataType.BooleanArray, DataType.StringArray}
_AS_IS: Final = {
    DataType.Float: "float_value",
    DataType.Double: "double_value",
    DataType.Boolean: "boolean_value",
    DataType.String: "string_value",
    DataType.Text: "string_value",
    DataType.UUID: "string_value",
    DataType.UInt64: "long_value",
    DataType.DateTime: "long_value",
    DataType.Bytes: "bytes_value",
    DataType.File: "bytes_value",
}
_new_metric: Final = tuple.__new__


def decode(data: bytes, known: Known | None = None) -> Payload:
    """Read a payload; names and datatypes that a metric leaves out are taken from `known` by its alias or name.

    A datatype that stands in the message wins over the known one. A missing value counts as null.

    Raises:
        PayloadError: for whatever is wrong with the bytes, and nothing else.
    """
    if len(data) > PAYLOAD_BYTES_MAX:
        raise PayloadError(f"{len(data)} bytes, at most {PAYLOAD_BYTES_MAX}")
    if len(data) > _COUNTED_ABOVE_BYTES:
        check_message_count(data)
    try:
        wire = Wire.FromString(data)
    except DecodeError as error:
        raise PayloadError("the bytes are no such Protobuf message") from error
    if len(wire.metrics) > METRICS_MAX:
        raise PayloadError(f"{len(wire.metrics)} metrics, at most {METRICS_MAX}")
    seq = wire.seq if wire.HasField("seq") else None
    if seq is not None and seq > SEQ_MAX:
        raise PayloadError(f"seq {seq}, at most {SEQ_MAX}")
    return Payload(
        _timestamp(wire),
        seq,
        tuple([_metric(metric, known or {}, 0) for metric in wire.metrics]),
        wire.uuid if wire.HasField("uuid") else None,
        wire.body if wire.HasField("body") else None,
    )


def _metric(wire: Wire.Metric, known: Known, depth: int) -> Metric:
    name = wire.name or None
    # a field that is not 0 is present: HasField is asked only where that cannot tell
    alias = wire.alias or (0 if wire.HasField("alias") else None)
    datatype = _datatype(wire.datatype)
    if known and (name is None or datatype is None):
        told = known.get(alias) if alias is not None else None
        if told is None and name is not None:
            told = known.get(name)
        if told is not None:
            name = name or told[0]
            datatype = datatype or told[1]
    field = wire.WhichOneof("value")
    value: Any = None
    if field is not None and not wire.is_null:
        value = getattr(wire, field) if field == _AS_IS.get(datatype) else _value(wire, field, datatype, depth)  # type: ignore[arg-type]
    return _new_metric(
        Metric,
        (
            name,
            value,
            datatype,
            alias,
            _timestamp(wire),
            wire.is_historical,
            wire.is_transient,
            _properties(wire.properties, depth) if wire.HasField("properties") else None,
            _metadata(wire.metadata) if wire.HasField("metadata") else None,
        ),
    )


def _value(wire: Wire.Metric, field: str, datatype: DataType | None, depth: int) -> Any:
    if datatype in _ARRAYS and field == "bytes_value":
        return arrays.unpack(datatype, wire.bytes_value)
    if datatype in FIELD:
        return scalars.read(wire, datatype, field)
    if field == "dataset_value" and datatype in (DataType.DataSet, None):
        return _dataset(wire.dataset_value)
    if field == "template_value" and datatype in (DataType.Template, None):
        return _template(wire.template_value, depth + 1)
    if datatype is None and field != "extension_value":
        return getattr(wire, field)
    raise PayloadError(f"{datatype.name if datatype else 'no datatype'} in {field}")


def _dataset(wire: Wire.DataSet) -> DataSet:
    columns, types = tuple(wire.columns), tuple(_scalar(code) for code in wire.types)
    if not len(columns) == len(types) == wire.num_of_columns:
        raise PayloadError(f"DataSet of {wire.num_of_columns} columns, {len(columns)} names, {len(types)} types")
    if wire.rows and not columns:
        raise PayloadError("DataSet of rows without columns")
    rows: list[tuple[Any, ...]] = []
    for row in wire.rows:
        if len(row.elements) != len(types):
            raise PayloadError(f"DataSet of {len(types)} columns with a row of {len(row.elements)}")
        rows.append(tuple([_cell(cell, datatype) for cell, datatype in zip(row.elements, types, strict=True)]))
    return DataSet(columns, types, tuple(rows))


def _cell(wire: Wire.DataSet.Value | Wire.Template.Parameter, datatype: DataType) -> Any:
    field = wire.WhichOneof("value")
    return None if field is None else scalars.read(wire, datatype, field)


def _template(wire: Wire.Template, depth: int) -> Template:
    if depth > NESTING_MAX:
        raise PayloadError(f"templates nested deeper than {NESTING_MAX}")
    return Template(
        tuple([_metric(metric, {}, depth) for metric in wire.metrics]),
        tuple([_parameter(parameter) for parameter in wire.parameters]),
        wire.template_ref if wire.HasField("template_ref") else None,
        wire.is_definition,
        wire.version if wire.HasField("version") else None,
    )


def _parameter(wire: Wire.Template.Parameter) -> Parameter:
    datatype = _scalar(wire.type)
    return Parameter(wire.name, datatype, _cell(wire, datatype))


def _properties(wire: Wire.PropertySet, depth: int) -> PropertySet:
    if depth > NESTING_MAX:
        raise PayloadError(f"properties nested deeper than {NESTING_MAX}")
    if len(wire.keys) != len(wire.values):
        raise PayloadError(f"PropertySet of {len(wire.keys)} keys and {len(wire.values)} values")
    return {key: _property(value, depth) for key, value in zip(wire.keys, wire.values, strict=True)}


def _property(wire: Wire.PropertyValue, depth: int) -> PropertyValue:
    datatype, field = _datatype(wire.type), wire.WhichOneof("value")
    if field is None or wire.is_null:
        return PropertyValue(None, datatype)
    if field == "propertyset_value" and datatype in (DataType.PropertySet, None):
        return PropertyValue(_properties(wire.propertyset_value, depth + 1), datatype)
    if field == "propertysets_value" and datatype in (DataType.PropertySetList, None):
        sets = wire.propertysets_value.propertyset
        return PropertyValue(tuple([_properties(properties, depth + 1) for properties in sets]), datatype)
    if datatype is not None:
        return PropertyValue(scalars.read(wire, datatype, field), datatype)
    if field == "extension_value":
        raise PayloadError("a property in extension_value")
    return PropertyValue(getattr(wire, field), None)


def _metadata(wire: Wire.MetaData) -> MetaData:
    return MetaData(**{field.name: value for field, value in wire.ListFields()})


def _datatype(code: int) -> DataType | None:
    if code >= len(_TYPES):
        raise PayloadError(f"there is no datatype {code}")
    return _TYPES[code]


def _scalar(code: int) -> DataType:
    datatype = _datatype(code)
    if datatype not in FIELD:
        raise PayloadError(f"datatype {code} where only a scalar can stand")
    return datatype


def _timestamp(wire: Wire | Wire.Metric) -> int | None:
    timestamp_ms = wire.timestamp
    if timestamp_ms > TIMESTAMP_MS_MAX:
        raise PayloadError(f"timestamp {timestamp_ms} is beyond the year 9999")
    return timestamp_ms or (0 if wire.HasField("timestamp") else None)
