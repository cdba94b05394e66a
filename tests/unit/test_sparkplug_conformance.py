"""What the Sparkplug specification asks of programs and of messages: rows of docs/reference/sparkplug.md."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import UUID

import anyio
import numpy as np
import pytest

from contract import commit, shot_wire, standing
from contract.commit import Commit
from contract.shot import Reason, ScoredShot, Scores, Shot
from contract.sparkplug.codec import DataSet, Metric, Parameter, Payload, PayloadError, Template, decode, encode_metrics
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import DeviceCommand, EdgeNodeSession, NodeCommand
from contract.sparkplug.host import DeviceData, DeviceDied, HostSession, NodeDied
from contract.sparkplug.message import BD_SEQ, REBIRTH, Message
from contract.sparkplug.sparkplug_b_pb2 import Payload as Wire
from contract.sparkplug.state import State, encode_state
from contract.sparkplug.topics import DeviceTopic, NodeKey, Verb, parse
from contract.standing import Refusal, Replay
from contract.vocabulary import PARAMETERS, SIGNALS
from edge_agent.aliases import AliasTable
from edge_agent.health import Health
from edge_agent.journal.journal import NewRecord
from edge_agent.journal.memory_journal import MemoryJournal
from edge_agent.journal.thread import JournalThread
from edge_agent.uplink.uplink import LEFT_AFTER_S, Uplink
from edge_agent.uplink.window import Window
from kit.clock import ManualClock
from kit.mqtt import Received, Will
from tests.unit.recording_link import RECONNECT, RecordingLink

T = 1_767_225_600_000
EPOCH = UUID(int=5)
NODE = NodeKey("plant", "gw")
PRESSES = ("press-01", "press-02")
STATE_TOPIC = "spBv1.0/STATE/zhisan"
NODE_METRIC = Metric("Journal/Next", 5, DataType.UInt64, alias=1)
PRESS_METRIC = Metric("CycleTime", None, DataType.Double, alias=2)


class Heard(NamedTuple):
    """A message as a test asks about it."""

    verb: Verb
    device: str
    payload: Payload
    message: Message


def scored(press: str, number: int, parameters: tuple[str, ...], signals: tuple[str, ...]) -> ScoredShot:
    shot = Shot(
        press_id=press,
        ended_ms=T - 1_000 + number,
        parameters=dict.fromkeys(parameters, float(number)),
        curves={signal: np.full(5, number, np.float32) for signal in signals},
        sample_interval_s=0.005,
        cycle_counter=number,
        job_name="job",
        mould_id="mould",
    )
    scores = Scores("b", {"Novelty/T2": 0.5}, "target", (Reason("CycleTime", 1.0, 2.0),))
    return ScoredShot(shot, np.arange(3, dtype=np.float32), "hash", scores)


class Gateway:
    """An uplink as `edge_agent.app` makes it, over a recording link and with presses that the host should know."""

    def __init__(self, *, health_every_s: float = 3600.0) -> None:
        self.journal = MemoryJournal(epoch=EPOCH)
        self.thread = JournalThread(self.journal)
        self.aliases = AliasTable([])
        self.health = Health(presses=dict.fromkeys(PRESSES, True))
        self.clock = ManualClock(T)
        self.host = HostSession("zhisan")
        session = EdgeNodeSession(NODE.group_id, NODE.node_id, primary_host_id="zhisan")

        def make_will() -> Will:
            will = session.connect(self.thread.next_bd_seq())
            return Will(will.topic, will.payload, will.qos, will.retain)

        self.link = RecordingLink(make_will)
        self.uplink = Uplink(
            self.link,
            session,
            self.thread,
            self.aliases,
            Window(str(EPOCH), 1),
            self.health,
            self.clock,
            instance=str(UUID(int=7)),
            new_epoch=lambda: UUID(int=6),
            health_every_s=health_every_s,
            node_properties=[Metric("Gateway/Version", "1", DataType.String)],
        )
        for press in PRESSES:
            self.aliases.add_press(press)

    async def append(
        self,
        press: str,
        count: int = 1,
        *,
        parameters: tuple[str, ...] = ("CycleTime",),
        signals: tuple[str, ...] = (),
    ) -> None:
        """Shots come in: aliases first, then the records, then the word to the uplink."""
        alias_of = self.aliases.of(press)
        first = self.journal.bounds()[1]
        records = []
        for number in range(first, first + count):
            item = scored(press, number, parameters, signals)
            body = encode_metrics(shot_wire.body_metrics(item, alias_of))
            curves = encode_metrics(shot_wire.curve_metrics(item.shot, alias_of))
            records.append(NewRecord(press, item.shot.ended_ms, body, curves))
        await self.thread.save_aliases(self.aliases.take_unsaved())
        self.uplink.appended(await self.thread.append(records) + count)

    def put_state(self, *, is_online: bool, timestamp_ms: int = T) -> None:
        self.link.put(Received(STATE_TOPIC, encode_state(State(is_online, timestamp_ms))))

    def put_commit(self, below: int = 1) -> None:
        """The host says what it has: nothing yet, or all below an id."""
        self.link.put_message(self.host.command(NODE, commit.to_metrics(Commit(str(EPOCH), below)), T))

    async def hear(self) -> Heard:
        message = await self.link.next()
        assert isinstance(message, Message), message
        topic = parse(message.topic)
        device = topic.device_id if isinstance(topic, DeviceTopic) else ""
        return Heard(Verb(message.topic.split("/")[2]), device, decode(message.payload), message)

    async def hear_births(self) -> list[Heard]:
        births = [await self.hear() for _ in range(1 + len(PRESSES))]
        assert [(heard.verb, heard.device) for heard in births] == [
            (Verb.NBIRTH, ""),
            *((Verb.DBIRTH, press) for press in PRESSES),
        ]
        return births

    async def be_born(self) -> list[Heard]:
        """Connect, see the host, give birth, and hear what the host has."""
        self.link.connect()
        assert await self.link.next()
        self.put_state(is_online=True)
        births = await self.hear_births()
        self.put_commit()
        return births


@asynccontextmanager
async def running(gateway: Gateway) -> AsyncIterator[Gateway]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gateway.uplink.run)
        yield gateway
        tasks.cancel_scope.cancel()


def value_of(heard: Heard, name: str) -> object:
    (found,) = [metric.value for metric in heard.payload.metrics if metric.name == name]
    return found


@pytest.mark.anyio
async def test_births_are_the_first_messages_of_a_connection() -> None:
    """Whatever waits to be sent: subscriptions, then the host's STATE, then all births in a row, then data."""
    async with running(Gateway(health_every_s=0.005)) as gateway:
        await gateway.append("press-01", 3)
        gateway.link.connect()
        assert await gateway.link.next() == (
            ("spBv1.0/plant/NCMD/gw", 1),
            ("spBv1.0/plant/DCMD/gw/+", 1),
            (STATE_TOPIC, 1),
        )
        gateway.put_commit()
        gateway.link.put(Received("spBv1.0/STATE/other", encode_state(State(True, T))))
        await anyio.wait_all_tasks_blocked()
        gateway.put_state(is_online=True)
        births = await gateway.hear_births()
        gateway.put_commit()
        after: list[Heard] = []
        while {heard.verb for heard in after} < {Verb.DDATA, Verb.NDATA}:
            after.append(await gateway.hear())
    assert {heard.verb for heard in after} == {Verb.DDATA, Verb.NDATA}
    assert [heard.payload.seq for heard in births + after] == list(range(len(births + after)))


