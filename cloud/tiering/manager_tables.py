"""The tables of customer-success managers: who they are, where customers are, and who looks after whom."""

from typing import Any
from uuid import UUID

from sqlalchemy import Index, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base


class ManagerRow(Base):
    """A customer-success manager; one who has left keeps its row, so that the past can be read."""

    __tablename__ = "tiering_managers"
    __table_args__ = (Index(None, "tenant_id", "manager_id"),)

    manager_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    name: Mapped[str]
    capacity: Mapped[int]
    sectors: Mapped[list[Any]]
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    reach_km: Mapped[float | None]
    is_active: Mapped[bool]
    changed_ms: Mapped[int]


class CareRow(Base):
    """Where a customer is, and which manager looks after it."""

    __tablename__ = "tiering_care"
    __table_args__ = (Index(None, "tenant_id", "customer_id"),)

    customer_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    manager_id: Mapped[UUID | None] = mapped_column(Uuid())
    from_ms: Mapped[int | None]
    changed_by: Mapped[str]
