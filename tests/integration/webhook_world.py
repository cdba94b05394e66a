"""The webhook side of the cloud on a clock that the test moves, and receivers of two kinds: a script, and a socket."""

import base64
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import anyio
import httpx
from anyio.abc import SocketStream
from cryptography.fernet import Fernet
from sqlalchemy import select

from cloud.alarms.service import ALARM_RAISED
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.events import Dispatcher, EventLog
from cloud.core.live import Live
from cloud.core.tenants import DEFAULT_TENANT
from cloud.web.translation import load_catalogues
from cloud.webhooks import repository, service
from cloud.webhooks.calling import Caller
from cloud.webhooks.domain import ConfiguredEndpoint, Delivery
from cloud.webhooks.endpoints import EndpointService
from cloud.webhooks.jobs import WebhookSender
from cloud.webhooks.mail import MailRelay
from cloud.webhooks.rules import Draft
from cloud.webhooks.sealing import Sealer
from cloud.webhooks.service import WebhookService
from cloud.webhooks.tables import EndpointRow
from cloud.webhooks.views import Endpoint
from kit.clock import ManualClock

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ENGINEER = Actor("user", "u-1", "Li Na")
SEAL_KEY = Fernet.generate_key()
TEXTS = load_catalogues()
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HANG = b""
CLOSE = b"close"
Answering = Callable[[httpx.Request], httpx.Response]


class Receiver:
    """A server that answers by a script, one line a call, then OK; a hanging one holds its connection open."""

    def __init__(self, script: list[bytes]) -> None:
        self.script = script
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def handle(self, stream: SocketStream) -> None:
        async with stream:
            data = b""
            while b"\r\n\r\n" not in data:
                data += await stream.receive()
            head, _, body = data.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            while len(body) < int(headers["content-length"]):
                body += await stream.receive()
            self.calls.append((headers, body))
            answer = self.script.pop(0) if self.script else OK
            if answer == HANG:
                await anyio.sleep_forever()
            if answer != CLOSE:
                await stream.send(answer)


@asynccontextmanager
async def receiving(*script: bytes) -> AsyncIterator[Receiver]:
    receiver = Receiver(list(script))
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, receiver.handle)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        receiver.url = f"http://127.0.0.1:{port}/alarms?plant=1"
        yield receiver
        tasks.cancel_scope.cancel()


async def public_address(host: str, port: int, *, allow_private: bool) -> str:
    """A name service that knows every name."""
    return "192.0.2.1"


@dataclass(slots=True)
class ScriptedReceivers:
    """The world behind a transport, on virtual time: what arrives, by host, and how each host answers."""

    clock: ManualClock
    answers: dict[str, Answering] = field(default_factory=dict)
    calls: list[tuple[str, int, httpx.Request]] = field(default_factory=list)
    hanging: set[str] = field(default_factory=set)
    """Hosts that take a call and never answer."""
    gates: dict[str, anyio.Event] = field(default_factory=dict)
    """When a host answers."""

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._handle)

    def bodies(self, host: str) -> list[dict[str, Any]]:
        """What a host was sent, in order."""
        return [json.loads(request.content) for name, _, request in self.calls if name == host]

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        host = request.headers["host"]
        self.calls.append((host, self.clock.utc_ms(), request))
        if host in self.hanging:
            await anyio.sleep_forever()
        if host in self.gates:
            await self.gates[host].wait()
        answer = self.answers[host](request)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))


class Outbox:
    """The webhook side of the cloud, wired as the program does it."""

    def __init__(
        self,
        database: Database,
        *endpoints: ConfiguredEndpoint,
        first_retry_s: float = 5.0,
        transport: httpx.AsyncBaseTransport | None = None,
        may_call_private: bool = False,
        relay: MailRelay | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.database = database
        self.clock = clock or ManualClock(utc_ms=time.time_ns() // 1_000_000)
        self.live = Live()
        self.configured = endpoints
        self.sealer = Sealer(SEAL_KEY)
        self.service = WebhookService(self.live, self.clock, random.Random(1), first_retry_s=first_retry_s)
        self.endpoints = EndpointService(
            self.service,
            self.sealer,
            self.live,
            self.clock,
            may_call_private=may_call_private,
            has_mail=relay is not None,
        )
        named = {"lookup": public_address} if transport is not None else {}
        self.caller = Caller(self.clock, TEXTS, relay=relay, transport=transport, **named)
        self.sender = WebhookSender(database, self.service, self.caller, self.sealer, self.live, self.clock)
        self.dispatcher = Dispatcher(database, self.live, self.service.subscriber())

    async def sync(self) -> None:
        async with self.database.transaction() as session:
            await self.endpoints.sync_settings(session, self.configured)

    async def make(self, draft: Draft) -> tuple[UUID, str]:
        """A new endpoint and its secret."""
        async with self.database.transaction() as session:
            row, secret = await self.endpoints.create(session, DEFAULT_TENANT, ENGINEER, draft)
        return row.endpoint_id, secret

    async def change(self, endpoint_id: UUID, **changes: Any) -> None:
        async with self.database.transaction() as session:
            await self.endpoints.change(session, DEFAULT_TENANT, endpoint_id, ENGINEER, changes)

    async def replay_all(self, endpoint_id: UUID) -> int:
        async with self.database.transaction() as session:
            row = await self.endpoints.row(session, DEFAULT_TENANT, endpoint_id)
            return await self.service.replay_all(session, row, ENGINEER)

    async def event(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Something happens to an alarm, and the outbox learns of it."""
        async with self.database.transaction() as session:
            EventLog(self.live).record(session, DEFAULT_TENANT, kind, payload, self.clock.utc_ms())
        await self.dispatcher.deliver_batch()

    async def alarm(self, number: int = 1, kind: str = ALARM_RAISED, **more: Any) -> None:
        alarm = {"alarm_id": f"alarm-{number}", "press_id": "press-1", "number": number, "mode": "止逆环磨损"}
        await self.event(kind, {**alarm, **more})

    async def send_all(self, *, hours: float = 48) -> None:
        """Send until nothing is owed, letting the time between the tries pass."""
        end_ms = self.clock.utc_ms() + round(hours * 3_600_000)
        while self.clock.utc_ms() < end_ms and await self.is_owing():
            if not await self.sender.send_due():
                self.clock.advance(max(0.001, (min(await self._next_ms(), end_ms) - self.clock.utc_ms()) / 1000))

    async def is_owing(self) -> bool:
        async with self.database.reading() as session:
            return await repository.pending_count(session) > 0

    async def _next_ms(self) -> int:
        """When something may happen next; an hour at most, for what only the sender knows."""
        now_ms = self.clock.utc_ms()
        found = [now_ms + 3_600_000]
        async with self.database.reading() as session:
            for row in await session.scalars(select(EndpointRow)):
                found += [row.probe_at_ms or 0, row.resume_at_ms or 0]
                found += [await repository.next_due_ms(session, row.endpoint_id, now_ms) or 0]
        return min(at_ms for at_ms in found if at_ms > now_ms)

    async def deliveries(self) -> list[Delivery]:
        async with self.database.reading() as session:
            return list((await service.deliveries(session, DEFAULT_TENANT, limit=1_000)).items)

    async def endpoint(self, endpoint_id: UUID) -> Endpoint:
        async with self.database.reading() as session:
            return await self.endpoints.endpoint(session, DEFAULT_TENANT, endpoint_id)


def configured(url: str, name: str = "ops", *, private: bool = True) -> ConfiguredEndpoint:
    return ConfiguredEndpoint(name, url, SECRET, allow_private_addresses=private)
