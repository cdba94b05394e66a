"""What the API of bundles and trials takes and gives."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.rollouts.domain import CANARIES_MAX, WHY_CHARACTERS_MAX, BundleState, Outcome, Stage, Verdict
from cloud.rollouts.labels import COMMENT_CHARACTERS_MAX
from contract.model_orders import Bounds, Figures


class BundleOut(BaseModel):
    """A registered bundle."""

    model_config = ConfigDict(from_attributes=True)

    bundle_id: str = Field(description="First 12 hexadecimal digits of the manifest's SHA-256.")
    state: BundleState
    sha256: str = Field(description="Of the file.")
    size_bytes: int
    key_id: str = Field(description="Of the trusted key that signed it; empty where signatures are not asked for.")
    features_hash: str = Field(description="A gateway that computes other features refuses it.")
    uploaded_ms: int
    uploaded_by: str


class LabelCountsOut(BaseModel):
    """How many alarms engineers have judged."""

    true: int = 0
    false: int = 0
    maintenance_done: int = 0


class CardOut(BundleOut):
    """A bundle's model card."""

    card: dict[str, Any] = Field(
        description="Heads with their data, metrics and thresholds; training summary by mould."
    )
    labels_since: LabelCountsOut = Field(description="Of alarms that this bundle has raised.")


class EventOut(BaseModel):
    """A step in a bundle's life."""

    model_config = ConfigDict(from_attributes=True)

    event_id: int
    bundle_id: str
    rollout_id: UUID | None
    at_ms: int
    kind: str
    by: str
    state_before: str | None
    state_after: str | None
    why: str


class PressIn(BaseModel):
    """A press."""

    model_config = ConfigDict(extra="forbid")

    plant_id: str = Field(min_length=1, max_length=128)
    press_id: str = Field(min_length=1, max_length=128)


class BoundsIn(Bounds):
    """Where the guards stand."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RolloutIn(BaseModel):
    """A trial to begin."""

    model_config = ConfigDict(extra="forbid")

    bundle_id: str = Field(pattern=r"^[0-9a-f]{12}$")
    canaries: list[PressIn] = Field(
        default_factory=list, max_length=CANARIES_MAX, description="Presses of the canary stage; none: a tenth of all."
    )
    bounds: BoundsIn = BoundsIn()
    is_automatic: bool = Field(False, description="Whether it goes on by itself when a stage has gone well.")
    stage_shots: int = Field(200, ge=1, le=10_000_000, description="Shots in a stage after which it goes on by itself.")
    why: str = Field("", max_length=WHY_CHARACTERS_MAX)


class StepIn(BaseModel):
    """Why a trial goes on or ends."""

    model_config = ConfigDict(extra="forbid")

    stage: Stage | None = Field(None, description="The stage that the caller knows; another one is 409.")
    why: str = Field("", max_length=WHY_CHARACTERS_MAX)


class RolloutOut(BaseModel):
    """A trial."""

    model_config = ConfigDict(from_attributes=True)

    rollout_id: UUID
    bundle_id: str
    previous_id: str | None = Field(description="What it is to replace; null: each gateway's own bundle.")
    stage: Stage
    outcome: Outcome
    canaries: list[tuple[str, str]] = Field(description="Plant and press.")
    bounds: Bounds
    is_automatic: bool
    stage_shots: int
    started_ms: int
    started_by: str
    stage_ms: int = Field(description="When this stage began.")
    ended_ms: int | None
    reason: str = Field(description="Why it ended.")


class PointOut(BaseModel):
    """Guard figures at one time, summed up over the presses of the stage."""

    model_config = ConfigDict(from_attributes=True)

    at_ms: int
    stage: Stage
    new: Figures
    beside: Figures


class PressFiguresOut(BaseModel):
    """The figures of one press of a trial."""

    plant_id: str
    press_id: str
    new: Figures
    beside: Figures | None


class RolloutDetailOut(RolloutOut):
    """A trial with its figures; `presses` and `wrong` are of now, while it runs."""

    points: list[PointOut]
    presses: list[PressFiguresOut]
    wrong: list[str]


class GatewayModelsOut(BaseModel):
    """What a gateway was told, and what it says."""

    plant_id: str
    gateway_id: str
    revision: int = Field(description="Of its order.")
    followed_revision: int = Field(description="What it reports to follow; 0: no order yet.")
    own_bundle: str
    reported_ms: int | None
    bundles: dict[str, Any] = Field(description="State and reason by bundle.")
    presses: dict[str, Any] = Field(description="Champion, shadow and figures by press.")


class LabelIn(BaseModel):
    """What an alarm was."""

    model_config = ConfigDict(extra="forbid")

    alarm_id: UUID
    verdict: Verdict = Field(description="`maintenance_done`: it was true, and what it told of is repaired.")
    comment: str = Field("", max_length=COMMENT_CHARACTERS_MAX)


class LabelOut(BaseModel):
    """A label."""

    model_config = ConfigDict(from_attributes=True)

    label_id: UUID
    alarm_id: UUID
    plant_id: str
    press_id: str
    mode: str
    bundle_id: str
    verdict: Verdict
    comment: str
    shot_row_id: int | None
    raised_ms: int
    labelled_ms: int
    labelled_by: str
