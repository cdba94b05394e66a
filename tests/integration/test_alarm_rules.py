"""Rules from their first version to the alarms that they raise and let go of, on the real database and consumer."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
import pytest
from sqlalchemy import URL, select

from cloud.alarms import reading
from cloud.alarms.domain import Alarm, AlarmDefaults
from cloud.alarms.jobs import AlarmConsumer
from cloud.alarms.rules.definition import Rule
from cloud.alarms.rules.residuals import LEARN_SHOTS
from cloud.alarms.rules.service import (
    RuleRefusedError,
    RuleService,
    SavedRule,
    StaleVersionError,
    UnreadableRule,
)
from cloud.alarms.rules.standard import FAILURES
from cloud.alarms.rules.stored import RULE_UNREADABLE
from cloud.alarms.rules.tables import RuleRow, RuleVersionRow
from cloud.alarms.rules.unreadable_watch import UnreadableWatch
from cloud.alarms.service import AlarmService
from cloud.core.audit import Actor, AuditRow
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import DEFAULT_TENANT, TenantId
from cloud.fleet.tables import PlantRow
from cloud.migrations.upgrade import upgrade
from cloud.rollouts.labels import add_repair, drop_repair, put_label
from cloud.telemetry.memory_store import MemoryStore
from cloud.telemetry.store import GatewayKey, IncomingShot
from cloud.web.alarm_facts import AlarmFacts
from contract.alarming import AlarmRules
from contract.shot import ScoredShot, Scores, Shot
from kit.clock import ManualClock

pytestmark = pytest.mark.anyio
NOW_MS = 1_767_225_600_000
LI = Actor("user", "u-li", "Li Na", "10.0.0.9")
OTHER = TenantId("other")
CUSHION = {"kind": "limit", "feature": "CushionStroke", "below": 2.0}


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    await upgrade(database)
    async with database.transaction() as session:
        for plant, tenant in (("plant-1", DEFAULT_TENANT), ("foreign", OTHER)):
            session.add(PlantRow(plant_id=plant, tenant_id=tenant, registered_ms=NOW_MS))
    yield database
    await database.close()


def written(condition: Mapping[str, Any], **more: Any) -> Rule:
    return Rule.model_validate({"name": "a rule", "priority": "low", "condition": condition, **more})


class World:
    """A store of shots, the consumer, and somebody who writes rules."""

    def __init__(self, database: Database) -> None:
        live = Live()
        self.database, self.store, self.clock = database, MemoryStore(), ManualClock(NOW_MS)
        self.alarms = AlarmService(EventLog(live), live, AlarmDefaults(AlarmRules(on_delay_shots=3, off_delay_shots=4)))
        self.rules = RuleService(self.alarms)
        self.number = 0

    async def shoot(
        self, *values: float, plant: str = "plant-1", press: str = "press-1", mould: str = "m1", **scores: float
    ) -> None:
        """Shots whose cushion is as told; each consumer is a program that has started anew."""
        self.clock.advance(1)
        for value in values:
            self.number += 1
            shot = Shot(press, NOW_MS + self.number, {"CushionStroke": value}, job_name="job", mould_id=mould)
            told = {name.replace("__", "/"): score for name, score in scores.items()}
            scored = ScoredShot(shot, np.zeros(1, np.float32), "hash", Scores("bundle", told))
            gateway = GatewayKey(plant, "gw-1")
            self.store.write([IncomingShot(gateway, "epoch", self.number, NOW_MS, False, scored)])
        live = Live()
        while await AlarmConsumer(self.database, self.store, self.alarms, live, self.clock).consume_batch():
            pass

    async def create(self, rule: Rule, tenant: TenantId = DEFAULT_TENANT) -> SavedRule:
        async with self.database.transaction() as session:
            return await self.rules.create(session, tenant, rule, why="why not", actor=LI, now_ms=NOW_MS)

    async def change(self, saved: SavedRule, rule: Rule, tenant: TenantId = DEFAULT_TENANT) -> SavedRule:
        async with self.database.transaction() as session:
            return await self.rules.change(
                session, tenant, saved.rule_id, rule, version=saved.version, why="better", actor=LI, now_ms=NOW_MS
            )

    async def standard(self) -> SavedRule:
        async with self.database.reading() as session:
            found = await self.rules.rule(session, DEFAULT_TENANT, FAILURES, NOW_MS)
        assert isinstance(found, SavedRule)
        return found

    async def spoil(self, rule_id: str) -> None:
        """Let a stored rule say what no version of ours says, as after a downgrade."""
        async with self.database.transaction() as session:
            row = await session.get(RuleRow, (DEFAULT_TENANT, rule_id))
            assert row is not None
            row.definition = {**row.definition, "condition": {**row.definition["condition"], "feature": "Humidity"}}
            row.version += 1

    async def look(self) -> int:
        """How many rules a program that has started anew cannot read."""
        watch = UnreadableWatch(self.database, self.alarms, self.clock)
        await watch.look()
        return watch.found

    async def delete(self, saved: SavedRule | UnreadableRule) -> None:
        async with self.database.transaction() as session:
            await self.rules.delete(
                session, DEFAULT_TENANT, saved.rule_id, version=saved.version, why="", actor=LI, now_ms=NOW_MS
            )

    async def found(self, tenant: TenantId = DEFAULT_TENANT) -> list[Alarm]:
        async with self.database.reading() as session:
            return list(reversed((await reading.alarms(session, tenant, limit=200)).items))

    async def why_cleared(self, alarm: Alarm) -> str | None:
        async with self.database.reading() as session:
            entries = (await reading.history(session, DEFAULT_TENANT, alarm_id=alarm.alarm_id, limit=9)).items
        return next(entry.why for entry in entries if entry.what == "cleared")


async def test_a_limit_raises_and_clears_and_names_rule_and_version(database: Database) -> None:
    world = World(database)
    rule = await world.create(written(CUSHION, on_delay_shots=2, off_delay_shots=2, deadband=0.5, is_latching=True))
    await world.shoot(1.9, 2.5, 1.9, 1.8)
    [alarm] = await world.found()
    assert (alarm.kind, alarm.mode, alarm.priority, alarm.is_latching) == ("limit", "CushionStroke", "low", True)
    assert (alarm.rule_id, alarm.rule_version, alarm.value, alarm.threshold) == (rule.rule_id, 1, 1.8, 2.0)
    await world.shoot(2.4, 2.4, 2.4)
    assert (await world.found())[0].is_active, "within the deadband"
    await world.shoot(2.6, float("nan"), 2.6)
    assert [alarm.state for alarm in await world.found()] == ["latched_unacknowledged"]


async def test_two_rules_of_one_feature_have_an_alarm_each(database: Database) -> None:
    world = World(database)
    await world.create(written(CUSHION))
    await world.create(written({**CUSHION, "below": 1.0}, priority="critical"))
    await world.shoot(1.5)
    assert [alarm.priority for alarm in await world.found()] == ["low"]
    await world.shoot(0.5)
    assert [alarm.priority for alarm in await world.found()] == ["low", "critical"]


async def test_novelty_over_a_factor_of_its_limit(database: Database) -> None:
    world = World(database)
    await world.create(written({"kind": "novelty", "statistics": ["SPE"], "factor": 3}))
    await world.shoot(1.0, Novelty__SPE=2.9, Novelty__T2=9.0)
    await world.shoot(1.0, Novelty__SPE=3.1, Novelty__T2=9.0)
    assert [(alarm.kind, alarm.mode, alarm.value, alarm.threshold) for alarm in await world.found()] == [
        ("novelty", "SPE", 3.1, 3.0)
    ]


async def test_a_head_s_own_horizon_and_a_figure_instead_of_the_bundle_s(database: Database) -> None:
    world = World(database)
    condition = {"kind": "failure_probability", "modes": ["check_ring_wear"], "horizon_h": 8, "threshold": 0.5}
    await world.create(written({**condition, "use_bundle_threshold": False}))
    mode = "FailureProbability__check_ring_wear"
    scores = {f"{mode}@8h": 0.4, f"{mode}@72h": 0.7, "FailureProbability__pump_leakage@8h": 0.7}
    scores["FailureThreshold__check_ring_wear"] = 0.3
    await world.shoot(1.0, **(scores | {"FailureThreshold__check_ring_wear": 0.9}))
    assert await world.found() == []
    await world.shoot(1.0, **(scores | {f"{mode}@8h": 0.6, "FailureThreshold__check_ring_wear": 0.9}))
    assert [(alarm.mode, alarm.probability, alarm.threshold) for alarm in await world.found()] == [
        ("check_ring_wear", 0.6, 0.5)
    ]


async def test_spc_learns_across_restarts_and_begins_anew_with_another_mould(database: Database) -> None:
    world, noise = World(database), np.random.default_rng(7).standard_normal(LEARN_SHOTS + 20)
    await world.create(written({"kind": "spc", "features": ["CushionStroke"], "nelson": [1, 5]}, off_delay_shots=50))
    for start in range(0, len(noise), 55):
        await world.shoot(*(5 + 0.1 * noise[start : start + 55]))
    before = len(await world.found())
    await world.shoot(6.0)
    [*_, alarm] = await world.found()
    assert len(await world.found()) == before + 1
    assert (alarm.kind, alarm.mode, alarm.value) == ("spc", "CushionStroke", 6.0)
    assert alarm.reasons[0].sigma > 5
    await world.shoot(9.0, mould="m2")
    assert await world.why_cleared(alarm) == "rule_learns_anew"


async def test_after_a_repair_a_press_s_normal_is_learnt_anew(database: Database) -> None:
    world, noise = World(database), np.random.default_rng(7).standard_normal(LEARN_SHOTS + 5)
    await world.create(written({"kind": "spc", "features": ["CushionStroke"], "nelson": [1]}, off_delay_shots=50))
    await world.shoot(*(5 + 0.1 * noise), 7.0)
    [*_, alarm] = await world.found()
    async with database.transaction() as session:
        await put_label(
            session,
            EventLog(Live()),
            DEFAULT_TENANT,
            alarm.alarm_id,
            LI,
            verdict="maintenance_done",
            comment="",
            bundle_id="",
            now_ms=NOW_MS,
        )
    await world.shoot(9.0)
    assert await world.why_cleared(alarm) == "rule_learns_anew"
    before = len(await world.found())
    await world.shoot(*(9 + 0.1 * noise))
    assert len(await world.found()) == before, "9 is what is normal now"


@pytest.mark.parametrize(("after_s", "knows"), [(60, True), (16 * 60, False)])
async def test_a_repair_that_is_taken_back_gives_rules_back_what_they_knew(
    database: Database, *, after_s: int, knows: bool
) -> None:
    world, noise = World(database), np.random.default_rng(7).standard_normal(LEARN_SHOTS + 5)
    await world.create(written({"kind": "spc", "features": ["CushionStroke"], "nelson": [1]}, off_delay_shots=50))
    await world.shoot(*(5 + 0.1 * noise))
    async with database.transaction() as session:
        repair = await add_repair(session, DEFAULT_TENANT, "plant-1", "press-1", now_ms=NOW_MS)
    await world.shoot(5.0, 5.1, 4.9)
    async with database.transaction() as session:
        await drop_repair(session, DEFAULT_TENANT, repair, now_ms=NOW_MS + after_s * 1000)
    await world.shoot(5.0, 7.0)
    assert bool(await world.found()) is knows


async def test_a_stored_rule_of_unknown_words_stops_no_other(database: Database) -> None:
    world = World(database)
    odd = await world.create(written(CUSHION))
    await world.create(written(CUSHION))
    async with database.transaction() as session:
        row = await session.get(RuleRow, (DEFAULT_TENANT, odd.rule_id))
        assert row is not None
        row.definition = {**row.definition, "condition": {"kind": "weather"}}
    await world.shoot(1.0)
    assert len(await world.found()) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"is_enabled": False}, "rule_disabled"),
        ({"scope": {"presses": ["press-2"]}}, "rule_narrowed"),
        ({"scope": {"plants": ["plant-2"]}}, "rule_narrowed"),
        ({"condition": {**CUSHION, "feature": "CycleTime"}}, "rule_narrowed"),
    ],
)
async def test_a_rule_that_looks_there_no_more_lets_go_of_its_alarm(
    database: Database, change: dict[str, Any], why: str
) -> None:
    world = World(database)
    saved = await world.create(written(CUSHION))
    await world.shoot(1.0)
    await world.change(saved, Rule.model_validate({**saved.rule.model_dump(), **change}))
    [alarm] = await world.found()
    assert (alarm.state, await world.why_cleared(alarm)) == ("cleared_unacknowledged", why)
    await world.shoot(1.0)
    assert len(await world.found()) == 1


async def test_another_mould_lets_go_of_a_rule_s_alarm(database: Database) -> None:
    world = World(database)
    await world.create(written(CUSHION, scope={"moulds": ["m1"]}))
    await world.shoot(1.0)
    await world.shoot(1.0, mould="m2")
    [alarm] = await world.found()
    assert await world.why_cleared(alarm) == "rule_left_mould"


async def test_a_rule_that_cannot_be_read_is_told_of_by_an_alarm_until_somebody_saves_it_anew(
    database: Database,
) -> None:
    world = World(database)
    spoilt, other = await world.create(written(CUSHION)), await world.create(written({**CUSHION, "below": 3.0}))
    assert await world.look() == 0
    await world.spoil(spoilt.rule_id)
    assert [await world.look(), await world.look()] == [1, 1], "told of once"
    await world.shoot(1.0)
    about, raised = await world.found()
    assert (about.kind, about.priority, about.plant_id, about.rule_id) == (
        RULE_UNREADABLE,
        "medium",
        "plant-1",
        spoilt.rule_id,
    )
    assert raised.rule_id == other.rule_id, "the other rules go on"
    async with database.reading() as session:
        found = await world.rules.rule(session, DEFAULT_TENANT, spoilt.rule_id, NOW_MS)
        known = await world.rules.rules(session, DEFAULT_TENANT, NOW_MS)
    assert isinstance(found, UnreadableRule)
    assert (found.kind, found.name, found.fired, len(known)) == ("limit", "a rule", 0, 4)
    assert "condition.limit.feature: 'Humidity' is no feature" in found.stored.reason
    with pytest.raises(InvalidFieldError, match="kind"):
        await world.change(SavedRule(found.rule_id, 2, other.rule, None, "", 0), written({"kind": "novelty"}))
    await world.change(SavedRule(found.rule_id, 2, other.rule, None, "", 0), written(CUSHION))
    about, *_ = await world.found()
    assert (about.state, await world.why_cleared(about)) == ("cleared_unacknowledged", "rule_readable")
    assert await world.look() == 0


async def test_an_alarm_of_a_rule_that_cannot_be_read_says_so_until_the_rule_is_saved_or_deleted(
    database: Database,
) -> None:
    world = World(database)
    saved, other = await world.create(written(CUSHION)), await world.create(written({**CUSHION, "below": 3.0}))
    await world.shoot(1.0)
    facts = AlarmFacts(database, world.alarms, world.clock)

    async def stuck() -> set[str]:
        lives = [await facts.life(DEFAULT_TENANT, alarm.alarm_id) for alarm in await world.found()]
        return {life.alarm.rule_id for life in lives if life is not None and life.is_stuck}

    assert await stuck() == set()
    await world.spoil(saved.rule_id)
    await world.look()
    assert await stuck() == {saved.rule_id}, "not of the other rule, nor the alarm that tells of this one"
    await world.delete(SavedRule(saved.rule_id, 2, saved.rule, None, "", 0))
    assert await stuck() == set()
    assert {alarm.rule_id for alarm in await world.found() if alarm.is_active} == {other.rule_id}


async def test_a_rule_that_cannot_be_read_can_be_deleted_and_an_unreadable_version_not_taken_back(
    database: Database,
) -> None:
    world = World(database)
    saved = await world.create(written(CUSHION))
    async with database.transaction() as session:
        version = await session.get(RuleVersionRow, (DEFAULT_TENANT, saved.rule_id, 1))
        assert version is not None
        version.definition = {"condition": {"kind": "of another time"}}
    with pytest.raises(RuleRefusedError, match="cannot be read"):
        async with database.transaction() as session:
            await world.rules.revert(
                session, DEFAULT_TENANT, saved.rule_id, to=1, version=1, why="", actor=LI, now_ms=NOW_MS
            )
    await world.spoil(saved.rule_id)
    await world.look()
    await world.delete(SavedRule(saved.rule_id, 2, saved.rule, None, "", 0))
    [about] = await world.found()
    assert await world.why_cleared(about) == "rule_deleted"
    async with database.reading() as session:
        versions = await world.rules.versions(session, DEFAULT_TENANT, saved.rule_id, before=None, limit=9)
    assert [(each.what, isinstance(each.rule, Rule)) for each in versions.items] == [
        ("deleted", False),
        ("created", False),
    ]


async def test_every_save_is_a_version_and_an_old_one_comes_back_as_a_new_one(database: Database) -> None:
    world = World(database)
    first = await world.create(written(CUSHION))
    second = await world.change(first, written({**CUSHION, "below": 1.5}))
    with pytest.raises(StaleVersionError):
        await world.change(first, written(CUSHION))
    with pytest.raises(InvalidFieldError, match="kind"):
        await world.change(second, written({"kind": "novelty"}))
    async with database.transaction() as session:
        third = await world.rules.revert(
            session, DEFAULT_TENANT, first.rule_id, to=1, version=2, why="was better", actor=LI, now_ms=NOW_MS
        )
        assert (third.version, third.rule) == (3, first.rule)
    async with database.transaction() as session:
        await world.rules.delete(
            session, DEFAULT_TENANT, first.rule_id, version=3, why="not needed", actor=LI, now_ms=NOW_MS
        )
    async with database.reading() as session:
        versions = await world.rules.versions(session, DEFAULT_TENANT, first.rule_id, before=None, limit=9)
        with pytest.raises(NotFoundError):
            await world.rules.rule(session, DEFAULT_TENANT, first.rule_id, NOW_MS)
        lines = (await session.scalars(select(AuditRow).order_by(AuditRow.audit_id))).all()
    assert [(each.version, each.what, each.why, each.actor_name) for each in versions.items] == [
        (4, "deleted", "not needed", "Li Na"),
        (3, "reverted", "was better", "Li Na"),
        (2, "changed", "better", "Li Na"),
        (1, "created", "why not", "Li Na"),
    ]
    assert [line.action for line in lines] == [
        f"alarm_rule_{what}" for what in ("created", "changed", "reverted", "deleted")
    ]
    assert lines[1].before == {"version": 1, "condition": {**lines[1].before["condition"], "below": 2.0}}


async def test_a_standard_rule_is_changed_and_taken_back_to_what_was_delivered_but_not_deleted(
    database: Database,
) -> None:
    world = World(database)
    standard = await world.standard()
    assert (standard.version, standard.is_standard) == (0, True)
    changed = await world.change(standard, standard.rule.model_copy(update={"on_delay_shots": 1}))
    await world.shoot(5.0, FailureProbability__check_ring_wear=0.9)
    assert [(alarm.rule_id, alarm.rule_version) for alarm in await world.found()] == [(FAILURES, 1)]
    with pytest.raises(RuleRefusedError):
        async with database.transaction() as session:
            await world.rules.delete(session, DEFAULT_TENANT, FAILURES, version=1, why="", actor=LI, now_ms=NOW_MS)
    async with database.transaction() as session:
        back = await world.rules.revert(
            session, DEFAULT_TENANT, FAILURES, to=0, version=changed.version, why="", actor=LI, now_ms=NOW_MS
        )
    assert (back.version, back.rule) == (2, standard.rule)


async def test_rules_of_one_tenant_do_not_look_at_presses_of_another(database: Database) -> None:
    world = World(database)
    theirs = await world.create(written(CUSHION), OTHER)
    await world.shoot(1.0)
    assert await world.found() == []
    await world.shoot(1.0, plant="foreign")
    assert [alarm.rule_id for alarm in await world.found(OTHER)] == [theirs.rule_id]
    with pytest.raises(NotFoundError):
        await world.change(theirs, written(CUSHION))
