"""Self-service: sign-ups, accepted terms, subscriptions, invoices, requests for help."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def _names(*columns: str) -> list[sa.Column[str]]:
    return [sa.Column(column, sa.String(length=128), nullable=False) for column in columns]


def _numbers(*columns: str, is_nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(column, sa.BigInteger(), nullable=is_nullable) for column in columns]


def upgrade() -> None:
    op.create_table(
        "signups",
        *_names("token_hash", "company", "name", "email", "pack_id", "terms_version", "language", "address"),
        *_numbers("asked_ms", "expires_ms"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_signups")),
    )
    op.create_index(op.f("ix_signups_expires_ms"), "signups", ["expires_ms"])
    op.create_table(
        "terms_acceptances",
        sa.Column("acceptance_id", sa.Uuid(), nullable=False),
        *_names("tenant_id", "version", "sha256", "language", "login", "address"),
        *_numbers("accepted_ms"),
        sa.PrimaryKeyConstraint("acceptance_id", name=op.f("pk_terms_acceptances")),
    )
    op.create_index(
        op.f("ix_terms_acceptances_tenant_id_accepted_ms"), "terms_acceptances", ["tenant_id", "accepted_ms"]
    )
    op.create_table(
        "subscriptions",
        *_names("tenant_id", "pack_id"),
        *_numbers("price_minor"),
        *_names("currency"),
        *_numbers("began_ms", "next_invoice_ms"),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_subscriptions")),
    )
    op.create_index(op.f("ix_subscriptions_next_invoice_ms"), "subscriptions", ["next_invoice_ms"])
    op.create_table(
        "invoices",
        sa.Column("invoice_id", sa.Uuid(), nullable=False),
        *_names("number", "tenant_id", "company", "pack_id"),
        *_numbers("from_ms", "until_ms", "amount_minor"),
        *_names("currency"),
        *_numbers("issued_ms", "due_ms"),
        *_numbers("paid_ms", is_nullable=True),
        sa.PrimaryKeyConstraint("invoice_id", name=op.f("pk_invoices")),
        sa.UniqueConstraint("number", name=op.f("uq_invoices_number")),
    )
    op.create_index(op.f("ix_invoices_tenant_id_invoice_id"), "invoices", ["tenant_id", "invoice_id"])
    op.create_table(
        "support_requests",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        *_names("tenant_id", "login"),
        sa.Column("text", sa.Text(), nullable=False),
        *_names("diagnosis"),
        *_numbers("asked_ms"),
        *_numbers("due_ms", is_nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        *_names("answered_by"),
        *_numbers("answered_ms", is_nullable=True),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_support_requests")),
    )
    op.create_index(op.f("ix_support_requests_tenant_id_request_id"), "support_requests", ["tenant_id", "request_id"])
    op.create_index(op.f("ix_support_requests_asked_ms"), "support_requests", ["asked_ms"])


def downgrade() -> None:
    for table in ("support_requests", "invoices", "subscriptions", "terms_acceptances", "signups"):
        op.drop_table(table)