@pytest.mark.anyio
async def test_whatever_is_sent_was_named_typed_and_timed_by_a_birth() -> None:
    """A shot with all that the vocabulary has, and the gateway's figures, against the births before them."""
    everything = {"parameters": tuple(PARAMETERS), "signals": tuple(SIGNALS)}
    async with running(Gateway(health_every_s=0.005)) as gateway:
        await gateway.append("press-01", **everything)
        births = await gateway.be_born()
        await gateway.append("press-01", **everything)
        sent: list[Heard] = []
        while sum(heard.verb is Verb.DDATA for heard in sent) < 2 or not any(h.verb is Verb.NDATA for h in sent):
            sent.append(await gateway.hear())

    names: dict[str, dict[str | None, Metric]] = {}
    for birth in births:
        told = names[birth.device] = {metric.name: metric for metric in birth.payload.metrics}
        assert None not in told
        assert len({str(name).lower() for name in told}) == len(birth.payload.metrics)
        assert all(metric.datatype is not None and metric.timestamp_ms == T for metric in told.values())
        for written in Wire.FromString(birth.message.payload).metrics:
            assert (written.WhichOneof("value") is None) == written.is_null
    press_metrics = [metric for press in PRESSES for metric in names[press].values()]
    assert len({metric.alias for metric in press_metrics} - {None}) == len(press_metrics)
    assert all(metric.alias is None for metric in names[""].values())  # none for a node's: aliases are optional
    words = {metric.name for metric in standing.words_of_the_host()}
    assert {metric.name for metric in names[""].values() if metric.value is None} == words

    by_alias = {metric.alias: metric for metric in press_metrics}
    for heard in sent:
        assert heard.payload.timestamp_ms == T
        times = [metric.timestamp_ms for metric in heard.payload.metrics]
        assert times == sorted(time for time in times if time is not None and T - 1_000 <= time <= T)
        for metric in heard.payload.metrics:
            known = by_alias[metric.alias] if heard.device else names[""][metric.name]
            assert metric.datatype == known.datatype
            assert (metric.name is None) == (metric.alias is not None)


