"""The database: its schema comes from migrations, its transactions are whole, its readers cannot write."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pydantic import ValidationError
from sqlalchemy import URL, Connection, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from cloud.core import cursors
from cloud.core.cursors import CursorMovedError
from cloud.core.database import Database, DatabaseError, announce, sqlite_url
from cloud.core.live import Topic
from cloud.core.tables import CursorRow
from cloud.migrations.metadata import metadata
from cloud.migrations.upgrade import configuration, newest_revision, revision_of, upgrade
from cloud.settings import StorageSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    await upgrade(database)
    yield database
    await database.close()


async def test_migrations_lead_to_the_tables_of_the_program(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata()))

    async with database.schema_change() as connection:
        assert await connection.run_sync(revision_of) == newest_revision()
        assert await connection.run_sync(differences) == []


async def test_upgrading_twice_changes_nothing(database: Database) -> None:
    async with database.transaction() as session:
        session.add(CursorRow(name="kept", position=7))
    await upgrade(database)
    async with database.reading() as session:
        assert await cursors.position_of(session, "kept") == 7


async def test_the_first_migration_can_be_taken_back(database: Database) -> None:
    async with database.schema_change() as connection:
        await connection.run_sync(lambda c: command.downgrade(configuration(c), "base"))
        assert await connection.run_sync(lambda c: inspect(c).get_table_names()) == ["alembic_version"]


async def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    async with database.schema_change() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="9999"):
        await upgrade(database)


async def test_foreign_keys_are_kept(database: Database) -> None:
    orphan = text(
        "INSERT INTO external_identities (issuer, subject, user_id, linked_ms) VALUES ('i', 's', 'nobody', 1)"
    )
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        async with database.transaction() as session:
            await session.execute(orphan)


async def test_the_sqlite_file_is_durable(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "cloud.sqlite"))
    async with database.transaction() as session:
        found = [await session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")]
    await database.close()
    assert found == ["wal", 2]


async def test_a_reader_sees_one_moment(database: Database) -> None:
    async with database.reading() as session:
        assert await cursors.position_of(session, "reader") == 0
        async with database.transaction() as writing:
            await cursors.advance(writing, "reader", expected=0, to=5)
        session.expire_all()
        assert await cursors.position_of(session, "reader") == 0
    async with database.reading() as session:
        assert await cursors.position_of(session, "reader") == 5


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("postgresql://zhisan:abc@db/zhisan", "password"),
        ("postgresql://zhisan@db/zhisan?password=abc", "password"),
        ("mysql://zhisan@db/zhisan", "form"),
        ("postgresql://zhisan@db", "form"),
        ("not an address", "form"),
    ],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused_without_repeating_it(url: str, fault: str) -> None:
    with pytest.raises(ValidationError, match=fault) as refused:
        StorageSettings(dir=Path(), postgresql=url)
    assert all("abc" not in error["msg"] for error in refused.value.errors())


async def test_a_failed_block_keeps_nothing_and_tells_nobody(database: Database) -> None:
    topic = Topic()
    with pytest.raises(RuntimeError):
        async with database.transaction() as session:
            session.add(CursorRow(name="lost", position=1))
            announce(session, topic)
            await session.flush()
            raise RuntimeError("the block failed")
    assert topic.version == 0
    async with database.reading() as session:
        assert await session.scalar(select(CursorRow.name)) is None


async def test_a_block_once_begun_is_finished_though_its_task_is_cancelled(database: Database) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with database.transaction() as session:
            session.add(CursorRow(name="kept", position=1))
            await session.flush()
        await anyio.lowlevel.checkpoint()
        raise AssertionError("the cancellation waited for the block and came after it")
    async with database.transaction() as session:
        assert await session.get(CursorRow, "kept") is not None


async def test_topics_are_published_after_the_commit(database: Database) -> None:
    topic = Topic()
    async with database.transaction() as session:
        session.add(CursorRow(name="seen", position=1))
        announce(session, topic)
        announce(session, topic)
        assert topic.version == 0
    assert topic.version == 1


async def test_readers_cannot_write_and_do_not_wait_for_the_writer(database: Database) -> None:
    async with database.transaction() as writing:
        writing.add(CursorRow(name="pending", position=1))
        await writing.flush()
        async with database.reading() as session:
            assert await session.get(CursorRow, "pending") is None
    with pytest.raises(DBAPIError, match=r"read-?only"):
        async with database.reading() as session:
            session.add(CursorRow(name="refused", position=1))
            await session.flush()


async def test_writers_take_turns(database: Database) -> None:
    async def count_up() -> None:
        for _ in range(10):
            async with database.transaction() as session:
                position = await cursors.position_of(session, "counter")
                await cursors.advance(session, "counter", expected=position, to=position + 1)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(count_up)
    async with database.reading() as session:
        assert await cursors.position_of(session, "counter") == 50


async def test_a_cursor_that_another_moved_is_not_moved_again(database: Database) -> None:
    async with database.transaction() as session:
        await cursors.advance(session, "reader", expected=0, to=5)
    with pytest.raises(CursorMovedError):
        async with database.transaction() as session:
            await cursors.advance(session, "reader", expected=0, to=3)
    async with database.reading() as session:
        assert await cursors.position_of(session, "reader") == 5
