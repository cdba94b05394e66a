"""The tables of tenants, people, their roles, sessions, one-time links and API keys; of every secret only a hash."""

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base


class TenantRow(Base):
    """A customer company; `default` is the one that runs this installation."""

    __tablename__ = "tenants"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_ms: Mapped[int]


class UserRow(Base):
    """A person; without `password_hash` one that was invited, or signs in elsewhere."""

    __tablename__ = "users"

    user_id: Mapped[str] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str | None]
    is_disabled: Mapped[bool]
    failures: Mapped[int]
    locked_until_ms: Mapped[int]
    created_ms: Mapped[int]
    language: Mapped[str] = mapped_column(default="")
    theme: Mapped[str] = mapped_column(default="")
    """Of the pages, by the person's own choice; empty: never chosen."""


class MembershipRow(Base):
    """A role of a person in a tenant; one person may have several."""

    __tablename__ = "memberships"
    __table_args__ = (Index(None, "tenant_id"),)

    user_id: Mapped[str] = mapped_column(ForeignKey("users.user_id"), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.tenant_id"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)


class SessionRow(Base):
    """A signed-in browser, by the sha256 of its cookie."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id"), Index(None, "expires_ms"))

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.user_id"))
    tenant_id: Mapped[str]
    created_ms: Mapped[int]
    seen_ms: Mapped[int]
    expires_ms: Mapped[int]
    address: Mapped[str]


class LinkRow(Base):
    """A one-time link: to set this installation up (no user yet), to set a first password, or a new one."""

    __tablename__ = "one_time_links"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.user_id"))
    expires_ms: Mapped[int]


class ApiKeyRow(Base):
    """A program's key, by the sha256 of its secret part; `rights` were a part of its maker's when it was made."""

    __tablename__ = "api_keys"
    __table_args__ = (Index(None, "tenant_id"),)

    key_id: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.tenant_id"))
    name: Mapped[str]
    secret_hash: Mapped[str]
    rights: Mapped[list[Any]]
    made_by: Mapped[str]
    maker_id: Mapped[str | None] = mapped_column(ForeignKey("users.user_id"))
    """The person behind it; None for a key that was made at the machine itself."""
    created_ms: Mapped[int]
    expires_ms: Mapped[int]
    used_ms: Mapped[int | None]
    revoked_ms: Mapped[int | None]
