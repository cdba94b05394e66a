"""Alarms, their history, withheld points and figures as the JSON API shows them, and what it takes."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.alarms.answers import COMMENT_CHARACTERS_MAX
from cloud.alarms.deeds import BULK_MAX, Action, Deed, Outcome
from cloud.alarms.flood import Band
from cloud.alarms.life import State
from cloud.alarms.policy import Priority
from cloud.alarms.reading import WithheldPoint
from cloud.alarms.withholding import REASON_CHARACTERS_MAX

MINUTES_MAX = 7 * 24 * 60
Comment = Annotated[str, Field(min_length=1, max_length=COMMENT_CHARACTERS_MAX)]
Reason = Annotated[str, Field(min_length=1, max_length=REASON_CHARACTERS_MAX)]
Minutes = Annotated[int, Field(ge=1, le=MINUTES_MAX, description="At most what the site allows, 12 h by default.")]
UserId = Annotated[str, Field(min_length=1, max_length=128, description="A person of this tenant.")]


class Out(BaseModel):
    """Made of our own values."""

    model_config = ConfigDict(from_attributes=True)


class In(BaseModel):
    """What a request may say, and nothing more."""

    model_config = ConfigDict(extra="forbid")


class ReasonOut(Out):
    """A feature that moved."""

    feature: str
    value: float
    sigma: float = Field(description="Distance from this press's normal, in standard deviations.")


class AlarmOut(Out):
    """An alarm, with the states of ISA-18.2."""

    alarm_id: UUID
    plant_id: str
    press_id: str = Field(description="Empty for an alarm of a gateway.")
    gateway_id: str = Field(description="Empty for an alarm of a press.")
    kind: str = Field(description="As the kinds of rules; `gateway_trouble` is of a gateway.")
    mode: str = Field(description="The failure mode, feature or statistic, or the kind of trouble.")
    priority: str
    state: State = Field(description="`normal`: nothing remains to be done.")
    probability: float | None = Field(description="Failure probability of the shot that raised it, 0 to 1.")
    threshold: float | None
    count: int | None = Field(description="What the trouble had cost when it was raised: shots or records.")
    reasons: list[ReasonOut]
    first_over_ms: int = Field(
        description="When the first of the shots over the threshold ended, by the press's clock."
    )
    raised_ms: int
    acknowledged_ms: int | None
    acknowledged_by: str | None
    comment: str | None = Field(description="Of the acknowledgement; all comments are in its history.")
    cleared_ms: int | None
    shot_row_id: int | None = Field(description="The shot that raised it.")
    cause: str = Field(description="Joins alarms of one place that one thing has brought about.")
    group_id: UUID = Field(description="The first-up alarm of its group, itself when it is the first.")
    group_order: int = Field(description="1: first up.")
    is_latching: bool = Field(description="Stays until it is reset when its cause has gone.")
    reset_ms: int | None
    announced_ms: int | None = Field(description="When people were told last; null while they were not.")
    is_held_back: bool = Field(description="Told of with its group only, until the flood is over.")
    escalation_level: int
    assigned_to: str | None = Field(description="User id.")
    assigned_name: str | None
    rule_id: str = Field(description="The rule that raised it; `standard.` and its kind for the rules as delivered.")
    rule_version: int | None = Field(description="0: the rule as delivered.")
    value: float | None = Field(description="What the rule measured, in the unit of its feature.")


class HistoryOut(Out):
    """One turn of an alarm's life, or a word about it."""

    entry_id: int
    alarm_id: UUID | None = Field(description="Null: about a point that has had no alarm yet.")
    plant_id: str
    press_id: str
    gateway_id: str
    kind: str
    mode: str
    priority: str
    at_ms: int
    what: str = Field(description="As in the event `alarm.<what>`.")
    from_state: str
    to_state: str
    actor_kind: str
    actor_id: str
    actor_name: str
    why: str | None = Field(description="Reason, comment, or what a program says of it.")


