"""An edge node and a host over a lossy network: what arrives is told rightly, and what is lost is noticed."""

import random

import pytest

from contract.sparkplug.codec import Metric, encode_metrics
from contract.sparkplug.datatypes import DataType
from contract.sparkplug.edge_node import EdgeNodeSession, Ignored
from contract.sparkplug.host import DeviceBorn, DeviceData, HostSession, NodeBorn, NodeDied, RebirthNeeded, SeqGap
from contract.sparkplug.message import Message
from contract.sparkplug.topics import NodeKey, Verb

T = 1_767_225_600_000
NODE = NodeKey("plant", "gw")
PRESSES = ("press1", "press2", "press3")


def birth_metrics(press: str) -> list[Metric]:
    return [Metric(f"{press}/Count", None, DataType.UInt64, alias=PRESSES.index(press) + 1)]


class Plant:
    """One edge node, one host, and a network that drops messages while `loss` says so; order is kept, as MQTT does."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.node = EdgeNodeSession("plant", "gw")
        self.host = HostSession("cloud")
        self.loss = 0.0
        self.count = 0
        self.will = self.node.connect()
        self.is_synchronous = False  # whether nothing has been lost since the host last had all births
        self.lost = 0  # messages with a sequence number that were lost since the host's last one

    def reconnect(self) -> None:
        self.send(self.will)  # the broker says it
        self.will = self.node.connect()
        self.node.connected()
        self.give_birth()

    def give_birth(self) -> None:
        messages = self.node.birth([], {press: birth_metrics(press) for press in PRESSES}, T)
        delivered = [self.send(message) for message in messages]
        self.is_synchronous = all(delivered)

    def send(self, message: Message) -> bool:
        has_seq = f"/{Verb.NDEATH}/" not in message.topic
        if self.rng.random() < self.loss:
            self.lost += has_seq
            self.is_synchronous = False
            return False
        was_born = self.host.is_born(NODE)
        self.check(message, self.host.on_message(message.topic, message.payload, T), was_born)
        if has_seq:
            self.lost = 0
        return True

    def check(self, message: Message, events: list[object], was_born: bool) -> None:  # noqa: FBT001
        kinds = {type(event) for event in events}
        is_nbirth = f"/{Verb.NBIRTH}/" in message.topic
        if was_born and not is_nbirth and f"/{Verb.NDEATH}/" not in message.topic:
            assert (SeqGap in kinds) == (self.lost % 256 != 0)
        if not was_born and not is_nbirth and f"/{Verb.NDEATH}/" not in message.topic:
            assert RebirthNeeded in kinds
        if SeqGap in kinds:
            assert RebirthNeeded in kinds

    def measure(self) -> None:
        press = self.rng.choice(PRESSES)
        if press not in self.node.devices:
            return
        self.count += 1
        metric = Metric(None, self.count, DataType.UInt64, alias=PRESSES.index(press) + 1, timestamp_ms=T)
        message = self.node.device_data(press, encode_metrics([metric], datatype_in_data=False), T)
        is_known = self.host.is_born(NODE, press)
        if self.rng.random() < self.loss:
            self.lost += 1
            self.is_synchronous = False
            return
        events = self.host.on_message(message.topic, message.payload, T)
        self.check(message, events, self.host.is_born(NODE))
        self.lost = 0
        told = [event for event in events if isinstance(event, DeviceData)]
        assert len(told) == is_known  # a gap never costs data whose birth is known
        if told:
            assert told[0].metrics == (metric._replace(name=f"{press}/Count"),)
        if self.is_synchronous:
            assert len(events) == 1

    def device_leaves_or_comes(self) -> None:
        press = self.rng.choice(PRESSES)
        if press in self.node.devices:
            self.send(self.node.device_death(press, T))
        else:
            self.send(self.node.device_birth(press, birth_metrics(press), T))


@pytest.mark.parametrize("seed", range(40))
def test_a_lossy_network_is_noticed_and_healed_by_a_rebirth(seed: int) -> None:
    plant = Plant(seed)
    plant.node.connected()
    plant.give_birth()
    for _ in range(12):
        plant.loss = plant.rng.choice((0.0, 0.0, 0.1, 0.6))
        for _ in range(plant.rng.randrange(120)):
            (plant.measure, plant.measure, plant.measure, plant.device_leaves_or_comes)[plant.rng.randrange(4)]()
        if plant.rng.random() < 0.3:
            plant.reconnect()
    plant.loss = 0.0
    plant.give_birth()
    assert plant.is_synchronous
    assert all(plant.host.is_born(NODE, press) for press in PRESSES)
    for _ in range(300):
        plant.measure()


def corpus() -> list[Message]:
    node, host = EdgeNodeSession("plant", "gw", primary_host_id="cloud"), HostSession("cloud")
    messages = [node.connect(), host.state_will(T), host.state_birth()]
    node.connected()
    node.on_message(messages[2].topic, messages[2].payload)
    messages += node.birth([], {press: birth_metrics(press) for press in PRESSES}, T)
    body = encode_metrics([Metric(None, 1, DataType.UInt64, alias=1)])
    messages += [node.device_data("press1", body, T), node.node_data([Metric("a", 1.0, DataType.Double)], T)]
    messages += [node.device_death("press2", T), host.command(NODE, [Metric("x", 1, DataType.Int8)], T)]
    messages += [host.device_command(NODE, "press1", [Metric(None, 1, DataType.UInt64, alias=1)], T)]
    request = host.rebirth_request(NODE, T, 0.0)
    assert request is not None
    return [*messages, request]


def test_no_message_raises_in_a_session() -> None:
    """10,000 seeded messages, whole, injured or under another's topic: sessions answer with events, never raise."""
    rng = random.Random(11)
    messages = corpus()
    node, host = EdgeNodeSession("plant", "gw", primary_host_id="cloud"), HostSession("cloud")
    node.connect()
    node.connected()
    host.state_will(T)
    seen: set[type] = set()
    for _ in range(10_000):
        topic = rng.choice(messages).topic
        payload = bytearray(rng.choice([message for message in messages if message.topic == topic]).payload)
        if rng.random() < 0.2:
            payload = bytearray(rng.choice(messages).payload)
        if rng.random() < 0.3 and payload:
            payload[rng.randrange(len(payload))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.1:
            topic = topic.replace(rng.choice("/BDgp1"), rng.choice(("", "/", " ", "x", "+")))
        seen |= {type(event) for event in host.on_message(topic, bytes(payload), T)}
        seen |= {type(event) for event in node.on_message(topic, bytes(payload))}
        if node.may_birth and not node.is_born:
            node.birth([], {"press1": birth_metrics("press1")}, T)
    assert {NodeBorn, DeviceBorn, DeviceData, NodeDied, SeqGap, RebirthNeeded, Ignored} <= seen
