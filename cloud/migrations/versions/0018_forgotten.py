"""What rules had learnt of a press before a repair, for as long as the repair can be taken back."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alarm_trackers", sa.Column("forgotten", sa.JSON(), nullable=True))
    op.add_column("alarm_trackers", sa.Column("forgotten_ms", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("alarm_trackers", "forgotten_ms")
    op.drop_column("alarm_trackers", "forgotten")
