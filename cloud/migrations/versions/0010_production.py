"""Production: counts by hour, expected cycle times, planned downtimes."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "production_hours",
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("hour_ms", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("press_id", sa.String(length=128), nullable=False),
        sa.Column("mould_id", sa.String(length=128), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("shots", "timed", "timed_ms", "graded", "good")
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id", "hour_ms", "plant_id", "press_id", "mould_id", name=op.f("pk_production_hours")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "expected_cycles",
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("press_id", sa.String(length=128), nullable=False),
        sa.Column("mould_id", sa.String(length=128), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("own_s", sa.Double(), nullable=True),
        sa.Column("set_s", sa.Double(), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("plant_id", "press_id", "mould_id", name=op.f("pk_expected_cycles")),
    )
    op.create_index(
        op.f("ix_expected_cycles_tenant_id_plant_id_press_id"), "expected_cycles", ["tenant_id", "plant_id", "press_id"]
    )
    op.create_table(
        "planned_downtimes",
        sa.Column("downtime_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("press_id", sa.String(length=128), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("downtime_id", name=op.f("pk_planned_downtimes")),
    )
    op.create_index(op.f("ix_planned_downtimes_tenant_id_end_ms"), "planned_downtimes", ["tenant_id", "end_ms"])


def downgrade() -> None:
    for table in ("planned_downtimes", "expected_cycles", "production_hours"):
        op.drop_table(table)
