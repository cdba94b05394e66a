"""Rules of alarms with their versions; alarms, points and trackers name their rule."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

NAME = sa.String(length=128)
IS_ACTIVE = sa.text("cleared_ms IS NULL")
POINT = ["plant_id", "press_id", "gateway_id", "kind", "mode"]
STANDARD = "'failure_probability', 'gateway_trouble'"
KEYS = {
    "alarm_points": POINT,
    "alarm_trackers": ["plant_id", "press_id", "mode"],
    "gateway_trouble_trackers": ["plant_id", "gateway_id", "mode"],
}
KEYS_NOW = {
    "alarm_points": [*POINT, "rule_id"],
    "alarm_trackers": ["plant_id", "press_id", "rule_id", "mode"],
    "gateway_trouble_trackers": ["plant_id", "gateway_id", "rule_id", "mode"],
}


def upgrade() -> None:
    with op.batch_alter_table("alarms") as alarms:
        alarms.add_column(sa.Column("rule_id", NAME, nullable=False, server_default=""))
        alarms.add_column(sa.Column("rule_version", sa.BigInteger(), nullable=True))
        alarms.add_column(sa.Column("value", sa.Double(), nullable=True))
        alarms.add_column(sa.Column("realarm_own_ms", sa.BigInteger(), nullable=True))
    for table, key in KEYS_NOW.items():
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("rule_id", NAME, nullable=False, server_default=""))
            batch.drop_constraint(f"pk_{table}", type_="primary")
            batch.create_primary_key(f"pk_{table}", key)
    with op.batch_alter_table("alarm_trackers") as trackers:
        trackers.add_column(sa.Column("memory", sa.JSON(), nullable=True))
    for table in ("alarms", "alarm_points"):
        op.execute(f"UPDATE {table} SET rule_id = 'standard.' || kind WHERE kind IN ({STANDARD})")  # noqa: S608
    op.execute("UPDATE alarm_trackers SET rule_id = 'standard.failure_probability'")
    op.execute("UPDATE gateway_trouble_trackers SET rule_id = 'standard.gateway_trouble'")
    for table in ("alarms", *KEYS_NOW):
        with op.batch_alter_table(table) as batch:
            batch.alter_column("rule_id", existing_type=NAME, existing_nullable=False, server_default=None)
    _only_one_active([*POINT, "rule_id"])
    op.create_index(op.f("ix_alarms_tenant_id_rule_id_alarm_id"), "alarms", ["tenant_id", "rule_id", "alarm_id"])
    _rules()


def _only_one_active(columns: list[str]) -> None:
    op.drop_index("uq_alarms_active", table_name="alarms")
    op.create_index(
        "uq_alarms_active", "alarms", columns, unique=True, sqlite_where=IS_ACTIVE, postgresql_where=IS_ACTIVE
    )


def _rules() -> None:
    op.create_table(
        "alarm_rules",
        sa.Column("tenant_id", NAME, nullable=False),
        sa.Column("rule_id", NAME, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", NAME, nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "rule_id", name=op.f("pk_alarm_rules")),
    )
    op.create_table(
        "alarm_rule_versions",
        sa.Column("tenant_id", NAME, nullable=False),
        sa.Column("rule_id", NAME, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("what", NAME, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        *(sa.Column(name, NAME, nullable=False) for name in ("actor_kind", "actor_id", "actor_name")),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "rule_id", "version", name=op.f("pk_alarm_rule_versions")),
    )


def downgrade() -> None:
    """What other rules than the two standard ones have raised or hold is lost with them."""
    for table in ("alarm_rule_versions", "alarm_rules"):
        op.drop_table(table)
    known = "'', 'standard.failure_probability', 'standard.gateway_trouble'"
    for table in ("alarms", *KEYS):
        op.execute(f"DELETE FROM {table} WHERE rule_id NOT IN ({known})")  # noqa: S608 - made of the constants above
    op.drop_index(op.f("ix_alarms_tenant_id_rule_id_alarm_id"), table_name="alarms")
    _only_one_active(POINT)
    with op.batch_alter_table("alarm_trackers") as trackers:
        trackers.drop_column("memory")
    for table, key in KEYS.items():
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(f"pk_{table}", type_="primary")
            batch.create_primary_key(f"pk_{table}", key)
            batch.drop_column("rule_id")
    with op.batch_alter_table("alarms") as alarms:
        for name in ("rule_id", "rule_version", "value", "realarm_own_ms"):
            alarms.drop_column(name)
