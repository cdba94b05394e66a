"""Planned downtimes and expected cycle times can be taken back: what was there before, and since when."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("planned_downtimes", sa.Column("dropped_ms", sa.BigInteger(), nullable=True))
    op.add_column("expected_cycles", sa.Column("before_s", sa.Double(), nullable=True))
    op.add_column("expected_cycles", sa.Column("changed_ms", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("expected_cycles") as cycles:
        cycles.drop_column("changed_ms")
        cycles.drop_column("before_s")
    op.execute("DELETE FROM planned_downtimes WHERE dropped_ms IS NOT NULL")
    with op.batch_alter_table("planned_downtimes") as downtimes:
        downtimes.drop_column("dropped_ms")
