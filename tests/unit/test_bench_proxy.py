"""The bench's proxy: carries bytes as they are, keeps sockets open while frozen, and loses nothing when it goes on."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from bench.proxy import CONNECTIONS_MAX, proxied

TIMEOUT_S = 10.0
SILENCE_S = 0.3
"""The one wait that nothing ends: that no byte comes can only be seen by waiting."""


@contextmanager
def echo_server() -> Iterator[int]:
    """Sends back what it gets, each connection in a thread; gives its port."""

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(peer,), daemon=True).start()

    def echo(peer: socket.socket) -> None:
        with closing(peer):
            while chunk := peer.recv(65_536):
                peer.sendall(chunk)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(TIMEOUT_S)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)


def received(peer: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (chunk := peer.recv(65_536)):
        found += chunk
    return found


def test_bytes_arrive_as_they_were_sent() -> None:
    sent = bytes(range(256)) * 2_000
    with echo_server() as target, proxied(target) as proxy, closing(connected(proxy.port)) as peer:
        threading.Thread(target=peer.sendall, args=(sent,), daemon=True).start()
        assert received(peer, len(sent)) == sent
        assert proxy.connections == 1


def test_frozen_it_keeps_the_socket_open_and_silent_and_thawed_it_loses_nothing() -> None:
    with echo_server() as target, proxied(target) as proxy, closing(connected(proxy.port)) as peer:
        peer.sendall(b"before")
        assert received(peer, 6) == b"before"
        proxy.freeze()
        peer.sendall(b"meanwhile")
        peer.settimeout(SILENCE_S)
        with pytest.raises(TimeoutError):
            peer.recv(1)  # neither bytes nor an end: b"" would be the end
        peer.settimeout(TIMEOUT_S)
        proxy.thaw()
        assert received(peer, 9) == b"meanwhile"


def test_frozen_it_takes_a_connection_and_serves_it_later() -> None:
    with echo_server() as target, proxied(target) as proxy:
        proxy.freeze()
        with closing(connected(proxy.port)) as peer:
            peer.sendall(b"hello")
            peer.settimeout(SILENCE_S)
            with pytest.raises(TimeoutError):
                peer.recv(1)
            peer.settimeout(TIMEOUT_S)
            proxy.thaw()
            assert received(peer, 5) == b"hello"


def test_frozen_it_stops_reading_so_that_the_sender_is_held_up() -> None:
    with echo_server() as target, proxied(target) as proxy, closing(connected(proxy.port)) as peer:
        proxy.freeze()
        peer.settimeout(SILENCE_S)
        with pytest.raises(TimeoutError):
            peer.sendall(bytes(64 * 2**20))  # more than any socket's buffers


def test_the_end_of_one_side_is_the_end_of_the_other() -> None:
    with proxied_to_one_that_hangs_up() as port, closing(connected(port)) as peer:
        assert peer.recv(1) == b""


@contextmanager
def proxied_to_one_that_hangs_up() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        with proxied(listener.getsockname()[1]) as proxy:
            yield proxy.port


def test_without_a_target_the_connection_is_closed() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        nobody = probe.getsockname()[1]
    with proxied(nobody) as proxy, closing(connected(proxy.port)) as peer:
        assert peer.recv(1) == b""


def test_beyond_its_bound_a_connection_waits_for_another_to_end() -> None:
    with echo_server() as target, proxied(target) as proxy:
        peers = [connected(proxy.port) for _ in range(CONNECTIONS_MAX)]
        for peer in peers:
            peer.sendall(b"x")
            assert received(peer, 1) == b"x"
        with closing(connected(proxy.port)) as late:
            late.sendall(b"y")
            late.settimeout(SILENCE_S)
            with pytest.raises(TimeoutError):
                late.recv(1)
            peers.pop().close()
            late.settimeout(TIMEOUT_S)
            assert received(late, 1) == b"y"
        for peer in peers:
            peer.close()
