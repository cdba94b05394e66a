"""Serving: options and what was sold of them, rules, margins; invoices with tax, lines, payments and credit notes."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None
NAME = sa.String(length=128)


def _names(*columns: str) -> list[sa.Column[str]]:
    return [sa.Column(column, NAME, nullable=False) for column in columns]


def _numbers(*columns: str, is_nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(column, sa.BigInteger(), nullable=is_nullable) for column in columns]


def _ids(*columns: str) -> list[sa.Column[UUID]]:
    return [sa.Column(column, sa.Uuid(), nullable=False) for column in columns]


def _text(column: str) -> sa.Column[str]:
    return sa.Column(column, sa.Text(), nullable=False)


def _double(column: str) -> sa.Column[float]:
    return sa.Column(column, sa.Double(), nullable=False)


def upgrade() -> None:
    _options()
    _sold()
    _rules()
    _invoices()
    _payments()


def _options() -> None:
    op.create_table(
        "serving_options",
        *_names("tenant_id", "code"),
        *_numbers("version"),
        sa.Column("option", sa.JSON(), nullable=False),
        *_numbers("saved_ms"),
        *_names("saved_by"),
        sa.PrimaryKeyConstraint("tenant_id", "code", "version", name=op.f("pk_serving_options")),
    )


def _sold() -> None:
    op.create_table(
        "serving_sold",
        *_ids("sold_id"),
        *_names("tenant_id"),
        *_ids("customer_id"),
        *_names("code"),
        *_numbers("version"),
        sa.Column("is_custom", sa.Boolean(), nullable=False),
        _text("scope"),
        *_names("billing"),
        *_numbers("price_minor"),
        *_names("currency"),
        _double("effort_h"),
        _double("booked_h"),
        *_names("state"),
        *_numbers("quoted_ms"),
        *_names("quoted_by"),
        *_numbers("changed_ms"),
        *_numbers("delivered_ms", "next_charge_ms", is_nullable=True),
        *_numbers("charges"),
        sa.PrimaryKeyConstraint("sold_id", name=op.f("pk_serving_sold")),
    )
    for columns in (["tenant_id", "customer_id", "sold_id"], ["tenant_id", "state", "sold_id"], ["next_charge_ms"]):
        op.create_index(op.f(f"ix_serving_sold_{'_'.join(columns)}"), "serving_sold", columns)
    op.create_table(
        "serving_sold_steps",
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        *_names("tenant_id"),
        *_ids("sold_id"),
        *_names("state"),
        *_numbers("at_ms"),
        *_names("by"),
        _text("note"),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_serving_sold_steps")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_serving_sold_steps_sold_id_entry_id"), "serving_sold_steps", ["sold_id", "entry_id"])
    op.create_table(
        "serving_bookings",
        *_ids("booking_id"),
        *_names("tenant_id"),
        *_ids("sold_id"),
        *_numbers("day"),
        _double("hours"),
        _text("note"),
        *_numbers("made_ms"),
        *_names("made_by"),
        sa.PrimaryKeyConstraint("booking_id", name=op.f("pk_serving_bookings")),
    )
    op.create_index(op.f("ix_serving_bookings_sold_id_booking_id"), "serving_bookings", ["sold_id", "booking_id"])


def _rules() -> None:
    op.create_table(
        "serving_rules",
        *_names("tenant_id"),
        *_numbers("version"),
        sa.Column("rules", sa.JSON(), nullable=False),
        *_numbers("saved_ms"),
        *_names("saved_by"),
        sa.PrimaryKeyConstraint("tenant_id", "version", name=op.f("pk_serving_rules")),
    )
    op.create_table(
        "serving_low_margins",
        *_ids("customer_id"),
        *_names("tenant_id"),
        *_numbers("since_ms"),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_serving_low_margins")),
    )
    op.create_index(
        op.f("ix_serving_low_margins_tenant_id_customer_id"), "serving_low_margins", ["tenant_id", "customer_id"]
    )


def _invoices() -> None:
    with op.batch_alter_table("invoices") as invoices:
        for column in ("net_minor", "tax_rate_bp", "tax_minor", "paid_minor", "reminders"):
            invoices.add_column(sa.Column(column, sa.BigInteger(), nullable=False, server_default="0"))
        invoices.add_column(sa.Column("tax_names", sa.JSON(), nullable=False, server_default="{}"))
        invoices.add_column(sa.Column("reason", sa.Text(), nullable=False, server_default=""))
        invoices.add_column(sa.Column("credits_id", sa.Uuid(), nullable=True))
        invoices.add_column(sa.Column("cancelled_ms", sa.BigInteger(), nullable=True))
        invoices.add_column(sa.Column("evidence_of", sa.Uuid(), nullable=True))
    op.execute("UPDATE invoices SET net_minor = amount_minor")
    with op.batch_alter_table("invoices") as invoices:
        for column in ("net_minor", "tax_rate_bp", "tax_minor", "paid_minor", "reminders"):
            invoices.alter_column(column, existing_type=sa.BigInteger(), server_default=None)
        invoices.alter_column("tax_names", existing_type=sa.JSON(), server_default=None)
        invoices.alter_column("reason", existing_type=sa.Text(), server_default=None)
    op.create_index(op.f("ix_invoices_paid_ms_due_ms"), "invoices", ["paid_ms", "due_ms"])


def _payments() -> None:
    op.create_table(
        "charges",
        *_ids("charge_id"),
        *_names("tenant_id"),
        sa.Column("names", sa.JSON(), nullable=False),
        *_numbers("amount_minor"),
        *_names("currency"),
        *_numbers("from_ms"),
        *_numbers("until_ms", is_nullable=True),
        *_names("reference"),
        *_numbers("made_ms"),
        sa.Column("invoice_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("charge_id", name=op.f("pk_charges")),
        sa.UniqueConstraint("tenant_id", "reference", name=op.f("uq_charges_tenant_id_reference")),
    )
    op.create_index(op.f("ix_charges_tenant_id_invoice_id"), "charges", ["tenant_id", "invoice_id"])
    op.create_table(
        "payments",
        *_ids("payment_id"),
        *_names("tenant_id"),
        *_ids("invoice_id"),
        *_numbers("day", "amount_minor"),
        *_names("reference"),
        *_numbers("made_ms"),
        *_names("made_by"),
        sa.Column("evidence_of", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_payments")),
        sa.UniqueConstraint("invoice_id", "reference", name=op.f("uq_payments_invoice_id_reference")),
    )
    op.create_index(op.f("ix_payments_tenant_id_payment_id"), "payments", ["tenant_id", "payment_id"])


def downgrade() -> None:
    for table in ("payments", "charges"):
        op.drop_table(table)
    op.drop_index(op.f("ix_invoices_paid_ms_due_ms"), "invoices")
    with op.batch_alter_table("invoices") as invoices:
        for column in ("net_minor", "tax_names", "tax_rate_bp", "tax_minor", "paid_minor", "reminders", "credits_id"):
            invoices.drop_column(column)
        for column in ("cancelled_ms", "reason", "evidence_of"):
            invoices.drop_column(column)
    for table in ("low_margins", "rules", "bookings", "sold_steps", "sold", "options"):
        op.drop_table(f"serving_{table}")
