"""Plays the MQTT broker on either side of a peer, and counts: what it took over, what it handed on, how often."""

import contextlib
import json
import re
import socket
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Protocol

from bench.peers.packets import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    MQTT_5,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    ClosedError,
    Packet,
    Publish,
    filters_of,
    level_of,
    packet,
    publish,
    publish_of,
    read_packet,
    session_of,
)

HOST = "127.0.0.1"
FEED_TOPIC = "bench/shots"
IN_FLIGHT_MAX = 200
"""Messages that a peer has been sent and has not acknowledged."""
IDS = 65_535
PAYLOAD_BYTES = 200
FIRST_MS, STEP_MS = 1_700_000_000_000, 1_000
NUMBER = re.compile(rb'"n": ?(\d+)')
REQUEST_TOPIC, RESPONSE_TOPIC = "v1/devices/me/rpc/request/", "v1/devices/me/rpc/response/"
NO_LIMITS = json.dumps(
    {
        "maxPayloadSize": 65_536,
        "maxInflightMessages": 100,
        "rateLimits": {},
        "gatewayRateLimits": {},
    }
).encode()
"""What a ThingsBoard server without rate limits answers to `getSessionLimits`, which a gateway waits for."""


@dataclass(slots=True, eq=False)
class Client:
    """One connection; packets go out whole."""

    socket: socket.socket
    level: int = 4
    is_known: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, told: bytes) -> None:
        """Send; to a connection that is gone, nothing."""
        with self.lock, contextlib.suppress(OSError):
            self.socket.sendall(told)


class Side(Protocol):
    """What stands behind a listener."""

    def subscribed(self, client: Client, filters: list[str]) -> None:
        """A client wants messages."""

    def published(self, client: Client, message: Publish) -> None:
        """A client has sent a message; it is acknowledged afterwards."""

    def acknowledged(self, client: Client, message_id: int) -> None:
        """A client has taken a message over."""


class Listener:
    """A broker's socket that can go away and come back; who connects is served in a thread."""

    def __init__(self, side: Side, port: int) -> None:
        self._side = side
        self.port = port
        self._socket: socket.socket | None = None
        self._clients: set[Client] = set()
        self._known: set[str] = set()

    @property
    def clients(self) -> int:
        """How many have said who they are and are connected."""
        return sum(client.is_known for client in self._clients.copy())

    def open(self) -> None:
        """Listen."""
        listening = socket.create_server((HOST, self.port))
        self._socket = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def close(self) -> None:
        """Go, as a stopped broker does: nobody is accepted, every connection is closed."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.socket.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = Client(listening.accept()[0])
                client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._clients.add(client)
                if self._socket is not listening:
                    client.socket.close()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: Client) -> None:
        try:
            while True:
                told = read_packet(client.socket)
                if told.kind == DISCONNECT:
                    return
                self._answer(client, told)
        except ClosedError:
            return
        finally:
            self._clients.discard(client)
            client.socket.close()

    def _answer(self, client: Client, told: Packet) -> None:
        none = b"\0" if client.level == MQTT_5 else b""
        match told.kind:
            case kind if kind == CONNECT:
                client.level = level_of(told.body)
                name, is_clean = session_of(told.body)
                is_known = name in self._known and not is_clean
                self._known.add(name)
                client.is_known = True
                client.send(packet(CONNACK, bytes([is_known, 0]) + (b"\0" if client.level == MQTT_5 else b"")))
            case kind if kind == PUBLISH:
                message = publish_of(told, client.level)
                self._side.published(client, message)
                if message.message_id:
                    client.send(packet(PUBACK, message.message_id.to_bytes(2, "big")))
            case kind if kind == PUBACK:
                self._side.acknowledged(client, int.from_bytes(told.body[:2], "big"))
            case kind if kind == SUBSCRIBE:
                filters = filters_of(told.body, client.level)
                client.send(packet(SUBACK, told.body[:2] + none + b"\1" * len(filters)))
                self._side.subscribed(client, filters)
            case kind if kind == UNSUBSCRIBE:
                client.send(packet(UNSUBACK, told.body[:2] + none + (b"\0" if none else b"")))
            case kind if kind == PINGREQ:
                client.send(packet(PINGRESP, b""))


class Source:
    """The plant: numbers 0, 1, 2 ... with QoS 1; what is not acknowledged is sent again to the next connection.

    Each message has a time of its own, a second after the one before: no peer has to tell two of one time apart.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[int] = deque()
        self._in_flight: dict[int, int] = {}
        self._next_id = 0
        self._client: Client | None = None
        self.sent = 0
        self.accepted: set[int] = set()
        self.subscriptions = 0

    def offer(self, count: int) -> None:
        """So many more messages."""
        with self._lock:
            self._waiting.extend(range(self.sent, self.sent + count))
            self.sent += count
            self._pump()

    def subscribed(self, client: Client, filters: list[str]) -> None:
        """Send again what the connection before has not acknowledged, then go on."""
        if FEED_TOPIC not in filters:
            return
        with self._lock:
            self._client = client
            self.subscriptions += 1
            for message_id, number in list(self._in_flight.items()):
                client.send(publish(FEED_TOPIC, _payload(number), message_id, client.level, is_again=True))
            self._pump()

    def published(self, _client: Client, _message: Publish) -> None:
        """Nobody tells the plant anything."""

    def acknowledged(self, _client: Client, message_id: int) -> None:
        """From now on the message is the peer's to keep."""
        with self._lock:
            number = self._in_flight.pop(message_id, None)
            if number is not None:
                self.accepted.add(number)
            self._pump()

    def _pump(self) -> None:
        while self._client is not None and self._waiting and len(self._in_flight) < IN_FLIGHT_MAX:
            self._next_id = self._next_id % IDS + 1
            if self._next_id in self._in_flight:
                continue
            number = self._waiting.popleft()
            self._in_flight[self._next_id] = number
            self._client.send(publish(FEED_TOPIC, _payload(number), self._next_id, self._client.level))


class Centre:
    """The cloud's end, ThingsBoard's MQTT API included: counts how often each number came."""

    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()
        self.last_s = time.monotonic()

    def subscribed(self, _client: Client, _filters: list[str]) -> None:
        """There is nothing to tell a peer."""

    def published(self, client: Client, message: Publish) -> None:
        """Count, or tell a gateway that there are no limits."""
        if message.topic.startswith(REQUEST_TOPIC):
            topic = RESPONSE_TOPIC + message.topic.removeprefix(REQUEST_TOPIC)
            client.send(publish(topic, NO_LIMITS, 1, client.level))
            return
        found = [int(number) for number in NUMBER.findall(message.payload)]
        if found:
            self.seen.update(found)
            self.last_s = time.monotonic()

    def acknowledged(self, _client: Client, _message_id: int) -> None:
        """Of the answer above."""


def _payload(number: int) -> bytes:
    return json.dumps({"ts": FIRST_MS + STEP_MS * number, "n": number}).encode()[:-1].ljust(PAYLOAD_BYTES - 1) + b"}"
