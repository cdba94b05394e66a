"""Webhooks against a real receiver on loopback: signed, tried again after failures, never sent where they may not."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
import structlog
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook

from cloud.core.database import Database, sqlite_url
from cloud.migrations.upgrade import upgrade
from cloud.webhooks import calling
from cloud.webhooks.domain import ATTEMPTS_KEPT_MAX
from cloud.webhooks.tables import AttemptRow
from kit.clock import ManualClock
from tests.integration.webhook_world import CLOSE, HANG, SECRET, Outbox, ScriptedReceivers, configured, receiving

pytestmark = pytest.mark.anyio
FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\nsick"
GONE = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"
GARBAGE = b"\x00\x01 this is no HTTP\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n" + b"x" * 10_000


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(tmp_path / "cloud.sqlite"))
    await upgrade(database)
    yield database
    await database.close()


async def test_a_call_is_signed_so_that_the_receivers_library_accepts_it(database: Database) -> None:
    async with receiving() as receiver:
        outbox = Outbox(database, configured(receiver.url))
        await outbox.sync()
        await outbox.alarm()
        await outbox.send_all()
    headers, body = receiver.calls[0]
    message = Webhook(SECRET).verify(body, headers)
    assert message["type"] == "alarm.raised"
    assert message["data"] == {"alarm_id": "alarm-1", "press_id": "press-1", "number": 1, "mode": "止逆环磨损"}
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
        outbox = Outbox(database, configured(receiver.url), first_retry_s=0.5)
        await outbox.sync()
        await outbox.alarm()
        await outbox.send_all()
    [delivery] = await outbox.deliveries()
    assert (delivery.state, delivery.attempts) == ("delivered", 5)
    assert len({(headers["webhook-id"], body) for headers, body in receiver.calls}) == 1
    for headers, body in receiver.calls:
        Webhook(SECRET).verify(body, headers)


async def test_a_receiver_that_never_recovers_is_given_up_within_a_day(database: Database) -> None:
    clock = ManualClock()
    world = ScriptedReceivers(clock, {"down.example": lambda _request: httpx.Response(500, text="sick")})
    outbox = Outbox(database, configured("https://down.example/"), transport=world.transport(), clock=clock)
    await outbox.sync()
    await outbox.alarm()
    begun_ms = outbox.clock.utc_ms()
    await outbox.send_all()
    [delivery] = await outbox.deliveries()
    assert (delivery.state, delivery.next_attempt_ms) == ("failed", None)
    assert (delivery.last_status, delivery.last_answer) == (500, "sick")
    assert delivery.last_attempt_ms is not None
    assert 23 * 3_600_000 < delivery.last_attempt_ms - begun_ms <= 24 * 3_600_000
    assert 60 < delivery.attempts == len(world.calls) < 120, "tries, then probes of the open circuit"
    assert (await outbox.endpoint(delivery.endpoint_id)).health == "circuit_open"
    async with database.reading() as session:
        kept = (await session.scalars(select(AttemptRow.attempt_id))).all()
    assert len(kept) == ATTEMPTS_KEPT_MAX, "the log is bounded"


async def test_410_ends_all_calls_to_the_endpoint_until_its_address_changes(database: Database) -> None:
    async with receiving(GONE) as receiver:
        outbox = Outbox(database, configured(receiver.url))
        await outbox.sync()
        await outbox.alarm(1)
        await outbox.alarm(1, "alarm.cleared")
        await outbox.send_all()
        await outbox.sync()
        await outbox.alarm(3)
        assert [d.state for d in await outbox.deliveries()] == ["failed", "failed"]
        assert len(receiver.calls) == 1
        moved = Outbox(database, configured(receiver.url + "&moved=1"))
        await moved.sync()
        await moved.alarm(4)
        await moved.send_all()
    assert json.loads(receiver.calls[-1][1])["data"]["number"] == 4


async def test_a_failing_call_holds_up_only_what_follows_of_the_same_alarm(database: Database) -> None:
    async with receiving(FAILED, FAILED) as receiver:
        outbox = Outbox(database, configured(receiver.url))
        await outbox.sync()
        await outbox.alarm(1)
        await outbox.sender.send_due()
        await outbox.alarm(1, "alarm.acknowledged")
        await outbox.alarm(1, "alarm.cleared")
        await outbox.alarm(2)
        await outbox.send_all()
    told = [(json.loads(body)["data"]["number"], json.loads(body)["type"]) for _, body in receiver.calls]
    assert [kind for number, kind in told if number == 1] == [
        *["alarm.raised"] * (told.count((1, "alarm.raised"))),
        "alarm.acknowledged",
        "alarm.cleared",
    ]
    assert told.index((2, "alarm.raised")) < told.index((1, "alarm.acknowledged"))


async def test_only_the_first_bytes_of_an_endless_answer_are_kept(database: Database) -> None:
    async with receiving(ENDLESS) as receiver:
        outbox = Outbox(database, configured(receiver.url))
        await outbox.sync()
        await outbox.alarm()
        await outbox.send_all()
    [delivery] = await outbox.deliveries()
    assert (delivery.state, delivery.last_answer) == ("delivered", "x" * 2_048)


async def test_a_redirect_is_not_followed(database: Database) -> None:
    redirect = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /alarms\r\ncontent-length: 0\r\n\r\n"
    async with receiving(redirect) as receiver:
        outbox = Outbox(database, configured(receiver.url))
        await outbox.sync()
        await outbox.alarm()
        await outbox.sender.send_due()
        [delivery] = await outbox.deliveries()
        assert (delivery.state, delivery.last_status, len(receiver.calls)) == ("pending", 307, 1)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"]
)
async def test_private_addresses_are_refused_unless_allowed(database: Database, host: str) -> None:
    outbox = Outbox(database, configured(f"http://{host}:9/", private=False))
    await outbox.sync()
    await outbox.alarm()
    await outbox.sender.send_due()
    [delivery] = await outbox.deliveries()
    assert (delivery.state, delivery.last_status) == ("pending", None)
    assert "is not a public address" in delivery.last_error


async def test_a_crash_after_the_call_repeats_it_with_the_same_id(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving() as receiver:
        outbox = Outbox(database, configured(receiver.url))
        await outbox.sync()
        await outbox.alarm()
        with monkeypatch.context() as crash, pytest.raises(ExceptionGroup):
            crash.setattr(outbox.service, "record_attempt", _killed)
            await outbox.sender.send_due()
        await outbox.send_all()
    first, second = (headers["webhook-id"] for headers, _ in receiver.calls)
    assert first == second
    assert [d.state for d in await outbox.deliveries()] == ["delivered"]


async def _killed(*_args: object) -> None:
    """The process does not live to keep what came of the call."""
    raise RuntimeError("killed")


async def test_endpoints_are_owed_only_what_happened_since_they_came(database: Database) -> None:
    first = Outbox(database, configured("http://127.0.0.1:9/", "first"))
    await first.sync()
    await first.alarm()
    both = Outbox(database, *first.configured, configured("http://127.0.0.1:9/", "second"))
    both.clock.advance(60)
    await both.sync()
    await both.alarm()
    assert sorted(d.endpoint for d in await both.deliveries()) == ["first", "first", "second"]
    await first.sync()
    assert {d.endpoint for d in await first.deliveries() if d.state == "failed"} == {"second"}


async def test_endpoints_are_called_side_by_side(database: Database) -> None:
    async with receiving(HANG) as slow, receiving() as quick:
        outbox = Outbox(database, configured(slow.url, "slow"), configured(quick.url, "quick"))
        await outbox.sync()
        await outbox.alarm()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outbox.sender.run)
            with anyio.fail_after(8):
                version = outbox.live.deliveries.version
                while not any(d.state == "delivered" for d in await outbox.deliveries()):
                    await outbox.live.deliveries.wait_beyond(version)
                    version = outbox.live.deliveries.version
            tasks.cancel_scope.cancel()
    assert [d.state for d in await outbox.deliveries() if d.endpoint == "slow"] == ["pending"]


async def test_the_secret_is_in_no_log_and_no_representation(database: Database) -> None:
    async with receiving(FAILED) as receiver:
        outbox = Outbox(database, configured(receiver.url))
        await outbox.sync()
        await outbox.alarm()
        with structlog.testing.capture_logs() as logs:
            await outbox.send_all()
    assert logs
    assert SECRET[6:] not in repr((logs, outbox.configured, await outbox.deliveries()))


async def test_nothing_owed_means_waiting(database: Database) -> None:
    outbox = Outbox(database, configured("http://127.0.0.1:9/"))
    await outbox.sync()
    assert await outbox.sender.send_due() == 0


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
        outbox = Outbox(database, configured(f"http://localhost:{port}/x"))
        await outbox.sync()
        await outbox.alarm()
        await outbox.sender.send_due()
    assert seen[0].url.host in ("127.0.0.1", "::1")
    assert seen[0].headers["host"] == f"localhost:{port}"
    assert seen[0].extensions["sni_hostname"] == "localhost"
