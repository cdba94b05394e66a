"""The thread of a connection: it connects beside any number of open files, writes at once, and leaves in order."""

import os
import resource
from collections.abc import Iterator

import anyio
import pytest
from anyio.abc import SocketAttribute

from kit.mqtt import BrokerSettings, Connected, Disconnected, PahoLink

FILES = 1_100
"""More than `select()` can wait for (1,024)."""
PATIENCE_S = 10.0
CONNECT, CONNACK, DISCONNECT = 0x10, b"\x20\x02\x00\x00", b"\xe0\x00"


@pytest.fixture
def _many_open_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2 * FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2 * FILES, hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(FILES)]
    yield
    for file in opened:
        os.close(file)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.anyio
@pytest.mark.usefixtures("_many_open_files")
async def test_a_program_with_a_thousand_open_files_gets_its_connection() -> None:
    async with (await anyio.create_tcp_listener(local_host="127.0.0.1")).listeners[0] as listener:
        broker = BrokerSettings(port=int(listener.extra(SocketAttribute.local_port)))
        async with PahoLink(broker, "many", lambda: None) as link:
            with anyio.fail_after(PATIENCE_S):
                async with await listener.accept() as stream:
                    assert (await stream.receive())[0] == CONNECT
                    await stream.send(CONNACK)
                    assert await link.events() == [Connected()]


@pytest.mark.anyio
async def test_what_was_published_goes_before_the_disconnect() -> None:
    async with (await anyio.create_tcp_listener(local_host="127.0.0.1")).listeners[0] as listener:
        broker = BrokerSettings(port=int(listener.extra(SocketAttribute.local_port)))
        with anyio.fail_after(PATIENCE_S):
            async with PahoLink(broker, "leaver", lambda: None) as link:
                stream = await listener.accept()
                assert (await stream.receive())[0] == CONNECT
                await stream.send(CONNACK)
                assert await link.events() == [Connected()]
                assert link.publish("t", b"x" * 100_000)
                assert link.publish("t/farewell", b"farewell")
            received = b""
            async with stream:
                async for data in stream:
                    received += data
    assert received.endswith(b"farewell" + DISCONNECT)
    assert received.count(b"x") == 100_000


@pytest.mark.anyio
async def test_a_link_leaves_although_nobody_has_answered_its_connect() -> None:
    async with (await anyio.create_tcp_listener(local_host="127.0.0.1")).listeners[0] as listener:
        broker = BrokerSettings(port=int(listener.extra(SocketAttribute.local_port)))
        with anyio.fail_after(PATIENCE_S):
            async with PahoLink(broker, "unheard", lambda: None):
                stream = await listener.accept()
            received = b""
            async with stream:
                async for data in stream:
                    received += data
    assert received.endswith(DISCONNECT)


@pytest.mark.anyio
async def test_a_connection_that_breaks_is_told_and_made_again() -> None:
    async with (await anyio.create_tcp_listener(local_host="127.0.0.1")).listeners[0] as listener:
        broker = BrokerSettings(port=int(listener.extra(SocketAttribute.local_port)))
        with anyio.fail_after(PATIENCE_S):
            async with PahoLink(broker, "again", lambda: None) as link:
                for _ in range(2):
                    async with await listener.accept() as stream:
                        assert (await stream.receive())[0] == CONNECT
                        await stream.send(CONNACK)
                        assert await link.events() == [Connected()]
                    assert isinstance((await link.events())[0], Disconnected)
