"""The tables of webhooks: endpoints without their secrets, and the outbox of deliveries."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base


class EndpointRow(Base):
    """A receiver as the settings name it; `is_gone` when it answered 410, until its address changes."""

    __tablename__ = "webhook_endpoints"

    name: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    url: Mapped[str] = mapped_column(Text)
    is_configured: Mapped[bool]
    is_gone: Mapped[bool]
    created_ms: Mapped[int]


class DeliveryRow(Base):
    """A call that is owed, was made, or was given up; `body` is what is signed, the same in every try."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint", "event_id"),
        Index(None, "endpoint", "state", "next_attempt_ms"),
        Index(None, "tenant_id", "delivery_id"),
    )

    delivery_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    endpoint: Mapped[str] = mapped_column(ForeignKey("webhook_endpoints.name"))
    event_id: Mapped[int]
    kind: Mapped[str]
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str]
    attempts: Mapped[int]
    created_ms: Mapped[int]
    next_attempt_ms: Mapped[int | None]
    delivered_ms: Mapped[int | None]
    last_attempt_ms: Mapped[int | None]
    last_status: Mapped[int | None]
    last_answer: Mapped[str] = mapped_column(Text)
    last_error: Mapped[str] = mapped_column(Text)
