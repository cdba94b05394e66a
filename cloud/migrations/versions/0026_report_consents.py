"""Serving: which tenants let the platform's people read their reports."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "serving_report_consents",
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("given_ms", sa.BigInteger(), nullable=False),
        sa.Column("given_by", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_serving_report_consents")),
    )


def downgrade() -> None:
    op.drop_table("serving_report_consents")
