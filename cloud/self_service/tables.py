"""The tables of self-service: sign-ups, what was accepted, subscriptions, invoices, payments, requests for help."""

from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text, UniqueConstraint, Uuid
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
    """The pack of a company that signed up by itself, at the price of when it was chosen."""

    __tablename__ = "subscriptions"
    __table_args__ = (Index(None, "next_invoice_ms"),)

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    pack_id: Mapped[str]
    price_minor: Mapped[int]
    currency: Mapped[str]
    began_ms: Mapped[int]
    next_invoice_ms: Mapped[int]
    next_pack_id: Mapped[str]
    """The pack from the next month on; empty: the same."""


class InvoiceRow(Base):
    """One invoice, or the credit note that takes one back: whole minor units of a currency, for a time.

    `amount_minor` is with tax; of a credit note all amounts are below zero and `credits_id` is the invoice. What the
    pack costs is `net_minor` less the charges that are lines of it.
    """

    __tablename__ = "invoices"
    __table_args__ = (Index(None, "tenant_id", "invoice_id"), Index(None, "paid_ms", "due_ms"))

    invoice_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    tenant_id: Mapped[str]
    company: Mapped[str]
    pack_id: Mapped[str]
    from_ms: Mapped[int]
    until_ms: Mapped[int]
    net_minor: Mapped[int]
    tax_names: Mapped[dict[str, Any]]
    tax_rate_bp: Mapped[int]
    tax_minor: Mapped[int]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    issued_ms: Mapped[int]
    due_ms: Mapped[int]
    paid_minor: Mapped[int]
    paid_ms: Mapped[int | None]
    """When the last of it was recorded as paid; of a cancelled one and a credit note when they were settled by each
    other."""
    reminders: Mapped[int]
    credits_id: Mapped[UUID | None] = mapped_column(Uuid())
    cancelled_ms: Mapped[int | None]
    reason: Mapped[str] = mapped_column(Text)
    """Why it was cancelled."""
    evidence_of: Mapped[UUID | None] = mapped_column(Uuid())
    """The customer of tiering that it is evidence of."""


class ChargeRow(Base):
    """What a company owes beside its pack; a line of the invoice once there is one."""

    __tablename__ = "charges"
    __table_args__ = (Index(None, "tenant_id", "invoice_id"), UniqueConstraint("tenant_id", "reference"))

    charge_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    names: Mapped[dict[str, Any]]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    from_ms: Mapped[int]
    until_ms: Mapped[int | None]
    reference: Mapped[str]
    made_ms: Mapped[int]
    invoice_id: Mapped[UUID | None] = mapped_column(Uuid())


class PaymentRow(Base):
    """Money that came for an invoice, as somebody has recorded it; only ever added to."""

    __tablename__ = "payments"
    __table_args__ = (Index(None, "tenant_id", "payment_id"), UniqueConstraint("invoice_id", "reference"))

    payment_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    invoice_id: Mapped[UUID] = mapped_column(Uuid())
    day: Mapped[int]
    amount_minor: Mapped[int]
    reference: Mapped[str]
    made_ms: Mapped[int]
    made_by: Mapped[str]
    evidence_of: Mapped[UUID | None] = mapped_column(Uuid())


class SupportRow(Base):
    """A request for help: each is a touch of a human, and the aim is none."""

    __tablename__ = "support_requests"
    __table_args__ = (
        Index(None, "tenant_id", "request_id"),
        Index(None, "asked_ms"),
        Index(None, "state", "due_ms"),
    )

    request_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    login: Mapped[str]
    text: Mapped[str] = mapped_column(Text)
    diagnosis: Mapped[str]
    """What guided diagnosis had found by then, as words of its own; empty for nothing."""
    asked_ms: Mapped[int]
    due_ms: Mapped[int | None]
    """By when the plan promises an answer to what waits, or promised the last one."""
    answered_by: Mapped[str]
    answered_ms: Mapped[int | None]
    """When, and by whom, it was first answered."""
    state: Mapped[str]
    waits_ms: Mapped[int]
    """Since when it waits for us; where it does not, when it was last told something."""
    closed_by: Mapped[str]
    evidence_of: Mapped[UUID | None] = mapped_column(Uuid())


class SupportMessageRow(Base):
    """What was said after a request was asked: by the company, or by support with the minutes that it took.

    An answer keeps since when it was waited for and by when it was promised.
    """

    __tablename__ = "support_messages"
    __table_args__ = (Index(None, "request_id", "message_id"), Index(None, "tenant_id", "is_staff", "made_ms"))

    message_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    request_id: Mapped[UUID] = mapped_column(Uuid())
    tenant_id: Mapped[str]
    is_staff: Mapped[bool]
    login: Mapped[str]
    text: Mapped[str] = mapped_column(Text)
    made_ms: Mapped[int]
    minutes: Mapped[int]
    waited_since_ms: Mapped[int | None]
    promised_ms: Mapped[int | None]
    evidence_of: Mapped[UUID | None] = mapped_column(Uuid())
