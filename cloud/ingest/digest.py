"""What a batch of Sparkplug messages means: records to store, what happened to the fleet, whom to answer.

No sockets and no database, so that it can be driven by a simulation; the host session in it is not thread-safe.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloud.ingest.gate import Gate
from cloud.telemetry.store import GatewayKey, IncomingGap, IncomingShot
from contract import commit, shot_wire, standing
from contract.sparkplug.codec import Metric
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
)
from contract.sparkplug.topics import NodeKey
from contract.standing import Refusal, Standing, StandingError

UNREADABLE = "unreadable"
LETTER_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class GatewayBorn:
    """A gateway has introduced itself; `standing` is None for another maker's edge node."""

    gateway: GatewayKey
    standing: Standing | None
    metrics: Mapping[str, Any]
    raw: bytes


@dataclass(frozen=True, slots=True)
class PressBorn:
    """A press was introduced by its gateway."""

    gateway: GatewayKey
    press_id: str
    metrics: Mapping[str, Any]
    raw: bytes


@dataclass(frozen=True, slots=True)
class GatewayDied:
    """A gateway's connection has ended."""

    gateway: GatewayKey


@dataclass(frozen=True, slots=True)
class PressDied:
    """A gateway no longer hears its press."""

    gateway: GatewayKey
    press_id: str


@dataclass(frozen=True, slots=True)
class GatewayHealth:
    """A gateway's own figures; `clock_offset_s` is how far its clock is ahead of ours."""

    gateway: GatewayKey
    metrics: Mapping[str, Any]
    clock_offset_s: float


FleetNews = GatewayBorn | PressBorn | GatewayDied | PressDied | GatewayHealth


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nothing could be made of: kept for people, and out of the way of the rest."""

    topic: str
    reason: str
    payload: bytes
    received_ms: int


@dataclass(slots=True)
class Digest:
    """What one batch came to."""

    records: list[IncomingShot | IncomingGap] = field(default_factory=list)
    news: list[FleetNews] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    rebirths: set[NodeKey] = field(default_factory=set)
    refusals: dict[GatewayKey, Refusal] = field(default_factory=dict)
    seq_gaps: int = 0


def digest(
    session: HostSession, gate: Gate, messages: Iterable[tuple[str, bytes]], now_ms: int, now_s: float
) -> Digest:
    """Feed the messages, in order, to the session and sort what it says; `now_s` is monotonic.

    Nothing is made of what a refused gateway sends: its records stay in its own journal.
    """
    result = Digest()
    for topic, payload in messages:
        for event in session.on_message(topic, payload, now_ms):
            refusal = _refusal(gate, event, now_s)
            if refusal is None:
                _take(result, event, topic, payload, now_ms)
            else:
                gateway, why = refusal
                result.refusals[gateway] = why
    return result


def _refusal(gate: Gate, event: object, now_s: float) -> tuple[GatewayKey, Refusal] | None:
    node = getattr(event, "node", None)
    if not isinstance(node, NodeKey):
        return None
    gateway = _key(node)
    if isinstance(event, NodeBorn):
        instance = _values(event.metrics).get(standing.INSTANCE)
        gate.born(gateway, instance if isinstance(instance, str) else "", now_s)
    why = gate.refusal(gateway, now_s)
    return None if why is None else (gateway, why)


def _take(result: Digest, event: object, topic: str, payload: bytes, now_ms: int) -> None:
    match event:
        case DeviceData():
            _record(result, event, topic, payload, now_ms)
        case NodeBorn(node, _, metrics, raw):
            values = _values(metrics)
            try:
                stands = standing.from_birth(values)
            except StandingError as error:
                stands = None
                result.letters.append(DeadLetter(topic, str(error), payload[:LETTER_BYTES_MAX], now_ms))
            result.news.append(GatewayBorn(_key(node), stands, values, raw))
            result.rebirths.discard(node)
        case DeviceBorn(node, device, metrics, raw):
            result.news.append(PressBorn(_key(node), device, _values(metrics), raw))
        case NodeData(node, metrics, timestamp_ms, _):
            offset_s = 0.0 if timestamp_ms is None else (timestamp_ms - now_ms) / 1000
            result.news.append(GatewayHealth(_key(node), _values(metrics), offset_s))
        case NodeDied(node):
            result.news.append(GatewayDied(_key(node)))
        case DeviceDied(node, device, _):
            result.news.append(PressDied(_key(node), device))
        case RebirthNeeded(node, _):
            result.rebirths.add(node)
        case SeqGap():
            result.seq_gaps += 1
        case Rejected(_, reason):
            result.letters.append(DeadLetter(topic, reason, payload[:LETTER_BYTES_MAX], now_ms))


def _record(result: Digest, event: DeviceData, topic: str, payload: bytes, now_ms: int) -> None:
    """A record to store; an unreadable one is spent as a gap, so that its gateway does not send it for ever.

    One whose birth was lost on the way is not taken at all: it comes again after the rebirth that was asked for.
    """
    if event.unnamed:
        return
    gateway = _key(event.node)
    try:
        record = shot_wire.record_of(event.device, event.metrics)
    except shot_wire.WireError as error:
        result.letters.append(DeadLetter(topic, str(error), payload[:LETTER_BYTES_MAX], now_ms))
        identity = _identity(event.metrics)
        if identity is not None:
            epoch, first, last = identity
            gap = IncomingGap(gateway, epoch, first, now_ms, event.device, now_ms, UNREADABLE, last)
            result.records.append(gap)
        return
    if isinstance(record, shot_wire.GapRecord):
        place = (gateway, record.epoch, record.record_id, now_ms, event.device, record.ended_ms, record.reason)
        result.records.append(IncomingGap(*place, record.last_id, record.lines))
    elif record is not None:
        is_historical = any(metric.is_historical for metric in event.metrics)
        result.records.append(
            IncomingShot(
                gateway,
                record.epoch,
                record.record_id,
                now_ms,
                is_historical,
                record.scored,
                curves_dropped=record.curves_dropped,
            )
        )


def _identity(metrics: Sequence[Metric]) -> tuple[str, int, int] | None:
    """Epoch, first and last id of a record that cannot be read, as far as they can."""
    values = _values(metrics)
    epoch, record_id = values.get(commit.EPOCH), values.get(shot_wire.JOURNAL_ID)
    if isinstance(epoch, str) and epoch and isinstance(record_id, int) and record_id >= commit.FIRST_RECORD_ID:
        with contextlib.suppress(shot_wire.WireError):
            return epoch, record_id, shot_wire.last_id_of(values, record_id)
        return epoch, record_id, record_id
    return None


def _values(metrics: Iterable[Metric]) -> dict[str, Any]:
    return {metric.name: metric.value for metric in metrics if metric.name is not None}


def _key(node: NodeKey) -> GatewayKey:
    return GatewayKey(node.group_id, node.node_id)
