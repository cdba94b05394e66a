"""A plant in which everything alarms at once, on a virtual clock: people are told a bounded part, and nothing is lost.

The seed is the test case: 40 presses raise and clear alarms at 250 changes a minute, then the plant calms down.
"""

import random
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud.alarms import repository
from cloud.alarms.flood import BEGINS_ABOVE, ENDS_BELOW, WINDOW_MS
from cloud.alarms.points import Point, Raising
from cloud.alarms.service import ALARM_EVENTS
from cloud.alarms.tables import FloodRow
from cloud.core.database import Database, sqlite_url
from cloud.core.tenants import DEFAULT_TENANT
from cloud.migrations.upgrade import upgrade
from tests.integration.alarm_world import LI, NOW_MS, World

pytestmark = pytest.mark.anyio
CHANGES, CHANGES_SLOW, PER_TRANSACTION = 1_000, 5_000, 250
STEP_S = 60
PRIORITIES = ("low",) * 8 + ("medium", "high")


def points() -> list[tuple[Point, str]]:
    """40 presses with ten alarms of one cause each; its first is of no low priority."""
    return [
        (Point("hall", f"press-{press:02}", "", "rule", f"mode-{mode}"), "medium" if mode == 0 else PRIORITIES[mode])
        for press in range(40)
        for mode in range(10)
    ]


@pytest.mark.parametrize(
    ("seed", "changes"),
    [(0, CHANGES), *(pytest.param(seed, CHANGES_SLOW, marks=pytest.mark.slow) for seed in range(4))],
)
async def test_a_flood_tells_people_a_bounded_part_and_loses_nothing(tmp_path: Path, seed: int, changes: int) -> None:
    world, chance = World(Database(sqlite_url(tmp_path / "cloud.sqlite"))), random.Random(seed)
    await upgrade(world.database)
    raised, active = Counter[Point](), dict[Point, str]()
    for _ in range(changes // PER_TRANSACTION):
        async with world.database.transaction() as session:
            for _ in range(PER_TRANSACTION):
                where, priority = chance.choice(ALL)
                now_ms = world.clock.utc_ms()
                if where in active:
                    await world.alarms.clear_at(session, where, now_ms)
                    del active[where]
                else:
                    raising = Raising(DEFAULT_TENANT, where, priority, cause="power dip")
                    await world.alarms.raise_at(session, raising, now_ms)
                    raised[where] += 1
                    active[where] = priority
        await world.wait(STEP_S)
    await check_during(world, raised, active)
    for _ in range(WINDOW_MS // 1000 // STEP_S + 1):
        await world.wait(STEP_S)
    await check_after(world, active)
    await settle(world, active)


ALL = points()


async def check_during(world: World, raised: Counter[Point], active: dict[Point, str]) -> None:
    """Each occurrence is one alarm and one row of history; followers of low priority were told of by nobody."""
    alarms, entries = await world.everything(), await world.history()
    counts = Counter(Point(a.plant_id, a.press_id, a.gateway_id, a.kind, a.mode) for a in alarms)
    assert counts == raised
    assert sum(alarm.cleared_ms is None for alarm in alarms) == len(active)
    what = Counter(entry.what for entry in entries)
    assert what["raised"] + what["raised_silently"] == sum(raised.values())
    assert what["cleared"] + what["cleared_silently"] == sum(raised.values()) - len(active)
    events = await world.events()
    assert [event.kind for event in events].count("alarm.flood_began") == 1
    began = next(at for at, event in enumerate(events) if event.kind == "alarm.flood_began")
    told = [event for event in events[began:] if event.kind == "alarm.raised"]
    assert all(event.payload["priority"] != "low" or event.payload["group_order"] == 1 for event in told)
    assert began <= BEGINS_ABOVE + 1
    assert what["raised_silently"] > sum(raised.values()) / 2, "most of a flood are followers"


async def check_after(world: World, active: dict[Point, str]) -> None:
    """The flood has ended by itself; what still stands was told of by then, each once."""
    async with world.database.reading() as session:
        [flood] = (await session.scalars(select(FloodRow))).all()
        rate = await repository.annunciations(session, DEFAULT_TENANT, world.clock.utc_ms() - WINDOW_MS, at_most=1_000)
    assert flood.ended_ms is not None
    assert rate < ENDS_BELOW
    assert flood.rate_max > BEGINS_ABOVE
    alarms = await world.everything()
    standing = {str(alarm.alarm_id) for alarm in alarms if alarm.cleared_ms is None}
    assert len(standing) == len(active)
    assert not any(alarm.is_held_back for alarm in alarms)
    told = Counter(e.payload["alarm_id"] for e in await world.events() if e.kind == "alarm.raised")
    assert max(told.values()) == 1
    assert standing <= told.keys()
    kinds = {event.kind for event in await world.events()}
    assert kinds - ALARM_EVENTS == {"silent.raised", "silent.cleared"}


async def settle(world: World, active: dict[Point, str]) -> None:
    """When all causes have gone and somebody has answered, nothing is left open and nothing is due."""
    async with world.database.transaction() as session:
        for where in active:
            await world.alarms.clear_at(session, where, world.clock.utc_ms())
    async with world.database.transaction() as session:
        for alarm in await world.everything():
            await world.answers.acknowledge(
                session, DEFAULT_TENANT, alarm.alarm_id, actor=LI, now_ms=world.clock.utc_ms()
            )
    assert {alarm.state for alarm in await world.everything()} == {"normal"}
    async with world.database.reading() as session:
        assert (await repository.due(session, NOW_MS * 2, limit=1)).is_empty
    await world.database.close()
