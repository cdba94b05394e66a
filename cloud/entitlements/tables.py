"""The tables of entitlements: versions of the catalogue, tiers given, overrides, and the count of all changes."""

from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base, RowId


class CatalogueRow(Base):
    """One version of the catalogue; versions are never changed, only followed."""

    __tablename__ = "entitlement_catalogues"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tiers: Mapped[dict[str, Any]]
    why: Mapped[str] = mapped_column(Text)
    made_by: Mapped[str]
    made_ms: Mapped[int]


class AssignmentRow(Base):
    """A tier given to a tenant; the last is the one that holds."""

    __tablename__ = "tier_assignments"
    __table_args__ = (Index(None, "tenant_id", "at_ms"), {"sqlite_autoincrement": True})

    assignment_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    tenant_id: Mapped[str]
    tier: Mapped[str]
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str]
    at_ms: Mapped[int]


class OverrideRow(Base):
    """One entitlement of one tenant that is not its tier's; `ended_ms` where somebody ended it early."""

    __tablename__ = "entitlement_overrides"
    __table_args__ = (Index(None, "tenant_id", "made_ms"),)

    override_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    entitlement: Mapped[str]
    value: Mapped[dict[str, Any]]
    """`{"value": ...}`: a bare null in a JSON column is not told apart from none."""
    reason: Mapped[str] = mapped_column(Text)
    owner: Mapped[str]
    made_by: Mapped[str]
    made_ms: Mapped[int]
    expires_ms: Mapped[int]
    ended_by: Mapped[str | None]
    ended_ms: Mapped[int | None]


class ChangeCountRow(Base):
    """How often entitlements have changed, in one row: what is kept in memory is good while it stays the same."""

    __tablename__ = "entitlement_changes"

    count_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    changes: Mapped[int]
