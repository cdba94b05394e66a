"""Values to bytes: payloads, and the parts of one that a gateway stores and stamps apart."""

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.message import DecodeError

from contract.sparkplug import arrays, scalars
from contract.sparkplug.datatypes import ARRAY_DTYPE, FIELD, DataType
from contract.sparkplug.errors import PayloadError
from contract.sparkplug.limits import METRICS_MAX, PAYLOAD_BYTES_MAX, SEQ_MAX, TIMESTAMP_MS_MAX
from contract.sparkplug.metrics import DataSet, MetaData, Metric, Payload, PropertySet, PropertyValue, Template
from contract.sparkplug.sparkplug_b_pb2 import Payload as Wire

_ARRAYS: Final = {*ARRAY_DTYPE, DataType.BooleanArray, DataType.StringArray}


def encode(payload: Payload) -> bytes:
    """The bytes of a whole payload.

    Raises:
        PayloadError: a value does not fit its datatype.
    """
    header = Wire()
    _set(header, "uuid", payload.uuid)
    _set(header, "body", payload.body)
    stamp = _header(payload.timestamp_ms, payload.seq)
    return stamp + encode_metrics(payload.metrics) + header.SerializeToString()


def encode_header(timestamp_ms: int, seq: int) -> bytes:
    """The bytes to put before those of `encode_metrics`: Protobuf messages concatenate."""
    return _header(timestamp_ms, seq)


def _header(timestamp_ms: int | None, seq: int | None) -> bytes:
    if seq is not None and not 0 <= seq <= SEQ_MAX:
        raise PayloadError(f"seq {seq} is not 0 to {SEQ_MAX}")
    header = Wire()
    _set_timestamp(header, timestamp_ms)
    _set(header, "seq", seq)
    return header.SerializeToString()


def encode_metrics(metrics: Iterable[Metric], *, datatype_in_data: bool = True) -> bytes:
    """The bytes of metrics alone, without time and sequence number.

    DATA messages may leave the datatype out, because the birth told it; some readers (npm's sparkplug-payload) then
    see null, so it is there by default.

    Raises:
        PayloadError: a value does not fit its datatype, or has none.
    """
    wire = Wire()
    for metric in metrics:
        target = wire.metrics.add()
        _write_metric(target, metric)
        if not datatype_in_data:
            target.ClearField("datatype")
    body = wire.SerializeToString()
    if len(wire.metrics) > METRICS_MAX or len(body) > PAYLOAD_BYTES_MAX:
        raise PayloadError(f"{len(wire.metrics)} metrics of {len(body)} bytes are too many")
    return body


def mark_historical(body: bytes) -> bytes:
    """The same metrics, bytes from `encode_metrics`, marked as sent later than measured.

    Raises:
        PayloadError: the bytes are not from `encode_metrics`.
    """
    try:
        wire = Wire.FromString(body)
    except DecodeError as error:
        raise PayloadError("the bytes are no such Protobuf message") from error
    for metric in wire.metrics:
        metric.is_historical = True
    return wire.SerializeToString()


def _write_metric(target: Wire.Metric, metric: Metric) -> None:
    name, value, datatype, alias, timestamp_ms, is_historical, is_transient, properties, metadata = metric
    if name == "":
        raise PayloadError("a metric's name is empty")
    _set(target, "name", name)
    _set(target, "alias", alias)
    _set_timestamp(target, timestamp_ms)
    if is_historical:
        target.is_historical = True
    if is_transient:
        target.is_transient = True
    if properties is not None:
        _write_properties(target.properties, properties)
    if metadata is not None:
        _write_metadata(target.metadata, metadata)
    if datatype is None:
        raise PayloadError(f"metric {name or alias!r} has no datatype")
    target.datatype = datatype
    if value is None:
        target.is_null = True
    elif datatype in FIELD:
        scalars.write(target, datatype, value)
    elif datatype in _ARRAYS:
        target.bytes_value = arrays.pack(datatype, value)
    else:
        _write_composite(target, datatype, value)


