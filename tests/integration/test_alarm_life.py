"""The whole life of alarms in the database: who, why and when of every turn, and what other systems are told."""

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copy
from uuid import uuid4

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import IntegrityError

from cloud.alarms import reading
from cloud.alarms.points import Raising
from cloud.alarms.policy import ESCALATION_LEVELS_MAX, HOUR_MS
from cloud.alarms.repository import AlarmFilter
from cloud.alarms.service import ALARM_EVENTS
from cloud.core.database import Database, sqlite_url
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.identity.tables import MembershipRow, TenantRow, UserRow
from cloud.migrations.upgrade import upgrade
from tests.integration.alarm_world import LI, NOW_MS, World, empty_database, point

pytestmark = pytest.mark.anyio
OTHER = TenantId("other")


@pytest.fixture(scope="module")
async def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables and nothing in them."""
    return await empty_database(tmp_path_factory.mktemp("empty"))


@pytest.fixture
async def database(empty: Path, tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(copy(empty, tmp_path / "cloud.sqlite")))
    yield database
    await database.close()


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def test_every_turn_is_remembered_with_who_and_why_and_told(world: World) -> None:
    alarm = await world.raise_at(point())
    await world.acknowledge(alarm.alarm_id, "on my way")
    world.clock.advance(60)
    await world.clear_at(point())
    entries = await world.history(alarm.alarm_id)
    assert [(e.what, e.from_state, e.to_state, e.actor_name, e.why) for e in entries] == [
        ("raised", "normal", "active_unacknowledged", "system", None),
        ("acknowledged", "active_unacknowledged", "active_acknowledged", "Li Na", "on my way"),
        ("cleared", "active_acknowledged", "normal", "system", None),
    ]
    assert [e.at_ms - NOW_MS for e in entries] == [0, 0, 60_000]
    assert await world.kinds() == ["raised", "acknowledged", "cleared"]


async def test_the_history_cannot_be_changed_in_any_database(database_url: URL) -> None:
    world = World(Database(database_url))
    await upgrade(world.database)
    alarm = await world.raise_at(point())
    await world.shelve(alarm.alarm_id)
    for statement in ("UPDATE alarm_history SET why = 'x'", "DELETE FROM alarm_history"):
        with pytest.raises(IntegrityError, match="only ever added to"):
            async with world.database.transaction() as session:
                await session.execute(text(statement))
    assert [entry.what for entry in await world.history()] == ["raised", "shelved"]
    await world.wait(3600)
    async with world.database.reading() as session:
        assert len((await reading.alarms(session, DEFAULT_TENANT, AlarmFilter(search="RESS-1"), limit=9)).items) == 1
        assert (await reading.withheld_points(session, DEFAULT_TENANT, after=point("p"), limit=9)).items == []
    assert (await world.alarm(alarm.alarm_id)).state == "active_unacknowledged"
    await world.database.close()


async def test_the_past_is_narrowed_by_press_source_mode_priority_and_time(world: World) -> None:
    first = await world.raise_at(point("press-1"))
    world.clock.advance(3600)
    second = await world.raise_at(point("press-2", mode="pump_leakage"), priority="low")
    hour_ms = NOW_MS + 3_600_000
    for wanted, expected in (
        (AlarmFilter(press_id="press-2"), [second]),
        (AlarmFilter(kind="rule", mode="check_ring_wear"), [first]),
        (AlarmFilter(kind="limit"), []),
        (AlarmFilter(priorities=("low",)), [second]),
        (AlarmFilter(from_ms=hour_ms), [second]),
        (AlarmFilter(to_ms=hour_ms), [first]),
        (AlarmFilter(from_ms=NOW_MS, to_ms=hour_ms + 1), [second, first]),
    ):
        async with world.database.reading() as session:
            alarms = await reading.alarms(session, DEFAULT_TENANT, wanted, limit=9)
            entries = await reading.history(session, DEFAULT_TENANT, wanted=wanted, limit=9)
        assert [alarm.alarm_id for alarm in alarms.items] == [alarm.alarm_id for alarm in expected], wanted
        assert [entry.alarm_id for entry in entries.items] == [alarm.alarm_id for alarm in expected], wanted


async def test_a_shelved_point_is_silent_for_the_next_occurrence_too_and_is_told_of_once_after(world: World) -> None:
    first = await world.raise_at(point())
    shelved = await world.shelve(first.alarm_id, minutes=60)
    assert shelved.state == "shelved"
    await world.clear_at(point())
    assert (await world.alarm(first.alarm_id)).state == "shelved", "it was told of and is still to be acknowledged"
    second = await world.raise_at(point())
    other = await world.raise_at(point(mode="pump_leakage"))
    assert (second.state, other.state) == ("shelved", "active_unacknowledged")
    await world.wait(59 * 60)
    told = [kind for kind in await world.kinds() if f"alarm.{kind}" in ALARM_EVENTS]
    assert told == ["raised", "shelved", "raised", "escalated"], "the last two are the other one's"
    await world.wait(61)
    assert (await world.alarm(second.alarm_id)).state == "active_unacknowledged"
    assert (await world.alarm(first.alarm_id)).state == "cleared_unacknowledged"
    events = await world.events()
    assert [(e.kind, e.payload["alarm_id"]) for e in events[-2:]] == [
        ("alarm.unshelved", str(second.alarm_id)),
        ("alarm.raised", str(second.alarm_id)),
    ]
    assert events[-2].payload["shelf"]["reason"] == "sensor is being changed"
    *_, last = await world.history(second.alarm_id)
    assert (last.what, last.from_state, last.to_state, last.why) == (
        "unshelved",
        "shelved",
        "active_unacknowledged",
        "expired",
    )


async def test_a_shelf_for_one_occurrence_ends_with_it(world: World) -> None:
    alarm = await world.raise_at(point())
    await world.shelve(alarm.alarm_id, minutes=600, is_one_shot=True)
    await world.clear_at(point())
    await world.wait(5)
    async with world.database.reading() as session:
        assert (await reading.withheld_points(session, DEFAULT_TENANT, limit=9)).items == []
    assert (await world.raise_at(point())).state == "active_unacknowledged"


async def test_a_shelf_has_the_site_s_limit_and_can_be_given_another_end(world: World) -> None:
    alarm = await world.raise_at(point())
    for minutes in (0, 721):
        with pytest.raises(InvalidFieldError, match="1 to 720 minutes") as error:
            await world.shelve(alarm.alarm_id, minutes=minutes)
        assert error.value.field == "body.minutes"
    await world.shelve(alarm.alarm_id, minutes=720)
    await world.shelve(alarm.alarm_id, minutes=10)
    await world.wait(600)
    assert (await world.alarm(alarm.alarm_id)).state == "active_unacknowledged"


async def test_out_of_service_outlasts_a_shelf_and_any_time_and_is_announced_once_on_return(world: World) -> None:
    alarm = await world.raise_at(point())
    await world.acknowledge(alarm.alarm_id)
    async with world.database.transaction() as session:
        await world.withholder.withhold(
            session, DEFAULT_TENANT, alarm.alarm_id, "take_out", reason="press is rebuilt", actor=LI, now_ms=NOW_MS
        )
    await world.shelve(alarm.alarm_id, minutes=5)
    await world.wait(30 * 24 * 3600)
    assert (await world.alarm(alarm.alarm_id)).state == "out_of_service"
    async with world.database.transaction() as session:
        back = await world.withholder.release(
            session, DEFAULT_TENANT, alarm.alarm_id, "return_to_service", actor=LI, now_ms=world.clock.utc_ms()
        )
    assert (back.state, back.acknowledged_ms) == ("active_unacknowledged", None)
    assert [kind for kind in await world.kinds() if kind in ("raised", "realarmed", "escalated")] == ["raised"] * 2


async def test_design_suppresses_a_point_before_it_has_had_an_alarm(world: World) -> None:
    for is_on in (True, True):
        async with world.database.transaction() as session:
            await world.withholder.suppress_point(
                session, DEFAULT_TENANT, point(), is_on=is_on, reason="press stands", now_ms=NOW_MS
            )
    alarm = await world.raise_at(point())
    assert alarm.state == "suppressed_by_design"
    await world.clear_at(point())
    assert (await world.alarm(alarm.alarm_id)).state == "normal", "nobody was told, nobody has to answer"
    again = await world.raise_at(point())
    async with world.database.transaction() as session:
        await world.withholder.suppress_point(
            session, DEFAULT_TENANT, point(), is_on=False, reason="press runs", now_ms=NOW_MS
        )
    assert (await world.alarm(again.alarm_id)).state == "active_unacknowledged"
    kinds = await world.kinds()
    assert kinds == ["suppressed", "silent.raised", "silent.cleared", "silent.raised", "unsuppressed", "raised"]


async def test_a_latched_alarm_stays_until_it_is_reset_and_comes_back_as_the_same(world: World) -> None:
    alarm = await world.raise_at(point(), is_latching=True)
    with pytest.raises(InvalidFieldError, match="only a latched alarm"):
        await reset(world, alarm.alarm_id)
    await world.acknowledge(alarm.alarm_id)
    await world.clear_at(point())
    assert (await world.alarm(alarm.alarm_id)).state == "latched_acknowledged"
    again = await world.raise_at(point(), is_latching=True)
    assert (again.alarm_id, again.state, again.cleared_ms) == (alarm.alarm_id, "active_unacknowledged", None)
    await world.clear_at(point())
    assert (await reset(world, alarm.alarm_id)).state == "cleared_unacknowledged"
    assert (await reset(world, alarm.alarm_id)).state == "cleared_unacknowledged"
    assert (await world.acknowledge(alarm.alarm_id)).state == "normal"
    assert await world.kinds() == ["raised", "acknowledged", "cleared", "raised", "cleared", "reset", "acknowledged"]


async def reset(world: World, alarm_id):
    async with world.database.transaction() as session:
        return await world.answers.reset(session, DEFAULT_TENANT, alarm_id, actor=LI, now_ms=world.clock.utc_ms())


async def test_an_alarm_that_nobody_answers_escalates_level_by_level_and_no_further(world: World) -> None:
    alarm = await world.raise_at(point(), priority="critical")
    levels = []
    for _ in range(6):
        await world.wait(300)
        levels.append((await world.alarm(alarm.alarm_id)).escalation_level)
    assert levels == [1, 2, 3, 3, 3, 3]
    assert [e.payload["level"] for e in await world.events() if e.kind == "alarm.escalated"] == [1, 2, 3]
    assert ESCALATION_LEVELS_MAX == 3
    answered = await world.raise_at(point("press-2"), priority="critical")
    await world.acknowledge(answered.alarm_id)
    await world.wait(3000)
    assert (await world.alarm(answered.alarm_id)).escalation_level == 0


async def test_an_acknowledged_alarm_that_stays_is_announced_again(world: World) -> None:
    alarm = await world.raise_at(point())
    gone = await world.raise_at(point("press-2"))
    for known in (alarm, gone):
        await world.acknowledge(known.alarm_id)
    await world.clear_at(point("press-2"))
    await world.wait(8 * 3600 - 1)
    assert (await world.alarm(alarm.alarm_id)).state == "active_acknowledged"
    await world.wait(1)
    found = await world.alarm(alarm.alarm_id)
    assert (found.state, found.acknowledged_by) == ("active_unacknowledged", None)
    assert (await world.kinds()).count("realarmed") == 1
    assert (await world.alarm(gone.alarm_id)).state == "normal"


async def test_a_delay_raises_and_clears_without_another_look(world: World) -> None:
    raising = Raising(DEFAULT_TENANT, point(), "low", on_delay_ms=60_000, off_delay_ms=120_000, count=7)

    async def report(*, is_there: bool) -> None:
        async with world.database.transaction() as session:
            await world.alarms.report(session, raising, is_there=is_there, now_ms=world.clock.utc_ms())

    await report(is_there=True)
    await world.wait(59)
    assert await world.everything() == []
    await report(is_there=False)
    await world.wait(600)
    assert await world.everything() == [], "it did not last"
    await report(is_there=True)
    await report(is_there=True)
    await world.wait(60)
    [alarm] = await world.everything()
    assert (alarm.count, alarm.priority, alarm.state) == (7, "low", "active_unacknowledged")
    await report(is_there=False)
    await world.wait(119)
    assert (await world.alarm(alarm.alarm_id)).cleared_ms is None
    await world.wait(1)
    assert (await world.alarm(alarm.alarm_id)).state == "cleared_unacknowledged"


async def test_alarms_of_one_place_and_cause_are_a_group_with_a_first(world: World) -> None:
    first = await world.raise_at(point(mode="a"), cause="heat")
    second = await world.raise_at(point(mode="b"), cause="heat")
    elsewhere = await world.raise_at(point("press-2", mode="a"), cause="heat")
    otherwise = await world.raise_at(point(mode="c"), cause="wear")
    third = await world.raise_at(point(mode="d"), cause="heat")
    assert [(a.group_id, a.group_order) for a in (first, second, third)] == [
        (first.alarm_id, order) for order in (1, 2, 3)
    ]
    assert (elsewhere.group_order, otherwise.group_order) == (1, 1)
    for mode in "abd":
        await world.clear_at(point(mode=mode))
    assert (await world.raise_at(point(mode="b"), cause="heat")).group_order == 1, "the old group is over"


async def test_comments_are_many_and_an_alarm_is_given_to_people_of_the_tenant_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarm = await world.raise_at(point())
    async with world.database.transaction() as session:
        for tenant in (DEFAULT_TENANT, OTHER):
            if await session.get(TenantRow, tenant) is None:
                session.add(TenantRow(tenant_id=tenant, name=tenant, created_ms=0))
        for user_id, tenant in (("u-1", DEFAULT_TENANT), ("u-2", OTHER)):
            session.add(
                UserRow(
                    user_id=user_id,
                    login=user_id,
                    name=f"Name of {user_id}",
                    password_hash=None,
                    is_disabled=False,
                    failures=0,
                    locked_until_ms=0,
                    created_ms=0,
                )
            )
            await session.flush()
            session.add(MembershipRow(user_id=user_id, tenant_id=tenant, role="operator"))

    async def assign(user_id: str | None):
        async with world.database.transaction() as session:
            return await world.answers.assign(
                session, DEFAULT_TENANT, alarm.alarm_id, user_id=user_id, actor=LI, now_ms=NOW_MS
            )

    for nobody in ("u-2", "u-3"):
        with pytest.raises(InvalidFieldError, match="nobody of this company"):
            await assign(nobody)
    for _ in range(2):
        assert (await assign("u-1")).assigned_name == "Name of u-1"
    assert (await assign(None)).assigned_to is None

    async def say(text: str) -> None:
        async with world.database.transaction() as session:
            await world.answers.comment(session, DEFAULT_TENANT, alarm.alarm_id, text=text, actor=LI, now_ms=NOW_MS)

    for number in range(3):
        await say(f"word {number}")
    monkeypatch.setattr("cloud.alarms.answers.COMMENTS_MAX", 3)
    with pytest.raises(InvalidFieldError, match="has 3 comments"):
        await say("one more")
    words = [entry.why for entry in await world.history(alarm.alarm_id) if entry.what == "commented"]
    assert words == [f"word {number}" for number in range(3)]
    assert (await world.kinds()).count("assigned") == 2


async def test_another_tenant_s_alarm_is_not_there_for_any_deed(world: World) -> None:
    alarm = await world.raise_at(point())
    before = await world.kinds()
    deeds = [
        lambda session, *key: world.answers.acknowledge(session, *key, actor=LI, now_ms=NOW_MS),
        lambda session, *key: world.answers.reset(session, *key, actor=LI, now_ms=NOW_MS),
        lambda session, *key: world.answers.comment(session, *key, text="x", actor=LI, now_ms=NOW_MS),
        lambda session, *key: world.answers.assign(session, *key, user_id=None, actor=LI, now_ms=NOW_MS),
        lambda session, *key: world.withholder.shelve(session, *key, minutes=5, reason="x", actor=LI, now_ms=NOW_MS),
        lambda session, *key: world.withholder.release(session, *key, "unshelve", actor=LI, now_ms=NOW_MS),
        lambda session, *key: world.withholder.withhold(session, *key, "suppress", reason="x", actor=LI, now_ms=NOW_MS),
        lambda session, *key: world.withholder.release(session, *key, "unsuppress", actor=LI, now_ms=NOW_MS),
        lambda session, *key: world.withholder.withhold(session, *key, "take_out", reason="x", actor=LI, now_ms=NOW_MS),
        lambda session, *key: world.withholder.release(session, *key, "return_to_service", actor=LI, now_ms=NOW_MS),
    ]
    for deed in deeds:
        for tenant, alarm_id in ((OTHER, alarm.alarm_id), (DEFAULT_TENANT, uuid4())):
            with pytest.raises(NotFoundError):
                async with world.database.transaction() as session:
                    await deed(session, tenant, alarm_id)
    assert await world.kinds() == before
    async with world.database.reading() as session:
        assert (await reading.history(session, OTHER, limit=9)).items == []


@pytest.mark.parametrize("part", [1, 2, 200])
async def test_a_keeper_that_is_killed_anywhere_loses_nothing_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    """Killed before each of its commits; the next one, a new program, goes on."""
    monkeypatch.setattr("cloud.alarms.keeper.PART_MAX", part)
    alarms = [await world.raise_at(point(f"press-{at}"), priority="critical") for at in range(4)]
    for alarm in alarms[:2]:
        await world.shelve(alarm.alarm_id, minutes=1)
    await world.acknowledge(alarms[2].alarm_id)
    world.clock.advance(8 * HOUR_MS / 1000)
    kills, is_alive = 0, True
    while is_alive:
        keeper = World(world.database, clock=world.clock).keeper
        killed = kills % 2 == 0

        async def do_and_die(*args, done=keeper._do, dies=killed) -> None:
            await done(*args)
            if dies:
                raise RuntimeError("killed")

        keeper._do = do_and_die
        try:
            is_alive = await keeper.look()
        except RuntimeError:
            is_alive = True
        kills += 1
    assert kills > 1
    kinds = await world.kinds()
    assert {kind: kinds.count(kind) for kind in ("unshelved", "raised", "realarmed", "escalated")} == {
        "unshelved": 2,
        "raised": 4 + 2,
        "realarmed": 1,
        "escalated": 1,
    }
