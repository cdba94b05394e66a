"""Self-service: what is said in requests for help, where they stand, and whose evidence they are."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None
NAME = sa.String(length=128)


def _numbers(*columns: str, is_nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(column, sa.BigInteger(), nullable=is_nullable) for column in columns]


def upgrade() -> None:
    with op.batch_alter_table("support_requests") as requests:
        requests.add_column(sa.Column("state", NAME, nullable=False, server_default="open"))
        requests.add_column(sa.Column("waits_ms", sa.BigInteger(), nullable=False, server_default="0"))
        requests.add_column(sa.Column("closed_by", NAME, nullable=False, server_default=""))
        requests.add_column(sa.Column("evidence_of", sa.Uuid(), nullable=True))
        requests.drop_column("answer")  # no program has ever written one
    op.execute("UPDATE support_requests SET waits_ms = asked_ms")
    with op.batch_alter_table("support_requests") as requests:
        for column in ("state", "closed_by"):
            requests.alter_column(column, existing_type=NAME, server_default=None)
        requests.alter_column("waits_ms", existing_type=sa.BigInteger(), server_default=None)
    op.create_index(op.f("ix_support_requests_state_due_ms"), "support_requests", ["state", "due_ms"])
    op.create_table(
        "support_messages",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", NAME, nullable=False),
        sa.Column("is_staff", sa.Boolean(), nullable=False),
        sa.Column("login", NAME, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        *_numbers("made_ms", "minutes"),
        *_numbers("waited_since_ms", "promised_ms", is_nullable=True),
        sa.Column("evidence_of", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_support_messages")),
    )
    for columns in (["request_id", "message_id"], ["tenant_id", "is_staff", "made_ms"]):
        op.create_index(op.f(f"ix_support_messages_{'_'.join(columns)}"), "support_messages", columns)


def downgrade() -> None:
    op.drop_table("support_messages")
    op.drop_index(op.f("ix_support_requests_state_due_ms"), "support_requests")
    with op.batch_alter_table("support_requests") as requests:
        for column in ("state", "waits_ms", "closed_by", "evidence_of"):
            requests.drop_column(column)
        requests.add_column(sa.Column("answer", sa.Text(), nullable=False, server_default=""))
