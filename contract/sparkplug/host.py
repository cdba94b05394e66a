"""The session of a Sparkplug host application, without clock and sockets: who is born, and what a message means."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from contract.sparkplug.datatypes import DataType
from contract.sparkplug.decoding import decode
from contract.sparkplug.encoding import encode
from contract.sparkplug.errors import PayloadError, TopicError
from contract.sparkplug.message import BD_SEQ, REBIRTH, SEQ_MODULO, Births, Message, births_of, by_alias
from contract.sparkplug.metrics import Metric, Payload
from contract.sparkplug.rebirth_limit import RebirthLimit
from contract.sparkplug.state import State, decode_state, encode_state
from contract.sparkplug.topics import NAMESPACE, DeviceTopic, NodeKey, NodeTopic, StateTopic, Verb, check_id, parse

NODES_MAX: Final = 10_000
DEVICES_PER_NODE_MAX: Final = 1_000
OWN_STATES_KEPT_MAX: Final = 1_024
"""Of so many attempts to connect a late will is known as ours: half a day of them, one each 30 s."""


@dataclass(frozen=True, slots=True)
class NodeBorn:
    """NBIRTH: the node is online, all its devices are not. `raw` is what `load_birth` takes after a restart."""

    node: NodeKey
    bd_seq: int
    metrics: tuple[Metric, ...]
    raw: bytes
    timestamp_ms: int | None


@dataclass(frozen=True, slots=True)
class DeviceBorn:
    """DBIRTH of a born node. `raw` is what `load_birth` takes after a restart."""

    node: NodeKey
    device: str
    metrics: tuple[Metric, ...]
    raw: bytes
    timestamp_ms: int | None


@dataclass(frozen=True, slots=True)
class NodeData:
    """NDATA, names resolved."""

    node: NodeKey
    metrics: tuple[Metric, ...]
    timestamp_ms: int | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class DeviceData:
    """DDATA, names resolved; `unnamed` more metrics have aliases that are in no birth known here."""

    node: NodeKey
    device: str
    metrics: tuple[Metric, ...]
    timestamp_ms: int | None
    seq: int | None
    unnamed: int = 0


@dataclass(frozen=True, slots=True)
class NodeDied:
    """NDEATH of the present birth: the node and all its devices are offline.

    `timestamp_ms` is the time of receipt: a will was written when the connection began.
    """

    node: NodeKey
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class DeviceDied:
    """DDEATH: the device is offline as of `timestamp_ms`."""

    node: NodeKey
    device: str
    timestamp_ms: int | None


@dataclass(frozen=True, slots=True)
class SeqGap:
    """Messages between `expected` and `got` (exclusive) are missing or late; a `RebirthNeeded` follows."""

    node: NodeKey
    expected: int
    got: int | None


@dataclass(frozen=True, slots=True)
class RebirthNeeded:
    """Ask this node for its births with `rebirth_request`, again and again until it is born."""

    node: NodeKey
    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that cannot be used, and why."""

    topic: str
    reason: str


@dataclass(frozen=True, slots=True)
class StateContested:
    """An offline STATE of our own came in, a will of an older connection: publish `answer` at once."""

    answer: Message


@dataclass(frozen=True, slots=True)
class HostRival:
    """A STATE of our own that no connection of ours has written: another host goes by our id."""

    state: State


HostEvent = (
    NodeBorn
    | DeviceBorn
    | NodeData
    | DeviceData
    | NodeDied
    | DeviceDied
    | SeqGap
    | RebirthNeeded
    | Rejected
    | StateContested
    | HostRival
)


@dataclass(slots=True)
class _Node:
    bd_seq: int
    births: Births
    seq: int | None
    is_restored: bool = False
    device_births: dict[str, Births] = field(default_factory=dict)


