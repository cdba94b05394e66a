"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _core()
    _fleet()
    _ingest()
    _alarms()
    _webhooks()


def downgrade() -> None:
    for table in (
        "deliveries",
        "webhook_endpoints",
        "alarm_trackers",
        "alarms",
        "dead_letters",
        "births",
        "presses",
        "gateways",
        "plants",
        "cursors",
        "events",
    ):
        op.drop_table(table)


def _core() -> None:
    op.create_table(
        "events",
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_events_tenant_id_event_id"), "events", ["tenant_id", "event_id"])
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cursors")),
    )


def _fleet() -> None:
    op.create_table(
        "plants",
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("registered_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plant_id", name=op.f("pk_plants")),
    )
    op.create_index(op.f("ix_plants_tenant_id_plant_id"), "plants", ["tenant_id", "plant_id"])
    op.create_table(
        "gateways",
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("gateway_id", sa.String(length=128), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("state_since_ms", sa.BigInteger(), nullable=False),
        sa.Column("stale_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("registered_ms", sa.BigInteger(), nullable=False),
        sa.Column("born_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.String(length=128), nullable=False),
        sa.Column("bundle_id", sa.String(length=128), nullable=False),
        sa.Column("version", sa.String(length=128), nullable=False),
        sa.Column("clock_offset_s", sa.Double(), nullable=True),
        sa.Column("health", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["plant_id"], ["plants.plant_id"], name=op.f("fk_gateways_plant_id_plants")),
        sa.PrimaryKeyConstraint("plant_id", "gateway_id", name=op.f("pk_gateways")),
    )
    op.create_index(op.f("ix_gateways_state_stale_at_ms"), "gateways", ["state", "stale_at_ms"])
    op.create_index(
        op.f("ix_gateways_tenant_id_plant_id_gateway_id"),
        "gateways",
        ["tenant_id", "plant_id", "gateway_id"],
    )
    op.create_table(
        "presses",
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("press_id", sa.String(length=128), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("gateway_id", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("state_since_ms", sa.BigInteger(), nullable=False),
        sa.Column("stale_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("registered_ms", sa.BigInteger(), nullable=False),
        sa.Column("born_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_shot_ms", sa.BigInteger(), nullable=True),
        sa.Column("expected_cycle_s", sa.Double(), nullable=True),
        sa.Column("cycle_gaps_ms", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plant_id", "gateway_id"],
            ["gateways.plant_id", "gateways.gateway_id"],
            name=op.f("fk_presses_plant_id_gateway_id_gateways"),
        ),
        sa.PrimaryKeyConstraint("plant_id", "press_id", name=op.f("pk_presses")),
    )
    op.create_index(op.f("ix_presses_plant_id_gateway_id"), "presses", ["plant_id", "gateway_id"])
    op.create_index(op.f("ix_presses_state_stale_at_ms"), "presses", ["state", "stale_at_ms"])
    op.create_index(op.f("ix_presses_tenant_id_plant_id_press_id"), "presses", ["tenant_id", "plant_id", "press_id"])
    op.create_table(
        "births",
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("gateway_id", sa.String(length=128), nullable=False),
        sa.Column("press_id", sa.String(length=128), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("born_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plant_id", "gateway_id", "press_id", name=op.f("pk_births")),
    )


def _ingest() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
    )
    op.create_index(op.f("ix_dead_letters_received_ms"), "dead_letters", ["received_ms"])


def _alarms() -> None:
    op.create_table(
        "alarms",
        sa.Column("alarm_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("press_id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("mode", sa.String(length=128), nullable=False),
        sa.Column("priority", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("first_over_ms", sa.BigInteger(), nullable=False),
        sa.Column("raised_ms", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_ms", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=128), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("cleared_ms", sa.BigInteger(), nullable=True),
        sa.Column("shot_row_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("alarm_id", name=op.f("pk_alarms")),
    )
    op.create_index(op.f("ix_alarms_tenant_id_alarm_id"), "alarms", ["tenant_id", "alarm_id"])
    op.create_index(
        op.f("ix_alarms_tenant_id_plant_id_press_id_alarm_id"),
        "alarms",
        ["tenant_id", "plant_id", "press_id", "alarm_id"],
    )
    op.create_index(op.f("ix_alarms_tenant_id_state_alarm_id"), "alarms", ["tenant_id", "state", "alarm_id"])
    op.create_index(
        "uq_alarms_active",
        "alarms",
        ["plant_id", "press_id", "kind", "mode"],
        unique=True,
        sqlite_where=sa.text("cleared_ms IS NULL"),
        postgresql_where=sa.text("cleared_ms IS NULL"),
    )
    op.create_table(
        "alarm_trackers",
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("press_id", sa.String(length=128), nullable=False),
        sa.Column("mode", sa.String(length=128), nullable=False),
        sa.Column("is_raised", sa.Boolean(), nullable=False),
        sa.Column("over_count", sa.BigInteger(), nullable=False),
        sa.Column("first_over_ms", sa.BigInteger(), nullable=True),
        sa.Column("under_count", sa.BigInteger(), nullable=False),
        sa.Column("last_ended_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("plant_id", "press_id", "mode", name=op.f("pk_alarm_trackers")),
    )


def _webhooks() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("is_configured", sa.Boolean(), nullable=False),
        sa.Column("is_gone", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_webhook_endpoints")),
    )
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("endpoint", sa.String(length=128), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=128), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_ms", sa.BigInteger(), nullable=True),
        sa.Column("delivered_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_attempt_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_status", sa.BigInteger(), nullable=True),
        sa.Column("last_answer", sa.Text(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint"], ["webhook_endpoints.name"], name=op.f("fk_deliveries_endpoint_webhook_endpoints")
        ),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("endpoint", "event_id", name=op.f("uq_deliveries_endpoint_event_id")),
    )
    op.create_index(
        op.f("ix_deliveries_endpoint_state_next_attempt_ms"),
        "deliveries",
        ["endpoint", "state", "next_attempt_ms"],
    )
    op.create_index(op.f("ix_deliveries_tenant_id_delivery_id"), "deliveries", ["tenant_id", "delivery_id"])
