"""Dead letters in the database: the newest of them, so that a flood of poison fills no disk."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.ingest.digest import DeadLetter
from cloud.ingest.tables import DeadLetterRow

LETTERS_MAX = 1_000
TOPIC_CHARS_MAX = 500


async def keep(session: AsyncSession, letters: Sequence[DeadLetter]) -> None:
    """Add letters to those kept, and let go of the oldest beyond LETTERS_MAX."""
    if not letters:
        return
    session.add_all(
        DeadLetterRow(
            received_ms=letter.received_ms,
            topic=letter.topic[:TOPIC_CHARS_MAX],
            reason=letter.reason,
            payload=letter.payload,
        )
        for letter in letters[-LETTERS_MAX:]
    )
    await session.flush()
    newest = select(DeadLetterRow.id).order_by(DeadLetterRow.id.desc()).limit(1).offset(LETTERS_MAX)
    too_old = await session.scalar(newest)
    if too_old is not None:
        await session.execute(delete(DeadLetterRow).where(DeadLetterRow.id <= too_old))
