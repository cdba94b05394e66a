"""Bundles, their trials, orders to gateways, guard figures, events, and labels of alarms."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

IS_RUNNING = sa.text("ended_ms IS NULL")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _name(column: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(column, sa.String(length=128), nullable=nullable)


def _ms(column: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(column, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    _bundles_and_rollouts()
    _orders_and_points()
    op.create_table(
        "alarm_labels",
        sa.Column("label_id", sa.Uuid(), nullable=False),
        _name("tenant_id"),
        sa.Column("alarm_id", sa.Uuid(), nullable=False),
        _name("plant_id"),
        _name("press_id"),
        _name("mode"),
        sa.Column("bundle_id", sa.String(length=12), nullable=False),
        _name("verdict"),
        sa.Column("comment", sa.Text(), nullable=False),
        _ms("shot_row_id", nullable=True),
        _ms("raised_ms"),
        _ms("labelled_ms"),
        _name("labelled_by"),
        sa.PrimaryKeyConstraint("label_id", name=op.f("pk_alarm_labels")),
        sa.UniqueConstraint("tenant_id", "alarm_id", name=op.f("uq_alarm_labels_tenant_id_alarm_id")),
    )
    op.create_index(op.f("ix_alarm_labels_tenant_id_label_id"), "alarm_labels", ["tenant_id", "label_id"])


def _bundles_and_rollouts() -> None:
    op.create_table(
        "model_bundles",
        _name("tenant_id"),
        _name("bundle_id"),
        _name("state"),
        _name("sha256"),
        _ms("size_bytes"),
        _name("key_id"),
        _name("features_hash"),
        sa.Column("card", sa.JSON(), nullable=False),
        _ms("uploaded_ms"),
        _name("uploaded_by"),
        sa.PrimaryKeyConstraint("tenant_id", "bundle_id", name=op.f("pk_model_bundles")),
    )
    op.create_index(op.f("ix_model_bundles_tenant_id_uploaded_ms"), "model_bundles", ["tenant_id", "uploaded_ms"])
    op.create_table(
        "model_rollouts",
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        _name("tenant_id"),
        _name("bundle_id"),
        _name("previous_id", nullable=True),
        _name("stage"),
        _name("outcome"),
        sa.Column("canaries", sa.JSON(), nullable=False),
        sa.Column("bounds", sa.JSON(), nullable=False),
        sa.Column("is_automatic", sa.Boolean(), nullable=False),
        _ms("stage_shots"),
        _ms("started_ms"),
        _name("started_by"),
        _ms("stage_ms"),
        _ms("ended_ms", nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("rollout_id", name=op.f("pk_model_rollouts")),
    )
    op.create_index(op.f("ix_model_rollouts_tenant_id_rollout_id"), "model_rollouts", ["tenant_id", "rollout_id"])
    op.create_index(
        "uq_model_rollouts_running",
        "model_rollouts",
        ["tenant_id"],
        unique=True,
        sqlite_where=IS_RUNNING,
        postgresql_where=IS_RUNNING,
    )
    op.create_table(
        "model_events",
        sa.Column("event_id", ROW_ID, nullable=False),
        _name("tenant_id"),
        _name("bundle_id"),
        sa.Column("rollout_id", sa.Uuid(), nullable=True),
        _ms("at_ms"),
        _name("kind"),
        _name("by"),
        _name("state_before", nullable=True),
        _name("state_after", nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_model_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_model_events_tenant_id_bundle_id_event_id"), "model_events", ["tenant_id", "bundle_id", "event_id"]
    )


def _orders_and_points() -> None:
    op.create_table(
        "model_orders",
        _name("plant_id"),
        _name("gateway_id"),
        _name("tenant_id"),
        _ms("revision"),
        sa.Column("wanted", sa.Text(), nullable=False),
        _ms("ordered_ms"),
        sa.Column("report", sa.Text(), nullable=False),
        _ms("reported_ms", nullable=True),
        sa.PrimaryKeyConstraint("plant_id", "gateway_id", name=op.f("pk_model_orders")),
    )
    op.create_index(
        op.f("ix_model_orders_tenant_id_plant_id_gateway_id"), "model_orders", ["tenant_id", "plant_id", "gateway_id"]
    )
    op.create_table(
        "model_guard_points",
        sa.Column("point_id", ROW_ID, nullable=False),
        sa.Column("rollout_id", sa.Uuid(), nullable=False),
        _ms("at_ms"),
        _name("stage"),
        sa.Column("new", sa.JSON(), nullable=False),
        sa.Column("beside", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("point_id", name=op.f("pk_model_guard_points")),
    )
    op.create_index(op.f("ix_model_guard_points_rollout_id_at_ms"), "model_guard_points", ["rollout_id", "at_ms"])


def downgrade() -> None:
    for table in (
        "alarm_labels",
        "model_guard_points",
        "model_orders",
        "model_events",
        "model_rollouts",
        "model_bundles",
    ):
        op.drop_table(table)
