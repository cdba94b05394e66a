"""The link between a peer and the centre, which can freeze and come back in two ways."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.proxy import ProxyHandle, proxied


class Link:
    """A proxy on a port that stays; use it through `linked`."""

    def __init__(self, stack: ExitStack, target_port: int) -> None:
        self._stack = stack
        self._target_port = target_port
        self._proxy: ProxyHandle = stack.enter_context(proxied(target_port))
        self.port = self._proxy.port

    def freeze(self) -> None:
        """Nothing moves, and no socket says so."""
        self._proxy.freeze()

    def thaw(self) -> None:
        """What was on its way arrives late."""
        self._proxy.thaw()

    def cut(self) -> None:
        """Nobody is accepted, every connection is closed, what was on its way never arrives."""
        self._stack.close()

    def restore(self) -> None:
        """The link works again and knows nothing of the connections of before."""
        self._proxy = self._stack.enter_context(proxied(self._target_port, self.port))


@contextmanager
def linked(target_port: int) -> Iterator[Link]:
    """A link to `target_port`.

    What the block raises does not go through the proxy's task group, which would wrap it into an exception group.
    """
    stack = ExitStack()
    try:
        yield Link(stack, target_port)
    finally:
        stack.close()
