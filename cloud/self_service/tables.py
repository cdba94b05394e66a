"""The tables of self-service: sign-ups under way, what was accepted, subscriptions, invoices, requests for help."""

from uuid import UUID

from sqlalchemy import Index, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base


class SignupRow(Base):
    """A company that has asked for an account and has not confirmed its address yet; of the link only the hash."""

    __tablename__ = "signups"
    __table_args__ = (Index(None, "expires_ms"),)

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    company: Mapped[str]
    name: Mapped[str]
    email: Mapped[str]
    pack_id: Mapped[str]
    terms_version: Mapped[str]
    language: Mapped[str]
    address: Mapped[str]
    asked_ms: Mapped[int]
    expires_ms: Mapped[int]


class AcceptanceRow(Base):
    """Which version of the terms a company has accepted, by whom, when and from where; only ever added to."""

    __tablename__ = "terms_acceptances"
    __table_args__ = (Index(None, "tenant_id", "accepted_ms"),)

    acceptance_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    version: Mapped[str]
    sha256: Mapped[str]
    """Of the text in the language in which it was read."""
    language: Mapped[str]
    login: Mapped[str]
    address: Mapped[str]
    accepted_ms: Mapped[int]


class SubscriptionRow(Base):
    """The pack of a company that signed up by itself, at the price of then."""

    __tablename__ = "subscriptions"
    __table_args__ = (Index(None, "next_invoice_ms"),)

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    pack_id: Mapped[str]
    price_minor: Mapped[int]
    currency: Mapped[str]
    began_ms: Mapped[int]
    next_invoice_ms: Mapped[int]


class InvoiceRow(Base):
    """One invoice: whole minor units of a currency, for a time."""

    __tablename__ = "invoices"
    __table_args__ = (Index(None, "tenant_id", "invoice_id"),)

    invoice_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    tenant_id: Mapped[str]
    company: Mapped[str]
    pack_id: Mapped[str]
    from_ms: Mapped[int]
    until_ms: Mapped[int]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    issued_ms: Mapped[int]
    due_ms: Mapped[int]
    paid_ms: Mapped[int | None]


class SupportRow(Base):
    """A request for help: each is a touch of a human, and the aim is none."""

    __tablename__ = "support_requests"
    __table_args__ = (Index(None, "tenant_id", "request_id"), Index(None, "asked_ms"))

    request_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    login: Mapped[str]
    text: Mapped[str] = mapped_column(Text)
    diagnosis: Mapped[str]
    """What guided diagnosis had found by then, as words of its own; empty for nothing."""
    asked_ms: Mapped[int]
    due_ms: Mapped[int | None]
    """By when the plan promises an answer."""
    answer: Mapped[str] = mapped_column(Text)
    answered_by: Mapped[str]
    answered_ms: Mapped[int | None]
