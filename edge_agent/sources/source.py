"""What every source of shots is: a task that delivers shots, in order, from a position that it can come back to."""

from dataclasses import dataclass
from typing import Protocol

from contract.shot import Shot
from kit.errors import ZhisanError


class SourceError(ZhisanError):
    """A source cannot go on as it is configured; trying again will not heal it."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Cycles of a press that nobody recorded, all before the one that is delivered; where the source stood then."""

    count: int
    from_ms: int
    to_ms: int
    position: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A shot and where its source stood when it was read; both become durable together, behind what was missed."""

    shot: Shot
    source_id: str
    position: str
    missed: Missed | None = None


class Deliver(Protocol):
    """Takes a shot from a source."""

    async def __call__(self, delivery: Delivery, *, can_wait: bool) -> bool:
        """Hand over a shot; True when it was taken.

        A source that can wait (a file) is held back while the pipeline is full; one that cannot (a press) loses the
        shot then, which is counted and gets its line in the gap ledger.
        """


class PressWatch(Protocol):
    """Told when a press comes and goes."""

    def press_connected(self, press_id: str) -> None:
        """The press answers."""

    def press_lost(self, press_id: str, reason: str) -> None:
        """The press does not answer any more."""

    def cycles_missed(self, press_id: str, count: int) -> None:
        """The press has made cycles that no one recorded."""
