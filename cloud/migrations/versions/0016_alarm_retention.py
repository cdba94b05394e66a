"""The history of an alarm that is there cannot be shortened; that of one that was forgotten can.

On SQLite the trigger names the table `alarms`: a later migration that copies that table takes the trigger away first.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TRIGGER = "alarm_history_no_delete"
FUNCTION = "refuse_to_shorten_alarm_history"
OF_BEFORE = "refuse_to_change_alarm_history"
HELD = "the history of alarms is only ever added to"
IS_HELD = "OLD.alarm_id IS NULL OR EXISTS (SELECT 1 FROM alarms WHERE alarms.alarm_id = OLD.alarm_id)"


def upgrade() -> None:
    _drop()
    begin = f"CREATE TRIGGER {TRIGGER} BEFORE DELETE ON alarm_history "
    if op.get_bind().dialect.name == "postgresql":
        refuse = f"RAISE EXCEPTION '{HELD}' USING ERRCODE = 'integrity_constraint_violation'"
        body = f"BEGIN IF {IS_HELD} THEN {refuse}; END IF; RETURN OLD; END"
        op.execute(f"CREATE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
        op.execute(f"{begin} FOR EACH ROW EXECUTE FUNCTION {FUNCTION}()")
    else:
        op.execute(f"{begin} WHEN {IS_HELD} BEGIN SELECT RAISE(ABORT, '{HELD}'); END")


def downgrade() -> None:
    _drop()
    begin = f"CREATE TRIGGER {TRIGGER} BEFORE DELETE ON alarm_history "
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP FUNCTION {FUNCTION}()")
        op.execute(f"{begin} FOR EACH ROW EXECUTE FUNCTION {OF_BEFORE}()")
    else:
        op.execute(f"{begin} BEGIN SELECT RAISE(ABORT, '{HELD}'); END")


def _drop() -> None:
    on = " ON alarm_history" if op.get_bind().dialect.name == "postgresql" else ""
    op.execute(f"DROP TRIGGER {TRIGGER}{on}")
