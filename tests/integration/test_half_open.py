"""A link whose far side is silently gone: found within two keep-alives by who stands at it, and nothing is lost."""

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import pytest

from deploy.local.broker import mosquitto_program
from deploy.local.processes import free_port
from kit.mqtt import KEEP_ALIVE_S
from tests.e2e.fault_plant import (
    LOOPBACK,
    Broker,
    Plant,
    assert_stored_once,
    running,
    wait_until,
    wait_until_drained,
)

Side = Literal["gateway", "cloud"]
FOUND: dict[Side, str] = {"gateway": "broker_disconnected", "cloud": "ingest_disconnected"}
ROWS = 3_000
ROWS_ASIDE = 500
"""Before, which only shows that the line runs, and after, that it runs again."""
CHUNK_BYTES = 65_536
FOUND_S_MAX = 2.5 * KEEP_ALIVE_S
"""A client notices within one and a half keep-alives, here within 20 s; the rest is for a busy machine."""


class Proxy:
    """TCP between a client and a broker; while `is_silent` it reads nothing, answers nobody and closes nothing."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self.is_silent = False
        self._is_over = False
        self._peers: dict[socket.socket, socket.socket] = {}
        self._thread = threading.Thread(target=self._run, name=f"proxy of {target}")

    @contextmanager
    def serving(self) -> Iterator["Proxy"]:
        """Carry bytes as long as the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._is_over = True
            self._thread.join(10)
            for each in (*self._peers, self._listener):
                each.close()

    def heal(self) -> None:
        """New connections are carried again; those from before stay dead, as after a router's restart."""
        self._dead, self._peers = self._peers, {}
        self.is_silent = False
        for each in self._dead:
            each.close()

    def _run(self) -> None:
        while not self._is_over:
            if self.is_silent:
                time.sleep(0.02)
                continue
            with selectors.DefaultSelector() as selector:
                for each in (self._listener, *self._peers):
                    selector.register(each, selectors.EVENT_READ)
                for key, _ in selector.select(0.05):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket):
                        self._carry(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            broker = socket.create_connection((LOOPBACK, self._target), timeout=5)
        except OSError:  # the broker is not there: nor is the proxy
            client.close()
            return
        broker.settimeout(None)
        self._peers |= {client: broker, broker: client}

    def _carry(self, source: socket.socket) -> None:
        if source not in self._peers:
            return  # its peer ended in the same round
        try:
            chunk = source.recv(CHUNK_BYTES)
            if chunk:
                self._peers[source].sendall(chunk)
                return
        except OSError:  # a reset is an end too
            pass
        sink = self._peers.pop(source)
        self._peers.pop(sink)
        source.close()
        sink.close()


@pytest.mark.parametrize("side", ["gateway", "cloud"])
def test_a_half_open_link_is_found_and_nothing_is_lost(tmp_path: Path, side: Side) -> None:
    brokers: list[Broker] = ["nats"] if mosquitto_program() is None else ["nats", "mosquitto"]
    with ExitStack() as stack:
        lines = [_line(stack, tmp_path / broker, broker, side) for broker in brokers]
        for plant, _ in lines:
            plant.replay("before", ROWS_ASIDE)
            wait_until_drained(plant)
        began_s = time.time()
        for plant, proxy in lines:
            plant.replay("during", ROWS)
            proxy.is_silent = True
        for plant, proxy in lines:
            wait_until(plant, lambda plant=plant: bool(plant.logged(FOUND[side], by=side)), FOUND_S_MAX, "it is found")
            [found, *_] = plant.logged(FOUND[side], by=side)
            found_s = datetime.fromisoformat(found["timestamp"]).timestamp() - began_s
            print(f"{side}'s half-open link to {plant.broker} found in {found_s:.1f} s (keep-alive {KEEP_ALIVE_S} s)")
            proxy.heal()
        for plant, _ in lines:
            plant.replay("after", ROWS_ASIDE)
            wait_until_drained(plant)
            assert_stored_once(plant, f"half-open {side}")


def _line(stack: ExitStack, folder: Path, broker: Broker, side: Side) -> tuple[Plant, Proxy]:
    folder.mkdir()
    port = free_port()
    proxy = stack.enter_context(Proxy(port).serving())
    through = {f"{side}_port": proxy.port}
    return stack.enter_context(running(folder, broker, port=port, **through)), proxy
