"""A host's session: births, gaps, deaths, rebirth requests, and its own STATE."""

import json
import random

import pytest

from contract.sparkplug.codec import Metric, Payload, encode, encode_header, encode_metrics
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import EdgeNodeSession, RebirthRequested
from contract.sparkplug.errors import PayloadError
from contract.sparkplug.host import (
    DeviceBorn,
    DeviceData,
    DeviceDied,
    HostSession,
    NodeBorn,
    NodeData,
    NodeDied,
    RebirthNeeded,
    Rejected,
    SeqGap,
    StateContested,
)
from contract.sparkplug.message import BD_SEQ, Message
from contract.sparkplug.rebirth_limit import RebirthLimit
from contract.sparkplug.topics import NodeKey

T = 1_767_225_600_000
NODE = NodeKey("plant", "gw")
NODE_METRIC = Metric("Journal/Next", 5, DataType.UInt64, alias=1)
PRESS_METRIC = Metric("CycleTime", None, DataType.Double, alias=2)
BODY = encode_metrics([Metric(None, 31.5, DataType.Double, alias=2, timestamp_ms=T)], datatype_in_data=False)
MEASURED = (Metric("CycleTime", 31.5, DataType.Double, alias=2, timestamp_ms=T),)


def edge() -> EdgeNodeSession:
    session = EdgeNodeSession("plant", "gw")
    session.connect()
    session.connected()
    return session


def births(session: EdgeNodeSession) -> list[Message]:
    return session.birth([NODE_METRIC], {"press": [PRESS_METRIC]}, T)


def feed(host: HostSession, *messages: Message) -> list[object]:
    return [event for message in messages for event in host.on_message(message.topic, message.payload, T)]


def followed() -> tuple[EdgeNodeSession, HostSession]:
    node, host = edge(), HostSession("cloud")
    feed(host, *births(node))
    return node, host


def test_births_data_and_deaths_are_told_in_order() -> None:
    node, host = edge(), HostSession("cloud")
    nbirth, dbirth = births(node)
    (born,) = feed(host, nbirth)
    assert isinstance(born, NodeBorn)
    assert (born.node, born.bd_seq, born.raw, born.timestamp_ms) == (NODE, 0, nbirth.payload, T)
    assert NODE_METRIC._replace(timestamp_ms=T) in born.metrics
    assert feed(host, dbirth) == [
        DeviceBorn(NODE, "press", (PRESS_METRIC._replace(timestamp_ms=T),), dbirth.payload, T)
    ]
    assert feed(host, node.device_data("press", BODY, T)) == [DeviceData(NODE, "press", MEASURED, T, 2)]
    assert feed(host, node.node_data([Metric(None, 6, DataType.UInt64, alias=1)], T)) == [
        NodeData(NODE, (Metric("Journal/Next", 6, DataType.UInt64, alias=1, timestamp_ms=T),), T, 3)
    ]
    assert host.is_born(NODE, "press")
    assert feed(host, node.device_death("press", T)) == [DeviceDied(NODE, "press", T)]
    assert not host.is_born(NODE, "press")
    assert feed(host, node.node_death(T)) == [NodeDied(NODE, T)]
    assert not host.is_born(NODE)


def test_a_gap_is_told_once_and_its_data_are_kept() -> None:
    node, host = followed()
    node.device_data("press", BODY, T)  # lost
    assert feed(host, node.device_data("press", BODY, T)) == [
        SeqGap(NODE, 2, 3),
        RebirthNeeded(NODE, "its sequence has a gap"),
        DeviceData(NODE, "press", MEASURED, T, 3),
    ]
    assert feed(host, node.device_data("press", BODY, T)) == [DeviceData(NODE, "press", MEASURED, T, 4)]


def test_a_whole_turn_of_the_sequence_has_no_gap() -> None:
    node, host = followed()
    for _ in range(700):
        (event,) = feed(host, node.device_data("press", BODY, T))
        assert isinstance(event, DeviceData)


def test_gap_rebirth_and_data_again() -> None:
    node, host = followed()
    node.device_data("press", BODY, T)
    feed(host, node.device_data("press", BODY, T))
    request = host.rebirth_request(NODE, T, 0.0)
    assert request is not None
    assert (request.topic, request.qos, request.retain) == ("spBv1.0/plant/NCMD/gw", 0, False)
    assert node.on_message(request.topic, request.payload) == [RebirthRequested()]
    assert [type(event) for event in feed(host, *births(node))] == [NodeBorn, DeviceBorn]
    assert feed(host, node.device_data("press", BODY, T)) == [DeviceData(NODE, "press", MEASURED, T, 2)]


