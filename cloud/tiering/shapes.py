"""Tiering as JSON."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.core.numbers import Number
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.entitlements.domain import Tier
from cloud.tiering.bands import Cut, Rules
from cloud.tiering.policy import Policy, WeightsBy
from cloud.tiering.scoring import Method

TIME_MS_MAX = 253_370_000_000_000
FAULTS_TOLD = 200
Share = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[int, Field(ge=0, le=3_650)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class CutShape(_In):
    """Between a tier and the one below, as shares from the top."""

    quota: Share
    enter: Share
    leave: Share


class RulesShape(_In):
    """How tiers are assigned."""

    strategic: CutShape
    value: CutShape = Field(description="Counted from the top: strategic's share is in it.")
    stay_days: Days
    notice_days: Days
    provisional_days: Days
    confidence_min: Share

    def rules(self) -> Rules:
        """As the domain has it."""
        given = self.model_dump()
        return Rules(Cut(**given.pop("strategic")), Cut(**given.pop("value")), **given)


class PolicyShape(_In):
    """How customers are scored and cut."""

    currency: str = Field(max_length=3, description="ISO 4217; fixed once there is evidence.")
    rates: dict[str, str] = Field(max_length=50, description="What one unit of another currency is worth, as decimals.")
    weights_by: WeightsBy
    pairwise: list[list[float]] = Field(max_length=10, description="AHP judgements, 1/9 to 9, by dimension.")
    hand: list[float] = Field(max_length=10, description="Weights by hand, by dimension.")
    method: Method
    run_every_days: int = Field(ge=0, le=366, description="0 runs only when asked.")
    rules: RulesShape

    def policy(self) -> Policy:
        """As the domain has it; not checked yet."""
        return Policy(**{**self.model_dump(exclude={"rules", "version"}), "rules": self.rules.rules()})


class PolicyOut(PolicyShape):
    """The policy that holds."""

    version: int = Field(description="0 is the standard one; pass it back when saving.")
    weights: dict[str, float] | None = Field(description="By dimension; null with entropy, which each run computes.")
    consistency_ratio: Number = Field(description="Of the pairwise matrix; above 0.1 it is refused.")


class PolicyIn(PolicyShape):
    """A policy to be saved after `version`."""

    version: int = Field(ge=0)


class FaultOut(_Out):
    """What is wrong with a row of a file."""

    row: int = Field(description="As a spreadsheet counts: the header is row 1.")
    field: str
    message: str


class ImportOut(_Out):
    """A file that was taken."""

    import_id: UUID
    what: str
    file_name: str
    rows: int
    known: int = Field(description="Rows that were there already.")
    made_ms: int
    made_by: str


class LookedOut(BaseModel):
    """What a file holds."""

    what: str
    rows: int
    known: int = Field(description="Rows that are there already; they change nothing (customers: are renamed).")
    faults_count: int
    faults: list[FaultOut] = Field(description=f"The first {FAULTS_TOLD}.")
    kept: ImportOut | None = Field(description="Null when nothing was taken.")


class CustomerOut(_Out):
    """A customer."""

    customer_id: UUID
    code: str
    name: str
    sector: str
    linked_tenant_id: str | None
    merged_into: UUID | None
    served_as: Tier = Field(description="The tier that holds, an override's where there is one.")
    tier: Tier = Field(description="The tier that its rank has earned.")
    since_day: int = Field(description="Days since 1970 of the last move.")
    noticed_day: int = Field(description="Since when a move down is announced; -1: none is.")
    made_ms: int


class EvidenceOut(_Out):
    """One fact."""

    evidence_id: int
    customer_id: UUID
    kind: str
    day: int = Field(description="Days since 1970.")
    amount_minor: int | None
    told_minor: int | None = Field(description="Before conversion.")
    told_currency: str
    quantity: Number
    source: str
    import_id: UUID | None


class ScoreOut(_Out):
    """A customer's score in a run."""

    run_id: UUID
    customer_id: UUID
    rank: int
    tier: Tier
    weighted: float
    topsis: float
    trust: float = Field(description="Confidence of the whole score.")
    revenue_minor: int
    margin_minor: int
    churn: Number = Field(description="Probability of leaving within half a year; null where no model can be made.")
    opened: dict[str, Any] = Field(description="By dimension: raw, scaled, confidence, parts of both scores; reasons.")


class TierEntryOut(_Out):
    """A tier from a moment on."""

    tier: Tier
    before: Tier
    from_ms: int
    why: str
    note: str
    run_id: UUID | None
    by: str


class OverrideOut(_Out):
    """A tier by hand."""

    override_id: UUID
    customer_id: UUID
    tier: Tier
    reason: str
    owner: str
    from_ms: int
    expires_ms: int
    ended_ms: int | None


class OverrideIn(_In):
    """A tier by hand."""

    tier: Literal[Tier.STRATEGIC, Tier.VALUE, Tier.LONG_TAIL]
    reason: str = Field(min_length=1, max_length=500)
    owner: str = Field(min_length=1, max_length=NAME_CHARACTERS_MAX)
    expires_ms: int = Field(ge=0, le=TIME_MS_MAX)


class MergeIn(_In):
    """Two customers that are one."""

    kept_id: UUID
    gone_id: UUID


class MergeOut(_Out):
    """A merge."""

    merge_id: UUID
    kept_id: UUID
    gone_id: UUID
    moved: int = Field(description="Rows of evidence.")
    made_ms: int
    made_by: str
    undone_ms: int | None
    undone_by: str


class RunOut(_Out):
    """A scoring run."""

    run_id: UUID
    state: Literal["waiting", "running", "done", "failed"]
    step: str = Field(description="What it does while it runs.")
    percent: int = Field(description="How far it is.")
    day: int
    policy_version: int
    customers: int
    figures: dict[str, Any] = Field(description="Weights, sensitivity, rank reversals, churn's calibration, moves.")
    why: str
    asked_ms: int
    asked_by: str
    ended_ms: int | None


class WhatIfIn(_In):
    """Weights or quotas to try."""

    weights_by: Literal["ahp", "hand"] = "hand"
    pairwise: list[list[float]] = Field([], max_length=10)
    hand: list[float] = Field([], max_length=10)
    method: Method = "weighted"
    strategic_quota: float | None = Field(None, gt=0, lt=1)
    value_quota: float | None = Field(None, gt=0, lt=1, description="Counted from the top.")


class MoverOut(_Out):
    """A customer that would move."""

    customer_id: UUID
    rank: int
    rank_then: int
    tier: Tier
    tier_then: Tier


class WhatIfOut(_Out):
    """What would change, by rank alone."""

    customers: int
    correlation: Number
    counts: dict[str, int]
    counts_then: dict[str, int]
    moves: int
    movers: list[MoverOut]


class TierMonthOut(_Out):
    """A tier in a month."""

    month: str
    tier: str = Field(description="`all` adds them up.")
    customers: int
    revenue_minor: int
    cost_minor: int
    margin_minor: int
    hours: float
    touches: int = Field(description="Customers on whom one of our people worked.")
    hours_per_customer: Number
    kept: Number = Field(
        description="Gross revenue retention of those that were in the tier in the same month a year before; null "
        "where that is not known, as long as nobody had a tier then."
    )
    kept_net: Number
    gone: int | None = Field(description="Of those, how many were billed then and are not now; null as above.")


class EconomicsOut(BaseModel):
    """By month and tier."""

    currency: str
    items: list[TierMonthOut]
