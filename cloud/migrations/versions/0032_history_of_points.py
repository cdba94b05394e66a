"""A word about a point that never had an alarm can be forgotten, unless the point is withheld now.

On SQLite the trigger names the tables `alarms` and `alarm_points`: a later migration that copies one of them takes the
trigger away first.
"""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

TRIGGER = "alarm_history_no_delete"
FUNCTION = "refuse_to_shorten_alarm_history"
HELD = "the history of alarms is only ever added to"
HAS_ALARM = "EXISTS (SELECT 1 FROM alarms WHERE alarms.alarm_id = OLD.alarm_id)"
PLACE = ("plant_id", "press_id", "gateway_id", "kind", "mode")
IS_WITHHELD = (
    f"EXISTS (SELECT 1 FROM alarm_points AS p WHERE {' AND '.join(f'p.{name} = OLD.{name}' for name in PLACE)} "  # noqa: S608
    "AND (p.shelved_ms IS NOT NULL OR p.suppressed_ms IS NOT NULL OR p.taken_out_ms IS NOT NULL))"
)
OF_BEFORE = f"OLD.alarm_id IS NULL OR {HAS_ALARM}"
IS_HELD = f"(OLD.alarm_id IS NULL AND {IS_WITHHELD}) OR {HAS_ALARM}"


def upgrade() -> None:
    _hold(IS_HELD)


def downgrade() -> None:
    _hold(OF_BEFORE)


def _hold(what: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        refuse = f"RAISE EXCEPTION '{HELD}' USING ERRCODE = 'integrity_constraint_violation'"
        body = f"BEGIN IF {what} THEN {refuse}; END IF; RETURN OLD; END"
        op.execute(f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
        return
    op.execute(f"DROP TRIGGER {TRIGGER}")
    op.execute(
        f"CREATE TRIGGER {TRIGGER} BEFORE DELETE ON alarm_history WHEN {what} BEGIN SELECT RAISE(ABORT, '{HELD}'); END"
    )
