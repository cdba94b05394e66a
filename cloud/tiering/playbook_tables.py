"""The tables of playbooks: their versions, the tasks that came of them, and when they were last looked at."""

from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base


class PlaybooksRow(Base):
    """A version of a company's playbooks; the newest holds."""

    __tablename__ = "tiering_playbooks"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    shelf: Mapped[dict[str, Any]]
    saved_ms: Mapped[int]
    saved_by: Mapped[str]


class TaskRow(Base):
    """A task of a playbook for a customer: open, done or dismissed; `figure` is what started it.

    `manager_id` is whose it is; without one it is in the queue of its role. `merge_id` is the merge that has moved it.
    """

    __tablename__ = "tiering_tasks"
    __table_args__ = (
        Index(None, "tenant_id", "customer_id", "task_id"),
        Index(None, "tenant_id", "state", "due_day"),
    )

    task_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    customer_id: Mapped[UUID] = mapped_column(Uuid())
    playbook: Mapped[str]
    trigger: Mapped[str]
    figure: Mapped[float]
    title: Mapped[str]
    owner_role: Mapped[str]
    opened_day: Mapped[int]
    due_day: Mapped[int]
    state: Mapped[str]
    reason: Mapped[str] = mapped_column(Text)
    closed_ms: Mapped[int | None]
    closed_by: Mapped[str]
    manager_id: Mapped[UUID | None] = mapped_column(Uuid())
    merge_id: Mapped[UUID | None] = mapped_column(Uuid())


class MessageRow(Base):
    """What a playbook has told a customer's company; `to_tenant_id` is that company, who reads it on its own pages."""

    __tablename__ = "tiering_messages"
    __table_args__ = (
        Index(None, "to_tenant_id", "message_id"),
        Index(None, "tenant_id", "customer_id", "message_id"),
    )

    message_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    customer_id: Mapped[UUID] = mapped_column(Uuid())
    to_tenant_id: Mapped[str]
    playbook: Mapped[str]
    text_zh: Mapped[str] = mapped_column(Text)
    text_en: Mapped[str] = mapped_column(Text)
    sent_ms: Mapped[int]
    read_ms: Mapped[int | None]
    read_by: Mapped[str]


class EvaluationRow(Base):
    """When a company's playbooks were last looked at, and after which scoring run."""

    __tablename__ = "tiering_evaluations"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[int]
    run_id: Mapped[UUID | None] = mapped_column(Uuid())
    opened: Mapped[int]
