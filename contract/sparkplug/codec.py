"""The codec in one place to import from: what a payload says, to bytes and back."""

from contract.sparkplug.decoding import Known, decode
from contract.sparkplug.encoding import encode, encode_header, encode_metrics, mark_historical
from contract.sparkplug.errors import PayloadError
from contract.sparkplug.limits import METRICS_MAX, PAYLOAD_BYTES_MAX, TIMESTAMP_MS_MAX
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

__all__ = [
    "METRICS_MAX",
    "PAYLOAD_BYTES_MAX",
    "TIMESTAMP_MS_MAX",
    "DataSet",
    "Known",
    "MetaData",
    "Metric",
    "Parameter",
    "Payload",
    "PayloadError",
    "PropertySet",
    "PropertyValue",
    "Template",
    "decode",
    "encode",
    "encode_header",
    "encode_metrics",
    "mark_historical",
]
