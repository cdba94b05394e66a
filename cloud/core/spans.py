"""Where work can be traced: a span around it, which costs next to nothing while nobody traces."""

from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol


class Spans(Protocol):
    """Opens spans; one that is opened within another belongs to it."""

    def __call__(self, name: str, **facts: str | int) -> AbstractContextManager[object]:
        """The time between entering and leaving, with its name and facts; never a secret."""


def no_span(name: str, **facts: str | int) -> AbstractContextManager[object]:
    """Nobody traces."""
    del name, facts
    return _NOTHING


_NOTHING: Final = nullcontext()
