"""Webhooks against a real receiver on loopback: signed, tried again after failures, never sent where they may not."""

import base64
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
import structlog
from anyio.abc import SocketStream
from standardwebhooks.webhooks import Webhook

from cloud.alarms.service import ALARM_RAISED
from cloud.core.database import Database, sqlite_url
from cloud.core.events import Dispatcher, EventLog
from cloud.core.live import Live
from cloud.core.tenants import DEFAULT_TENANT
from cloud.migrations.upgrade import upgrade
from cloud.webhooks import calling, service
from cloud.webhooks.domain import Delivery
from cloud.webhooks.jobs import POLL_S, WebhookSender
from cloud.webhooks.service import Endpoint, WebhookService
from kit.clock import ManualClock

pytestmark = pytest.mark.anyio
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\nsick"
GONE = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"
GARBAGE = b"\x00\x01 this is no HTTP\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n" + b"x" * 10_000
HANG = b""
CLOSE = b"close"


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


class Outbox:
    """The webhook side of the cloud, on a clock that the test moves."""

    def __init__(self, database: Database, *endpoints: Endpoint, first_retry_s: float = 5.0) -> None:
        self.database = database
        self.clock = ManualClock(utc_ms=time.time_ns() // 1_000_000)
        self.live = Live()
        self.endpoints = endpoints
        self.service = WebhookService(self.live, self.clock, random.Random(1), first_retry_s=first_retry_s)
        self.sender = WebhookSender(database, self.service, endpoints, self.live, self.clock)
        self.dispatcher = Dispatcher(database, self.live, self.service.subscriber())

    async def sync(self) -> None:
        async with self.database.transaction() as session:
            await self.service.sync_endpoints(session, self.endpoints)

    async def alarm(self, number: int = 1) -> None:
        async with self.database.transaction() as session:
            payload = {"press_id": "press-1", "number": number, "mode": "止逆环磨损"}
            EventLog(self.live).record(session, DEFAULT_TENANT, ALARM_RAISED, payload, self.clock.utc_ms())
        await self.dispatcher.deliver_batch()

    async def send_all(self, name: str, *, days: float = 2) -> None:
        """Send until nothing is owed, letting the time between the tries pass."""
        end_ms = self.clock.utc_ms() + round(days * 86_400_000)
        while self.clock.utc_ms() < end_ms:
            owed = [delivery for delivery in await self.deliveries() if delivery.state == "pending"]
            if not owed:
                return
            await self.sender.send_next(name)
            due_ms = min((d.next_attempt_ms or 0 for d in await self.deliveries() if d.state == "pending"), default=0)
            self.clock.advance(max(0, due_ms - self.clock.utc_ms()) / 1000)

    async def deliveries(self) -> list[Delivery]:
        async with self.database.reading() as session:
            return list((await service.deliveries(session, DEFAULT_TENANT, limit=200)).items)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(tmp_path / "cloud.sqlite"))
    await upgrade(database)
    yield database
    await database.close()


def endpoint(url: str, name: str = "ops", *, private: bool = True) -> Endpoint:
    return Endpoint(name, url, SECRET, allow_private_addresses=private)


async def test_a_call_is_signed_so_that_the_receivers_library_accepts_it(database: Database) -> None:
    async with receiving() as receiver:
        outbox = Outbox(database, endpoint(receiver.url))
        await outbox.sync()
        await outbox.alarm()
        await outbox.send_all("ops")
    headers, body = receiver.calls[0]
    message = Webhook(SECRET).verify(body, headers)
    assert message["type"] == "alarm.raised"
    assert message["data"] == {"press_id": "press-1", "number": 1, "mode": "止逆环磨损"}
    assert message["timestamp"].endswith("Z")
    assert headers["host"].startswith("127.0.0.1:")
    [delivery] = await outbox.deliveries()
    assert headers["webhook-id"] == f"msg_{delivery.delivery_id}"
    assert (delivery.state, delivery.attempts, delivery.last_status, delivery.last_answer) == (
        "delivered",
        1,
        200,
        "ok",
    )


