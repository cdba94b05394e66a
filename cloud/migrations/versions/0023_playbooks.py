"""Tiering: playbooks, the tasks that came of them, and when they were last looked at."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def _name(column: str) -> sa.Column[str]:
    return sa.Column(column, sa.String(length=128), nullable=False)


def _number(column: str, *, is_nullable: bool = False) -> sa.Column[int]:
    return sa.Column(column, sa.BigInteger(), nullable=is_nullable)


def upgrade() -> None:
    op.create_table(
        "tiering_playbooks",
        _name("tenant_id"),
        _number("version"),
        sa.Column("shelf", sa.JSON(), nullable=False),
        _number("saved_ms"),
        _name("saved_by"),
        sa.PrimaryKeyConstraint("tenant_id", "version", name=op.f("pk_tiering_playbooks")),
    )
    op.create_table(
        "tiering_tasks",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        _name("tenant_id"),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        _name("playbook"),
        _name("trigger"),
        sa.Column("figure", sa.Double(), nullable=False),
        *(_name(column) for column in ("title", "owner_role")),
        *(_number(column) for column in ("opened_day", "due_day")),
        _name("state"),
        sa.Column("reason", sa.Text(), nullable=False),
        _number("closed_ms", is_nullable=True),
        _name("closed_by"),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_tiering_tasks")),
    )
    for columns in (["tenant_id", "customer_id", "task_id"], ["tenant_id", "state", "due_day"]):
        op.create_index(op.f(f"ix_tiering_tasks_{'_'.join(columns)}"), "tiering_tasks", columns)
    op.create_table(
        "tiering_evaluations",
        _name("tenant_id"),
        _number("day"),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        _number("opened"),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tiering_evaluations")),
    )


def downgrade() -> None:
    for table in ("evaluations", "tasks", "playbooks"):
        op.drop_table(f"tiering_{table}")
