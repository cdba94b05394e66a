"""The table of dead letters."""

from sqlalchemy import Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base, RowId


class DeadLetterRow(Base):
    """A message that nothing could be made of; the newest are kept, for people to look at."""

    __tablename__ = "dead_letters"
    __table_args__ = (Index(None, "received_ms"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    received_ms: Mapped[int]
    topic: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