@pytest.mark.anyio
async def test_whatever_the_host_writes_to_a_gateway_is_in_its_birth() -> None:
    async with running(Gateway()) as gateway:
        (birth, *_) = await gateway.be_born()
    known = {metric.name: metric.datatype for metric in birth.payload.metrics}
    written = [
        *commit.to_metrics(Commit(str(EPOCH), 5, ((7, 9),))),
        *standing.order_metrics(Replay(str(EPOCH), 1)),
        *standing.order_metrics(Refusal("instance", "another was first")),
    ]
    assert [metric for metric in written if known.get(metric.name) != metric.datatype] == []


@pytest.mark.anyio
async def test_what_changes_of_a_node_is_in_its_next_data() -> None:
    constant = {BD_SEQ, REBIRTH, "Gateway/Version", standing.INSTANCE, standing.EPOCH, standing.EPOCH_FIRST}
    constant |= {metric.name for metric in standing.words_of_the_host()}
    async with running(Gateway(health_every_s=0.005)) as gateway:
        (birth, *_) = await gateway.be_born()
        await gateway.append("press-01", 2)
        told = birth
        while told.verb is not Verb.NDATA or value_of(told, standing.NEXT) == 1:
            told = await gateway.hear()
    assert {metric.name for metric in told.payload.metrics} == {m.name for m in birth.payload.metrics} - constant
    assert (value_of(birth, standing.NEXT), value_of(told, standing.NEXT)) == (1, 3)


@pytest.mark.anyio
async def test_a_new_metric_is_born_before_it_is_sent() -> None:
    async with running(Gateway()) as gateway:
        await gateway.be_born()
        await gateway.append("press-02", parameters=("CycleTime", "BackPressure"))
        birth, data = await gateway.hear(), await gateway.hear()
    assert (birth.verb, birth.device, birth.payload.seq) == (Verb.DBIRTH, "press-02", 3)
    (alias,) = [metric.alias for metric in birth.payload.metrics if metric.name == "Parameters/BackPressure"]
    assert (data.verb, data.device, data.payload.seq) == (Verb.DDATA, "press-02", 4)
    assert alias in {metric.alias for metric in data.payload.metrics}