class HostSession:
    """All edge nodes that one host application follows, over all its connections.

    Data are given on even when the sequence has a gap: this system de-duplicates and orders above Sparkplug, so that
    to drop them would be the loss that the sequence number warns of. The reorder timeout of the specification is 0.
    """

    def __init__(self, host_id: str, *, rebirth_limit: RebirthLimit | None = None) -> None:
        self._state_topic = str(StateTopic(check_id(host_id)))
        self._state_ms: int | None = None
        self._own_ms: tuple[int, ...] = ()
        self._first_echoed_ms: int | None = None
        self._is_echoed = False
        self._nodes: dict[NodeKey, _Node] = {}
        self._rebirth_limit = rebirth_limit or RebirthLimit()

    def state_will(self, now_ms: int) -> Message:
        """The will (STATE offline) for the next CONNECT."""
        self._state_ms, self._is_echoed = now_ms, False
        self._own_ms = (*self._own_ms[1 - OWN_STATES_KEPT_MAX :], now_ms)
        return self._state(State(False, now_ms))

    def state_birth(self) -> Message:
        """STATE online, to publish first after connecting; its timestamp is that of the will."""
        assert self._state_ms is not None, "state_will comes first"
        return self._state(State(True, self._state_ms))

    def state_death(self, now_ms: int) -> Message:
        """STATE offline, to publish before a clean disconnect."""
        self._state_ms = None
        self._own_ms = (*self._own_ms[1 - OWN_STATES_KEPT_MAX :], now_ms)
        return self._state(State(False, now_ms))

    def subscriptions(self, groups: Iterable[str] | None = None) -> list[tuple[str, int]]:
        """Topic filters and their QoS: own STATE, and what edge nodes send, of all groups or of these."""
        filters = [(self._state_topic, 1)]
        for group in ("+",) if groups is None else map(check_id, groups):
            # deaths first and with QoS 1, which is how a will is sent; the rest is QoS 0 at its source
            filters += [(f"{NAMESPACE}/{group}/{Verb.NDEATH}/+", 1)]
            filters += [(f"{NAMESPACE}/{group}/{verb}/+", 0) for verb in (Verb.NBIRTH, Verb.NDATA)]
            filters += [(f"{NAMESPACE}/{group}/{verb}/+/+", 0) for verb in (Verb.DBIRTH, Verb.DDATA, Verb.DDEATH)]
        return filters

    def on_message(self, topic: str, payload: bytes, now_ms: int) -> list[HostEvent]:
        """What an incoming message means; whatever its bytes are, nothing is raised."""
        try:
            parsed = parse(topic)
            if isinstance(parsed, DeviceTopic):
                return self._on_device(parsed, topic, payload)
            if isinstance(parsed, NodeTopic):
                return self._on_node(parsed, topic, payload, now_ms)
            return self._on_state(topic, payload)
        except (PayloadError, TopicError) as error:
            return [Rejected(topic, error.reason)]

    def load_birth(self, node: NodeKey, raw: bytes, device: str | None = None) -> None:
        """Restore a birth that was stored before a restart: the node's first, then its devices'.

        The first message of a restored node is accepted with any sequence number and asks for a rebirth.

        Raises:
            PayloadError: `raw` is no birth.
        """
        if device is None:
            self._nodes[node] = _node_of(decode(raw))
            self._nodes[node].is_restored = True
            return
        assert node in self._nodes, "the node's birth comes first"
        self._nodes[node].device_births[device] = births_of(decode(raw).metrics)

    def forget(self, node: NodeKey) -> None:
        """Drop a node: another worker follows it now."""
        self._nodes.pop(node, None)

    def is_born(self, node: NodeKey, device: str | None = None) -> bool:
        """Whether the node, or a device of it, is online as far as its messages say."""
        known = self._nodes.get(node)
        return known is not None and (device is None or device in known.device_births)

    def rebirth_request(self, node: NodeKey, now_ms: int, now_s: float) -> Message | None:
        """NCMD asking for births; None when throttled, then the caller tries later. `now_s` is monotonic."""
        if not self._rebirth_limit.allow(node, now_s):
            return None
        return self.command(node, [Metric(REBIRTH, True, DataType.Boolean)], now_ms)

    def command(self, node: NodeKey, metrics: Iterable[Metric], now_ms: int) -> Message:
        """NCMD that writes metrics to a node; one with an alias goes by it alone."""
        payload = encode(Payload(now_ms, None, tuple(by_alias(metrics))))
        return Message(str(NodeTopic(Verb.NCMD, node)), payload, qos=0, retain=False)

    def device_command(self, node: NodeKey, device: str, metrics: Iterable[Metric], now_ms: int) -> Message:
        """DCMD that writes metrics to a device; one with an alias goes by it alone."""
        payload = encode(Payload(now_ms, None, tuple(by_alias(metrics))))
        return Message(str(DeviceTopic(Verb.DCMD, node, check_id(device))), payload, qos=0, retain=False)

    def _state(self, state: State) -> Message:
        return Message(self._state_topic, encode_state(state), qos=1, retain=True)

    def _on_state(self, topic: str, payload: bytes) -> list[HostEvent]:
        if topic != self._state_topic or self._state_ms is None:
            return []
        state = decode_state(payload)
        events: list[HostEvent] = [HostRival(state)] if self._is_foreign(state) else []
        if state.is_online and state.timestamp_ms == self._state_ms and not self._is_echoed:
            self._is_echoed = True
            self._first_echoed_ms = self._first_echoed_ms or state.timestamp_ms
        return events if state.is_online else [*events, StateContested(self.state_birth())]

    def _is_foreign(self, state: State) -> bool:
        """Whether another host wrote this. What was there before our first word may be of our own earlier life.

        Later than our first word, and not ours, is another's. An online with an older time is only when it came
        behind our own on this connection (the other's clock is slow): before that it may be what a broker that was
        put back has kept.
        """
        if self._first_echoed_ms is None or state.timestamp_ms in self._own_ms:
            return False
        return state.timestamp_ms > self._first_echoed_ms or (state.is_online and self._is_echoed)

    def _on_node(self, topic: NodeTopic, text: str, payload: bytes, now_ms: int) -> list[HostEvent]:
        known = self._nodes.get(topic.node)
        match topic.verb:
            case Verb.NBIRTH:
                return self._on_node_birth(topic.node, payload)
            case Verb.NDEATH:
                return self._on_node_death(topic.node, payload, now_ms)
            case Verb.NDATA:
                message = decode(payload, known.births if known is not None else None)
                events = _followed(known, topic.node, message)
                metrics = _named(message, topic.node, events)
                if metrics:
                    events.append(NodeData(topic.node, metrics, message.timestamp_ms, message.seq))
                return events
            case _:
                return [Rejected(text, "is not sent to a host")]

    def _on_device(self, topic: DeviceTopic, text: str, payload: bytes) -> list[HostEvent]:
        known = self._nodes.get(topic.node)
        births = known.device_births.get(topic.device_id) if known is not None else None
        if topic.verb is Verb.DCMD:
            return [Rejected(text, "is not sent to a host")]
        message = decode(payload, births)
        if topic.verb is Verb.DBIRTH:
            return self._on_device_birth(topic, known, message, payload)
        events = _followed(known, topic.node, message)
        if topic.verb is Verb.DDEATH:
            if known is not None and known.device_births.pop(topic.device_id, None) is not None:
                events.append(DeviceDied(topic.node, topic.device_id, message.timestamp_ms))
            return events
        if known is not None and births is None:
            events.append(RebirthNeeded(topic.node, f"data of {topic.device_id}, which is not born"))
        metrics = _named(message, topic.node, events)
        if metrics:
            unnamed = len(message.metrics) - len(metrics)
            device = topic.device_id
            events.append(DeviceData(topic.node, device, metrics, message.timestamp_ms, message.seq, unnamed))
        return events

    def _on_node_birth(self, node: NodeKey, payload: bytes) -> list[HostEvent]:
        if node not in self._nodes and len(self._nodes) >= NODES_MAX:
            raise PayloadError(f"the birth of more than {NODES_MAX} nodes")
        message = decode(payload)
        born = self._nodes[node] = _node_of(message)
        return [NodeBorn(node, born.bd_seq, message.metrics, payload, message.timestamp_ms)]

    def _on_node_death(self, node: NodeKey, payload: bytes, now_ms: int) -> list[HostEvent]:
        bd_seq = _bd_seq(decode(payload))
        known = self._nodes.get(node)
        if known is None or known.bd_seq != bd_seq:
            return []  # the will of a connection that a newer birth has replaced
        del self._nodes[node]
        return [NodeDied(node, now_ms)]

    def _on_device_birth(
        self, topic: DeviceTopic, known: _Node | None, message: Payload, payload: bytes
    ) -> list[HostEvent]:
        events = _followed(known, topic.node, message)
        if known is None:
            return events
        births = births_of(message.metrics)
        if topic.device_id not in known.device_births and len(known.device_births) >= DEVICES_PER_NODE_MAX:
            raise PayloadError(f"the birth of more than {DEVICES_PER_NODE_MAX} devices of a node")
        known.device_births[topic.device_id] = births
        return [*events, DeviceBorn(topic.node, topic.device_id, message.metrics, payload, message.timestamp_ms)]


