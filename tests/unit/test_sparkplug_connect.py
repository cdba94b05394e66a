"""The CONNECT packet of gateway and host, as the server sees it: clean, and with the will that Sparkplug asks for."""

import json
import socket
from typing import Any, NamedTuple

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from cloud.ingest.listening import Listening
from cloud.ingest.presence import Presence
from contract.sparkplug.codec import Metric, Payload, decode
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import EdgeNodeSession
from contract.sparkplug.message import BD_SEQ
from kit import mqtt_thread
from kit.clock import ManualClock
from kit.mqtt import BrokerSettings, Connected, PahoLink, Will

T = 1_767_225_600_000
STATE_TOPIC = "spBv1.0/STATE/zhisan"
PATIENCE_S = 10.0


class ConnectPacket(NamedTuple):
    """What an MQTT 3.1.1 CONNECT with a will says."""

    protocol_level: int
    is_clean: bool
    will: Will


async def read_connect(stream: SocketStream) -> ConnectPacket:
    """Read the first packet of a connection (MQTT 3.1.1, 3.1): a CONNECT with a will, of less than 16 KiB."""
    data = b""
    while len(data) < 3 or len(data) < sum(sizes(data)):
        data += await stream.receive()
    assert data[0] == 0x10
    rest = data[sizes(data)[0] :]

    def field() -> bytes:
        nonlocal rest
        size = int.from_bytes(rest[:2])
        found, rest = rest[2 : 2 + size], rest[2 + size :]
        return found

    assert field() == b"MQTT"
    level, flags = rest[0], rest[1]
    rest = rest[4:]  # behind level, flags and keep-alive
    _client_id, topic, payload = field(), field(), field()
    assert flags & 0x04, "no will"
    will = Will(topic.decode(), payload, flags >> 3 & 3, bool(flags & 0x20))
    return ConnectPacket(level, bool(flags & 0x02), will)


def sizes(packet: bytes) -> tuple[int, int]:
    """How long an MQTT packet's fixed header is, and how much follows it."""
    return (3, packet[1] & 0x7F | packet[2] << 7) if packet[1] & 0x80 else (2, packet[1])


async def connect_of_edge(broker: BrokerSettings) -> None:
    session = EdgeNodeSession("plant", "gw")
    async with PahoLink(broker, "plant:gw", lambda: will_of(session)) as link:
        await link.events()


def will_of(session: EdgeNodeSession) -> Will:
    will = session.connect()
    return Will(will.topic, will.payload, will.qos, will.retain)


async def connect_of_host(broker: BrokerSettings) -> None:
    listening = Listening()
    listening.turn(on=True)
    await Presence(lambda make: PahoLink(broker, "state", make), "zhisan", listening, ManualClock(T)).run()


@pytest.mark.anyio
@pytest.mark.parametrize("who", ["edge", "host"])
async def test_the_connect_packet_is_clean_and_carries_the_will(who: str) -> None:
    """The bytes that paho sends, as the server sees them."""
    packets: list[ConnectPacket] = []
    async with (await anyio.create_tcp_listener(local_host="127.0.0.1")).listeners[0] as listener:
        port = int(listener.extra(SocketAttribute.local_port))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connect_of_edge if who == "edge" else connect_of_host, BrokerSettings(port=port))
            with anyio.fail_after(PATIENCE_S):
                async with await listener.accept() as stream:
                    packets.append(await read_connect(stream))
            tasks.cancel_scope.cancel()
    (packet,) = packets
    assert (packet.protocol_level, packet.is_clean) == (4, True)
    if who == "edge":
        assert (packet.will.topic, packet.will.qos, packet.will.retain) == ("spBv1.0/plant/NDEATH/gw", 1, False)
        assert decode(packet.will.payload) == Payload(None, None, (Metric(BD_SEQ, 0, DataType.Int64),))
    else:
        assert (packet.will.topic, packet.will.qos, packet.will.retain) == (STATE_TOPIC, 1, True)
        assert json.loads(packet.will.payload) == {"online": False, "timestamp": T}


@pytest.mark.anyio
async def test_attempts_that_reach_no_server_take_no_bdseq(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first CONNECT has 0 and the second 1, whatever was refused before them."""
    refusals = iter([True, True, True, False, True, True, False])
    create_connection = socket.create_connection

    def connect(*arguments: Any, **options: Any) -> socket.socket:
        if next(refusals, False):
            raise ConnectionRefusedError
        return create_connection(*arguments, **options)

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(mqtt_thread, "RECONNECT_S_MIN", 0.001)
    packets: list[ConnectPacket] = []
    async with (await anyio.create_tcp_listener(local_host="127.0.0.1")).listeners[0] as listener:
        broker = BrokerSettings(port=int(listener.extra(SocketAttribute.local_port)))
        session = EdgeNodeSession("plant", "gw")
        with anyio.fail_after(PATIENCE_S):
            async with PahoLink(broker, "plant:gw", lambda: will_of(session)):
                for _ in range(2):
                    async with await listener.accept() as stream:
                        packets.append(await read_connect(stream))
    assert not list(refusals)
    assert [decode(packet.will.payload).metrics[0].value for packet in packets] == [0, 1]


@pytest.mark.anyio
async def test_nothing_is_published_before_the_server_has_accepted_the_connection() -> None:
    """Left alone, paho would send it behind the CONNECT, before the subscriptions and the birth."""
    async with (await anyio.create_tcp_listener(local_host="127.0.0.1")).listeners[0] as listener:
        port = int(listener.extra(SocketAttribute.local_port))
        will = Will("t/will", b"", qos=1, retain=False)
        async with PahoLink(BrokerSettings(port=port), "early", lambda: will) as link:
            with anyio.fail_after(PATIENCE_S):
                async with await listener.accept() as stream:
                    await read_connect(stream)
                    assert not link.publish("t/early", b"early")
                    assert not link.publish("t/early", b"early", qos=1)
                    await stream.send(b"\x20\x02\x00\x00")
                    assert await link.events() == [Connected()]
                    assert link.publish("t/birth", b"birth", qos=1)
                    assert b"early" not in await stream.receive()
