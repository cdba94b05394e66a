"""What a Sparkplug payload says, as values: metrics and the parts they are made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from contract.sparkplug.datatypes import DataType


@dataclass(frozen=True, slots=True)
class PropertyValue:
    """One property of a metric: a scalar, a Mapping of these (PropertySet) or a tuple of Mappings (PropertySetList)."""

    value: Any
    datatype: DataType | None


PropertySet = Mapping[str, PropertyValue]


@dataclass(frozen=True, slots=True)
class MetaData:
    """What is known about a Bytes or File value beside its bytes."""

    is_multi_part: bool | None = None
    content_type: str | None = None
    size: int | None = None
    seq: int | None = None
    file_name: str | None = None
    file_type: str | None = None
    md5: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """A table: as many `types` (scalars only) as `columns`, and rows of that length; an empty cell is None."""

    columns: tuple[str, ...]
    types: tuple[DataType, ...]
    rows: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a template; `value` is a scalar or None."""

    name: str
    datatype: DataType | None
    value: Any = None


class Metric(NamedTuple):
    """One value with its name, its alias, or both.

    `value` is None for null, else by datatype: int, float, bool, str, bytes, `DataSet`, `Template`, a one-dimensional
    numpy array (number and Boolean arrays; read-only when decoded) or a tuple of str (StringArray). A decoded metric
    whose datatype nobody told has `datatype` None and the bare field as its value. Two metrics with arrays cannot be
    compared by `==`. A named tuple because a decoded one costs 0.2 us and a frozen dataclass 1 us.
    """

    name: str | None
    value: Any
    datatype: DataType | None
    alias: int | None = None
    timestamp_ms: int | None = None
    is_historical: bool = False
    is_transient: bool = False
    properties: PropertySet | None = None
    metadata: MetaData | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A type made of metrics: a definition (no `template_ref`) or an instance that refers to one by its name."""

    metrics: tuple[Metric, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    template_ref: str | None = None
    is_definition: bool = False
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """One Sparkplug B message; `seq` is 0..255."""

    timestamp_ms: int | None
    seq: int | None
    metrics: tuple[Metric, ...] = ()
    uuid: str | None = None
    body: bytes | None = None
