"""The tables of serving: options in versions, sold options with their steps and hours, rules, margins that are low."""

from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base, RowId


class OptionRow(Base):
    """A version of an option; the newest holds, an older one is what was sold by it."""

    __tablename__ = "serving_options"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    option: Mapped[dict[str, Any]]
    saved_ms: Mapped[int]
    saved_by: Mapped[str]


class SoldRow(Base):
    """An option offered to a customer, at the price and effort of then; `next_charge_ms` of a monthly one that runs."""

    __tablename__ = "serving_sold"
    __table_args__ = (
        Index(None, "tenant_id", "customer_id", "sold_id"),
        Index(None, "tenant_id", "state", "sold_id"),
        Index(None, "next_charge_ms"),
    )

    sold_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    customer_id: Mapped[UUID] = mapped_column(Uuid())
    code: Mapped[str]
    version: Mapped[int]
    is_custom: Mapped[bool]
    scope: Mapped[str] = mapped_column(Text)
    billing: Mapped[str]
    price_minor: Mapped[int]
    currency: Mapped[str]
    effort_h: Mapped[float]
    booked_h: Mapped[float]
    state: Mapped[str]
    quoted_ms: Mapped[int]
    quoted_by: Mapped[str]
    changed_ms: Mapped[int]
    delivered_ms: Mapped[int | None]
    next_charge_ms: Mapped[int | None]
    charges: Mapped[int]


class SoldStepRow(Base):
    """A step of a sold option: what, when, by whom, and why; only ever added to."""

    __tablename__ = "serving_sold_steps"
    __table_args__ = (Index(None, "sold_id", "entry_id"), {"sqlite_autoincrement": True})

    entry_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    tenant_id: Mapped[str]
    sold_id: Mapped[UUID] = mapped_column(Uuid())
    state: Mapped[str]
    at_ms: Mapped[int]
    by: Mapped[str]
    note: Mapped[str] = mapped_column(Text)


class BookingRow(Base):
    """Hours of one person on one day for a sold option."""

    __tablename__ = "serving_bookings"
    __table_args__ = (Index(None, "sold_id", "booking_id"),)

    booking_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    sold_id: Mapped[UUID] = mapped_column(Uuid())
    day: Mapped[int]
    hours: Mapped[float]
    note: Mapped[str] = mapped_column(Text)
    made_ms: Mapped[int]
    made_by: Mapped[str]


class ServingRulesRow(Base):
    """A version of the rules of serving; the newest holds."""

    __tablename__ = "serving_rules"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rules: Mapped[dict[str, Any]]
    saved_ms: Mapped[int]
    saved_by: Mapped[str]


class LowMarginRow(Base):
    """A customer whose margin is too low, since when."""

    __tablename__ = "serving_low_margins"
    __table_args__ = (Index(None, "tenant_id", "customer_id"),)

    customer_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    since_ms: Mapped[int]


class ReportConsentRow(Base):
    """A tenant that lets the platform's people read its reports, since when and by whom."""

    __tablename__ = "serving_report_consents"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    given_ms: Mapped[int]
    given_by: Mapped[str]
