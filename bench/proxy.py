"""A TCP proxy that can freeze: sockets stay open and nothing moves, as behind a dead radio link or a stuck firewall."""

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

CHUNK_BYTES = 65_536
CONNECTIONS_MAX = 64
"""At the bound the next connection waits in the listening queue."""
CONNECT_TIMEOUT_S = 5.0
HOST = "127.0.0.1"


class Proxy:
    """Carries bytes between whoever connects to `port` and `target_port`; use it through `proxied`.

    On bare sockets, since a stream of anyio or asyncio reads ahead.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._flows = anyio.Event()
        self._flows.set()
        self._room = anyio.CapacityLimiter(CONNECTIONS_MAX)
        self.port = 0
        self.connections = 0

    async def serve(self, wanted_port: int, ready: anyio.Event) -> None:
        """Carry until cancelled; `ready` is set when `port` is known and listens."""
        with closing(socket.create_server((HOST, wanted_port))) as listener:
            listener.setblocking(False)
            self.port = listener.getsockname()[1]
            ready.set()
            async with anyio.create_task_group() as tasks:
                while True:
                    await anyio.wait_readable(listener)
                    await self._flows.wait()
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        near, _ = listener.accept()
                        tasks.start_soon(self._on_connection, near)

    async def freeze(self) -> None:
        """From now on nothing is taken from any socket, and nobody is accepted; all stays open."""
        self._flows = anyio.Event()

    async def thaw(self) -> None:
        """Go on where it stopped: what is in the sockets' buffers arrives late."""
        self._flows.set()

    async def _on_connection(self, near: socket.socket) -> None:
        with closing(near), contextlib.suppress(OSError, TimeoutError):
            async with self._room:
                near.setblocking(False)
                with closing(await self._target()) as far:
                    self.connections += 1
                    async with anyio.create_task_group() as tasks:
                        for source, sink in ((near, far), (far, near)):
                            tasks.start_soon(self._carry, source, sink, tasks.cancel_scope)

    async def _target(self) -> socket.socket:
        """A connection to the target.

        Raises:
            OSError: nobody is there.
            TimeoutError: nobody answers.
        """
        far = socket.socket()
        far.setblocking(False)
        try:
            far.connect_ex((HOST, self._target_port))
            with anyio.fail_after(CONNECT_TIMEOUT_S):
                await anyio.wait_writable(far)
            if reason := far.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(reason, os.strerror(reason))
        except BaseException:
            far.close()
            raise
        return far

    async def _carry(self, source: socket.socket, sink: socket.socket, both: anyio.CancelScope) -> None:
        """One direction; the end of either is the end of both."""
        with contextlib.suppress(ConnectionError):
            while chunk := await self._received(source):
                await self._send(sink, chunk)
        both.cancel()

    async def _received(self, source: socket.socket) -> bytes:
        while True:
            await anyio.wait_readable(source)
            await self._flows.wait()
            with contextlib.suppress(BlockingIOError):
                return source.recv(CHUNK_BYTES)

    async def _send(self, sink: socket.socket, chunk: bytes) -> None:
        left = memoryview(chunk)
        while left:
            await anyio.wait_writable(sink)
            await self._flows.wait()
            with contextlib.suppress(BlockingIOError):
                left = left[sink.send(left) :]


class ProxyHandle:
    """A running proxy, for code that is not in its event loop."""

    def __init__(self, portal: BlockingPortal, proxy: Proxy) -> None:
        self._portal = portal
        self._proxy = proxy

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._proxy.port

    @property
    def connections(self) -> int:
        """How many it has carried so far."""
        return self._proxy.connections

    def freeze(self) -> None:
        """See `Proxy.freeze`."""
        self._portal.call(self._proxy.freeze)

    def thaw(self) -> None:
        """See `Proxy.thaw`."""
        self._portal.call(self._proxy.thaw)


@contextmanager
def proxied(target_port: int, port: int = 0) -> Iterator[ProxyHandle]:
    """A proxy in a thread of its own before `target_port`; 0 takes a free port."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_serving(target_port, port)) as proxy:
        yield ProxyHandle(portal, proxy)


@asynccontextmanager
async def _serving(target_port: int, port: int) -> AsyncIterator[Proxy]:
    proxy, ready = Proxy(target_port), anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(proxy.serve, port, ready, name="proxy")
        await ready.wait()
        try:
            yield proxy
        finally:
            tasks.cancel_scope.cancel()
