"""Fleet: what people call a plant. Identity: language and colours that follow an account."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None
NAME = sa.String(length=128)
ADDED = {"plants": ("display_name",), "users": ("language", "theme")}


def upgrade() -> None:
    for table, columns in ADDED.items():
        for column in columns:
            op.add_column(table, sa.Column(column, NAME, nullable=False, server_default=""))
            if op.get_bind().dialect.name == "postgresql":  # SQLite would write `users` anew, to which others refer
                op.alter_column(table, column, server_default=None)


def downgrade() -> None:
    for table, columns in ADDED.items():
        for column in columns:
            op.drop_column(table, column)
