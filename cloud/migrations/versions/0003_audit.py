"""The audit log, which the database itself lets nobody change."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

REFUSALS = {verb: f"audit_refuses_{verb.lower()}" for verb in ("UPDATE", "DELETE")}
FINAL = "the audit log is final"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("audit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor_kind", sa.String(length=128), nullable=False),
        sa.Column("actor_id", sa.String(length=128), nullable=False),
        sa.Column("actor_name", sa.String(length=128), nullable=False),
        sa.Column("address", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=128), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_tenant_id_audit_id"), "audit", ["tenant_id", "audit_id"])
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        for verb, name in REFUSALS.items():
            op.execute(f"CREATE TRIGGER {name} BEFORE {verb} ON audit BEGIN SELECT RAISE(ABORT, '{FINAL}'); END")
    elif dialect == "postgresql":
        _refuse_in_postgresql()


def downgrade() -> None:
    op.drop_table("audit")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_refuses()")


def _refuse_in_postgresql() -> None:
    """A trigger that raises; TRUNCATE passes row triggers by, so it has one of its own."""
    op.execute(
        "CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{FINAL}'; END $$"
    )
    for verb, name in REFUSALS.items():
        op.execute(f"CREATE TRIGGER {name} BEFORE {verb} ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuses()")
    op.execute(
        "CREATE TRIGGER audit_refuses_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT "
        "EXECUTE FUNCTION audit_refuses()"
    )
