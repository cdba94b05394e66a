"""The tables of success plans: a plan a customer, its goals, and the reviews that were held."""

from uuid import UUID

from sqlalchemy import Index, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base


class PlanRow(Base):
    """A customer's success plan; its reviews follow from `start_day`, `version` rises with whatever is saved of it."""

    __tablename__ = "tiering_plans"
    __table_args__ = (Index(None, "tenant_id", "customer_id"),)

    customer_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    summary: Mapped[str] = mapped_column(Text)
    owner: Mapped[str]
    start_day: Mapped[int]
    changed_ms: Mapped[int]
    changed_by: Mapped[str]
    version: Mapped[int]


class GoalRow(Base):
    """A goal of a plan: what is measured, how much is wanted by when, and how much it was last."""

    __tablename__ = "tiering_goals"
    __table_args__ = (Index(None, "tenant_id", "customer_id", "due_day"),)

    goal_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    customer_id: Mapped[UUID] = mapped_column(Uuid())
    title: Mapped[str]
    measure: Mapped[str]
    target: Mapped[float]
    actual: Mapped[float | None]
    due_day: Mapped[int]
    state: Mapped[str]
    changed_ms: Mapped[int]


class HeldReviewRow(Base):
    """A review that was held, and what came of it."""

    __tablename__ = "tiering_reviews"
    __table_args__ = (Index(None, "tenant_id", "customer_id"),)

    customer_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tenant_id: Mapped[str]
    note: Mapped[str] = mapped_column(Text)
    held_ms: Mapped[int]
    held_by: Mapped[str]
