"""Claims of gateways, their identities and certificates."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gateway_claims",
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(length=128), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("gateway_id", sa.String(length=128), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("claim_id", name=op.f("pk_gateway_claims")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_gateway_claims_token_hash")),
    )
    op.create_index(op.f("ix_gateway_claims_expires_ms"), "gateway_claims", ["expires_ms"])
    op.create_table(
        "gateway_identities",
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("gateway_id", sa.String(length=128), nullable=False),
        sa.Column("tenant_id", sa.String(length=128), nullable=False),
        sa.Column("claimed_ms", sa.BigInteger(), nullable=False),
        sa.Column("claimed_by", sa.String(length=128), nullable=False),
        sa.Column("serial", sa.String(length=128), nullable=False),
        sa.Column("renewed_ms", sa.BigInteger(), nullable=True),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", sa.String(length=128), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("plant_id", "gateway_id", name=op.f("pk_gateway_identities")),
    )
    op.create_index(
        op.f("ix_gateway_identities_tenant_id_plant_id_gateway_id"),
        "gateway_identities",
        ["tenant_id", "plant_id", "gateway_id"],
    )
    op.create_table(
        "gateway_certificates",
        sa.Column("serial", sa.String(length=128), nullable=False),
        sa.Column("plant_id", sa.String(length=128), nullable=False),
        sa.Column("gateway_id", sa.String(length=128), nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("nonce", sa.String(length=128), nullable=True),
        sa.Column("revoked_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["plant_id", "gateway_id"],
            ["gateway_identities.plant_id", "gateway_identities.gateway_id"],
            name=op.f("fk_gateway_certificates_plant_id_gateway_id_gateway_identities"),
        ),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_gateway_certificates")),
        sa.UniqueConstraint("nonce", name=op.f("uq_gateway_certificates_nonce")),
    )
    op.create_index(
        op.f("ix_gateway_certificates_plant_id_gateway_id_expires_ms"),
        "gateway_certificates",
        ["plant_id", "gateway_id", "expires_ms"],
    )
    op.create_index(op.f("ix_gateway_certificates_expires_ms"), "gateway_certificates", ["expires_ms"])


def downgrade() -> None:
    for table in ("gateway_certificates", "gateway_identities", "gateway_claims"):
        op.drop_table(table)