@pytest.mark.anyio
async def test_a_rebirth_request_stops_data_until_all_births_are_out() -> None:
    """The request comes while records are being read for sending: not one of them goes before the births."""
    async with running(Gateway()) as gateway:
        (nbirth, *_) = await gateway.be_born()
        await gateway.append("press-01")
        assert (await gateway.hear()).verb is Verb.DBIRTH
        assert (await gateway.hear()).verb is Verb.DDATA
        await gateway.append("press-01", 20)
        request = gateway.host.rebirth_request(NODE, T, 0.0)
        assert request is not None
        gateway.link.put_message(request)
        births = await gateway.hear_births()
        gateway.put_commit()
        data = await gateway.hear()
    assert value_of(births[0], BD_SEQ) == value_of(nbirth, BD_SEQ) == 0
    assert [heard.payload.seq for heard in births] == [0, 1, 2]
    assert (data.verb, data.payload.seq) == (Verb.DDATA, 3)


@pytest.mark.anyio
async def test_a_press_that_is_lost_is_buried_and_born_again() -> None:
    """DDEATH comes behind the press's last record, and DBIRTH before its next."""
    async with running(Gateway()) as gateway:
        await gateway.be_born()
        await gateway.append("press-02")
        gateway.health.press_lost("press-02", "no answer")
        heard = [await gateway.hear() for _ in range(3)]
        assert [(each.verb, each.device) for each in heard] == [
            (Verb.DBIRTH, "press-02"),
            (Verb.DDATA, "press-02"),
            (Verb.DDEATH, "press-02"),
        ]
        assert (heard[-1].payload.timestamp_ms, heard[-1].payload.seq) == (T, 5)
        gateway.health.press_connected("press-02")
        gateway.put_commit()
        again = await gateway.hear()
    assert (again.verb, again.device, again.payload.seq) == (Verb.DBIRTH, "press-02", 6)


@pytest.mark.anyio
async def test_a_press_that_is_not_in_the_settings_is_born_for_what_it_left_behind_and_buried() -> None:
    """Taken out of the settings it has its aliases still, and perhaps records; each birth names the others alone."""
    async with running(Gateway()) as gateway:
        gateway.aliases.add_press("press-old")
        await gateway.be_born()
        assert gateway.link.heard == len(gateway.link.done)
        await gateway.append("press-old")
        heard = [await gateway.hear() for _ in range(2)]
        assert [(each.verb, each.device) for each in heard] == [(Verb.DBIRTH, "press-old"), (Verb.DDATA, "press-old")]
        gateway.put_commit(below=2)
        gateway.clock.advance(LEFT_AFTER_S - 1)
        await gateway.append("press-01")
        assert [(await gateway.hear()).verb for _ in range(2)] == [Verb.DBIRTH, Verb.DDATA]
        gateway.put_commit(below=3)
        gateway.clock.advance(1)
        death = await gateway.hear()
        assert (death.verb, death.device) == (Verb.DDEATH, "press-old")
        gateway.clock.advance(10 * LEFT_AFTER_S)
        await gateway.append("press-01")
        assert (await gateway.hear()).device == "press-01"


@pytest.mark.anyio
async def test_a_host_that_goes_ends_the_session_and_another_begins() -> None:
    """NDEATH of this connection, then the DISCONNECT; the next CONNECT counts on and waits for the host again."""
    async with running(Gateway()) as gateway:
        await gateway.be_born()
        gateway.put_state(is_online=False, timestamp_ms=T)
        death = await gateway.hear()
        assert death.verb is Verb.NDEATH
        assert (death.message.qos, death.message.retain, death.payload.seq) == (1, False, None)
        assert value_of(death, BD_SEQ) == 0
        assert await gateway.link.next() == RECONNECT
        will = gateway.link.connect()
        assert isinstance(await gateway.link.next(), tuple)
        gateway.put_state(is_online=True, timestamp_ms=T + 5)
        (nbirth, *_) = await gateway.hear_births()
    assert [metric.value for metric in decode(will.payload).metrics] == [1]
    assert (value_of(nbirth, BD_SEQ), nbirth.payload.seq) == (1, 0)


