"""Tiering: customer-success managers, where customers are, and who looks after whom."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def _name(column: str) -> sa.Column[str]:
    return sa.Column(column, sa.String(length=128), nullable=False)


def _float(column: str) -> sa.Column[float]:
    return sa.Column(column, sa.Double(), nullable=True)


def upgrade() -> None:
    op.create_table(
        "tiering_managers",
        sa.Column("manager_id", sa.Uuid(), nullable=False),
        *(_name(column) for column in ("tenant_id", "name")),
        sa.Column("capacity", sa.BigInteger(), nullable=False),
        sa.Column("sectors", sa.JSON(), nullable=False),
        *(_float(column) for column in ("latitude", "longitude", "reach_km")),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("manager_id", name=op.f("pk_tiering_managers")),
    )
    op.create_index(op.f("ix_tiering_managers_tenant_id_manager_id"), "tiering_managers", ["tenant_id", "manager_id"])
    op.create_table(
        "tiering_care",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        _name("tenant_id"),
        *(_float(column) for column in ("latitude", "longitude")),
        sa.Column("manager_id", sa.Uuid(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=True),
        _name("changed_by"),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_tiering_care")),
    )
    op.create_index(op.f("ix_tiering_care_tenant_id_customer_id"), "tiering_care", ["tenant_id", "customer_id"])


def downgrade() -> None:
    for table in ("care", "managers"):
        op.drop_table(f"tiering_{table}")
