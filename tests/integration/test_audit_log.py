"""The audit log in a real database: final, chained, verified; what was done to its file shows, and where."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import URL, delete, insert, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from starlette.requests import Request

from cloud.alarms.answers import Answers
from cloud.alarms.domain import AlarmDefaults
from cloud.alarms.points import Point, Raising
from cloud.alarms.service import AlarmService
from cloud.core import audit, audit_repository
from cloud.core.audit import Actor, AuditRow, actor_of, record
from cloud.core.audit_repository import AuditFilter, entries_after, lines, newest_link
from cloud.core.audit_verifier import BATCH_LINES_MAX, AuditVerifier
from cloud.core.database import Database, sqlite_url
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tenants import DEFAULT_TENANT
from cloud.migrations.upgrade import upgrade
from cloud.webhooks.domain import ConfiguredEndpoint
from kit.clock import ManualClock
from tests.integration.webhook_world import Outbox

pytestmark = pytest.mark.anyio
NOW_MS = 1_767_225_600_000
ANNA = Actor("user", "u1", "Anna", "10.0.0.9")


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    await upgrade(database)
    yield database
    await database.close()


async def write(database: Database, count: int, *, tenant: str = "t", action: str = "press_renamed") -> None:
    """`count` lines, three to a transaction."""
    left = count
    while left:
        async with database.transaction() as session:
            for n in range(min(3, left)):
                after = {"名": f"n{left}", "share": 0.1 + n, "tuple": (1, 2), 7: None}
                record(session, tenant, ANNA, action, f"press:p/{left}", now_ms=NOW_MS + left, after=after)
            left -= min(3, left)


async def tamper(database: Database, *statements: str) -> None:
    """What one can do who owns the database: take the triggers off and write."""
    async with database.schema_change() as connection:
        where = " ON audit" if connection.dialect.name == "postgresql" else ""
        for verb in ("update", "delete"):
            await connection.execute(text(f"DROP TRIGGER audit_refuses_{verb}{where}"))
        for statement in statements:
            await connection.execute(text(statement))


async def test_lines_are_numbered_without_holes_and_the_chain_holds(database: Database) -> None:
    await write(database, 10)
    with pytest.raises(RuntimeError):
        async with database.transaction() as session:
            record(session, "t", ANNA, "lost", "x", now_ms=NOW_MS)
            await session.flush()
            raise RuntimeError("the block failed")
    async with database.transaction() as session:
        for _ in range(2):  # two flushes of one transaction
            record(session, "u", audit.SYSTEM, "kept", "x", now_ms=NOW_MS)
            await session.flush()
    async with database.reading() as session:
        assert [entry.link.audit_id for entry in await entries_after(session, 0, limit=100)] == list(range(1, 13))
        newest = await newest_link(session)
    state = await AuditVerifier(database, ManualClock(NOW_MS)).verify()
    assert (state.verified, state.broken_id, state.checked_ms) == (newest, None, NOW_MS)


async def test_the_database_refuses_to_change_or_remove_a_line_or_to_take_one_without_a_hash(
    database: Database,
) -> None:
    await write(database, 1)
    for statement in (update(AuditRow).values(action="nothing"), delete(AuditRow)):
        with pytest.raises(DBAPIError, match="the audit log is final"):
            async with database.transaction() as session:
                await session.execute(statement)
    columns = ("tenant_id", "actor_kind", "actor_id", "actor_name", "address", "action", "target")
    with pytest.raises(IntegrityError, match="hash"):
        async with database.transaction() as session:
            await session.execute(insert(AuditRow).values(at_ms=1, **dict.fromkeys(columns, "x")))


async def test_postgresql_refuses_to_empty_the_log_as_well(database: Database, database_url: URL) -> None:
    """SQLite has no TRUNCATE: its DELETE of all is refused line by line."""
    await write(database, 1)
    verb = "TRUNCATE" if database_url.get_backend_name() == "postgresql" else "DELETE FROM"
    with pytest.raises(DBAPIError, match="the audit log is final"):
        async with database.transaction() as session:
            await session.execute(text(f"{verb} audit"))


@pytest.mark.parametrize("column", audit.SEALED)
async def test_a_change_of_any_column_breaks_the_chain_at_its_line(database: Database, column: str) -> None:
    await write(database, 9)
    broken_id = random.Random(column).randint(1, 9)
    value = {"at_ms": "1", "before": "'{}'", "after": "'{}'"}.get(column, "'somebody'")
    await tamper(database, f"UPDATE audit SET {column} = {value} WHERE audit_id = {broken_id}")
    state = await AuditVerifier(database, ManualClock(NOW_MS)).verify()
    assert (state.broken_id, state.verified.audit_id) == (broken_id, broken_id - 1)


async def test_a_line_taken_out_or_put_in_or_swapped_shows(database: Database) -> None:
    await write(database, 9)
    await tamper(database, "DELETE FROM audit WHERE audit_id = 4")
    assert (await AuditVerifier(database, ManualClock(NOW_MS)).verify()).broken_id == 4
    async with database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO audit SELECT 4, * FROM (SELECT tenant_id, at_ms, actor_kind, actor_id,"
                " actor_name, address, action, target, before, after, hash FROM audit"
                " WHERE audit_id = 5) AS line"
            )
        )
    assert (await AuditVerifier(database, ManualClock(NOW_MS)).verify()).broken_id == 4


async def test_lines_cut_from_the_end_show_while_the_program_runs_also_when_new_ones_follow(
    database: Database,
) -> None:
    await write(database, 9)
    verifier = AuditVerifier(database, ManualClock(NOW_MS))
    assert (await verifier.verify()).verified.audit_id == 9
    await tamper(database, "DELETE FROM audit WHERE audit_id > 6")
    assert (await verifier.verify_new()).broken_id == 7
    await write(database, 9)
    assert (await verifier.verify()).broken_id == 9, "the line that was there before is another one now"
    assert (await AuditVerifier(database, ManualClock(NOW_MS)).verify()).broken_id is None, "a fresh start cannot know"


async def test_new_lines_are_followed_from_where_the_last_check_ended_over_many_batches(database: Database) -> None:
    verifier = AuditVerifier(database, ManualClock(NOW_MS))
    assert (await verifier.verify()).verified.audit_id == 0
    async with database.transaction() as session:
        for n in range(BATCH_LINES_MAX + 5):
            record(session, "t", ANNA, "kept", f"x:{n}", now_ms=NOW_MS)
    assert (await verifier.verify_new()).verified.audit_id == BATCH_LINES_MAX + 5
    assert (await verifier.verify()).verified.audit_id == BATCH_LINES_MAX + 5


async def test_filters_and_pages_show_a_tenant_its_own_lines_alone(database: Database) -> None:
    await write(database, 7)
    await write(database, 5, tenant="other")
    await write(database, 2, action="alarm_acknowledged")
    async with database.reading() as session:
        mine = await lines(session, "t", AuditFilter(), limit=100)
        assert [line.audit_id for line in mine] == [14, 13, *range(7, 0, -1)]
        pages, before = [], None
        while page := await lines(session, "t", AuditFilter(), before=before, limit=2):
            pages, before = [*pages, *page], page[-1].audit_id
        assert pages == mine
        for wanted, count in (
            (AuditFilter(actor="u1"), 9),
            (AuditFilter(actor="Anna"), 9),
            (AuditFilter(actor="Ann"), 0),
            (AuditFilter(action="alarm_acknowledged"), 2),
            (AuditFilter(target="press:p/7"), 3),
            (AuditFilter(target="press:%"), 0),
            (AuditFilter(from_ms=NOW_MS + 6), 3),
            (AuditFilter(to_ms=NOW_MS + 2), 1),
        ):
            assert len(await lines(session, "t", wanted, limit=100)) == count, wanted


async def test_between_two_times_pages_follow_the_time_also_where_a_clock_was_set_back(database: Database) -> None:
    times = [5, 9, 7, 7, 30, 8, 6]
    async with database.transaction() as session:
        for at_ms in times:
            record(session, "t", ANNA, "kept", "x", now_ms=NOW_MS + at_ms)
            record(session, "other", ANNA, "kept", "x", now_ms=NOW_MS + at_ms)
    wanted = AuditFilter(from_ms=NOW_MS + 6, to_ms=NOW_MS + 10)
    async with database.reading() as session:
        whole = await lines(session, "t", wanted, before=1 << 60, limit=100)
        found, before = [], None
        while page := await lines(session, "t", wanted, before=before, limit=2):
            found, before = [*found, *page], page[-1].audit_id
    assert found == whole
    assert [line.at_ms - NOW_MS for line in found] == [9, 8, 7, 7, 6]


@pytest.mark.parametrize("before", [None, 7])
async def test_no_filter_reads_the_whole_log_to_find_some_days(tmp_path: Path, before: int | None) -> None:
    database = Database(sqlite_url(tmp_path / "cloud.sqlite"))
    await upgrade(database)
    for wanted, index in (
        (AuditFilter(), "ix_audit_tenant_id_audit_id"),
        (AuditFilter(from_ms=NOW_MS), "ix_audit_tenant_id_at_ms_audit_id"),
        (AuditFilter(actor="u1", action="kept", from_ms=1, to_ms=NOW_MS), "ix_audit_tenant_id_at_ms_audit_id"),
    ):
        query = audit_repository.statement("t", wanted, before=before, limit=51).compile(
            dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
        )
        async with database.reading() as session:
            plan = [row.detail for row in await session.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
        assert plan[0].startswith(f"SEARCH audit USING INDEX {index} (tenant_id=?"), plan
        bound = "at_ms<?" if before or wanted.to_ms else "at_ms>?"
        assert wanted == AuditFilter() or bound in plan[0], plan
        assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in plan), plan
    await database.close()


async def test_a_value_that_is_not_json_is_refused_where_it_is_recorded(database: Database) -> None:
    async with database.transaction() as session:
        with pytest.raises(ValueError, match="not JSON compliant"):
            record(session, "t", ANNA, "kept", "x", now_ms=NOW_MS, after={"share": float("nan")})


async def test_endpoints_are_audited_only_when_they_change(database: Database) -> None:
    steps = (
        [ConfiguredEndpoint("ops", "https://a.example/x?token=hidden", "secret")],
        [ConfiguredEndpoint("ops", "https://a.example/x?token=hidden", "another secret")],
        [ConfiguredEndpoint("ops", "https://b.example/", "secret")],
        [],
        [],
    )
    for endpoints in steps:
        await Outbox(database, *endpoints, clock=ManualClock(NOW_MS)).sync()
    async with database.reading() as session:
        found = await lines(session, "default", AuditFilter(), limit=10)
    assert [(line.action, line.before, line.after) for line in reversed(found)] == [
        ("webhook_endpoint_added", None, {"url": "https://a.example/x?***"}),
        ("webhook_endpoint_changed", {"url": "https://a.example/x?***"}, {"url": "https://b.example/"}),
        ("webhook_endpoint_removed", {"url": "https://b.example/"}, None),
    ]


def test_a_request_that_is_not_signed_in_is_nobody_at_its_address() -> None:
    request = Request({"type": "http", "client": ("10.0.0.9", 1)})
    assert actor_of(request) == Actor("nobody", address="10.0.0.9")


async def test_an_acknowledgement_is_audited_once_with_who_made_it(database: Database) -> None:
    live = Live()
    alarms = AlarmService(EventLog(live), live, AlarmDefaults())
    raising = Raising(DEFAULT_TENANT, Point("p", "m1", "", "failure_probability", "check_ring_wear"), "high")
    async with database.transaction() as session:
        alarm = await alarms.raise_at(session, raising, NOW_MS)
    for comment in ("seen", "seen again"):
        async with database.transaction() as session:
            await Answers(alarms).acknowledge(
                session, DEFAULT_TENANT, alarm.alarm_id, comment=comment, actor=ANNA, now_ms=NOW_MS
            )
    async with database.reading() as session:
        (line,) = await lines(session, DEFAULT_TENANT, AuditFilter(action="alarm_acknowledged"), limit=10)
    assert (line.actor_id, line.address, line.target) == ("u1", "10.0.0.9", f"alarm:{alarm.alarm_id}")
    assert line.before == {"state": "active_unacknowledged"}
    assert line.after == {"state": "active_acknowledged", "by": "Anna", "comment": "seen"}
