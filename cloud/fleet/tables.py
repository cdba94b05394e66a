"""The tables of the fleet: plants, gateways, presses, and the births that survive a restart of the host."""

from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base


class PlantRow(Base):
    """A plant; Sparkplug knows it by its id alone, so the id is unique over all tenants."""

    __tablename__ = "plants"
    __table_args__ = (Index(None, "tenant_id", "plant_id"),)

    plant_id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    registered_ms: Mapped[int]
    display_name: Mapped[str] = mapped_column(default="")
    """What people call it; empty: by its id."""


class GatewayRow(Base):
    """A gateway; online ones turn stale at `stale_at_ms`."""

    __tablename__ = "gateways"
    __table_args__ = (Index(None, "tenant_id", "plant_id", "gateway_id"), Index(None, "state", "stale_at_ms"))

    plant_id: Mapped[str] = mapped_column(ForeignKey("plants.plant_id"), primary_key=True)
    gateway_id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    state: Mapped[str]
    state_since_ms: Mapped[int]
    stale_at_ms: Mapped[int]
    registered_ms: Mapped[int]
    born_ms: Mapped[int]
    last_seen_ms: Mapped[int]
    epoch: Mapped[str]
    bundle_id: Mapped[str]
    version: Mapped[str]
    clock_offset_s: Mapped[float | None]
    health: Mapped[dict[str, Any]]


class PressRow(Base):
    """A press; online ones turn stale at `stale_at_ms`. `cycle_gaps_ms` are the last gaps between live shots."""

    __tablename__ = "presses"
    __table_args__ = (
        ForeignKeyConstraint(["plant_id", "gateway_id"], ["gateways.plant_id", "gateways.gateway_id"]),
        Index(None, "tenant_id", "plant_id", "press_id"),
        Index(None, "plant_id", "gateway_id"),
        Index(None, "state", "stale_at_ms"),
    )

    plant_id: Mapped[str] = mapped_column(primary_key=True)
    press_id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    gateway_id: Mapped[str]
    state: Mapped[str]
    state_since_ms: Mapped[int]
    stale_at_ms: Mapped[int]
    registered_ms: Mapped[int]
    born_ms: Mapped[int]
    last_shot_ms: Mapped[int | None]
    expected_cycle_s: Mapped[float | None]
    cycle_gaps_ms: Mapped[list[Any]]
    is_beyond_plan: Mapped[bool] = mapped_column(default=False)
    """Whether its tenant's plan had no room for it when it was born; `plan.py` says whether it has by now."""


class BirthRow(Base):
    """The last birth as it came in; `press_id` is empty for the gateway's own."""

    __tablename__ = "births"

    plant_id: Mapped[str] = mapped_column(primary_key=True)
    gateway_id: Mapped[str] = mapped_column(primary_key=True)
    press_id: Mapped[str] = mapped_column(primary_key=True)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    born_ms: Mapped[int]
