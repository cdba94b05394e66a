"""Entitlements: versions of the catalogue, tiers of tenants, overrides; which presses are beyond their plan."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def _name(column: str, *, is_nullable: bool = False) -> sa.Column[str]:
    return sa.Column(column, sa.String(length=128), nullable=is_nullable)


def _number(column: str, *, is_nullable: bool = False) -> sa.Column[int]:
    return sa.Column(column, sa.BigInteger(), nullable=is_nullable)


def upgrade() -> None:
    op.create_table(
        "entitlement_catalogues",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tiers", sa.JSON(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        _name("made_by"),
        _number("made_ms"),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_entitlement_catalogues")),
    )
    op.create_table(
        "tier_assignments",
        sa.Column("assignment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        *(_name(column) for column in ("tenant_id", "tier")),
        sa.Column("reason", sa.Text(), nullable=False),
        _name("by"),
        _number("at_ms"),
        sa.PrimaryKeyConstraint("assignment_id", name=op.f("pk_tier_assignments")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tier_assignments_tenant_id_at_ms"), "tier_assignments", ["tenant_id", "at_ms"])
    op.create_table(
        "entitlement_overrides",
        sa.Column("override_id", sa.Uuid(), nullable=False),
        *(_name(column) for column in ("tenant_id", "entitlement")),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        *(_name(column) for column in ("owner", "made_by")),
        *(_number(column) for column in ("made_ms", "expires_ms")),
        _name("ended_by", is_nullable=True),
        _number("ended_ms", is_nullable=True),
        sa.PrimaryKeyConstraint("override_id", name=op.f("pk_entitlement_overrides")),
    )
    op.create_index(
        op.f("ix_entitlement_overrides_tenant_id_made_ms"), "entitlement_overrides", ["tenant_id", "made_ms"]
    )
    changes = op.create_table(
        "entitlement_changes",
        sa.Column("count_id", sa.BigInteger(), autoincrement=False, nullable=False),
        _number("changes"),
        sa.PrimaryKeyConstraint("count_id", name=op.f("pk_entitlement_changes")),
    )
    op.bulk_insert(changes, [{"count_id": 1, "changes": 0}])
    with op.batch_alter_table("presses") as presses:
        presses.add_column(sa.Column("is_beyond_plan", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("presses") as presses:
        presses.alter_column("is_beyond_plan", existing_type=sa.Boolean(), server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("presses") as presses:
        presses.drop_column("is_beyond_plan")
    for table in ("entitlement_changes", "entitlement_overrides", "tier_assignments", "entitlement_catalogues"):
        op.drop_table(table)
