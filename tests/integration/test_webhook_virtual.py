"""Deliveries on virtual time: receivers that fail, hang, redirect, are gone, answer garbage, and come back."""

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import Database, sqlite_url
from cloud.core.tenants import DEFAULT_TENANT
from cloud.fleet.tables import PlantRow
from cloud.migrations.upgrade import upgrade
from cloud.webhooks import jobs, repository
from cloud.webhooks.filters import EventFilter
from cloud.webhooks.rules import Draft
from cloud.webhooks.tables import AttemptRow, EndpointRow
from kit.clock import ManualClock
from tests.integration.webhook_world import Answering, Outbox, ScriptedReceivers

pytestmark = pytest.mark.anyio
HOUR_MS = 3_600_000
EVENTS = EventFilter(kinds=("alarm.*",))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(tmp_path / "cloud.sqlite"))
    await upgrade(database)
    yield database
    await database.close()


@pytest.fixture
def world() -> ScriptedReceivers:
    return ScriptedReceivers(ManualClock())


def outbox_in(world: ScriptedReceivers, database: Database) -> Outbox:
    return Outbox(database, transport=world.transport(), clock=world.clock)


def fine(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(204)


def down_for(world: ScriptedReceivers, hours: float, *failures: Answering) -> Answering:
    """Fails in turn in each of the ways, until `hours` have passed; then answers."""
    back_ms = world.clock.utc_ms() + round(hours * HOUR_MS)
    turns: Iterator[Answering] = iter(failures * 1_000)

    def answer(request: httpx.Request) -> httpx.Response:
        return fine(request) if world.clock.utc_ms() >= back_ms else next(turns)(request)

    return answer


def hangs(world: ScriptedReceivers) -> Answering:
    def answer(request: httpx.Request) -> httpx.Response:
        world.clock.advance(10)
        raise httpx.ReadTimeout("nothing came", request=request)

    return answer


def fails(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(500, text="sick")


def redirects_home(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(302, headers={"location": "http://127.0.0.1/admin"})


def garbage(request: httpx.Request) -> httpx.Response:
    raise httpx.RemoteProtocolError("illegal status line", request=request)


async def test_a_receiver_that_comes_back_after_an_hour_gets_everything_in_order(
    world: ScriptedReceivers, database: Database
) -> None:
    outbox = outbox_in(world, database)
    world.answers["back.example"] = down_for(world, 1, fails, hangs(world), redirects_home, garbage)
    world.answers["fine.example"] = fine
    for name in ("back", "fine"):
        await outbox.make(Draft(name, "json", f"https://{name}.example/", events=EVENTS))
    begun_ms = world.clock.utc_ms()
    for number in range(12):
        for kind in ("raised", "acknowledged", "cleared"):
            await outbox.alarm(number, f"alarm.{kind}")
    await outbox.send_all()
    found = await outbox.deliveries()
    assert {delivery.state for delivery in found} == {"delivered"}
    assert len(found) == 2 * 36
    for name in ("back", "fine"):
        taken = [
            (body["data"]["alarm_id"], body["type"])
            for (host, at_ms, _), body in zip(
                [call for call in world.calls if call[0] == f"{name}.example"],
                world.bodies(f"{name}.example"),
                strict=True,
            )
            if name == "fine" or at_ms - begun_ms >= HOUR_MS
        ]
        assert len(taken) == len(set(taken)) == 36, "each once when the receiver answers"
        for number in range(12):
            kinds = [kind for alarm_id, kind in taken if alarm_id == f"alarm-{number}"]
            assert kinds == ["alarm.raised", "alarm.acknowledged", "alarm.cleared"]
    last_ms = max(delivery.delivered_ms or 0 for delivery in found if delivery.endpoint == "back")
    assert last_ms - begun_ms < 1.5 * HOUR_MS, "a probe finds out soon, and then all is due at once"
    in_vain = [call for call in world.calls if call[0] == "back.example" and call[1] - begun_ms < HOUR_MS]
    assert len(in_vain) < 40, "an open circuit spares the receiver"
    fine_ms = [at_ms for host, at_ms, _ in world.calls if host == "fine.example"]
    assert max(fine_ms) - begun_ms < 60_000, "who answers does not wait for who hangs"
    print(f"sent {len(world.calls)}, owed 72, delivered {len(found)}, in vain {len(in_vain)}")


async def test_no_call_leaves_for_the_address_of_a_redirect(world: ScriptedReceivers, database: Database) -> None:
    outbox = outbox_in(world, database)
    world.answers["away.example"] = down_for(world, 0.01, redirects_home)
    await outbox.make(Draft("away", "json", "https://away.example/"))
    await outbox.alarm()
    await outbox.send_all()
    assert {host for host, _, _ in world.calls} == {"away.example"}
    assert {request.url.host for _, _, request in world.calls} == {"192.0.2.1"}, "the address that was looked at"
    [delivery] = await outbox.deliveries()
    async with database.reading() as session:
        [*_, first] = await repository.attempts(session, delivery.delivery_id)
    assert (first.status, first.answer_headers["location"]) == (302, "http://127.0.0.1/admin")


async def test_410_disables_the_endpoint_and_says_so_and_a_replay_brings_its_dead_letters(
    world: ScriptedReceivers, database: Database
) -> None:
    outbox = outbox_in(world, database)
    world.answers["gone.example"] = lambda _request: httpx.Response(410)
    endpoint_id, _ = await outbox.make(Draft("gone", "json", "https://gone.example/"))
    await outbox.alarm(1)
    await outbox.alarm(1, "alarm.cleared")
    await outbox.send_all()
    endpoint = await outbox.endpoint(endpoint_id)
    assert (endpoint.health, endpoint.is_enabled, endpoint.dead_letters) == ("disabled", False, 2)
    assert endpoint.disabled_reason == "gone"
    await outbox.alarm(2)
    assert len(await outbox.deliveries()) == 2, "nothing more is owed to it"
    first_ids = [request.headers["webhook-id"] for _, _, request in world.calls]
    world.answers["gone.example"] = fine
    await outbox.change(endpoint_id, is_enabled=True)
    await outbox.replay_all(endpoint_id)
    await outbox.send_all()
    assert {delivery.state for delivery in await outbox.deliveries()} == {"delivered"}
    assert [body["type"] for body in world.bodies("gone.example")] == ["alarm.raised", "alarm.raised", "alarm.cleared"]
    assert world.calls[1][2].headers["webhook-id"] == first_ids[0], "a receiver knows a replay again"
    assert (await outbox.endpoint(endpoint_id)).health == "healthy"


async def test_retry_after_pauses_the_endpoint_and_is_no_failure_of_it(
    world: ScriptedReceivers, database: Database
) -> None:
    outbox = outbox_in(world, database)
    answers = iter([httpx.Response(429, headers={"retry-after": "120"})])
    world.answers["busy.example"] = lambda request: next(answers, fine(request))
    endpoint_id, _ = await outbox.make(Draft("busy", "json", "https://busy.example/"))
    begun_ms = world.clock.utc_ms()
    await outbox.alarm(1)
    await outbox.sender.send_due()
    await outbox.alarm(2)
    assert await outbox.sender.send_due() == 0
    endpoint = await outbox.endpoint(endpoint_id)
    assert endpoint.resume_at_ms == begun_ms + 120_000
    await outbox.send_all()
    assert all(at_ms - begun_ms >= 120_000 for _, at_ms, _ in world.calls[1:])
    assert [delivery.state for delivery in await outbox.deliveries()] == ["delivered"] * 2


async def test_a_robot_that_tells_its_refusal_in_a_200_is_not_taken_at_its_word(
    world: ScriptedReceivers, database: Database
) -> None:
    outbox = outbox_in(world, database)
    codes = iter([{"errcode": 310000, "errmsg": "sign not match"}, {"errcode": 130101, "errmsg": "send too fast"}])
    world.answers["oapi.dingtalk.com"] = lambda _r: httpx.Response(200, json=next(codes, {"errcode": 0}))
    url = "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef"
    endpoint_id, _ = await outbox.make(Draft("robot", "dingtalk", url, secret="SECrobot-secret"))
    await outbox.alarm()
    await outbox.send_all()
    [delivery] = await outbox.deliveries()
    assert (delivery.state, delivery.attempts) == ("delivered", 3)
    query = world.calls[-1][2].url.params
    assert (query["access_token"], len(query["sign"])) == ("0123456789abcdef", 44)
    async with database.reading() as session:
        log = await repository.attempts(session, delivery.delivery_id)
    assert [attempt.outcome for attempt in log] == ["delivered", "limited", "refused"]
    assert [attempt.error for attempt in log][1:] == ["errcode 130101: send too fast", "errcode 310000: sign not match"]
    shown = repr([[getattr(attempt, column.key) for column in AttemptRow.__table__.columns] for attempt in log])
    shown += repr(await outbox.endpoint(endpoint_id))
    assert "0123456789abcdef" not in shown
    assert "SECrobot-secret" not in shown


async def test_a_service_s_bound_a_minute_is_kept_in_a_flood(world: ScriptedReceivers, database: Database) -> None:
    outbox = outbox_in(world, database)
    world.answers["qyapi.weixin.qq.com"] = lambda _request: httpx.Response(200, json={"errcode": 0})
    await outbox.make(Draft("group", "wecom", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abcdef0123456789"))
    for number in range(50):
        await outbox.alarm(number)
    while await outbox.is_owing():
        if not await outbox.sender.send_due():
            world.clock.advance(5)
    times = [at_ms for _, at_ms, _ in world.calls]
    assert len(times) == 50
    for at_ms in times:
        assert sum(at_ms <= other < at_ms + 60_000 for other in times) <= 20


async def test_any_number_of_hanging_endpoints_leaves_the_lane_of_the_others_free(
    world: ScriptedReceivers, database: Database
) -> None:
    """Endpoints that have failed share a lane: however many hang, one that answers is called in the same pass."""
    outbox = outbox_in(world, database)
    world.answers["hangs.example"] = fails
    world.answers["fine.example"] = fine
    for number in range(20):
        await outbox.make(Draft(f"h{number}", "json", "https://hangs.example/"))
    await outbox.alarm(1)
    await outbox.sender.send_due()
    await outbox.make(Draft("fine", "json", "https://fine.example/"))
    world.clock.advance(10)
    for number in range(2, 6):
        await outbox.alarm(number)
    before = len(world.calls)
    world.hanging.add("hangs.example")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(outbox.sender.send_due)
        with anyio.fail_after(20):
            version = outbox.live.deliveries.version
            while [d.state for d in await outbox.deliveries() if d.endpoint == "fine"] != ["delivered"] * 4:
                await outbox.live.deliveries.wait_beyond(version)
                version = outbox.live.deliveries.version
        tasks.cancel_scope.cancel()
    called = [host for host, _, _ in world.calls[before:]]
    assert called.count("hangs.example") == jobs.CALLS_TO_FAILING_MAX
    assert called.count("fine.example") == 4


async def test_only_events_that_pass_the_filter_are_owed(world: ScriptedReceivers, database: Database) -> None:
    outbox = outbox_in(world, database)
    world.answers["all.example"] = world.answers["few.example"] = fine
    few = EventFilter(kinds=("alarm.raised",), priority_min="high", plants=("p",))
    await outbox.make(Draft("few", "json", "https://few.example/", events=few))
    await outbox.make(Draft("all", "json", "https://all.example/", events=EVENTS))
    await outbox.alarm(1, plant_id="p", priority="critical")
    await outbox.alarm(2, plant_id="p", priority="low")
    await outbox.alarm(3, plant_id="q", priority="critical")
    await outbox.alarm(1, "alarm.cleared", plant_id="p", priority="critical")
    await outbox.alarm(4, "alarm.of_the_future", plant_id="p", priority="critical")
    await outbox.event("alarm.flood_began", {"plant_id": "p"})
    await outbox.send_all()
    assert len(world.bodies("few.example")) == 1
    assert [body["type"] for body in world.bodies("all.example")].count("alarm.raised") == 3
    assert {"alarm.of_the_future", "alarm.flood_began"} <= {body["type"] for body in world.bodies("all.example")}


async def test_an_event_of_a_plant_with_a_display_name_tells_it_beside_the_id(
    world: ScriptedReceivers, database: Database
) -> None:
    async with database.transaction() as session:
        for plant_id, name in (("p", "苏州一厂"), ("q", "")):
            session.add(PlantRow(plant_id=plant_id, tenant_id=DEFAULT_TENANT, registered_ms=0, display_name=name))
    outbox = outbox_in(world, database)
    world.answers["all.example"] = fine
    await outbox.make(Draft("all", "json", "https://all.example/", events=EVENTS))
    for number, plant_id in enumerate(("p", "q", "unknown"), 1):
        await outbox.alarm(number, plant_id=plant_id)
    await outbox.alarm(4)
    await outbox.send_all()
    data = [body["data"] for body in world.bodies("all.example")]
    assert {each["number"]: each.get("plant_name") for each in data} == {1: "苏州一厂", 2: None, 3: None, 4: None}
    assert {each.get("plant_id") for each in data} == {"p", "q", "unknown", None}


async def test_a_call_that_ends_while_the_sender_looks_is_not_made_again(
    world: ScriptedReceivers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the sender reads is of one moment; a call that was under way then and has ended since looks owed in it."""
    outbox = outbox_in(world, database)
    world.answers["slow.example"] = fine
    world.gates["slow.example"] = anyio.Event()
    await outbox.make(Draft("slow", "json", "https://slow.example/"))
    await outbox.alarm()
    look = repository.waiting

    async def call_ends_meanwhile(session: AsyncSession) -> Sequence[EndpointRow]:
        found = await look(session)
        world.gates["slow.example"].set()
        while outbox.sender._traffic[found[0].endpoint_id].busy:
            await anyio.lowlevel.checkpoint()
        return found

    async with anyio.create_task_group() as tasks:
        assert await outbox.sender._start_due(tasks) == 1
        monkeypatch.setattr(repository, "waiting", call_ends_meanwhile)
        with anyio.fail_after(20):
            assert await outbox.sender._start_due(tasks) == 0
    assert [delivery.state for delivery in await outbox.deliveries()] == ["delivered"]
    assert len(world.calls) == 1
