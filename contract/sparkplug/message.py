"""What both sessions share: an outgoing message, the reserved metric names, and what a birth tells."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from contract.sparkplug.datatypes import DataType
from contract.sparkplug.errors import PayloadError
from contract.sparkplug.metrics import Metric

BD_SEQ: Final = "bdSeq"
REBIRTH: Final = "Node Control/Rebirth"
SEQ_MODULO: Final = 256


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT publication, or a will."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


Births = dict[int | str, tuple[str, DataType | None]]
"""By alias and by name: the name and datatype that a birth gave."""


def births_of(metrics: Iterable[Metric]) -> Births:
    """What later DATA and CMD messages may leave out.

    Raises:
        PayloadError: a metric has no name, or two metrics have the same alias.
    """
    told: Births = {}
    for metric in metrics:
        if metric.name is None:
            raise PayloadError("a birth with a metric without name")
        entry = (metric.name, metric.datatype)
        told[metric.name] = entry
        if metric.alias is not None:
            if metric.alias in told:
                raise PayloadError(f"a birth with alias {metric.alias} given twice")
            told[metric.alias] = entry
    return told


def by_alias(metrics: Iterable[Metric]) -> list[Metric]:
    """The metrics of a DATA or CMD message: one that has an alias goes by it alone, its name is in the birth."""
    return [metric if metric.alias is None else metric._replace(name=None) for metric in metrics]