async def test_every_kind_of_failure_is_tried_again_with_the_same_id_and_body(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "CALL_S_MAX", 0.3)
    async with receiving(FAILED, HANG, GARBAGE, CLOSE) as receiver:
        outbox = Outbox(database, endpoint(receiver.url), first_retry_s=0.5)
        await outbox.sync()
        await outbox.alarm()
        await outbox.send_all("ops")
    [delivery] = await outbox.deliveries()
    assert (delivery.state, delivery.attempts) == ("delivered", 5)
    assert len({(headers["webhook-id"], body) for headers, body in receiver.calls}) == 1
    for headers, body in receiver.calls:
        Webhook(SECRET).verify(body, headers)


async def test_a_receiver_that_never_recovers_is_given_up_within_a_day(database: Database) -> None:
    async with receiving(*[FAILED] * 50) as receiver:
        outbox = Outbox(database, endpoint(receiver.url))
        await outbox.sync()
        await outbox.alarm()
        begun_ms = outbox.clock.utc_ms()
        await outbox.send_all("ops")
    [delivery] = await outbox.deliveries()
    assert (delivery.state, delivery.attempts, delivery.next_attempt_ms) == ("failed", 9, None)
    assert (delivery.last_status, delivery.last_answer) == (500, "sick")
    assert delivery.last_attempt_ms is not None
    assert 12 * 3_600_000 < delivery.last_attempt_ms - begun_ms <= 24 * 3_600_000


async def test_410_ends_all_calls_to_the_endpoint_until_its_address_changes(database: Database) -> None:
    async with receiving(GONE) as receiver:
        outbox = Outbox(database, endpoint(receiver.url))
        await outbox.sync()
        await outbox.alarm(1)
        await outbox.alarm(2)
        await outbox.send_all("ops")
        await outbox.sync()
        await outbox.alarm(3)
        assert [d.state for d in await outbox.deliveries()] == ["failed", "failed"]
        assert len(receiver.calls) == 1
        moved = Outbox(database, endpoint(receiver.url + "&moved=1"))
        await moved.sync()
        await moved.alarm(4)
        await moved.send_all("ops")
    assert json.loads(receiver.calls[-1][1])["data"]["number"] == 4


async def test_a_failing_call_does_not_hold_up_the_next(database: Database) -> None:
    async with receiving(FAILED) as receiver:
        outbox = Outbox(database, endpoint(receiver.url))
        await outbox.sync()
        for number in (1, 2, 3):
            await outbox.alarm(number)
        await outbox.send_all("ops")
    assert [json.loads(body)["data"]["number"] for _, body in receiver.calls] == [1, 2, 3, 1]


async def test_only_the_first_bytes_of_an_endless_answer_are_kept(database: Database) -> None:
    async with receiving(ENDLESS) as receiver:
        outbox = Outbox(database, endpoint(receiver.url))
        await outbox.sync()
        await outbox.alarm()
        await outbox.send_all("ops")
    [delivery] = await outbox.deliveries()
    assert (delivery.state, delivery.last_answer) == ("delivered", "x" * 2_048)


async def test_a_redirect_is_not_followed(database: Database) -> None:
    redirect = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /alarms\r\ncontent-length: 0\r\n\r\n"
    async with receiving(redirect) as receiver:
        outbox = Outbox(database, endpoint(receiver.url))
        await outbox.sync()
        await outbox.alarm()
        await outbox.sender.send_next("ops")
        [delivery] = await outbox.deliveries()
        assert (delivery.state, delivery.last_status, len(receiver.calls)) == ("pending", 307, 1)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"]
)
async def test_private_addresses_are_refused_unless_allowed(database: Database, host: str) -> None:
    outbox = Outbox(database, endpoint(f"http://{host}:9/", private=False))
    await outbox.sync()
    await outbox.alarm()
    await outbox.sender.send_next("ops")
    [delivery] = await outbox.deliveries()
    assert (delivery.state, delivery.last_status) == ("pending", None)
    assert "is not a public address" in delivery.last_error


