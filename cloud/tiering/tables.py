"""The tables of tiering: customers, their evidence, imports, merges, policies, scoring runs, tiers and overrides."""

from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, Text, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from cloud.core.tables import Base, RowId


class CustomerRow(Base):
    """A customer; `code` is its name in files.

    `tier`, `since_day` and `noticed_day` are where the last review has left it; `served_as` is the tier that holds, an
    override's where there is one. `merged_into` is set on a duplicate, whose evidence the other customer has.
    """

    __tablename__ = "tiering_customers"
    __table_args__ = (UniqueConstraint("tenant_id", "code"), Index(None, "tenant_id", "customer_id"))

    customer_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    code: Mapped[str]
    name: Mapped[str]
    sector: Mapped[str]
    linked_tenant_id: Mapped[str | None]
    merged_into: Mapped[UUID | None] = mapped_column(Uuid())
    tier: Mapped[str]
    served_as: Mapped[str]
    since_day: Mapped[int]
    noticed_day: Mapped[int]
    made_ms: Mapped[int]


class EvidenceRow(Base):
    """One dated, sourced fact; `told_minor` of `told_currency` is what the file said before conversion."""

    __tablename__ = "tiering_evidence"
    __table_args__ = (
        Index(None, "tenant_id", "customer_id", "day"),
        Index(None, "merge_id"),
        {"sqlite_autoincrement": True},
    )

    evidence_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    tenant_id: Mapped[str]
    customer_id: Mapped[UUID] = mapped_column(Uuid())
    kind: Mapped[str]
    day: Mapped[int]
    amount_minor: Mapped[int | None]
    told_minor: Mapped[int | None]
    told_currency: Mapped[str]
    quantity: Mapped[float | None]
    source: Mapped[str]
    import_id: Mapped[UUID | None] = mapped_column(Uuid())
    merge_id: Mapped[UUID | None] = mapped_column(Uuid())
    made_ms: Mapped[int]


class PackRow(Base):
    """Evidence once more, many rows as columns (`packing`), up to and including `last_id`: what a scoring run reads."""

    __tablename__ = "tiering_packs"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last_id: Mapped[int]
    rows: Mapped[int]
    owners: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class ImportRow(Base):
    """A file that was taken, whole."""

    __tablename__ = "tiering_imports"
    __table_args__ = (Index(None, "tenant_id", "import_id"),)

    import_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    what: Mapped[str]
    file_name: Mapped[str]
    rows: Mapped[int]
    known: Mapped[int]
    made_ms: Mapped[int]
    made_by: Mapped[str]


class MergeRow(Base):
    """Two customers that were one; `undone_ms` where they were not."""

    __tablename__ = "tiering_merges"
    __table_args__ = (Index(None, "tenant_id", "merge_id"),)

    merge_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    kept_id: Mapped[UUID] = mapped_column(Uuid())
    gone_id: Mapped[UUID] = mapped_column(Uuid())
    moved: Mapped[int]
    made_ms: Mapped[int]
    made_by: Mapped[str]
    undone_ms: Mapped[int | None]
    undone_by: Mapped[str]


class PolicyRow(Base):
    """A version of how a company scores and cuts; the newest holds."""

    __tablename__ = "tiering_policies"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    policy: Mapped[dict[str, Any]]
    saved_ms: Mapped[int]
    saved_by: Mapped[str]


class RunRow(Base):
    """A scoring run: waiting, running, done or failed; `figures` say how it went.

    While it runs, `step` says what it does and `percent` how far it is; `why` is the reason of a failure.
    """

    __tablename__ = "tiering_runs"
    __table_args__ = (Index(None, "tenant_id", "run_id"), Index(None, "state"))

    run_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    state: Mapped[str]
    day: Mapped[int]
    policy_version: Mapped[int]
    customers: Mapped[int]
    figures: Mapped[dict[str, Any]]
    why: Mapped[str] = mapped_column(Text)
    step: Mapped[str]
    percent: Mapped[int]
    asked_ms: Mapped[int]
    asked_by: Mapped[str]
    ended_ms: Mapped[int | None]


class ScoreRow(Base):
    """A customer's score in a run; `opened` has the values by dimension."""

    __tablename__ = "tiering_scores"
    __table_args__ = (Index(None, "tenant_id", "customer_id", "run_id"), Index(None, "run_id", "rank"))

    run_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    rank: Mapped[int]
    tier: Mapped[str]
    weighted: Mapped[float]
    topsis: Mapped[float]
    trust: Mapped[float]
    revenue_minor: Mapped[int]
    margin_minor: Mapped[int]
    churn: Mapped[float | None]
    opened: Mapped[dict[str, Any]]


class TierRow(Base):
    """A tier that a customer has from a moment on, and why; the last before a moment is the one of that moment."""

    __tablename__ = "tiering_tiers"
    __table_args__ = (Index(None, "tenant_id", "customer_id", "from_ms"), {"sqlite_autoincrement": True})

    entry_id: Mapped[int] = mapped_column(RowId, primary_key=True)
    tenant_id: Mapped[str]
    customer_id: Mapped[UUID] = mapped_column(Uuid())
    tier: Mapped[str]
    before: Mapped[str]
    from_ms: Mapped[int]
    why: Mapped[str]
    note: Mapped[str] = mapped_column(Text)
    run_id: Mapped[UUID | None] = mapped_column(Uuid())
    by: Mapped[str]


class TierOverrideRow(Base):
    """A tier by hand, with who answers for it and until when; `ended_ms` once it holds no longer."""

    __tablename__ = "tiering_overrides"
    __table_args__ = (Index(None, "tenant_id", "customer_id", "from_ms"), Index(None, "ended_ms", "expires_ms"))

    override_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    tenant_id: Mapped[str]
    customer_id: Mapped[UUID] = mapped_column(Uuid())
    tier: Mapped[str]
    reason: Mapped[str] = mapped_column(Text)
    owner: Mapped[str]
    from_ms: Mapped[int]
    expires_ms: Mapped[int]
    ended_ms: Mapped[int | None]
