"""Tiering: customers, evidence, imports, merges, policies, runs, scores, tiers, overrides."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _name(column: str, *, is_nullable: bool = False) -> sa.Column[str]:
    return sa.Column(column, sa.String(length=128), nullable=is_nullable)


def _number(column: str, *, is_nullable: bool = False) -> sa.Column[int]:
    return sa.Column(column, sa.BigInteger(), nullable=is_nullable)


def _uuid(column: str, *, is_nullable: bool = False) -> sa.Column[UUID]:
    return sa.Column(column, sa.Uuid(), nullable=is_nullable)


def _float(column: str, *, is_nullable: bool = False) -> sa.Column[float]:
    return sa.Column(column, sa.Double(), nullable=is_nullable)


def _text(column: str) -> sa.Column[str]:
    return sa.Column(column, sa.Text(), nullable=False)


def _json(column: str) -> sa.Column[object]:
    return sa.Column(column, sa.JSON(), nullable=False)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def upgrade() -> None:
    _customers()
    _files()
    _runs()
    _tiers()


def _customers() -> None:
    op.create_table(
        "tiering_customers",
        _uuid("customer_id"),
        *(_name(column) for column in ("tenant_id", "code", "name", "sector")),
        _name("linked_tenant_id", is_nullable=True),
        _uuid("merged_into", is_nullable=True),
        _name("tier"),
        _name("served_as"),
        *(_number(column) for column in ("since_day", "noticed_day", "made_ms")),
        _key("tiering_customers", "customer_id"),
        sa.UniqueConstraint("tenant_id", "code", name=op.f("uq_tiering_customers_tenant_id_code")),
    )
    _index("tiering_customers", "tenant_id", "customer_id")
    op.create_table(
        "tiering_evidence",
        sa.Column("evidence_id", COUNTED, autoincrement=True, nullable=False),
        _name("tenant_id"),
        _uuid("customer_id"),
        _name("kind"),
        _number("day"),
        _number("amount_minor", is_nullable=True),
        _number("told_minor", is_nullable=True),
        _name("told_currency"),
        _float("quantity", is_nullable=True),
        _name("source"),
        _uuid("import_id", is_nullable=True),
        _uuid("merge_id", is_nullable=True),
        _number("made_ms"),
        _key("tiering_evidence", "evidence_id"),
        sqlite_autoincrement=True,
    )
    _index("tiering_evidence", "tenant_id", "customer_id", "day")
    _index("tiering_evidence", "merge_id")


def _files() -> None:
    op.create_table(
        "tiering_imports",
        _uuid("import_id"),
        *(_name(column) for column in ("tenant_id", "what", "file_name")),
        *(_number(column) for column in ("rows", "known", "made_ms")),
        _name("made_by"),
        _key("tiering_imports", "import_id"),
    )
    _index("tiering_imports", "tenant_id", "import_id")
    op.create_table(
        "tiering_merges",
        _uuid("merge_id"),
        _name("tenant_id"),
        _uuid("kept_id"),
        _uuid("gone_id"),
        _number("moved"),
        _number("made_ms"),
        _name("made_by"),
        _number("undone_ms", is_nullable=True),
        _name("undone_by"),
        _key("tiering_merges", "merge_id"),
    )
    _index("tiering_merges", "tenant_id", "merge_id")


def _runs() -> None:
    op.create_table(
        "tiering_policies",
        _name("tenant_id"),
        _number("version"),
        _json("policy"),
        _number("saved_ms"),
        _name("saved_by"),
        _key("tiering_policies", "tenant_id", "version"),
    )
    op.create_table(
        "tiering_runs",
        _uuid("run_id"),
        _name("tenant_id"),
        _name("state"),
        *(_number(column) for column in ("day", "policy_version", "customers")),
        _json("figures"),
        _text("why"),
        _number("asked_ms"),
        _name("asked_by"),
        _number("ended_ms", is_nullable=True),
        _key("tiering_runs", "run_id"),
    )
    _index("tiering_runs", "tenant_id", "run_id")
    _index("tiering_runs", "state")
    op.create_table(
        "tiering_scores",
        _uuid("run_id"),
        _uuid("customer_id"),
        _name("tenant_id"),
        _number("rank"),
        _name("tier"),
        *(_float(column) for column in ("weighted", "topsis", "trust")),
        _number("revenue_minor"),
        _number("margin_minor"),
        _float("churn", is_nullable=True),
        _json("opened"),
        _key("tiering_scores", "run_id", "customer_id"),
    )
    _index("tiering_scores", "tenant_id", "customer_id", "run_id")
    _index("tiering_scores", "run_id", "rank")


def _tiers() -> None:
    op.create_table(
        "tiering_tiers",
        sa.Column("entry_id", COUNTED, autoincrement=True, nullable=False),
        _name("tenant_id"),
        _uuid("customer_id"),
        _name("tier"),
        _name("before"),
        _number("from_ms"),
        _name("why"),
        _text("note"),
        _uuid("run_id", is_nullable=True),
        _name("by"),
        _key("tiering_tiers", "entry_id"),
        sqlite_autoincrement=True,
    )
    _index("tiering_tiers", "tenant_id", "customer_id", "from_ms")
    op.create_table(
        "tiering_overrides",
        _uuid("override_id"),
        _name("tenant_id"),
        _uuid("customer_id"),
        _name("tier"),
        _text("reason"),
        _name("owner"),
        _number("from_ms"),
        _number("expires_ms"),
        _number("ended_ms", is_nullable=True),
        _key("tiering_overrides", "override_id"),
    )
    _index("tiering_overrides", "tenant_id", "customer_id", "from_ms")
    _index("tiering_overrides", "ended_ms", "expires_ms")


def downgrade() -> None:
    for table in ("overrides", "tiers", "scores", "runs", "policies", "merges", "imports", "evidence", "customers"):
        op.drop_table(f"tiering_{table}")
