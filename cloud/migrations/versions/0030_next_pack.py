"""Self-service: the pack that a company has chosen for its next month."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None
NAME = sa.String(length=128)


def upgrade() -> None:
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.add_column(sa.Column("next_pack_id", NAME, nullable=False, server_default=""))
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.alter_column("next_pack_id", existing_type=NAME, server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("subscriptions") as subscriptions:
        subscriptions.drop_column("next_pack_id")