@pytest.mark.anyio
async def test_an_old_death_of_the_host_ends_nothing() -> None:
    async with running(Gateway()) as gateway:
        await gateway.be_born()
        gateway.put_state(is_online=False, timestamp_ms=T - 1)
        await gateway.append("press-01")
        assert [(await gateway.hear()).verb for _ in range(2)] == [Verb.DBIRTH, Verb.DDATA]


@pytest.mark.anyio
async def test_a_gateway_that_stops_says_so() -> None:
    async with running(Gateway()) as gateway:
        await gateway.be_born()
    farewell = await gateway.hear()
    assert (farewell.verb, value_of(farewell, BD_SEQ), farewell.message.qos) == (Verb.NDEATH, 0, 1)
    assert gateway.link.heard == len(gateway.link.done)


def born(node_id: str = "gw") -> tuple[EdgeNodeSession, list[Message]]:
    session = EdgeNodeSession("plant", node_id)
    session.connect()
    session.connected()
    return session, session.birth([NODE_METRIC], {"press": [PRESS_METRIC]}, T)


def feed(host: HostSession, *messages: Message, now_ms: int = T) -> list[object]:
    return [event for message in messages for event in host.on_message(message.topic, message.payload, now_ms)]


def test_each_message_of_a_node_is_stamped_numbered_and_not_kept() -> None:
    session, births = born()
    body = encode_metrics([Metric(None, 1.0, DataType.Double, alias=2, timestamp_ms=T)])
    messages = [
        *births,
        session.node_data([NODE_METRIC], T + 2),
        session.device_data("press", body, T + 3),
        session.device_death("press", T + 4),
    ]
    assert [message.topic for message in messages] == [
        "spBv1.0/plant/NBIRTH/gw",
        "spBv1.0/plant/DBIRTH/gw/press",
        "spBv1.0/plant/NDATA/gw",
        "spBv1.0/plant/DDATA/gw/press",
        "spBv1.0/plant/DDEATH/gw/press",
    ]
    payloads = [decode(message.payload) for message in messages]
    assert [payload.timestamp_ms for payload in payloads] == [T, T, T + 2, T + 3, T + 4]
    assert [payload.seq for payload in payloads] == [0, 1, 2, 3, 4]
    assert {(message.qos, message.retain) for message in messages} == {(0, False)}


def test_commands_are_stamped_unnumbered_and_not_kept() -> None:
    host = HostSession("zhisan")
    metric = Metric("CycleTime", 20.0, DataType.Double)
    request = host.rebirth_request(NODE, T, 0.0)
    assert request is not None
    commands = [host.command(NODE, [metric], T), host.device_command(NODE, "press", [metric], T), request]
    assert [command.topic for command in commands] == [
        "spBv1.0/plant/NCMD/gw",
        "spBv1.0/plant/DCMD/gw/press",
        "spBv1.0/plant/NCMD/gw",
    ]
    assert {(command.qos, command.retain) for command in commands} == {(0, False)}
    payloads = [decode(command.payload) for command in commands]
    assert payloads[0] == payloads[1] == Payload(T, None, (metric,))
    assert payloads[2] == Payload(T, None, (Metric(REBIRTH, True, DataType.Boolean),))