def _write_composite(target: Wire.Metric, datatype: DataType, value: Any) -> None:
    if datatype in (DataType.Bytes, DataType.File):
        if not isinstance(value, bytes | bytearray | memoryview):
            raise PayloadError(f"{value!r:.80} is no {datatype.name}")
        target.bytes_value = bytes(value)
    elif datatype is DataType.DataSet and isinstance(value, DataSet):
        _write_dataset(target.dataset_value, value)
    elif datatype is DataType.Template and isinstance(value, Template):
        _write_template(target.template_value, value)
    else:
        raise PayloadError(f"a metric cannot hold {type(value).__name__} as {datatype.name}")


def _write_dataset(target: Wire.DataSet, dataset: DataSet) -> None:
    width = len(dataset.columns)
    if len(dataset.types) != width or any(len(row) != width for row in dataset.rows):
        raise PayloadError("DataSet whose columns, types and rows differ in length")
    target.SetInParent()
    target.num_of_columns = width
    _extend(target.columns, dataset.columns)
    target.types.extend(_scalar(datatype) for datatype in dataset.types)
    for row in dataset.rows:
        elements = target.rows.add().elements
        for datatype, cell in zip(dataset.types, row, strict=True):
            element = elements.add()
            if cell is not None:
                scalars.write(element, datatype, cell)


def _write_template(target: Wire.Template, template: Template) -> None:
    _set(target, "version", template.version)
    _set(target, "template_ref", template.template_ref)
    target.is_definition = template.is_definition
    for metric in template.metrics:
        _write_metric(target.metrics.add(), metric)
    for parameter in template.parameters:
        written = target.parameters.add()
        _set(written, "name", parameter.name)
        written.type = _scalar(parameter.datatype)
        if parameter.value is not None:
            scalars.write(written, _scalar(parameter.datatype), parameter.value)


def _write_properties(target: Wire.PropertySet, properties: PropertySet) -> None:
    target.SetInParent()
    _extend(target.keys, properties)
    for value in properties.values():
        _write_property(target.values.add(), value)


def _write_property(target: Wire.PropertyValue, item: PropertyValue) -> None:
    if item.datatype is None:
        raise PayloadError("a property has no datatype")
    target.type = item.datatype
    if item.value is None:
        target.is_null = True
    elif item.datatype is DataType.PropertySet:
        _write_properties(target.propertyset_value, item.value)
    elif item.datatype is DataType.PropertySetList:
        target.propertysets_value.SetInParent()
        for properties in item.value:
            _write_properties(target.propertysets_value.propertyset.add(), properties)
    else:
        scalars.write(target, _scalar(item.datatype), item.value)


def _write_metadata(target: Wire.MetaData, metadata: MetaData) -> None:
    target.SetInParent()
    for name in MetaData.__slots__:
        _set(target, name, getattr(metadata, name))


def _scalar(datatype: DataType | None) -> DataType:
    if datatype is None or datatype not in FIELD:
        raise PayloadError(f"{datatype.name if datatype else 'no datatype'} where only a scalar can stand")
    return datatype


def _set_timestamp(target: Any, timestamp_ms: int | None) -> None:
    if timestamp_ms is not None and timestamp_ms > TIMESTAMP_MS_MAX:
        raise PayloadError(f"timestamp {timestamp_ms} is beyond the year 9999")
    _set(target, "timestamp", timestamp_ms)


def _set(target: Any, name: str, value: object) -> None:
    if value is None:
        return
    try:
        setattr(target, name, value)
    except (TypeError, ValueError) as error:
        raise PayloadError(f"{name} cannot be {value!r:.80}") from error


def _extend(target: Any, texts: Iterable[str]) -> None:
    try:
        target.extend(texts)
    except (TypeError, ValueError) as error:
        raise PayloadError("a name that is not Unicode text") from error
