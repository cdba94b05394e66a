"""The few MQTT packets, 3.1.1 and 5, that a listener needs to play a broker."""

import socket
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = (
    *range(1, 5),
    *range(8, 15),
)
QOS_1, DUP = 0x02, 0x08
CLEAN = 0x02
PACKET_BYTES_MAX = 16 << 20
BRIDGE_BIT = 0x80
"""A bridge may set it in the protocol's level."""
MQTT_5 = 5


class ClosedError(Exception):
    """The other side has closed, or sent what is no MQTT."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet: its kind, the four flags, what follows the length."""

    kind: int
    flags: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Publish:
    """A message; `message_id` is 0 at QoS 0."""

    topic: str
    payload: bytes
    message_id: int


def read_packet(connection: socket.socket) -> Packet:
    """The next packet.

    Raises:
        ClosedError: there is none.
    """
    first = _exactly(connection, 1)[0]
    size, shift = 0, 0
    while True:
        byte = _exactly(connection, 1)[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    if size > PACKET_BYTES_MAX:
        raise ClosedError(f"a packet of {size} bytes")
    return Packet(first >> 4, first & 0x0F, _exactly(connection, size))


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    """The bytes of a packet."""
    return bytes([kind << 4 | flags]) + _varint(len(body)) + body


def level_of(connect: bytes) -> int:
    """The protocol's level in a CONNECT: 4 is 3.1.1, 5 is 5."""
    return connect[2 + int.from_bytes(connect[:2], "big")] & ~BRIDGE_BIT


def session_of(connect: bytes) -> tuple[str, bool]:
    """Of a CONNECT the client's id, and whether it wants a session that begins anew."""
    at = 2 + int.from_bytes(connect[:2], "big")
    is_clean = bool(connect[at + 1] & CLEAN)
    at = _after_properties(connect, at + 4, level_of(connect))
    size = int.from_bytes(connect[at : at + 2], "big")
    return connect[at + 2 : at + 2 + size].decode(), is_clean


def publish_of(told: Packet, level: int) -> Publish:
    """What a PUBLISH says."""
    size = int.from_bytes(told.body[:2], "big")
    topic, at, message_id = told.body[2 : 2 + size].decode(), 2 + size, 0
    if told.flags & 0x06:
        message_id, at = int.from_bytes(told.body[at : at + 2], "big"), at + 2
    return Publish(topic, told.body[_after_properties(told.body, at, level) :], message_id)


def publish(topic: str, payload: bytes, message_id: int, level: int, *, is_again: bool = False) -> bytes:
    """A PUBLISH with QoS 1."""
    name = topic.encode()
    head = len(name).to_bytes(2, "big") + name + message_id.to_bytes(2, "big")
    none = b"\0" if level == MQTT_5 else b""
    return packet(PUBLISH, head + none + payload, QOS_1 | (DUP if is_again else 0))


def filters_of(subscribe: bytes, level: int) -> list[str]:
    """The topic filters of a SUBSCRIBE."""
    at, found = _after_properties(subscribe, 2, level), []
    while at < len(subscribe):
        size = int.from_bytes(subscribe[at : at + 2], "big")
        found.append(subscribe[at + 2 : at + 2 + size].decode())
        at += 3 + size
    return found


def _after_properties(body: bytes, at: int, level: int) -> int:
    if level != MQTT_5:
        return at
    assert body[at] < 0x80, "no peer sends so many properties"
    return at + 1 + body[at]


def _varint(number: int) -> bytes:
    told = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        told.append(low | (0x80 if number else 0))
        if not number:
            return bytes(told)


def _exactly(connection: socket.socket, size: int) -> bytes:
    told = bytearray()
    while len(told) < size:
        try:
            chunk = connection.recv(size - len(told))
        except OSError as error:
            raise ClosedError(str(error)) from error
        if not chunk:
            raise ClosedError("closed")
        told += chunk
    return bytes(told)
