"""An edge node's session: order of certificates, sequence numbers, the primary host, and commands."""

import pytest

from contract.sparkplug.codec import Metric, Payload, decode, encode, encode_metrics
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import (
    DeviceCommand,
    EdgeNodeSession,
    HostOffline,
    HostOnline,
    Ignored,
    NodeCommand,
    RebirthRequested,
)
from contract.sparkplug.errors import PayloadError, TopicError
from contract.sparkplug.message import BD_SEQ, REBIRTH
from contract.sparkplug.state import State, encode_state

T = 1_767_225_600_000
NODE_METRIC = Metric("Journal/Next", 5, DataType.UInt64, alias=1)
PRESS_METRIC = Metric("Parameters/CycleTime", None, DataType.Double, alias=2)
STATE_TOPIC = "spBv1.0/STATE/cloud"


def born(primary_host_id: str | None = None) -> EdgeNodeSession:
    session = EdgeNodeSession("plant", "gw", primary_host_id=primary_host_id)
    session.connect()
    session.connected()
    if primary_host_id is not None:
        session.on_message(STATE_TOPIC, encode_state(State(True, T)))
    session.birth([NODE_METRIC], {"press": [PRESS_METRIC]}, T)
    return session


def command(*metrics: Metric) -> bytes:
    return encode(Payload(T, None, metrics))


def values(payload: bytes) -> dict[str | None, object]:
    return {metric.name: metric.value for metric in decode(payload).metrics}


def test_the_will_counts_connections_from_zero_and_wraps_after_255() -> None:
    session = EdgeNodeSession("plant", "gw")
    seen = [values(session.connect().payload)[BD_SEQ] for _ in range(258)]
    assert seen == [*range(256), 0, 1]
    assert EdgeNodeSession("plant", "gw", bd_seq=session.bd_seq).connect().payload == session.connect().payload


def test_the_will_is_an_ndeath_of_bdseq_alone() -> None:
    will = EdgeNodeSession("plant", "gw").connect()
    assert (will.topic, will.qos, will.retain) == ("spBv1.0/plant/NDEATH/gw", 1, False)
    payload = decode(will.payload)
    assert payload.seq is None
    assert payload.metrics == (Metric(BD_SEQ, 0, DataType.Int64),)


def test_a_caller_that_counts_itself_gives_the_number() -> None:
    session = EdgeNodeSession("plant", "gw")
    assert values(session.connect(bd_seq=41).payload) == {BD_SEQ: 41}
    session.connected()
    (nbirth,) = session.birth([], {}, T)
    assert values(nbirth.payload)[BD_SEQ] == 41


def test_births_come_in_order_with_what_the_specification_wants() -> None:
    session = EdgeNodeSession("plant", "gw")
    session.connect()
    session.connected()
    messages = session.birth([NODE_METRIC], {"press": [PRESS_METRIC], "robot": []}, T)
    assert [message.topic for message in messages] == [
        "spBv1.0/plant/NBIRTH/gw",
        "spBv1.0/plant/DBIRTH/gw/press",
        "spBv1.0/plant/DBIRTH/gw/robot",
    ]
    assert [(message.qos, message.retain) for message in messages] == [(0, False)] * 3
    payloads = [decode(message.payload) for message in messages]
    assert [(payload.seq, payload.timestamp_ms) for payload in payloads] == [(0, T), (1, T), (2, T)]
    assert payloads[0].metrics == (
        Metric(BD_SEQ, 0, DataType.Int64, timestamp_ms=T),
        Metric(REBIRTH, False, DataType.Boolean, timestamp_ms=T),
        NODE_METRIC._replace(timestamp_ms=T),
    )
    assert payloads[1].metrics == (PRESS_METRIC._replace(timestamp_ms=T),)


