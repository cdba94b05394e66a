"""The newest schema, made by its migrations once a run: what they told an empty database is told to the next one."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event, inspect

Told = tuple[str, Any]
Upgrade = Callable[[Connection], None]


def remembered(upgrade: Upgrade) -> Upgrade:
    """Does what `upgrade` does: really for a database that has something in it, and for the first empty one."""
    told: dict[str, list[Told]] = {}

    def _upgrade(connection: Connection) -> None:
        kind = connection.dialect.name
        if inspect(connection).get_table_names():
            upgrade(connection)
        elif kind not in told:
            told[kind] = _told(connection, upgrade)
        else:
            for statement, parameters in told[kind]:
                connection.exec_driver_sql(statement, parameters)

    return _upgrade


def _told(connection: Connection, upgrade: Upgrade) -> list[Told]:
    """The statements that change something, in their order."""
    told: list[Told] = []

    def _tell(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.split(None, 1)[0].upper() not in ("SELECT", "PRAGMA"):
            told.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", _tell)
    try:
        upgrade(connection)
    finally:
        event.remove(connection, "before_cursor_execute", _tell)
    return told