def test_a_metric_with_an_alias_goes_by_it_alone() -> None:
    """In births both, in data and commands the alias; the reader finds the name in the birth."""
    node, births = born()
    host = HostSession("zhisan")
    feed(host, *births)
    data = node.node_data([NODE_METRIC], T)
    order = Metric("CycleTime", 20.0, DataType.Double, alias=2)
    to_node, to_press = host.command(NODE, [NODE_METRIC], T), host.device_command(NODE, "press", [order], T)
    assert [decode(message.payload).metrics[0][:1] for message in (data, to_node, to_press)] == [(None,)] * 3
    assert [decode(message.payload).metrics[0].alias for message in (data, to_node, to_press)] == [1, 1, 2]
    (told,) = feed(host, data)
    assert told.metrics == (NODE_METRIC._replace(timestamp_ms=T),)  # type: ignore[attr-defined]
    assert node.on_message(to_node.topic, to_node.payload) == [NodeCommand((NODE_METRIC,))]
    assert node.on_message(to_press.topic, to_press.payload) == [DeviceCommand("press", (order,))]


def test_a_death_counts_by_the_clock_that_the_specification_names() -> None:
    """A device's by the payload's time, a node's (and its devices') by the host's, since a will is written early."""
    node, births = born()
    host = HostSession("zhisan")
    feed(host, *births)
    assert feed(host, node.device_death("press", T + 1), now_ms=T + 5_000) == [DeviceDied(NODE, "press", T + 1)]
    assert not host.is_born(NODE, "press")
    feed(host, node.device_birth("press", [PRESS_METRIC], T + 2))
    assert host.is_born(NODE, "press")
    assert feed(host, node.node_death(T + 3), now_ms=T + 6_000) == [NodeDied(NODE, T + 6_000)]
    assert not host.is_born(NODE)
    assert not host.is_born(NODE, "press")


def test_two_edge_nodes_may_have_devices_of_one_name() -> None:
    host = HostSession("zhisan")
    (one, first), (other, second) = born("gw1"), born("gw2")
    feed(host, *first, *second)
    body = encode_metrics([Metric(None, 1.0, DataType.Double, alias=2, timestamp_ms=T)])
    feed(host, one.device_death("press", T))
    (told,) = feed(host, other.device_data("press", body, T))
    assert isinstance(told, DeviceData)
    assert (told.node, told.device) == (NodeKey("plant", "gw2"), "press")
    assert not host.is_born(NodeKey("plant", "gw1"), "press")


@pytest.mark.parametrize("datatype", list(DataType), ids=lambda kind: kind.name)
def test_a_null_is_marked_and_has_no_value(datatype: DataType) -> None:
    (written,) = Wire.FromString(encode_metrics([Metric("m", None, datatype)])).metrics
    assert written.is_null
    assert written.WhichOneof("value") is None
    assert written.datatype == datatype


def test_a_table_says_its_width_and_its_types_as_numbers() -> None:
    table = DataSet(("a", "b"), (DataType.Int64, DataType.String), ((1, "x"),))
    (written,) = Wire.FromString(encode_metrics([Metric("m", table, DataType.DataSet)])).metrics
    found = written.dataset_value
    assert (found.num_of_columns, list(found.columns), list(found.types)) == (2, ["a", "b"], [4, 12])
    assert [len(row.elements) for row in found.rows] == [2]


@pytest.mark.parametrize("datatype", [None, DataType.Bytes, DataType.DataSet, DataType.FloatArray, DataType.Template])
def test_a_template_parameter_has_a_basic_type(datatype: DataType | None) -> None:
    def written(parameter: Parameter) -> bytes:
        return encode_metrics([Metric("m", Template((), (parameter,), "Type"), DataType.Template)])

    with pytest.raises(PayloadError, match="where only a scalar can stand"):
        written(Parameter("p", datatype))
    (metric,) = Wire.FromString(written(Parameter("p", DataType.Double, 2.5))).metrics
    (parameter,) = metric.template_value.parameters
    assert (parameter.name, parameter.type, parameter.WhichOneof("value")) == ("p", 10, "double_value")