def test_the_sequence_runs_over_all_topics_and_wraps_after_255() -> None:
    session = born()
    body = encode_metrics([Metric(None, 1.0, DataType.Double, alias=2, timestamp_ms=T)])
    seen = []
    for index in range(600):
        message = session.device_data("press", body, T) if index % 2 else session.node_data([NODE_METRIC], T)
        seen.append(decode(message.payload).seq)
    assert seen == [(index + 2) % 256 for index in range(600)]
    assert decode(session.device_death("press", T).payload) == Payload(T, 602 % 256)
    assert decode(session.device_birth("press", [PRESS_METRIC], T).payload).seq == 603 % 256


def test_a_rebirth_keeps_bdseq_and_starts_the_sequence_again() -> None:
    session = born()
    session.node_data([NODE_METRIC], T)
    assert session.on_message("spBv1.0/plant/NCMD/gw", command(Metric(REBIRTH, True, DataType.Boolean))) == [
        RebirthRequested()
    ]
    nbirth, dbirth = session.birth([NODE_METRIC], {"press": [PRESS_METRIC]}, T)
    assert values(nbirth.payload)[BD_SEQ] == 0
    assert (decode(nbirth.payload).seq, decode(dbirth.payload).seq) == (0, 1)


def test_a_clean_farewell_names_the_connection_that_was_born() -> None:
    session = born()
    session.connect()  # the client has already prepared its next CONNECT
    farewell = session.node_death(T)
    assert values(farewell.payload) == {BD_SEQ: 0}
    assert decode(farewell.payload).timestamp_ms == T
    assert not session.is_born
    assert not session.may_birth


def test_a_new_connection_forgets_births_but_not_before_it_is_accepted() -> None:
    """`connect` comes from another thread while data are being sent: it must change nothing that they rest on."""
    session = born()
    session.connect()
    assert session.may_publish
    assert session.devices == {"press"}
    session.connected()
    assert not session.is_born
    assert session.devices == frozenset()


def test_nothing_is_born_before_the_primary_host_is_online() -> None:
    session = EdgeNodeSession("plant", "gw", primary_host_id="cloud")
    assert session.subscriptions() == [
        ("spBv1.0/plant/NCMD/gw", 1),
        ("spBv1.0/plant/DCMD/gw/+", 1),
        (STATE_TOPIC, 1),
    ]
    session.connect()
    session.connected()
    assert not session.may_birth
    with pytest.raises(AssertionError):
        session.birth([], {}, T)
    assert session.on_message("spBv1.0/STATE/other", encode_state(State(True, T))) == [
        Ignored("spBv1.0/STATE/other", "is not for this node")
    ]
    assert not session.may_birth
    assert session.on_message(STATE_TOPIC, encode_state(State(True, T))) == [HostOnline("cloud")]
    assert session.may_birth


def test_an_older_state_is_ignored_and_an_equal_one_is_not() -> None:
    session = born("cloud")
    (ignored,) = session.on_message(STATE_TOPIC, encode_state(State(False, T - 1)))
    assert isinstance(ignored, Ignored)
    assert session.may_publish
    assert session.on_message(STATE_TOPIC, encode_state(State(True, T + 5))) == []
    assert session.on_message(STATE_TOPIC, encode_state(State(False, T + 5))) == [HostOffline("cloud")]
    assert not session.may_publish
    assert session.is_born  # so that node_death can be published
    with pytest.raises(AssertionError):
        session.node_data([], T)


def test_a_new_connection_asks_for_the_state_again() -> None:
    session = born("cloud")
    session.connect()
    session.connected()
    assert not session.is_host_online
    assert session.on_message(STATE_TOPIC, encode_state(State(True, T - 10))) == [HostOnline("cloud")]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"ONLINE",
        b"[]",
        b'{"online": 1, "timestamp": 1}',
        b'{"online": true}',
        b'{"online": true, "timestamp": "1"}',
        b'{"online": true, "timestamp": true}',
        b'{"online": true, "timestamp": -1}',
        b"\xff",
        b"[" * 1000,
        b"[" * 5000,
        b'{"online": true, "timestamp": ' + b"9" * 900 + b"}",
    ],
)
def test_a_state_that_makes_no_sense_changes_nothing(payload: bytes) -> None:
    session = born("cloud")
    (event,) = session.on_message(STATE_TOPIC, payload)
    assert isinstance(event, Ignored)
    assert session.may_publish


