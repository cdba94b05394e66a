"""The audit log's lines of some days are found without reading all that came after them."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NAME = "ix_audit_tenant_id_at_ms_audit_id"


def upgrade() -> None:
    op.create_index(op.f(NAME), "audit", ["tenant_id", "at_ms", "audit_id"])


def downgrade() -> None:
    op.drop_index(op.f(NAME), table_name="audit")
