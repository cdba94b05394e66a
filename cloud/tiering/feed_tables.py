"""The table of calendar addresses: a secret, kept as its hash alone, for each calendar program that subscribes."""

from uuid import UUID

from sqlalchemy import Index, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base


class FeedRow(Base):
    """An address at which the reviews of all success plans are read without a session, until it is revoked."""

    __tablename__ = "tiering_feeds"
    __table_args__ = (Index(None, "tenant_id", "feed_id"), Index(None, "token_hash", unique=True))

    feed_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    label: Mapped[str]
    token_hash: Mapped[str]
    made_ms: Mapped[int]
    made_by: Mapped[str]
    revoked_ms: Mapped[int | None]
    read_ms: Mapped[int | None]
