"""The tables of gateway identity: claims, identities, and every certificate that was given."""

from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, Text, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base


class ClaimRow(Base):
    """A one-time permission to become a gateway; of the token only its SHA-256 is kept."""

    __tablename__ = "gateway_claims"
    __table_args__ = (UniqueConstraint("token_hash"), Index(None, "expires_ms"))

    claim_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    token_hash: Mapped[str]
    tenant_id: Mapped[str]
    plant_id: Mapped[str]
    gateway_id: Mapped[str]
    created_ms: Mapped[int]
    created_by: Mapped[str]
    expires_ms: Mapped[int]
    used_ms: Mapped[int | None]


class IdentityRow(Base):
    """A claimed gateway and its newest certificate; `revoked_ms` is set while it may not connect."""

    __tablename__ = "gateway_identities"
    __table_args__ = (Index(None, "tenant_id", "plant_id", "gateway_id"),)

    plant_id: Mapped[str] = mapped_column(primary_key=True)
    gateway_id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    claimed_ms: Mapped[int]
    claimed_by: Mapped[str]
    serial: Mapped[str]
    renewed_ms: Mapped[int | None]
    expires_ms: Mapped[int]
    revoked_ms: Mapped[int | None]
    revoked_by: Mapped[str | None]
    revoked_reason: Mapped[str | None] = mapped_column(Text)


class CertificateRow(Base):
    """One certificate; `nonce` is that of the renewal which asked for it, none for a claim."""

    __tablename__ = "gateway_certificates"
    __table_args__ = (
        ForeignKeyConstraint(
            ["plant_id", "gateway_id"], ["gateway_identities.plant_id", "gateway_identities.gateway_id"]
        ),
        UniqueConstraint("nonce"),
        Index(None, "plant_id", "gateway_id", "expires_ms"),
        Index(None, "expires_ms"),
    )

    serial: Mapped[str] = mapped_column(primary_key=True)
    plant_id: Mapped[str]
    gateway_id: Mapped[str]
    issued_ms: Mapped[int]
    expires_ms: Mapped[int]
    nonce: Mapped[str | None]
    revoked_ms: Mapped[int | None]
