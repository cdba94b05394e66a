"""One press over OPC UA: connect, subscribe to its cycle event, turn each into a shot; again after every loss."""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from asyncua import Client, Node, ua
from asyncua.common.events import Event
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

from contract.shot import FloatArray
from edge_agent.settings import OpcUaSource
from edge_agent.shots import assemble, curve, trusted_time_ms
from edge_agent.sources.opcua.certificates import CertificateError, application_uri, read_certificate
from edge_agent.sources.opcua.discovery import (
    CAVITIES,
    MATERIAL,
    MOULD_ID,
    PRODUCT_NAME,
    Curves,
    DiscoveryError,
    PressNodes,
    discover,
)
from edge_agent.sources.source import Deliver, Delivery, Missed, PressWatch
from kit.clock import Clock

PUBLISHING_INTERVAL_MS = 100
REQUEST_TIMEOUT_S = 10.0
SESSION_TIMEOUT_MS = 600_000
SILENCE_CHECK_S = 5.0
RECONNECT_S_MIN, RECONNECT_S_MAX = 1.0, 30.0
EVENTS_MAX = 64

log = structlog.get_logger()

# What a session with a press can end with; each is answered by trying again.
SESSION_ERRORS = (OSError, TimeoutError, ua.UaError, DiscoveryError, CertificateError, ConnectionError)


