"""The whole life of an alarm: points, history, floods, groups, escalation, assignment."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

IS_RUNNING = sa.text("ended_ms IS NULL")
NAME = sa.String(length=128)
COLUMNS = (
    ("cause", NAME, ""),
    ("group_order", sa.BigInteger(), "1"),
    ("is_latching", sa.Boolean(), sa.false()),
    ("is_held_back", sa.Boolean(), sa.false()),
    ("escalation_level", sa.BigInteger(), "0"),
)
NULLABLE = (
    ("reset_ms", sa.BigInteger()),
    ("announced_ms", sa.BigInteger()),
    ("escalate_ms", sa.BigInteger()),
    ("realarm_ms", sa.BigInteger()),
    ("assigned_to", NAME),
    ("assigned_name", NAME),
)
INDEXED = ("group_id", "is_held_back", "escalate_ms", "realarm_ms")
POINT = ("plant_id", "press_id", "gateway_id", "kind", "mode")
FUNCTION = "refuse_to_change_alarm_history"
TRIGGERS = {"UPDATE": "alarm_history_no_update", "DELETE": "alarm_history_no_delete"}
HELD = "the history of alarms is only ever added to"


def upgrade() -> None:
    with op.batch_alter_table("alarms") as alarms:
        for name, kind, default in COLUMNS:
            alarms.add_column(sa.Column(name, kind, nullable=False, server_default=default))
        for name, kind in NULLABLE:
            alarms.add_column(sa.Column(name, kind, nullable=True))
        alarms.add_column(sa.Column("group_id", sa.Uuid(), nullable=True))
    op.execute("UPDATE alarms SET cause = kind, group_id = alarm_id, announced_ms = raised_ms")
    with op.batch_alter_table("alarms") as alarms:
        for name, kind, _ in COLUMNS:
            alarms.alter_column(name, existing_type=kind, server_default=None)
        alarms.alter_column("group_id", existing_type=sa.Uuid(), nullable=False)
    op.create_index(op.f("ix_alarms_plant_id_press_id_gateway_id_kind_mode_alarm_id"), "alarms", [*POINT, "alarm_id"])
    for column in INDEXED:
        op.create_index(op.f(f"ix_alarms_{column}"), "alarms", [column])
    _points()
    _history()
    _floods()


def _points() -> None:
    op.create_table(
        "alarm_points",
        *(sa.Column(name, NAME, nullable=False) for name in POINT),
        sa.Column("tenant_id", NAME, nullable=False),
        sa.Column("shelved_ms", sa.BigInteger(), nullable=True),
        sa.Column("shelved_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("shelved_by", NAME, nullable=True),
        sa.Column("shelf_reason", sa.Text(), nullable=True),
        sa.Column("is_one_shot", sa.Boolean(), nullable=False),
        sa.Column("suppressed_ms", sa.BigInteger(), nullable=True),
        sa.Column("suppressed_by", NAME, nullable=True),
        sa.Column("suppression_reason", sa.Text(), nullable=True),
        sa.Column("taken_out_ms", sa.BigInteger(), nullable=True),
        sa.Column("taken_out_by", NAME, nullable=True),
        sa.Column("taken_out_reason", sa.Text(), nullable=True),
        sa.Column("delay_step", NAME, nullable=True),
        sa.Column("delay_due_ms", sa.BigInteger(), nullable=True),
        sa.Column("delay_raising", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint(*POINT, name=op.f("pk_alarm_points")),
    )
    for column in ("tenant_id", "shelved_until_ms", "delay_due_ms"):
        op.create_index(op.f(f"ix_alarm_points_{column}"), "alarm_points", [column])


def _history() -> None:
    op.create_table(
        "alarm_history",
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant_id", NAME, nullable=False),
        sa.Column("alarm_id", sa.Uuid(), nullable=True),
        *(sa.Column(name, NAME, nullable=False) for name in (*POINT, "priority")),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        *(sa.Column(name, NAME, nullable=False) for name in ("what", "from_state", "to_state")),
        sa.Column("is_annunciation", sa.Boolean(), nullable=False),
        *(sa.Column(name, NAME, nullable=False) for name in ("actor_kind", "actor_id", "actor_name")),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_alarm_history")),
        sqlite_autoincrement=True,
    )
    for columns in (["tenant_id", "entry_id"], ["alarm_id", "entry_id"], ["tenant_id", "is_annunciation", "at_ms"]):
        op.create_index(op.f(f"ix_alarm_history_{'_'.join(columns)}"), "alarm_history", columns)
    _remember("raised_ms", "raised", "normal", "active_unacknowledged", told=True)
    _remember("acknowledged_ms", "acknowledged", "active_unacknowledged", "active_acknowledged", who="acknowledged_by")
    _remember("cleared_ms", "cleared", "active_unacknowledged", "state")
    _only_added_to()


def _only_added_to() -> None:
    """Let the database itself refuse to change or forget a line."""
    if op.get_bind().dialect.name == "postgresql":
        body = f"BEGIN RAISE EXCEPTION '{HELD}' USING ERRCODE = 'integrity_constraint_violation'; END"
        op.execute(f"CREATE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    for what, name in TRIGGERS.items():
        begin = f"CREATE TRIGGER {name} BEFORE {what} ON alarm_history "
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"{begin} FOR EACH ROW EXECUTE FUNCTION {FUNCTION}()")
        else:
            op.execute(f"{begin} BEGIN SELECT RAISE(ABORT, '{HELD}'); END")


def _remember(at: str, what: str, before: str, after: str, *, who: str = "''", told: bool = False) -> None:
    """What the alarms of before tell of their past."""
    to_state = after if after == "state" else f"'{after}'"
    why = "comment" if what == "acknowledged" else "NULL"
    kind = "user" if what == "acknowledged" else "system"
    told_of = "true" if told else "false"
    op.execute(  # made of the constants above
        "INSERT INTO alarm_history (tenant_id, alarm_id, plant_id, press_id, gateway_id, kind, mode, priority, at_ms, "  # noqa: S608
        "what, from_state, to_state, is_annunciation, actor_kind, actor_id, actor_name, why) "
        f"SELECT tenant_id, alarm_id, plant_id, press_id, gateway_id, kind, mode, priority, {at}, "
        f"'{what}', '{before}', {to_state}, {told_of}, '{kind}', '', COALESCE({who}, ''), {why} "
        f"FROM alarms WHERE {at} IS NOT NULL ORDER BY {at}, alarm_id"
    )


def _floods() -> None:
    op.create_table(
        "alarm_floods",
        sa.Column("flood_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant_id", NAME, nullable=False),
        sa.Column("began_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("raised", sa.BigInteger(), nullable=False),
        sa.Column("held_back", sa.BigInteger(), nullable=False),
        sa.Column("rate_max", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("flood_id", name=op.f("pk_alarm_floods")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_alarm_floods_tenant_id_flood_id"), "alarm_floods", ["tenant_id", "flood_id"])
    op.create_index(
        "uq_alarm_floods_running",
        "alarm_floods",
        ["tenant_id"],
        unique=True,
        sqlite_where=IS_RUNNING,
        postgresql_where=IS_RUNNING,
    )


def downgrade() -> None:
    """An alarm that is withheld or latched becomes what the version of before knows; its history is lost."""
    for table in ("alarm_floods", "alarm_history", "alarm_points"):
        op.drop_table(table)  # and its triggers
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP FUNCTION {FUNCTION}()")
    op.execute(
        "UPDATE alarms SET state = CASE WHEN cleared_ms IS NULL THEN 'active' ELSE 'cleared' END || "
        "CASE WHEN acknowledged_ms IS NULL THEN '_unacknowledged' ELSE '_acknowledged' END WHERE state <> 'normal'"
    )
    op.execute("UPDATE alarms SET state = 'normal' WHERE state = 'cleared_acknowledged'")
    for column in INDEXED:
        op.drop_index(op.f(f"ix_alarms_{column}"), table_name="alarms")
    op.drop_index(op.f("ix_alarms_plant_id_press_id_gateway_id_kind_mode_alarm_id"), table_name="alarms")
    with op.batch_alter_table("alarms") as alarms:
        for name in (*(name for name, *_ in COLUMNS), *(name for name, _ in NULLABLE), "group_id"):
            alarms.drop_column(name)
