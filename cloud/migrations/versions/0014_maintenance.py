"""Maintenance: jobs, services of moulds, repairs without an alarm, shots of moulds over all time."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

COUNT_WHAT_IS_KNOWN = """
INSERT INTO mould_shots (tenant_id, mould_id, shots)
SELECT tenant_id, mould_id, CAST(SUM(shots) AS BIGINT) FROM production_hours
WHERE mould_id <> '' AND shots > 0 GROUP BY tenant_id, mould_id
"""


def _name(column: str, *, is_nullable: bool = False) -> sa.Column[str]:
    return sa.Column(column, sa.String(length=128), nullable=is_nullable)


def _number(column: str, *, is_nullable: bool = False) -> sa.Column[int]:
    return sa.Column(column, sa.BigInteger(), nullable=is_nullable)


def upgrade() -> None:
    op.create_table(
        "maintenance_jobs",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        *(_name(column) for column in ("tenant_id", "plant_id", "press_id", "mode", "state")),
        _number("start_ms", is_nullable=True),
        _number("end_ms", is_nullable=True),
        _name("who"),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("downtime_id", sa.Uuid(), nullable=True),
        sa.Column("repair_id", sa.Uuid(), nullable=True),
        _name("outcome"),
        sa.Column("found", sa.Text(), nullable=False),
        sa.Column("work", sa.Text(), nullable=False),
        _number("done_ms", is_nullable=True),
        _name("done_by"),
        sa.Column("labels", sa.JSON(), nullable=False),
        _number("made_ms"),
        _name("made_by"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_maintenance_jobs")),
    )
    for columns in (["tenant_id", "job_id"], ["tenant_id", "state", "start_ms"], ["tenant_id", "done_ms"]):
        op.create_index(op.f(f"ix_maintenance_jobs_{'_'.join(columns)}"), "maintenance_jobs", columns)
    op.create_table(
        "mould_services",
        _name("tenant_id"),
        _name("mould_id"),
        _number("interval_shots", is_nullable=True),
        _number("serviced_shots"),
        _number("serviced_ms", is_nullable=True),
        _name("serviced_by"),
        _number("previous_shots"),
        _number("previous_ms", is_nullable=True),
        _name("previous_by"),
        sa.PrimaryKeyConstraint("tenant_id", "mould_id", name=op.f("pk_mould_services")),
    )
    op.create_table(
        "press_repairs",
        sa.Column("repair_id", sa.Uuid(), nullable=False),
        *(_name(column) for column in ("tenant_id", "plant_id", "press_id")),
        _number("repaired_ms"),
        sa.PrimaryKeyConstraint("repair_id", name=op.f("pk_press_repairs")),
    )
    op.create_index(
        op.f("ix_press_repairs_tenant_id_plant_id_press_id"), "press_repairs", ["tenant_id", "plant_id", "press_id"]
    )
    op.create_table(
        "mould_shots",
        _name("tenant_id"),
        _name("mould_id"),
        _number("shots"),
        sa.PrimaryKeyConstraint("tenant_id", "mould_id", name=op.f("pk_mould_shots")),
    )
    op.execute(COUNT_WHAT_IS_KNOWN)


def downgrade() -> None:
    for table in ("mould_shots", "press_repairs", "mould_services", "maintenance_jobs"):
        op.drop_table(table)
