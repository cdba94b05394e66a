"""Tiering: success plans, their goals, and the reviews that were held."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def _name(column: str) -> sa.Column[str]:
    return sa.Column(column, sa.String(length=128), nullable=False)


def _number(column: str) -> sa.Column[int]:
    return sa.Column(column, sa.BigInteger(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "tiering_plans",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        _name("tenant_id"),
        sa.Column("summary", sa.Text(), nullable=False),
        _name("owner"),
        _number("start_day"),
        _number("changed_ms"),
        _name("changed_by"),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_tiering_plans")),
    )
    op.create_index(op.f("ix_tiering_plans_tenant_id_customer_id"), "tiering_plans", ["tenant_id", "customer_id"])
    op.create_table(
        "tiering_goals",
        sa.Column("goal_id", sa.Uuid(), nullable=False),
        _name("tenant_id"),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        _name("title"),
        _name("measure"),
        sa.Column("target", sa.Double(), nullable=False),
        sa.Column("actual", sa.Double(), nullable=True),
        _number("due_day"),
        _name("state"),
        _number("changed_ms"),
        sa.PrimaryKeyConstraint("goal_id", name=op.f("pk_tiering_goals")),
    )
    columns = ["tenant_id", "customer_id", "due_day"]
    op.create_index(op.f("ix_tiering_goals_tenant_id_customer_id_due_day"), "tiering_goals", columns)
    op.create_table(
        "tiering_reviews",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        _number("number"),
        _name("tenant_id"),
        sa.Column("note", sa.Text(), nullable=False),
        _number("held_ms"),
        _name("held_by"),
        sa.PrimaryKeyConstraint("customer_id", "number", name=op.f("pk_tiering_reviews")),
    )
    op.create_index(op.f("ix_tiering_reviews_tenant_id_customer_id"), "tiering_reviews", ["tenant_id", "customer_id"])


def downgrade() -> None:
    for table in ("reviews", "goals", "plans"):
        op.drop_table(f"tiering_{table}")
