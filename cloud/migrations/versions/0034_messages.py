"""Tiering: messages of playbooks to customers' companies."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def _name(column: str) -> sa.Column[str]:
    return sa.Column(column, sa.String(length=128), nullable=False)


def upgrade() -> None:
    op.create_table(
        "tiering_messages",
        *(sa.Column(column, sa.Uuid(), nullable=False) for column in ("message_id", "customer_id")),
        *(_name(column) for column in ("tenant_id", "to_tenant_id", "playbook", "read_by")),
        *(sa.Column(column, sa.Text(), nullable=False) for column in ("text_zh", "text_en")),
        sa.Column("sent_ms", sa.BigInteger(), nullable=False),
        sa.Column("read_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_tiering_messages")),
    )
    op.create_index(
        op.f("ix_tiering_messages_to_tenant_id_message_id"), "tiering_messages", ["to_tenant_id", "message_id"]
    )
    op.create_index(
        op.f("ix_tiering_messages_tenant_id_customer_id_message_id"),
        "tiering_messages",
        ["tenant_id", "customer_id", "message_id"],
    )


def downgrade() -> None:
    op.drop_table("tiering_messages")