def test_commands_arrive_with_their_names() -> None:
    session = born()
    wanted = Metric(None, 9, None, alias=1)
    raw = encode_metrics([wanted._replace(datatype=DataType.UInt64)], datatype_in_data=False)
    assert session.on_message("spBv1.0/plant/NCMD/gw", raw) == [
        NodeCommand((Metric("Journal/Next", 9, DataType.UInt64, alias=1),))
    ]
    named = Metric("Journal/Committed", 7, DataType.UInt64)
    assert session.on_message("spBv1.0/plant/NCMD/gw", command(named)) == [NodeCommand((named,))]
    setpoint = Metric(None, 2.5, DataType.Double, alias=2)
    assert session.on_message("spBv1.0/plant/DCMD/gw/press", command(setpoint)) == [
        DeviceCommand("press", (setpoint._replace(name="Parameters/CycleTime"),))
    ]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("spBv1.0/plant/NCMD/other", b""),
        ("spBv1.0/plant/NBIRTH/gw", b""),
        ("spBv1.0/plant/DCMD/gw/robot", b""),
        ("spBv1.0/plant/NCMD/gw", b"\x12"),
        ("spBv1.0/plant/NCMD/gw", encode_metrics([Metric(None, 1, DataType.Int8, alias=77)])),
        ("elsewhere", b""),
    ],
)
def test_what_is_not_for_us_is_ignored_with_a_reason(topic: str, payload: bytes) -> None:
    (event,) = born().on_message(topic, payload)
    assert isinstance(event, Ignored)
    assert event.topic == topic
    assert event.reason


@pytest.mark.parametrize("value", [False, None, 1, "true"])
def test_only_true_asks_for_a_rebirth(value: object) -> None:
    kind = {bool: DataType.Boolean, int: DataType.Int8, str: DataType.String}.get(type(value), DataType.Boolean)
    assert born().on_message("spBv1.0/plant/NCMD/gw", command(Metric(REBIRTH, value, kind))) == []


def test_aliases_are_unique_over_the_whole_node() -> None:
    session = born()
    with pytest.raises(AssertionError, match="another metric"):
        session.device_birth("robot", [Metric("a", 1, DataType.Int8, alias=1)], T)
    with pytest.raises(AssertionError, match="another metric"):
        session.device_birth("robot", [Metric("a", 1, DataType.Int8, alias=2)], T)
    with pytest.raises(AssertionError, match="alias twice"):
        session.device_birth("robot", [Metric("a", 1, DataType.Int8, 3), Metric("b", 1, DataType.Int8, 3)], T)
    session.device_birth("press", [PRESS_METRIC._replace(name="renamed")], T)  # its own aliases it may use again


def test_calls_out_of_order_are_bugs() -> None:
    session = EdgeNodeSession("plant", "gw")
    for call in (
        lambda: session.birth([], {}, T),
        lambda: session.node_data([], T),
        lambda: session.device_data("press", b"", T),
        lambda: session.node_death(T),
        lambda: session.device_birth("press", [], T),
    ):
        with pytest.raises(AssertionError):
            call()
    with pytest.raises(AssertionError):
        born().device_data("robot", b"", T)


def test_a_birth_that_cannot_be_written_leaves_the_node_unborn() -> None:
    session = EdgeNodeSession("plant", "gw")
    session.connect()
    session.connected()
    with pytest.raises(PayloadError):
        session.birth([], {"press": [Metric("a", "text", DataType.Double)]}, T)
    assert not session.is_born
    with pytest.raises(TopicError):
        session.birth([], {"press 1": []}, T)
    assert not session.is_born
    assert len(session.birth([], {"press1": []}, T)) == 2