class OpcUaPress:
    """A source that never gives up on its press: it reconnects, with growing pauses up to half a minute."""

    def __init__(
        self,
        settings: OpcUaSource,
        deliver: Deliver,
        watch: PressWatch,
        clock: Clock,
        *,
        position: str | None,
        randomness: random.Random,
    ) -> None:
        self._settings = settings
        self._deliver = deliver
        self._watch = watch
        self._clock = clock
        self._last_counter, self._last_ended_ms = _parse_position(position)
        self._dropped: Missed | None = None  # cycles whose events found no room, with or without a number
        self._randomness = randomness
        self.source_id = f"opcua:{settings.press}"

    async def run(self) -> None:
        """Deliver shots until cancelled."""
        pause_s = RECONNECT_S_MIN
        while True:
            started_s = self._clock.monotonic_s()
            try:
                await self._session()
                reason = "connection lost"
            except SESSION_ERRORS as error:
                reason = str(error) or type(error).__name__
            self._watch.press_lost(self._settings.press, reason)
            if self._clock.monotonic_s() - started_s > RECONNECT_S_MAX:
                pause_s = RECONNECT_S_MIN
            log.warning("press_lost", press_id=self._settings.press, reason=reason, retry_in_s=round(pause_s, 1))
            await anyio.sleep(pause_s * self._randomness.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, RECONNECT_S_MAX)

    async def _session(self) -> None:
        """One connection, from its making to its loss."""
        client = await make_client(self._settings)
        send, receive = anyio.create_memory_object_stream[Event](EVENTS_MAX)
        async with send, receive, client:
            nodes = await discover(client, self._settings.url)
            handler = _Handler(send, self._settings.press, self._drop)
            subscription = await client.create_subscription(PUBLISHING_INTERVAL_MS, handler)
            await subscription.subscribe_events(nodes.root, evfilter=nodes.event_filter)
            self._watch.press_connected(self._settings.press)
            log.info(
                "press_connected", press_id=self._settings.press, curves=nodes.curves is not None, notes=nodes.notes
            )
            await self._follow(client, nodes, receive)

    async def _follow(self, client: Client, nodes: PressNodes, events: MemoryObjectReceiveStream[Event]) -> None:
        while True:
            with anyio.move_on_after(SILENCE_CHECK_S) as waiting:
                event = await events.receive()
            if waiting.cancelled_caught:
                await client.check_connection()  # raises when the link is gone, half-open ones after the timeout
                continue
            await self._take(client, nodes, event)

    async def _take(self, client: Client, nodes: PressNodes, event: Event) -> None:
        fields: dict[str, Any] = event.get_event_props_as_fields_dict()
        values = {path: variant.Value for path, variant in fields.items()}
        counter = values.get("MachineCycleCounter", values.get("JobCycleCounter"))
        counter = counter if isinstance(counter, int) else None
        now_ms = self._clock.utc_ms()
        reported_ms = _utc_ms(values.get("Time"))
        ended_ms = trusted_time_ms(reported_ms, now_ms)
        if reported_ms is not None and ended_ms != reported_ms:
            log.warning("press_clock_off", press_id=self._settings.press, off_s=(reported_ms - now_ms) // 1000)
        if not self._is_new(counter, reported_ms or ended_ms):
            return
        missed = self._missed_before(counter, ended_ms, reported_ms or ended_ms)
        self._last_counter, self._last_ended_ms = counter, reported_ms or ended_ms
        interval_s, curves = await self._read_curves(client, nodes.curves, counter)
        job = await _read_job(client, nodes.job | nodes.dataset.nodes)
        shot = assemble(
            self._settings.press,
            ended_ms=ended_ms,
            fields=values,
            converters=nodes.converters,
            curves=curves,
            sample_interval_s=interval_s,
            cycle_counter=counter,
            job_name=str(values.get("JobName") or ""),
            mould_id=str(job.get(MOULD_ID) or ""),
            material=job.get(MATERIAL),
            product_name=job.get(PRODUCT_NAME),
            cavities=job.get(CAVITIES),
            dataset=nodes.dataset.dataset_of(job),
        )
        position = f"{'' if counter is None else counter}:{reported_ms or ended_ms}"
        await self._deliver(Delivery(shot, self.source_id, position, missed), can_wait=False)

    def _is_new(self, counter: int | None, reported_ms: int) -> bool:
        """Whether this cycle was not taken yet: a press may tell of its last one again to who subscribes."""
        return counter is None or (counter, reported_ms) != (self._last_counter, self._last_ended_ms)

    def _missed_before(self, counter: int | None, ended_ms: int, reported_ms: int) -> Missed | None:
        """The cycles that no one recorded, by the press's own counter; without one, those whose events were dropped.

        Their times are put right by as much as this cycle's, where the press's clock is not believed.
        """
        dropped, self._dropped = self._dropped, None
        last, last_ms = self._last_counter, self._last_ended_ms
        if counter is not None and last is not None:
            count = counter - last - 1
            from_ms = ended_ms if last_ms is None else min(ended_ms, last_ms + ended_ms - reported_ms)
            position = f"{counter - 1}:{'' if last_ms is None else last_ms}"
            missed = Missed(count, max(0, from_ms), ended_ms, position) if count > 0 else None
        else:
            missed = dropped
        if missed is not None:
            self._watch.cycles_missed(self._settings.press, missed.count)
        return missed

    def _drop(self) -> None:
        now_ms, before = self._clock.utc_ms(), self._dropped
        position = f":{'' if self._last_ended_ms is None else self._last_ended_ms}"
        self._dropped = Missed(
            1 if before is None else before.count + 1,
            now_ms if before is None else min(before.from_ms, now_ms),
            now_ms if before is None else max(before.to_ms, now_ms),
            position,
        )

    async def _read_curves(
        self, client: Client, curves: Curves | None, counter: int | None
    ) -> tuple[float, dict[str, FloatArray]]:
        """The curves of this very cycle; none when the press has already gone on to the next."""
        if curves is None:
            return 0.0, {}
        before, interval_ms, *samples, after = await client.read_values(
            [curves.counter, curves.interval, *curves.nodes, curves.counter]
        )
        if not before == after == counter or not isinstance(interval_ms, int | float) or not interval_ms > 0:
            log.info("curves_missed", press_id=self._settings.press, cycle_counter=counter, offered=after)
            return 0.0, {}
        read = zip(curves.converters, samples, strict=True)
        found = {converter.name: curve(reported, converter) for converter, reported in read}
        return interval_ms / 1000, {name: values for name, values in found.items() if values is not None}


async def _read_job(client: Client, nodes: Mapping[str, Node]) -> dict[str, object]:
    """What the press now says of its job and its set points; None for what it cannot say.

    Raises:
        ua.UaError: it cannot say which mould is in, without which its shots cannot be judged.
    """
    if not nodes:
        return {}
    found = dict(zip(nodes, await client.read_attributes(nodes.values()), strict=True))
    if MOULD_ID in found:
        found[MOULD_ID].StatusCode.check()
    return {name: data.Value.Value if data.Value is not None else None for name, data in found.items()}


class _Handler:
    """asyncua's callbacks: each must return at once, so events wait in a bounded stream."""

    def __init__(self, send: MemoryObjectSendStream[Event], press_id: str, on_dropped: Callable[[], None]) -> None:
        self._send = send
        self._press_id = press_id
        self._on_dropped = on_dropped

    def event_notification(self, event: Event) -> None:
        try:
            self._send.send_nowait(event)
        except anyio.WouldBlock:
            self._on_dropped()
            log.warning("cycle_event_dropped", press_id=self._press_id, waiting=EVENTS_MAX)
        except anyio.BrokenResourceError:
            log.debug("cycle_event_after_end", press_id=self._press_id)

    def status_change_notification(self, status: object) -> None:
        log.info("subscription_status_changed", press_id=self._press_id, status=str(status))


async def make_client(settings: OpcUaSource) -> Client:
    """A client for the press, secured as the settings say.

    Raises:
        CertificateError: the gateway's own certificate cannot be used.
        OSError, ua.UaError: the server's endpoints could not be read.
    """
    client = Client(settings.url, timeout=REQUEST_TIMEOUT_S)
    client.name = "Zhisan gateway"
    client.session_timeout = SESSION_TIMEOUT_MS
    if settings.username:
        client.set_user(settings.username)
        client.set_password(settings.password.get_secret_value())
    if settings.security == "basic256sha256":
        assert settings.certificate_file is not None
        assert settings.private_key_file is not None
        client.application_uri = application_uri(settings.certificate_file)
        pinned = settings.server_certificate_file
        if pinned is not None:
            read_certificate(pinned)
        try:
            await client.set_security(
                SecurityPolicyBasic256Sha256,
                settings.certificate_file,
                settings.private_key_file,
                server_certificate=None if pinned is None else str(pinned),
                mode=ua.MessageSecurityMode.SignAndEncrypt,
            )
        except ValueError as error:
            raise CertificateError(f"private key {settings.private_key_file} cannot be used: {error}") from error
    return client


def _utc_ms(moment: object) -> int | None:
    """OPC UA times are UTC; asyncua gives them naive or aware by version."""
    if not isinstance(moment, datetime):
        return None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _parse_position(position: str | None) -> tuple[int | None, int | None]:
    counter, _, ended_ms = (position or ":").partition(":")
    return (int(counter) if counter else None), (int(ended_ms) if ended_ms else None)
