"""The tables of sign-in by a provider: who is known there as what, and the attempts under way."""

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base

ISSUER_CHARACTERS_MAX = 255
SUBJECT_CHARACTERS_MAX = 255
BEHIND_CHARACTERS_MAX = 512


class ExternalIdentityRow(Base):
    """A person as a provider knows them: by its issuer and subject, which never change, not by name or address."""

    __tablename__ = "external_identities"
    __table_args__ = (Index(None, "user_id"),)

    issuer: Mapped[str] = mapped_column(String(ISSUER_CHARACTERS_MAX), primary_key=True)
    subject: Mapped[str] = mapped_column(String(SUBJECT_CHARACTERS_MAX), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.user_id"))
    linked_ms: Mapped[int]


class SignOnAttemptRow(Base):
    """A browser that was sent to a provider, by the sha256 of its state; it may come back once."""

    __tablename__ = "sign_on_attempts"
    __table_args__ = (Index(None, "expires_ms"),)

    state_hash: Mapped[str] = mapped_column(primary_key=True)
    provider: Mapped[str]
    behind: Mapped[str] = mapped_column(String(BEHIND_CHARACTERS_MAX))
    expires_ms: Mapped[int]
