"""Success plans as JSON."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.core.numbers import Number
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.tiering.plans import GoalState, ReviewState
from cloud.tiering.success import TEXT_CHARACTERS_MAX, Goal, Opened

Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]
Text = Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)]
Day = Annotated[int, Field(ge=0, le=100_000, description="Days since 1970; within ten years of today.")]
Figure = Annotated[float, Field(ge=-1e12, le=1e12)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class _PlanPart(_In):
    version: int = Field(ge=0, description="Of the plan that was looked at; 0 begins one.")


class PlanIn(_PlanPart):
    """A plan to begin or change."""

    summary: Text
    owner: Name = Field(description="Who answers for it.")
    start_day: Day


class GoalIn(_PlanPart):
    """What a goal is to be."""

    title: Name
    measure: Name = Field(description="What is measured, with its unit.")
    target: Figure
    actual: Figure | None = Field(None, description="What it was last; null while nobody knows.")
    due_day: Day
    state: GoalState = GoalState.OPEN

    def goal(self) -> Goal:
        """As the desk takes it."""
        return Goal(self.title, self.measure, self.target, self.actual, self.due_day, self.state)


class ReviewIn(_PlanPart):
    """What came of a review."""

    note: Text


class GoalOut(_Out):
    """A goal."""

    goal_id: UUID
    title: str
    measure: str
    target: float
    actual: Number
    due_day: int
    state: GoalState
    changed_ms: int


class ReviewOut(BaseModel):
    """A review, by its number from 1."""

    number: int
    day: str = Field(description="YYYY-MM-DD, never on a weekend.")
    state: ReviewState
    note: str = Field(description="What came of it; empty while it was not held.")
    held_by: str


class PlanOut(BaseModel):
    """A success plan."""

    customer_id: UUID
    summary: str
    owner: str
    start_day: int
    changed_ms: int
    changed_by: str
    version: int = Field(description="Pass it back when saving the plan or anything of it.")
    goals: list[GoalOut] = Field(description="The first due first.")
    reviews: list[ReviewOut] = Field(description="All up to today, and the next four.")


def plan_out(opened: Opened) -> PlanOut:
    """A plan with all that belongs to it."""
    row, held = opened.plan, opened.held
    return PlanOut(
        customer_id=row.customer_id,
        summary=row.summary,
        owner=row.owner,
        start_day=row.start_day,
        changed_ms=row.changed_ms,
        changed_by=row.changed_by,
        version=row.version,
        goals=[GoalOut.model_validate(each) for each in opened.goals],
        reviews=[
            ReviewOut(
                number=each.number,
                day=each.day.isoformat(),
                state=each.state,
                note=held[each.number].note if each.number in held else "",
                held_by=held[each.number].held_by if each.number in held else "",
            )
            for each in opened.reviews
        ],
    )
