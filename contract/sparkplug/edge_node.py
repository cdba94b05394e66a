"""The session of a Sparkplug edge node, without clock and sockets: what to publish next, and what a message means."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from contract.sparkplug.datatypes import DataType
from contract.sparkplug.decoding import decode
from contract.sparkplug.encoding import encode, encode_header, encode_metrics
from contract.sparkplug.errors import PayloadError, TopicError
from contract.sparkplug.message import BD_SEQ, REBIRTH, SEQ_MODULO, Births, births_of, by_alias
from contract.sparkplug.message import Message as Message
from contract.sparkplug.metrics import Metric, Payload
from contract.sparkplug.state import State, decode_state
from contract.sparkplug.topics import DeviceTopic, NodeKey, NodeTopic, StateTopic, Verb, check_id, parse

BD_SEQ_BEFORE_FIRST: Final = 255
"""The `bd_seq` of a node that has never connected, so that its first is 0."""


@dataclass(frozen=True, slots=True)
class RebirthRequested:
    """A host wants all births again: stop sending data, call `birth`."""


@dataclass(frozen=True, slots=True)
class NodeCommand:
    """Metrics that a host writes to this node; names are resolved."""

    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class DeviceCommand:
    """Metrics that a host writes to a born device of this node; names are resolved."""

    device: str
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class HostOnline:
    """The primary host has come: call `birth`."""

    host_id: str


@dataclass(frozen=True, slots=True)
class HostOffline:
    """The primary host has gone: if `is_born`, publish `node_death`, disconnect, and connect again."""

    host_id: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message without effect, and why."""

    topic: str
    reason: str


EdgeEvent = RebirthRequested | NodeCommand | DeviceCommand | HostOnline | HostOffline | Ignored