async def test_a_crash_after_the_call_repeats_it_with_the_same_id(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as receiver:
        outbox = Outbox(database, endpoint(receiver.url))
        await outbox.sync()
        await outbox.alarm()
        with monkeypatch.context() as crash, pytest.raises(RuntimeError):
            crash.setattr(outbox.clock, "utc_ms", _answers_once(outbox.clock.utc_ms()))
            await outbox.sender.send_next("ops")
        await outbox.send_all("ops")
    first, second = (headers["webhook-id"] for headers, _ in receiver.calls)
    assert first == second
    assert [d.state for d in await outbox.deliveries()] == ["delivered"]


def _answers_once(utc_ms: int) -> Callable[[], int]:
    """A clock that the process does not live to read twice."""
    times = iter([utc_ms])

    def read() -> int:
        for time_ms in times:
            return time_ms
        raise RuntimeError("killed")

    return read


async def test_endpoints_are_owed_only_what_happened_since_they_came(database: Database) -> None:
    first = Outbox(database, endpoint("http://127.0.0.1:9/", "first"))
    await first.sync()
    await first.alarm()
    both = Outbox(database, *first.endpoints, endpoint("http://127.0.0.1:9/", "second"))
    both.clock.advance(60)
    await both.sync()
    await both.alarm()
    assert sorted(d.endpoint for d in await both.deliveries()) == ["first", "first", "second"]
    await first.sync()
    assert {d.endpoint for d in await first.deliveries() if d.state == "failed"} == {"second"}


async def test_endpoints_are_called_side_by_side(database: Database) -> None:
    async with receiving(HANG) as slow, receiving() as quick:
        outbox = Outbox(database, endpoint(slow.url, "slow"), endpoint(quick.url, "quick"))
        await outbox.sync()
        await outbox.alarm()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outbox.sender.run)
            with anyio.fail_after(8):
                while not any(d.state == "delivered" for d in await outbox.deliveries()):
                    await outbox.live.deliveries.wait_beyond(outbox.live.deliveries.version)
            tasks.cancel_scope.cancel()
    assert [d.state for d in await outbox.deliveries() if d.endpoint == "slow"] == ["pending"]


async def test_the_secret_is_in_no_log_and_no_representation(database: Database) -> None:
    async with receiving(FAILED) as receiver:
        outbox = Outbox(database, endpoint(receiver.url))
        await outbox.sync()
        await outbox.alarm()
        with structlog.testing.capture_logs() as logs:
            await outbox.send_all("ops")
    assert logs
    assert SECRET[6:] not in repr((logs, outbox.endpoints, await outbox.deliveries()))


async def test_nothing_owed_means_waiting(database: Database) -> None:
    outbox = Outbox(database, endpoint("http://127.0.0.1:9/"))
    await outbox.sync()
    assert await outbox.sender.send_next("ops") == POLL_S


async def test_a_name_is_called_at_the_address_that_was_looked_at(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[httpx.Request] = []

    class Recording(httpx.AsyncClient):
        async def send(self, request: httpx.Request, **options: object) -> httpx.Response:
            seen.append(request)
            return await super().send(request, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(calling.httpx, "AsyncClient", Recording)
    async with receiving() as receiver:
        port = httpx.URL(receiver.url).port
        outbox = Outbox(database, endpoint(f"http://localhost:{port}/x"))
        await outbox.sync()
        await outbox.alarm()
        await outbox.sender.send_next("ops")
    assert seen[0].url.host in ("127.0.0.1", "::1")
    assert seen[0].headers["host"] == f"localhost:{port}"
    assert seen[0].extensions["sni_hostname"] == "localhost"
