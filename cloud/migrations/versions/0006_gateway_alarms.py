"""Alarms of gateways: what a journal without room gave up."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

IS_ACTIVE = sa.text("cleared_ms IS NULL")


def upgrade() -> None:
    op.drop_index("uq_alarms_active", table_name="alarms")
    with op.batch_alter_table("alarms") as alarms:
        alarms.add_column(sa.Column("gateway_id", sa.String(length=128), nullable=False, server_default=""))
        alarms.add_column(sa.Column("count", sa.BigInteger(), nullable=True))
        alarms.alter_column("probability", existing_type=sa.Float(), nullable=True)
        alarms.alter_column("threshold", existing_type=sa.Float(), nullable=True)
        alarms.alter_column("shot_row_id", existing_type=sa.BigInteger(), nullable=True)
    with op.batch_alter_table("alarms") as alarms:
        alarms.alter_column("gateway_id", existing_type=sa.String(length=128), server_default=None)
    _unique_active("plant_id", "press_id", "gateway_id", "kind", "mode")
    op.create_table(
        "gateway_trouble_trackers",
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("gateway_id", sa.String(length=128), nullable=False),
        sa.Column("mode", sa.String(length=128), nullable=False),
        sa.Column("is_raised", sa.Boolean(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("risen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plant_id", "gateway_id", "mode", name=op.f("pk_gateway_trouble_trackers")),
    )


def downgrade() -> None:
    op.drop_table("gateway_trouble_trackers")
    op.execute("DELETE FROM alarms WHERE gateway_id <> ''")
    op.drop_index("uq_alarms_active", table_name="alarms")
    with op.batch_alter_table("alarms") as alarms:
        alarms.drop_column("gateway_id")
        alarms.drop_column("count")
        alarms.alter_column("probability", existing_type=sa.Float(), nullable=False)
        alarms.alter_column("threshold", existing_type=sa.Float(), nullable=False)
        alarms.alter_column("shot_row_id", existing_type=sa.BigInteger(), nullable=False)
    _unique_active("plant_id", "press_id", "kind", "mode")


def _unique_active(*columns: str) -> None:
    op.create_index(
        "uq_alarms_active",
        "alarms",
        list(columns),
        unique=True,
        sqlite_where=IS_ACTIVE,
        postgresql_where=IS_ACTIVE,
    )
