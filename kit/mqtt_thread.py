"""The thread in which a paho client connects, reads and writes, with any number of files open beside it.

paho's own (`loop_start`) waits by `select()`, which knows descriptors under 1024 alone: a program that has more open
when it connects, a cloud with a thousand browsers say, would be cut off before its CONNECT, at each attempt.
"""

import selectors
import socket
import ssl
import threading
from contextlib import suppress

import paho.mqtt.client as paho

RECONNECT_S_MIN, RECONNECT_S_MAX = 1.0, 30.0
MISC_EVERY_S = 1.0  # how often keep-alive is looked at when nothing comes
WAKES_MAX, READ, WRITE = 4_096, selectors.EVENT_READ, selectors.EVENT_WRITE


class ClientThread:
    """Keeps a client connected from `start` to `leave`; the wait between attempts doubles until one is accepted."""

    def __init__(self, client: paho.Client) -> None:
        self._client = client
        self._pair: tuple[socket.socket, socket.socket] | None = None  # what wakes the thread, and who does
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        client.on_socket_register_write = lambda *_: None  # without one paho writes in the thread of whoever publishes

    def start(self) -> None:
        """Begin to connect."""
        self._pair = socket.socketpair()
        self._pair[0].setblocking(False)
        self._pair[1].setblocking(False)
        self._thread.start()

    def wake(self) -> None:
        """Have written what was just published."""
        if self._pair is not None:
            with suppress(OSError):  # it is full of calls to wake, or over
                self._pair[1].send(b"\0")

    def leave(self) -> None:
        """Send DISCONNECT behind what was published, and nothing more."""
        self._is_over.set()
        self._client.disconnect()
        self.wake()

    def join(self) -> None:
        """Wait, having called `leave`, for the thread's end: at most a connection's timeout or its keep-alive."""
        self._thread.join()
        for end in self._pair or ():
            end.close()

    def _run(self) -> None:
        wait_s = RECONNECT_S_MIN
        while not self._is_over.is_set():
            if self._has_reached_server() and self._serve():
                wait_s = RECONNECT_S_MIN
            self._is_over.wait(wait_s)
            wait_s = min(2 * wait_s, RECONNECT_S_MAX)

    def _has_reached_server(self) -> bool:
        try:
            self._client.reconnect()
        except OSError:
            return False
        if self._is_over.is_set():
            self._client.disconnect()  # `leave` may have found no connection to end
        return True

    def _serve(self) -> bool:
        """Read and write until the connection is gone; True when the broker had accepted it."""
        client, stream, was_accepted = self._client, self._client.socket(), False
        assert stream is not None  # it has just connected
        assert self._pair is not None
        woken, _ = self._pair
        with selectors.DefaultSelector() as selector:
            selector.register(woken, READ)
            selector.register(stream, READ)
            while True:
                if client.want_write():
                    client.loop_write()
                if client.socket() is None:
                    return was_accepted
                selector.modify(stream, READ | WRITE if client.want_write() else READ)
                is_waiting = isinstance(stream, ssl.SSLSocket) and stream.pending() > 0
                ready = {key.fileobj: what for key, what in selector.select(0 if is_waiting else MISC_EVERY_S)}
                if woken in ready:
                    woken.recv(WAKES_MAX)
                if is_waiting or ready.get(stream, 0) & READ:
                    client.loop_read()
                    was_accepted |= client.is_connected()
                client.loop_misc()
