"""Where a gateway and its host stand with each other at each birth, and what the host may order because of it.

In NBIRTH the gateway says which running program it is (`Gateway/Instance`), and what its journal holds. By NCMD the
host may ask for records that it has lost (`Journal/ReplayFrom`), and may refuse one of two programs that go by the
same name (`Gateway/Refused`). Other hosts and edge nodes ignore these metrics.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contract.commit import COMMITTED, EPOCH, FIRST_RECORD_ID, RANGES
from contract.sparkplug.codec import Metric
from contract.sparkplug.datatypes import DataType
from kit.errors import ZhisanError

INSTANCE: Final = "Gateway/Instance"
REFUSED: Final = "Gateway/Refused"
FIRST: Final = "Journal/First"
NEXT: Final = "Journal/Next"
RECALLABLE: Final = "Journal/Recallable"
EPOCH_FIRST: Final = "Journal/EpochFirst"
REPLAY_FROM: Final = "Journal/ReplayFrom"
REASON_CHARACTERS_MAX: Final = 200


class StandingError(ZhisanError):
    """Metrics of a birth or an order that make no sense; the message names them."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a gateway says of itself at birth.

    `epoch_first` <= `recallable` <= `first` <= `next_id`: the first id ever given in this epoch, the lowest that can
    still be read back though it was forgotten, the lowest that is kept until the host has it, and the next to be given.
    """

    instance: str
    epoch: str
    epoch_first: int
    recallable: int
    first: int
    next_id: int


@dataclass(frozen=True, slots=True)
class Replay:
    """The host has lost records of `epoch` from `first` on: send again what can still be read."""

    epoch: str
    first: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Another program goes by this gateway's name, and it was here before `instance`."""

    instance: str
    reason: str


def birth_metrics(standing: Standing) -> list[Metric]:
    """The standing as metrics of an NBIRTH."""
    return [
        Metric(INSTANCE, standing.instance, DataType.UUID),
        Metric(EPOCH, standing.epoch, DataType.UUID),
        Metric(EPOCH_FIRST, standing.epoch_first, DataType.UInt64),
        *moving_metrics(standing),
    ]


def moving_metrics(standing: Standing) -> list[Metric]:
    """What of the standing changes between births, as metrics of an NDATA."""
    return [
        Metric(RECALLABLE, standing.recallable, DataType.UInt64),
        Metric(FIRST, standing.first, DataType.UInt64),
        Metric(NEXT, standing.next_id, DataType.UInt64),
    ]


def words_of_the_host() -> list[Metric]:
    """What a host may write to a gateway, as metrics of its NBIRTH: without a value, since it keeps none of them."""
    return [
        Metric(COMMITTED, None, DataType.UInt64),
        Metric(RANGES, None, DataType.UInt64Array),
        Metric(REPLAY_FROM, None, DataType.UInt64),
        Metric(REFUSED, None, DataType.String),
    ]


def from_birth(values: Mapping[str, Any]) -> Standing | None:
    """The standing in an NBIRTH's metrics by name; None for another maker's edge node.

    Raises:
        StandingError: a metric is missing, or the ids are not in order.
    """
    if EPOCH not in values:
        return None
    instance, epoch = _text(values, INSTANCE), _text(values, EPOCH)
    ids = [_id(values, name) for name in (EPOCH_FIRST, RECALLABLE, FIRST, NEXT)]
    if ids != sorted(ids):
        raise StandingError(f"{EPOCH_FIRST}, {RECALLABLE}, {FIRST} and {NEXT} are {ids}: not in order")
    return Standing(instance, epoch, *ids)


def order_metrics(order: Replay | Refusal) -> list[Metric]:
    """An order as the metrics of an NCMD."""
    if isinstance(order, Replay):
        return [Metric(EPOCH, order.epoch, DataType.UUID), Metric(REPLAY_FROM, order.first, DataType.UInt64)]
    return [
        Metric(INSTANCE, order.instance, DataType.UUID),
        Metric(REFUSED, order.reason[:REASON_CHARACTERS_MAX], DataType.String),
    ]


def order_of(metrics: Iterable[Metric]) -> Replay | Refusal | None:
    """The order in an NCMD's metrics; None when the command is about something else.

    Raises:
        StandingError: the metrics are there but make no sense.
    """
    values = {metric.name or "": metric.value for metric in metrics}
    if REPLAY_FROM in values:
        return Replay(_text(values, EPOCH), _id(values, REPLAY_FROM))
    if REFUSED in values:
        return Refusal(_text(values, INSTANCE), _text(values, REFUSED)[:REASON_CHARACTERS_MAX])
    return None


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise StandingError(f"{name} is {value!r}, not a text")
    return value


def _id(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < FIRST_RECORD_ID:
        raise StandingError(f"{name} is {value!r}, not an id")
    return value
