"""Tiering: calendar addresses."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def _name(column: str) -> sa.Column[str]:
    return sa.Column(column, sa.String(length=128), nullable=False)


def upgrade() -> None:
    op.create_table(
        "tiering_feeds",
        sa.Column("feed_id", sa.Uuid(), nullable=False),
        *(_name(column) for column in ("tenant_id", "label", "token_hash")),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        _name("made_by"),
        *(sa.Column(column, sa.BigInteger(), nullable=True) for column in ("revoked_ms", "read_ms")),
        sa.PrimaryKeyConstraint("feed_id", name=op.f("pk_tiering_feeds")),
    )
    op.create_index(op.f("ix_tiering_feeds_tenant_id_feed_id"), "tiering_feeds", ["tenant_id", "feed_id"])
    op.create_index(op.f("ix_tiering_feeds_token_hash"), "tiering_feeds", ["token_hash"], unique=True)


def downgrade() -> None:
    op.drop_table("tiering_feeds")
