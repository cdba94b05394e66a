"""How far each named reader has come."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tables import CursorRow
from kit.errors import ZhisanError


class CursorMovedError(ZhisanError):
    """Another reader of the same name has moved the cursor: two programs run on one database."""

    def __init__(self, name: str, position: int) -> None:
        super().__init__(f"cursor {name} is no longer at {position}: does a second cloud use this database?")
        self.name = name
        self.position = position


async def position_of(session: AsyncSession, name: str) -> int:
    """Where the reader stands; 0 before it has read anything."""
    row = await session.get(CursorRow, name)
    return 0 if row is None else row.position


async def advance(session: AsyncSession, name: str, *, expected: int, to: int) -> None:
    """Move the cursor in this transaction, if it still stands where the reader began.

    Raises:
        CursorMovedError: it does not, and what was read may have been done by another.
    """
    row = await session.get(CursorRow, name)
    if row is None and expected == 0:
        session.add(CursorRow(name=name, position=to))
        await session.flush()
        return
    statement = update(CursorRow).where(CursorRow.name == name, CursorRow.position == expected).values(position=to)
    moved = await session.execute(statement.returning(CursorRow.name))
    if moved.first() is None:
        raise CursorMovedError(name, expected)


async def rewind(session: AsyncSession, name: str) -> None:
    """Let the reader begin again."""
    await session.execute(update(CursorRow).where(CursorRow.name == name).values(position=0))
