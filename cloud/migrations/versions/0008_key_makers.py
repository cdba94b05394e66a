"""Who made an API key, so that the key loses with its maker what the maker loses."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

FILL = """
UPDATE api_keys SET maker_id = (
    SELECT users.user_id FROM audit JOIN users ON users.user_id = audit.actor_id
    WHERE audit.action = 'api_key_made' AND audit.actor_kind = 'user' AND audit.target = 'api_key:' || api_keys.key_id
)
"""


def upgrade() -> None:
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("maker_id", sa.String(length=128), nullable=True))
        keys.create_foreign_key(op.f("fk_api_keys_maker_id_users"), "users", ["maker_id"], ["user_id"])
    op.execute(FILL)


def downgrade() -> None:
    with op.batch_alter_table("api_keys") as keys:
        keys.drop_constraint(op.f("fk_api_keys_maker_id_users"), type_="foreignkey")
        keys.drop_column("maker_id")