class WithheldOut(Out):
    """A point, of whose alarms nobody is told, and why."""

    plant_id: str
    press_id: str
    gateway_id: str
    kind: str
    mode: str
    rule_id: str
    state: State
    shelved_ms: int | None
    shelved_until_ms: int | None
    shelved_by: str | None
    shelf_reason: str | None
    is_one_shot: bool = Field(description="The shelf ends with the next clear.")
    suppressed_ms: int | None
    suppressed_by: str | None
    suppression_reason: str | None
    taken_out_ms: int | None
    taken_out_by: str | None
    taken_out_reason: str | None
    alarm_id: UUID | None = Field(description="The newest alarm of the point; all that is done to it is done by this.")
    is_active: bool

    @classmethod
    def of(cls, point: WithheldPoint) -> Self:
        """The point with its names beside its reasons."""
        where = point.point
        names = {
            "plant_id": where.plant_id,
            "press_id": where.press_id,
            "gateway_id": where.gateway_id,
            "kind": where.kind,
            "mode": where.mode,
            "rule_id": where.rule_id,
        }
        reasons = {name: getattr(point, name) for name in cls.model_fields if name not in names}
        return cls(**names, **reasons)


class PointOut(Out):
    """Where alarms of one kind and mode come from."""

    plant_id: str
    press_id: str
    gateway_id: str
    kind: str
    mode: str


class BadActorOut(Out):
    """A point that people are told of often."""

    point: PointOut
    count: int
    share: float


class ChatterOut(Out):
    """A point that was announced three times or more within a minute."""

    point: PointOut
    most: int = Field(description="Most annunciations within a minute.")
    times: int


class ShareOut(Out):
    """How a priority is used."""

    priority: Priority
    count: int
    share: float
    advised: float = Field(description="By ISA-18.2 and EEMUA 191; high and critical together have 0.05.")


class RateOut(Out):
    """Annunciations per operator and ten minutes."""

    operators: int
    average: float
    peak: float
    band: Band
    flood_share: float = Field(description="Share of the spans of ten minutes with more than 10.")


class BarOut(Out):
    """Annunciations of one span of time."""

    from_ms: int
    count: int


class FloodOut(Out):
    """A flood: more than 10 alarms per operator in ten minutes, until fewer than 5."""

    began_ms: int
    ended_ms: int | None
    raised: int
    held_back: int
    rate_max: float


class AnalysisOut(Out):
    """How the alarm system did."""

    since_ms: int
    until_ms: int
    total: int
    rate_now: float
    band_now: Band
    rate: RateOut
    over_time: list[BarOut]
    shares: list[ShareOut]
    bad_actors: list[BadActorOut]
    chattering: list[ChatterOut]
    standing: list[AlarmOut] = Field(description="Active for longer than a day.")
    stale: list[AlarmOut] = Field(description="Cleared or latched, and open for longer than a day.")
    floods: list[FloodOut]


class Acknowledgement(In):
    """Somebody has seen an alarm: whoever sends this."""

    comment: Annotated[str, Field(max_length=COMMENT_CHARACTERS_MAX)] | None = None


class CommentIn(In):
    """A word about an alarm."""

    comment: Comment


class ShelfIn(In):
    """For how long and why an alarm's point is put on the shelf."""

    minutes: Minutes
    reason: Reason
    is_one_shot: bool = Field(False, description="Until its cause goes, if that is sooner.")


class AssignmentIn(In):
    """To whom an alarm is given; null: to nobody."""

    user_id: UserId | None


class WithholdingIn(In):
    """Why an alarm's point is suppressed or taken out of service."""

    reason: Reason


class BulkIn(In):
    """One action for many alarms; what it needs is what the single operation needs."""

    action: Action
    alarm_ids: list[UUID] = Field(min_length=1, max_length=BULK_MAX)
    comment: Comment | None = None
    minutes: Minutes | None = None
    reason: Reason | None = None
    is_one_shot: bool = False
    user_id: UserId | None = None

    def deed(self) -> Deed:
        """What is to be done to each."""
        return Deed(self.action, self.comment, self.reason, self.minutes, self.is_one_shot, self.user_id)


class OutcomeOut(BaseModel):
    """What became of one alarm."""

    alarm_id: UUID
    result: Literal["done", "refused"]
    state: State | None = Field(description="After it; null when refused.")
    field: str | None = Field(description="Which field was the reason to refuse.")
    message: str | None

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """The outcome as told."""
        return cls(
            alarm_id=outcome.alarm_id,
            result="done" if outcome.alarm else "refused",
            state=outcome.alarm.state if outcome.alarm else None,
            field=outcome.field,
            message=outcome.message,
        )


class OutcomesOut(BaseModel):
    """One line for each alarm, in the order in which they were named."""

    items: list[OutcomeOut]
