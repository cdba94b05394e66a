"""The relational database, SQLite or PostgreSQL: one writer, several readers, a transaction as a context manager."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from cloud.core.live import Topic
from kit.errors import ZhisanError

READERS_MAX = 4
WAIT_S_MAX = 30.0
BUSY_TIMEOUT_MS = 5_000
CONNECT_S_MAX, COMMAND_S_MAX = 10.0, 60.0
POSTGRESQL_OPTIONS: Final = {
    "connect_args": {
        "timeout": CONNECT_S_MAX,
        "command_timeout": COMMAND_S_MAX,
        "server_settings": {"application_name": "zhisan"},
    },
    "pool_pre_ping": True,  # a server that was restarted is no failed transaction
}
ONE_MOMENT: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
TOPICS_KEY = "topics"


class DatabaseError(ZhisanError):
    """The database cannot be used as it is; the message says why."""


class Database:
    """Sessions on a database; every write goes through one connection.

    SQLite up to 3.51.2 can damage a WAL file when two connections write or checkpoint at the same moment; with one
    writer this cannot happen in a program, and writers wait for their turn here instead of failing as "locked".
    PostgreSQL is used in the same way: ids of events then rise in the order of commits there as well.
    """

    def __init__(self, url: str | URL) -> None:
        self._writer = _engine(url, connections_max=1, begin="BEGIN IMMEDIATE")
        self._readers = _engine(url, connections_max=READERS_MAX, begin="BEGIN", is_read_only=True)
        self._write_session = async_sessionmaker(self._writer, expire_on_commit=False)
        self._read_session = async_sessionmaker(self._readers, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes are kept when the block ends, and none of them when it raises.

        Announced topics are published after the commit. Transactions do not nest: the inner one would wait for the
        outer one's connection until it gives up after WAIT_S_MAX.
        """
        with anyio.CancelScope(shield=True):
            async with self._write_session() as session:
                async with session.begin():
                    yield session
                topics: dict[Topic, None] = session.info.get(TOPICS_KEY, {})
            for topic in topics:
                topic.publish()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that sees one moment and cannot write."""
        with anyio.CancelScope(shield=True):
            async with self._read_session() as session, session.begin():
                yield session

    @asynccontextmanager
    async def schema_change(self) -> AsyncIterator[AsyncConnection]:
        """The writer's bare connection in a transaction, for migrations."""
        async with self._writer.begin() as connection:
            yield connection

    async def close(self) -> None:
        """Let go of all connections, the writer last: it folds the write-ahead log into the file."""
        await self._readers.dispose()
        await self._writer.dispose()


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{path}"


def postgresql_url(url: str) -> URL:
    """The URL of a PostgreSQL database with the driver that we use.

    Raises:
        ValueError: it is none, or holds a password, which belongs into PGPASSWORD or a password file.
    """
    parsed = make_url(url)
    if parsed.drivername not in ("postgresql", "postgres") or not parsed.database:
        raise ValueError("is not of the form postgresql://user@host:port/name")
    if parsed.password is not None or "password" in parsed.query:
        raise ValueError("must not hold a password: give it by PGPASSWORD or ~/.pgpass")
    return parsed.set(drivername="postgresql+asyncpg")


def announce(session: AsyncSession, topic: Topic) -> None:
    """Publish `topic` once this session's transaction is committed."""
    session.info.setdefault(TOPICS_KEY, {})[topic] = None


class JsonText(str):
    """JSON that was written already; a column of JSON takes it as it is."""

    __slots__ = ()


def strict_json(value: object) -> str:
    """JSON without NaN and infinity, which other databases refuse."""
    if isinstance(value, JsonText):
        return value
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _engine(url: str | URL, *, connections_max: int, begin: str, is_read_only: bool = False) -> AsyncEngine:
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    more: dict[str, Any] = {} if is_sqlite else dict(POSTGRESQL_OPTIONS)
    if not is_sqlite and is_read_only:
        more["execution_options"] = ONE_MOMENT
    engine = create_async_engine(
        url,
        json_serializer=strict_json,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=connections_max,
        max_overflow=0,
        pool_timeout=WAIT_S_MAX,
        **more,
    )
    if is_sqlite:
        _prepare_sqlite(engine, begin=begin, is_read_only=is_read_only)
    else:
        _replace_nul(engine)
    return engine


def _replace_nul(engine: AsyncEngine) -> None:
    """PostgreSQL stores no U+0000: what a gateway or a receiver says must not stop whoever writes it down.

    Requests with that character are refused before (`cloud.core.plain_text`).
    """

    def plain(value: Any) -> Any:
        return value.replace("\x00", "\ufffd") if isinstance(value, str) and "\x00" in value else value

    @event.listens_for(engine.sync_engine, "before_cursor_execute", retval=True)
    def _execute(
        _connection: Connection,
        _cursor: object,
        statement: str,
        parameters: Any,
        _context: object,
        is_many: bool,  # noqa: FBT001
    ) -> tuple[str, Any]:
        if is_many and isinstance(parameters, list):  # many rows in one statement come as one tuple
            return statement, [tuple(map(plain, row)) for row in parameters]
        return statement, tuple(map(plain, parameters))


def _prepare_sqlite(engine: AsyncEngine, *, begin: str, is_read_only: bool) -> None:
    """Durable WAL, foreign keys held, and transactions that begin when we say so (the driver's own begin is late)."""

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # no implicit BEGIN
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"query_only = {'ON' if is_read_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
