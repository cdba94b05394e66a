"""The tables of webhooks: endpoints, the outbox of deliveries, and the log of tries."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base, RowId

IS_THERE = "removed_ms IS NULL"


class EndpointRow(Base):
    """A receiver of calls; address and secrets stand in `sealed`, and `url_shown` has no secret.

    The state of its circuit breaker, the time until which it asked to be left alone, and how its last calls went are
    kept here, so that a restart knows them.
    """

    __tablename__ = "endpoints"
    __table_args__ = (
        Index(
            "uq_endpoints_name",
            "tenant_id",
            "name",
            unique=True,
            sqlite_where=text(IS_THERE),
            postgresql_where=text(IS_THERE),
        ),
    )

    endpoint_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    name: Mapped[str]
    template: Mapped[str]
    language: Mapped[str]
    time_zone: Mapped[str]
    sealed: Mapped[str] = mapped_column(Text)
    url_shown: Mapped[str] = mapped_column(Text)
    old_secret_until_ms: Mapped[int | None]
    recipients: Mapped[list[Any]]
    kinds: Mapped[list[Any]]
    priority_min: Mapped[str | None]
    plants: Mapped[list[Any]]
    presses: Mapped[list[Any]]
    modes: Mapped[list[Any]]
    may_call_private: Mapped[bool]
    is_from_settings: Mapped[bool]
    is_enabled: Mapped[bool]
    disabled_reason: Mapped[str]
    """`gone`: it answered 410; `by_hand`; `removed`; empty while it is enabled."""
    created_ms: Mapped[int]
    removed_ms: Mapped[int | None]
    failures: Mapped[int]
    openings: Mapped[int]
    probe_at_ms: Mapped[int | None]
    resume_at_ms: Mapped[int | None]
    last_success_ms: Mapped[int | None]
    last_failure_ms: Mapped[int | None]
    last_error: Mapped[str] = mapped_column(Text)


class DeliveryRow(Base):
    """A call that is owed, was made, or was given up; `body` is the event, rendered anew for each try.

    Deliveries of an endpoint with the same `order_key` (the alarm's id) are made one after the other. One without
    `event_id` is a test. `give_up_ms` is when it becomes a dead letter.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        Index(None, "endpoint_id", "state", "next_attempt_ms"),
        Index(None, "endpoint_id", "order_key", "state", "event_id"),
        Index(None, "state", "give_up_ms"),
        Index(None, "tenant_id", "delivery_id"),
    )

    delivery_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("endpoints.endpoint_id"))
    event_id: Mapped[int | None]
    order_key: Mapped[str]
    kind: Mapped[str]
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str]
    attempts: Mapped[int]
    created_ms: Mapped[int]
    give_up_ms: Mapped[int]
    next_attempt_ms: Mapped[int | None]
    delivered_ms: Mapped[int | None]
    last_attempt_ms: Mapped[int | None]
    last_status: Mapped[int | None]
    last_answer: Mapped[str] = mapped_column(Text)
    last_error: Mapped[str] = mapped_column(Text)


class AttemptRow(Base):
    """One try: what was sent, its secrets starred out, and what came back."""

    __tablename__ = "delivery_attempts"
    __table_args__ = (Index(None, "delivery_id", "attempt_id"), {"sqlite_autoincrement": True})

    attempt_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("deliveries.delivery_id", ondelete="CASCADE"))
    started_ms: Mapped[int]
    duration_ms: Mapped[int]
    outcome: Mapped[str]
    url: Mapped[str] = mapped_column(Text)
    request_headers: Mapped[dict[str, Any]]
    request_body: Mapped[str] = mapped_column(Text)
    status: Mapped[int | None]
    answer_headers: Mapped[dict[str, Any]]
    answer: Mapped[str] = mapped_column(Text)
    error: Mapped[str] = mapped_column(Text)
