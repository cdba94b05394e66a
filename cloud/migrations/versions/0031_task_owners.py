"""Tiering: whose a task is, which merge has moved it, and how often a success plan was saved."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("tiering_tasks") as tasks:
        for column in ("manager_id", "merge_id"):
            tasks.add_column(sa.Column(column, sa.Uuid(), nullable=True))
    with op.batch_alter_table("tiering_plans") as plans:
        plans.add_column(sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"))
    with op.batch_alter_table("tiering_plans") as plans:
        plans.alter_column("version", existing_type=sa.BigInteger(), server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("tiering_plans") as plans:
        plans.drop_column("version")
    with op.batch_alter_table("tiering_tasks") as tasks:
        for column in ("merge_id", "manager_id"):
            tasks.drop_column(column)
