"""Brings a database to the newest schema when the program starts."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from cloud.core.database import Database, DatabaseError

FOLDER = Path(__file__).parent


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration without an ini file; migrations run on `connection` and in its transaction."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    """The revision that this version of the program needs."""
    head = ScriptDirectory.from_config(configuration()).get_current_head()
    assert head is not None
    return head


def known_revisions() -> set[str]:
    """Every revision that this version of the program knows."""
    return {script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()}


def revision_of(connection: Connection) -> str | None:
    """The revision a database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


async def upgrade(database: Database) -> None:
    """Run what is missing, all of it or nothing.

    Raises:
        DatabaseError: the database was made by a newer version of the program.
    """
    async with database.schema_change() as connection:
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    revision = revision_of(connection)
    if revision is not None and revision not in known_revisions():
        raise DatabaseError(
            f"the database is at revision {revision}, which this version does not know: "
            "it was used by a newer version; install that one again"
        )
    command.upgrade(configuration(connection), "head")