def test_data_of_the_unborn_ask_for_a_rebirth_and_keep_what_has_a_name() -> None:
    host = HostSession("cloud")
    named = Metric("Journal/Id", 4, DataType.UInt64)
    body = encode_header(T, 9) + encode_metrics([named, *MEASURED[:0], Metric(None, 1, DataType.Int8, alias=3)])
    assert host.on_message("spBv1.0/plant/DDATA/gw/press", body, T) == [
        RebirthNeeded(NODE, "it is not born"),
        DeviceData(NODE, "press", (named,), T, 9, unnamed=1),
    ]
    assert host.on_message("spBv1.0/plant/NDATA/gw", encode_header(T, 10) + BODY, T) == [
        RebirthNeeded(NODE, "it is not born")
    ]
    assert host.on_message("spBv1.0/plant/DBIRTH/gw/press", encode_header(T, 1), T) == [
        RebirthNeeded(NODE, "it is not born")
    ]


def test_data_of_an_unborn_device_of_a_born_node() -> None:
    node, host = followed()
    lost = node.device_birth("robot", [Metric("Grip", 0, DataType.Int8, alias=3)], T)
    body = encode_metrics([Metric(None, 1, DataType.Int8, alias=3)])
    assert lost.topic.endswith("robot")
    events = feed(host, node.device_data("robot", body, T))
    assert [type(event) for event in events] == [SeqGap, RebirthNeeded, RebirthNeeded]


def test_an_unknown_alias_asks_for_a_rebirth_and_the_rest_is_given() -> None:
    node, host = followed()
    body = BODY + encode_metrics([Metric(None, 1, DataType.Int8, alias=99)])
    assert feed(host, node.device_data("press", body, T)) == [
        RebirthNeeded(NODE, "an alias is in no birth"),
        DeviceData(NODE, "press", MEASURED, T, 2, unnamed=1),
    ]


def test_the_will_of_an_older_connection_is_ignored() -> None:
    node, host = EdgeNodeSession("plant", "gw"), HostSession("cloud")
    first_will = node.connect()
    node.connected()
    feed(host, *births(node))
    second_will = node.connect()
    node.connected()
    feed(host, *births(node))
    assert feed(host, first_will) == []
    assert host.is_born(NODE, "press")
    assert feed(host, second_will) == [NodeDied(NODE, T)]
    assert feed(host, second_will) == []


def test_a_new_node_birth_takes_its_devices_off() -> None:
    node, host = followed()
    feed(host, node.birth([NODE_METRIC], {}, T)[0])
    assert host.is_born(NODE)
    assert not host.is_born(NODE, "press")


def test_any_first_sequence_number_is_accepted_in_a_node_birth() -> None:
    host = HostSession("cloud")
    metrics = (Metric(BD_SEQ, 3, DataType.UInt64),)
    assert isinstance(host.on_message("spBv1.0/p/NBIRTH/n", encode(Payload(T, 200, metrics)), T)[0], NodeBorn)
    assert host.on_message("spBv1.0/p/DDEATH/n/d", encode_header(T, 201), T) == []


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("spBv1.0/plant/NBIRTH/gw", encode_header(T, 0)),
        ("spBv1.0/plant/NBIRTH/gw", encode(Payload(T, 0, (Metric(BD_SEQ, "0", DataType.String),)))),
        (
            "spBv1.0/plant/NBIRTH/gw",
            encode(Payload(T, 0, (Metric(BD_SEQ, 0, DataType.Int64), MEASURED[0]._replace(name=None)))),
        ),
        ("spBv1.0/plant/DBIRTH/gw/press", encode(Payload(T, 2, (NODE_METRIC, PRESS_METRIC._replace(alias=1))))),
        ("spBv1.0/plant/NDEATH/gw", encode_header(T, 0)),
        ("spBv1.0/plant/DDATA/gw/press", b"\x12"),
        ("spBv1.0/plant/NCMD/gw", b""),
        ("spBv1.0/plant/DCMD/gw/press", b""),
        ("spBv1.0/plant/DDATA/gw", b""),
        ("other/topic", b""),
    ],
)
def test_what_makes_no_sense_is_rejected_and_harms_nobody(topic: str, payload: bytes) -> None:
    _, host = followed()
    (event,) = host.on_message(topic, payload, T)
    assert isinstance(event, Rejected)
    assert event.topic == topic
    assert host.is_born(NODE, "press")


