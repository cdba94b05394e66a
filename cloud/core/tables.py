"""The base of every table: names of constraints, column types, and the tables that core itself keeps."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
NAME_CHARACTERS_MAX = 128
RowId = BigInteger().with_variant(Integer(), "sqlite")
"""A key that the database counts up: SQLite counts only columns declared INTEGER."""


class Base(DeclarativeBase):
    """All tables; times are UTC milliseconds in 64-bit integers."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own form
        int: BigInteger(),
        str: String(NAME_CHARACTERS_MAX),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
    }


class EventRow(Base):
    """What happened, written in the transaction in which it happened; ids rise and are never used again."""

    __tablename__ = "events"
    __table_args__ = (Index(None, "tenant_id", "event_id"), {"sqlite_autoincrement": True})

    event_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    tenant_id: Mapped[str]
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_ms: Mapped[int]


class CursorRow(Base):
    """How far a named reader has come, moved in the same transaction as what it did with what it read."""

    __tablename__ = "cursors"

    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
