"""Since when the shots of a press have been under the limit of a rule: the off-delay in time."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alarm_trackers", sa.Column("first_under_ms", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("alarm_trackers", "first_under_ms")