def test_births_survive_a_restart_of_the_host_and_are_confirmed() -> None:
    node = edge()
    nbirth, dbirth = births(node)
    host = HostSession("cloud")
    host.load_birth(NODE, nbirth.payload)
    host.load_birth(NODE, dbirth.payload, "press")
    node.device_data("press", BODY, T)
    assert feed(host, node.device_data("press", BODY, T)) == [
        RebirthNeeded(NODE, "its birth is from before this host's restart"),
        DeviceData(NODE, "press", MEASURED, T, 3),
    ]
    assert feed(host, node.device_data("press", BODY, T)) == [DeviceData(NODE, "press", MEASURED, T, 4)]
    with pytest.raises(PayloadError):
        host.load_birth(NODE, b"\x12")


def test_a_forgotten_node_is_unborn() -> None:
    _, host = followed()
    host.forget(NODE)
    assert not host.is_born(NODE)


def test_rebirth_requests_are_bounded_for_a_node_and_for_all() -> None:
    limit = RebirthLimit(per_s=2.0, burst=3, cool_down_s=10.0)
    host = HostSession("cloud", rebirth_limit=limit)
    nodes = [NodeKey("plant", f"gw{index}") for index in range(6)]
    sent = [host.rebirth_request(node, T, 100.0) is not None for node in nodes]
    assert sent == [True, True, True, False, False, False]
    assert host.rebirth_request(nodes[0], T, 105.0) is None  # cooling down
    assert host.rebirth_request(nodes[3], T, 105.0) is not None
    assert host.rebirth_request(nodes[0], T, 110.0) is not None


def test_a_rebirth_storm_keeps_to_the_rate() -> None:
    """Over any order of asking, no more leave than the burst and the rate allow, and no node twice within its pause."""
    rng = random.Random(5)
    limit = RebirthLimit(per_s=10.0, burst=20, cool_down_s=10.0)
    sent: list[tuple[float, NodeKey]] = []
    for step in range(20_000):
        node, now_s = NodeKey("plant", f"gw{rng.randrange(500)}"), step * 0.005
        if limit.allow(node, now_s):
            sent.append((now_s, node))
    assert 20 + 10 * 90 <= len(sent) <= 20 + 10 * 100
    last: dict[NodeKey, float] = {}
    for now_s, node in sent:
        assert now_s - last.get(node, -10.0) >= 10.0
        last[node] = now_s


def test_a_quiet_hour_saves_up_no_more_than_the_burst() -> None:
    limit = RebirthLimit(per_s=10.0, burst=20, cool_down_s=10.0)
    assert limit.allow(NODE, 0.0)
    assert sum(limit.allow(NodeKey("plant", f"gw{index}"), 3600.0) for index in range(100)) == 20


def test_state_will_and_birth_have_one_timestamp() -> None:
    host = HostSession("cloud")
    will, birth = host.state_will(T), host.state_birth()
    assert will.topic == birth.topic == "spBv1.0/STATE/cloud"
    assert (will.qos, will.retain, birth.qos, birth.retain) == (1, True, 1, True)
    assert json.loads(will.payload) == {"online": False, "timestamp": T}
    assert json.loads(birth.payload) == {"online": True, "timestamp": T}
    assert json.loads(host.state_death(T + 9).payload) == {"online": False, "timestamp": T + 9}


def test_an_old_will_of_ours_is_answered_with_our_birth() -> None:
    host = HostSession("cloud")
    old = host.state_will(T - 100)
    assert host.state_will(T)
    assert feed(host, old) == [StateContested(host.state_birth())]
    assert feed(host, host.state_birth()) == []
    host.state_death(T + 1)
    assert feed(host, old) == []


def test_a_session_that_owns_no_state_lets_it_pass() -> None:
    assert feed(HostSession("cloud"), HostSession("cloud").state_will(T)) == []


def test_subscriptions_name_the_groups_of_a_worker() -> None:
    filters = [topic for topic, _ in HostSession("cloud").subscriptions(["p1", "p2"])]
    assert filters[0] == "spBv1.0/STATE/cloud"
    assert {topic.split("/")[1] for topic in filters[1:]} == {"p1", "p2"}
    assert len(filters) == 1 + 2 * 6
    assert ("spBv1.0/+/NDEATH/+", 1) in HostSession("cloud").subscriptions()
    assert not any("CMD" in topic for topic in filters)


def test_commands_have_no_sequence_number_and_arrive() -> None:
    node, host = followed()
    metric = Metric("Journal/Committed", 12, DataType.UInt64)
    message = host.command(NODE, [metric], T)
    (event,) = node.on_message(message.topic, message.payload)
    assert event.metrics == (metric,)  # type: ignore[union-attr]
    message = host.device_command(NODE, "press", [Metric("CycleTime", 20.0, DataType.Double)], T)
    assert message.topic == "spBv1.0/plant/DCMD/gw/press"
    assert len(node.on_message(message.topic, message.payload)) == 1
