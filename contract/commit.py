"""The commit above Sparkplug: the host's word to a gateway that records are durable.

It travels as three metrics of an NCMD, which other edge nodes ignore: the epoch it speaks of, the id below which all
is durable, and up to 64 closed ranges above it (as first, last, first, last ...).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from contract.ranges import RangeSet
from contract.sparkplug.codec import Metric
from contract.sparkplug.datatypes import DataType
from kit.errors import ZhisanError

EPOCH: Final = "Journal/Epoch"
COMMITTED: Final = "Journal/Committed"
RANGES: Final = "Journal/Ranges"
RANGES_MAX: Final = 64
FIRST_RECORD_ID: Final = 1


class CommitError(ZhisanError):
    """A commit that makes no sense; it names the metric, and nothing was forgotten because of it."""


@dataclass(frozen=True, slots=True)
class Commit:
    """All ids of `epoch` under `below`, and those in `ranges`, are durable at the host."""

    epoch: str
    below: int
    ranges: tuple[tuple[int, int], ...] = ()


def commit_of(epoch: str, durable: RangeSet) -> Commit:
    """What a host may say of the ids it has stored."""
    below = durable.contiguous_from(FIRST_RECORD_ID)
    return Commit(epoch, below, tuple(durable.above(below, RANGES_MAX)))


def to_metrics(commit: Commit) -> list[Metric]:
    """The commit as the metrics of an NCMD."""
    flat = [number for span in commit.ranges for number in span]
    return [
        Metric(EPOCH, commit.epoch, DataType.UUID),
        Metric(COMMITTED, commit.below, DataType.UInt64),
        Metric(RANGES, flat, DataType.UInt64Array),
    ]


def from_metrics(metrics: Iterable[Metric]) -> Commit | None:
    """The commit in an NCMD's metrics; None when the command is about something else.

    Raises:
        CommitError: the metrics are there but make no sense.
    """
    values = {metric.name: metric.value for metric in metrics}
    if COMMITTED not in values:
        return None
    epoch, below, flat = values.get(EPOCH), values[COMMITTED], values.get(RANGES, ())
    if not isinstance(epoch, str) or not epoch:
        raise CommitError(f"{EPOCH} is missing")
    if not isinstance(below, int) or below < FIRST_RECORD_ID:
        raise CommitError(f"{COMMITTED} is {below!r}, not an id")
    numbers = [int(number) for number in flat] if flat is not None else []
    if len(numbers) % 2 or len(numbers) > 2 * RANGES_MAX:
        raise CommitError(f"{RANGES} has {len(numbers)} numbers: want pairs, at most {RANGES_MAX}")
    spans = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    if any(first > last or first < below for first, last in spans):
        raise CommitError(f"{RANGES} has a range that ends before it begins or lies below {below}")
    return Commit(epoch, below, spans)
