"""Tiering: evidence packed for scoring, and how far a run is."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tiering_packs",
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("number", "last_id", "rows")),
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in ("owners", "body")),
        sa.PrimaryKeyConstraint("tenant_id", "number", name=op.f("pk_tiering_packs")),
    )
    with op.batch_alter_table("tiering_runs") as runs:
        runs.add_column(sa.Column("step", sa.String(length=128), nullable=False, server_default=""))
        runs.add_column(sa.Column("percent", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("tiering_runs") as runs:
        runs.alter_column("step", existing_type=sa.String(length=128), server_default=None)
        runs.alter_column("percent", existing_type=sa.BigInteger(), server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("tiering_runs") as runs:
        for column in ("percent", "step"):
            runs.drop_column(column)
    op.drop_table("tiering_packs")
