"""Maintenance as JSON."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.core.numbers import Number
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.maintenance.domain import JobState, Outcome
from cloud.maintenance.jobs import TEXT_CHARACTERS_MAX
from cloud.maintenance.moulds import INTERVAL_SHOTS_MAX

TIME_MS_MAX = 253_370_000_000_000
Name = Annotated[str, Field(max_length=NAME_CHARACTERS_MAX)]
Text = Annotated[str, Field("", max_length=TEXT_CHARACTERS_MAX)]
TimeMs = Annotated[int, Field(ge=0, le=TIME_MS_MAX)]
Mode = Annotated[str, Field("", max_length=NAME_CHARACTERS_MAX, description="Failure mode; empty: no particular one.")]
MouldId = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WorkOut(BaseModel):
    """Work on a press, predicted or alarmed."""

    model_config = ConfigDict(from_attributes=True)

    plant_id: str
    press_id: str
    mode: str = Field(description="Failure mode; empty where only the remaining life has spoken.")
    mould_id: str = Field(description="The mould of the shot that told of it; empty with an alarm alone.")
    latest_ms: int = Field(description="When it may be too late; with an alarm alone, when it was raised.")
    told_ms: int = Field(description="The end of the shot that told of it.")
    probability: Number = Field(description="Within the longest horizon.")
    threshold: Number = Field(description="From where the probability is worth an alarm.")
    life_low_h: Number = Field(description="The lower bound of the remaining life at `told_ms`.")
    alarm_ids: list[UUID] = Field(description="The active alarms that ask for it.")


class JobOut(BaseModel):
    """A job from its plan to what was found."""

    model_config = ConfigDict(from_attributes=True)

    job_id: UUID
    plant_id: str
    press_id: str
    mode: str
    state: JobState
    start_ms: int | None = Field(description="Null: it was done without a plan.")
    end_ms: int | None
    who: str
    note: str
    outcome: Outcome | None
    found: str
    work: str
    done_ms: int | None
    done_by: str
    made_ms: int
    made_by: str


class WindowIn(_In):
    """When a job is planned, and who does it."""

    start_ms: TimeMs
    end_ms: TimeMs
    who: Annotated[str, Field("", max_length=NAME_CHARACTERS_MAX)]
    note: Text


class PlanIn(WindowIn):
    """Plan a job: meanwhile the press counts as not planned to be busy."""

    plant_id: Name
    press_id: Name
    mode: Mode


class DoneIn(_In):
    """What was found, and what was done."""

    outcome: Outcome = Field(
        description="`repaired`: it was there and is repaired; `confirmed`: it was there; `nothing`: it was not."
    )
    found: Text
    work: Text
    resets_baseline: bool = Field(
        False, description="Let the gateway find anew what is normal for the press; `repaired` with an alarm does too."
    )


class UnplannedIn(DoneIn):
    """Work that was done without a plan."""

    plant_id: Name
    press_id: Name
    mode: Mode


class MouldOut(BaseModel):
    """How far a mould is from its service."""

    mould_id: str
    shots: int = Field(description="Of all presses, since they are counted here.")
    since_service: int
    interval_shots: int | None = Field(description="Null: nobody has said.")
    left: int | None = Field(description="Below zero: overdue.")
    shots_per_day: Number = Field(description="Of the last 7 days.")
    serviced_ms: int | None
    due_ms: int | None = Field(description="At that pace; null when nobody can say.")


class IntervalIn(_In):
    """After how many shots a mould is due for service."""

    mould_id: MouldId
    interval_shots: int | None = Field(ge=1, le=INTERVAL_SHOTS_MAX, description="Null: nobody says.")


class MouldIn(_In):
    """Which mould."""

    mould_id: MouldId
