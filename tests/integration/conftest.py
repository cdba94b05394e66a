"""What integration tests share: an empty relational database, once on SQLite and once on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from cloud.core.database import postgresql_url, sqlite_url
from cloud.migrations import upgrade
from tests import postgres
from tests.postgres import PostgresServer
from tests.schema import remembered

KINDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session", autouse=True)
def _schema_is_made_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upgrade, "_upgrade", remembered(upgrade._upgrade))
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests of a run."""
    programs = postgres.programs()
    if programs is None:
        pytest.skip("postgresql is not installed")
    with postgres.server(programs) as server:
        yield server


@pytest.fixture(params=KINDS)
async def postgresql(request: pytest.FixtureRequest) -> str:
    """What the setting `storage.postgresql` holds: nothing, or the address of an empty database."""
    if request.param == "sqlite":
        return ""
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return await server.emptied()


@pytest.fixture
def database_url(postgresql: str, tmp_path: Path) -> URL:
    """The address of an empty database."""
    return postgresql_url(postgresql) if postgresql else make_url(sqlite_url(tmp_path / "cloud.sqlite"))