class EdgeNodeSession:
    """One edge node over all its connections.

    Call `connect` for the will of each MQTT CONNECT and `connected` when the server has accepted it; subscribe, then
    `birth` as soon as `may_birth`; send data while `may_publish`. Calls in another order are bugs and fail an
    assertion. Aliases are the caller's and must be unique over the node and all its devices.
    """

    def __init__(
        self, group_id: str, node_id: str, *, primary_host_id: str | None = None, bd_seq: int = BD_SEQ_BEFORE_FIRST
    ) -> None:
        assert 0 <= bd_seq < SEQ_MODULO
        self._node = NodeKey(check_id(group_id), check_id(node_id))
        self._host_id = None if primary_host_id is None else check_id(primary_host_id)
        self._bd_seq = bd_seq
        self._is_connected = False
        self._host: State | None = None
        self._born_bd_seq = bd_seq
        self._seq: int | None = None
        self._node_births: Births = {}
        self._device_births: dict[str, Births] = {}

    @property
    def bd_seq(self) -> int:
        """The number of the latest CONNECT, 0..255; persist it after each `connect` for the next session object."""
        return self._bd_seq

    @property
    def is_born(self) -> bool:
        """Whether this connection has had its NBIRTH and no NDEATH since."""
        return self._seq is not None

    @property
    def is_host_online(self) -> bool:
        """Whether the primary host has said on this connection that it is online; True where there is none."""
        return self._host_id is None or (self._host is not None and self._host.is_online)

    @property
    def may_birth(self) -> bool:
        """Whether `birth` may be called: connected, and the primary host, if there is one, is online."""
        return self._is_connected and self.is_host_online

    @property
    def may_publish(self) -> bool:
        """Whether data may be sent: born, and the primary host, if there is one, is online."""
        return self.is_born and self.may_birth

    @property
    def devices(self) -> frozenset[str]:
        """The devices born and not dead on this connection."""
        return frozenset(self._device_births)

    def connect(self, bd_seq: int | None = None) -> Message:
        """The will (NDEATH) for the next CONNECT, with the bdSeq given, else the one after the last.

        May be called from the MQTT client's own thread: it notes the number and touches nothing else.
        """
        assert bd_seq is None or 0 <= bd_seq < SEQ_MODULO
        self._bd_seq = (self._bd_seq + 1) % SEQ_MODULO if bd_seq is None else bd_seq
        return self._death(self._bd_seq, None)

    def connected(self) -> None:
        """A connection has been accepted: births belong to the one before, and so does the STATE last seen.

        What the server has retained is the truth of the new connection, even where its timestamp is older.
        """
        self._is_connected = True
        self._host = None
        self._forget_births()

    def subscriptions(self) -> list[tuple[str, int]]:
        """Topic filters and their QoS, to subscribe to before `birth`."""
        own = [
            (str(NodeTopic(Verb.NCMD, self._node)), 1),
            (str(DeviceTopic(Verb.DCMD, self._node, "+")), 1),
        ]
        return own if self._host_id is None else [*own, (str(StateTopic(self._host_id)), 1)]

    def birth(
        self, node_metrics: Sequence[Metric], devices: Mapping[str, Sequence[Metric]], now_ms: int
    ) -> list[Message]:
        """NBIRTH with seq 0, then a DBIRTH for each device; also the answer to `RebirthRequested`.

        bdSeq and `Node Control/Rebirth` are added here, without alias as the specification wants it; the caller's
        metrics need name, datatype and value (None for none yet). A metric without timestamp gets `now_ms`.

        Raises:
            PayloadError: a metric has no name or datatype, or its value does not fit.
            TopicError: a device's id cannot stand in a topic.
        """
        assert self.may_birth
        self._forget_births()
        self._born_bd_seq = self._bd_seq
        metrics = [
            Metric(BD_SEQ, self._born_bd_seq, DataType.Int64, timestamp_ms=now_ms),
            Metric(REBIRTH, False, DataType.Boolean, timestamp_ms=now_ms),
            *node_metrics,
        ]
        self._node_births = _births(metrics)
        first = self._message(NodeTopic(Verb.NBIRTH, self._node), encode_metrics(_timed(metrics, now_ms)), 0, now_ms)
        self._seq = 0
        try:
            return [first, *(self.device_birth(device, told, now_ms) for device, told in devices.items())]
        except (PayloadError, TopicError):
            self._forget_births()  # nothing of this birth will be published
            raise

    def device_birth(self, device: str, metrics: Sequence[Metric], now_ms: int) -> Message:
        """DBIRTH: a device has come, or its set of metrics has changed.

        Raises:
            PayloadError: a metric has no name or datatype, or its value does not fit.
            TopicError: the device's id cannot stand in a topic.
        """
        assert self.is_born
        births = _births(metrics)
        others = [self._node_births, *(told for other, told in self._device_births.items() if other != device)]
        taken = {key for told in others for key in told if isinstance(key, int)}
        assert taken.isdisjoint(births), f"an alias of {device} is another metric's"
        topic = DeviceTopic(Verb.DBIRTH, self._node, check_id(device))
        body = encode_metrics(_timed(metrics, now_ms))
        self._device_births[device] = births
        return self._message(topic, body, self._next_seq(), now_ms)

    def device_death(self, device: str, now_ms: int) -> Message:
        """DDEATH: a born device has gone."""
        assert self.is_born
        del self._device_births[device]
        return self._message(DeviceTopic(Verb.DDEATH, self._node, device), b"", self._next_seq(), now_ms)

    def node_data(self, metrics: Iterable[Metric], now_ms: int) -> Message:
        """NDATA; a metric with an alias goes by it alone, and one without timestamp gets `now_ms`."""
        assert self.may_publish
        body = encode_metrics(_timed(by_alias(metrics), now_ms))
        return self._message(NodeTopic(Verb.NDATA, self._node), body, self._next_seq(), now_ms)

    def device_data(self, device: str, body: bytes, now_ms: int) -> Message:
        """DDATA of a born device; `body` is from `encode_metrics`, its metrics with their own timestamps."""
        assert self.may_publish
        assert device in self._device_births
        return self._message(DeviceTopic(Verb.DDATA, self._node, device), body, self._next_seq(), now_ms)

    def node_death(self, now_ms: int) -> Message:
        """NDEATH to publish before a clean disconnect, since the server then drops the will; next comes `connect`."""
        assert self.is_born
        self._forget_births()
        self._is_connected = False
        return self._death(self._born_bd_seq, now_ms)

    def on_message(self, topic: str, payload: bytes) -> list[EdgeEvent]:
        """What an incoming message means; whatever its bytes are, nothing is raised."""
        try:
            parsed = parse(topic)
            match parsed:
                case StateTopic(host_id) if host_id == self._host_id:
                    return self._on_state(topic, decode_state(payload))
                case NodeTopic(Verb.NCMD, node) if node == self._node:
                    return self._on_node_command(topic, payload)
                case DeviceTopic(Verb.DCMD, node, device) if node == self._node:
                    return self._on_device_command(topic, device, payload)
                case _:
                    return [Ignored(topic, "is not for this node")]
        except (PayloadError, TopicError) as error:
            return [Ignored(topic, error.reason)]

    def _on_state(self, topic: str, state: State) -> list[EdgeEvent]:
        previous = self._host
        if previous is not None and state.timestamp_ms < previous.timestamp_ms:
            return [Ignored(topic, f"STATE of {state.timestamp_ms} is older than {previous.timestamp_ms}")]
        self._host = state
        if previous is not None and previous.is_online == state.is_online:
            return []
        host_id = self._host_id
        assert host_id is not None
        return [HostOnline(host_id) if state.is_online else HostOffline(host_id)]

    def _on_node_command(self, topic: str, payload: bytes) -> list[EdgeEvent]:
        metrics, events = _resolved(topic, payload, self._node_births)
        if any(metric.name == REBIRTH and metric.value is True for metric in metrics):
            events.append(RebirthRequested() if self.is_born else Ignored(topic, "rebirth before the first birth"))
        others = tuple(metric for metric in metrics if metric.name != REBIRTH)
        return [*events, NodeCommand(others)] if others else events

    def _on_device_command(self, topic: str, device: str, payload: bytes) -> list[EdgeEvent]:
        births = self._device_births.get(device)
        if births is None:
            return [Ignored(topic, "the device is not born")]
        metrics, events = _resolved(topic, payload, births)
        return [*events, DeviceCommand(device, metrics)] if metrics else events

    def _forget_births(self) -> None:
        self._seq = None
        self._node_births = {}
        self._device_births = {}

    def _next_seq(self) -> int:
        assert self._seq is not None
        self._seq = (self._seq + 1) % SEQ_MODULO
        return self._seq

    def _message(self, topic: NodeTopic | DeviceTopic, body: bytes, seq: int, now_ms: int) -> Message:
        return Message(str(topic), encode_header(now_ms, seq) + body, qos=0, retain=False)

    def _death(self, bd_seq: int, now_ms: int | None) -> Message:
        metric = Metric(BD_SEQ, bd_seq, DataType.Int64)
        payload = encode(Payload(now_ms, None, (metric,)))
        return Message(str(NodeTopic(Verb.NDEATH, self._node)), payload, qos=1, retain=False)


def _births(metrics: Sequence[Metric]) -> Births:
    aliases = [metric.alias for metric in metrics if metric.alias is not None]
    assert len(set(aliases)) == len(aliases), "an alias twice in a birth"
    assert len({metric.name for metric in metrics}) == len(metrics), "a name twice in a birth"
    return births_of(metrics)


def _timed(metrics: Iterable[Metric], now_ms: int) -> list[Metric]:
    return [metric if metric.timestamp_ms is not None else metric._replace(timestamp_ms=now_ms) for metric in metrics]


def _resolved(topic: str, payload: bytes, births: Births) -> tuple[tuple[Metric, ...], list[EdgeEvent]]:
    metrics = decode(payload, births).metrics
    unknown = sorted(metric.alias or 0 for metric in metrics if metric.name is None)
    events: list[EdgeEvent] = [Ignored(topic, f"alias {alias} is in no birth") for alias in unknown[:1]]
    return tuple(metric for metric in metrics if metric.name is not None), events
