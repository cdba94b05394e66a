"""What is over is forgotten in parts after its time; what is not, what is labelled, and what leads a group stays."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import IntegrityError

from cloud.alarms import retention
from cloud.alarms.domain import Alarm
from cloud.alarms.policy import HOUR_MS
from cloud.alarms.retention import AlarmRetention
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tenants import DEFAULT_TENANT
from cloud.migrations.upgrade import upgrade
from cloud.rollouts.labels import put_label
from cloud.rollouts.repository import labelled_alarms
from tests.integration.alarm_world import World, point

pytestmark = pytest.mark.anyio
DAY_S, KEEP_MS = 86_400, 90 * 24 * HOUR_MS


@pytest.fixture
async def world(database_url: URL) -> AsyncIterator[World]:
    database = Database(database_url)
    await upgrade(database)
    yield World(database)
    await database.close()


async def over(world: World, press: str, *, cause: str = "") -> Alarm:
    """An alarm whose life has come to its end."""
    alarm = await world.raise_at(point(press), cause=cause)
    await world.acknowledge(alarm.alarm_id)
    await world.clear_at(point(press))
    return alarm


async def prune(world: World) -> int:
    return await AlarmRetention(world.database, world.clock, keep_ms=KEEP_MS, kept=labelled_alarms()).prune()


async def left(world: World) -> set[UUID]:
    return {alarm.alarm_id for alarm in await world.everything()}


async def test_what_is_over_is_forgotten_with_its_history_and_the_rest_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PART_ALARMS_MAX", 2)
    gone = [await over(world, f"old-{number}") for number in range(5)]
    labelled = await over(world, "labelled")
    leads = await over(world, "one-place", cause="shared")
    still = await world.raise_at(point("still"))
    waits = await world.raise_at(point("waits"))
    await world.clear_at(point("waits"))
    async with world.database.transaction() as session:
        live = Live()
        await put_label(
            session,
            EventLog(live),
            DEFAULT_TENANT,
            labelled.alarm_id,
            Actor("user", "u-1", "Li Na", ""),
            verdict="true",
            comment="",
            bundle_id="",
            now_ms=world.clock.utc_ms(),
        )
        follows = f"UPDATE alarms SET group_id = '{leads.alarm_id}' WHERE alarm_id = '{still.alarm_id}'"
        dialect = session.bind.dialect.name if session.bind is not None else ""
        await session.execute(text(follows if dialect == "postgresql" else follows.replace("-", "")))
    world.clock.advance(89 * DAY_S)
    assert await prune(world) == 0, "not yet"
    world.clock.advance(2 * DAY_S)
    new = await over(world, "new")
    assert await prune(world) == len(gone)
    assert await left(world) == {alarm.alarm_id for alarm in (labelled, leads, still, waits, new)}
    assert {entry.alarm_id for entry in await world.history()} == await left(world)
    assert await prune(world) == 0


async def said_of(world: World, press: str, *, is_on: bool) -> None:
    """The plant's logic withholds the alarms of a press that never had one, or does so no longer."""
    async with world.database.transaction() as session:
        await world.withholder.suppress_point(
            session, DEFAULT_TENANT, point(press), is_on=is_on, reason="heats up", now_ms=world.clock.utc_ms()
        )


async def test_old_words_of_points_without_an_alarm_are_forgotten_unless_they_tell_why_it_is_withheld(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PART_ALARMS_MAX", 2)
    for number in range(3):
        await said_of(world, f"was-{number}", is_on=True)
        await said_of(world, f"was-{number}", is_on=False)
    await said_of(world, "is", is_on=True)
    world.clock.advance(89 * DAY_S)
    await prune(world)
    assert len(await world.history()) == 7, "not yet"
    world.clock.advance(2 * DAY_S)
    await said_of(world, "new", is_on=True)
    await prune(world)
    assert [(entry.press_id, entry.alarm_id) for entry in await world.history()] == [("is", None), ("new", None)]
    with pytest.raises(IntegrityError, match="only ever added to"):
        async with world.database.transaction() as session:
            await session.execute(text("DELETE FROM alarm_history"))


async def test_the_history_of_an_alarm_that_is_there_cannot_be_shortened(world: World) -> None:
    alarm = await over(world, "press-1")
    with pytest.raises(IntegrityError, match="only ever added to"):
        async with world.database.transaction() as session:
            await session.execute(text("DELETE FROM alarm_history"))
    assert [entry.what for entry in await world.history(alarm.alarm_id)] == ["raised", "acknowledged", "cleared"]