def _node_of(message: Payload) -> _Node:
    # the specification says both that NBIRTH's seq is 0 and that it is 0 to 255: any is accepted
    return _Node(_bd_seq(message), births_of(message.metrics), message.seq)


def _bd_seq(message: Payload) -> int:
    for metric in message.metrics:
        if metric.name == BD_SEQ and isinstance(metric.value, int) and not isinstance(metric.value, bool):
            return metric.value
    raise PayloadError("there is no bdSeq")


def _followed(known: _Node | None, node: NodeKey, message: Payload) -> list[HostEvent]:
    """Take note of the sequence number; the events say what is wrong with it."""
    if known is None:
        return [RebirthNeeded(node, "it is not born")]
    if known.is_restored:
        known.is_restored = False
        known.seq = message.seq
        return [RebirthNeeded(node, "its birth is from before this host's restart")]
    expected = None if known.seq is None else (known.seq + 1) % SEQ_MODULO
    known.seq = message.seq
    if expected is None or message.seq == expected:
        return []
    return [SeqGap(node, expected, message.seq), RebirthNeeded(node, "its sequence has a gap")]


def _named(message: Payload, node: NodeKey, events: list[HostEvent]) -> tuple[Metric, ...]:
    """The metrics whose name is known; an event tells of those whose is not."""
    metrics = tuple([metric for metric in message.metrics if metric.name is not None])
    if len(metrics) < len(message.metrics) and not any(isinstance(event, RebirthNeeded) for event in events):
        events.append(RebirthNeeded(node, "an alias is in no birth"))
    return metrics
