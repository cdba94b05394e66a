"""Rules, their versions and dry runs as the JSON API shows them, and what it takes."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from cloud.alarms.rules.definition import Kind, Rule
from cloud.alarms.rules.dry_run import DAYS_MAX, Cut, DryRun
from cloud.alarms.rules.service import AnyRule, RuleVersion, UnreadableRule
from cloud.alarms.rules.stored import Unreadable

WHY_CHARACTERS_MAX = 500
UNREADABLE = "Why the stored rule cannot be read any more, so that nothing is watched by it; null: it can."
STORED = "What is stored of a rule that cannot be read; null: see `rule`."
Why = Annotated[str, Field(max_length=WHY_CHARACTERS_MAX, description="Kept with the version and in the audit log.")]
VersionNumber = Annotated[int, Field(ge=0, le=1_000_000_000)]


class In(BaseModel):
    """What a request may say, and nothing more."""

    model_config = ConfigDict(extra="forbid")


class NewRuleIn(In):
    """A rule to be written."""

    rule: Rule
    why: Why = ""


class RuleChangeIn(In):
    """What a rule is to be from now on."""

    rule: Rule
    version: VersionNumber = Field(description="The version that was read; another one is saved by now: 409.")
    why: Why = ""


class RevertIn(In):
    """Which old version is saved anew."""

    to: VersionNumber = Field(description="0, of a standard rule: as delivered.")
    version: VersionNumber = Field(description="The version that was read.")
    why: Why = ""


class DryRunIn(In):
    """A rule to be tried on the last days."""

    rule: Rule
    days: int = Field(DAYS_MAX, ge=1, le=DAYS_MAX)


class RuleOut(BaseModel):
    """A rule as it is now."""

    rule_id: str
    version: int = Field(description="0: a standard rule as delivered, which nobody has changed.")
    is_standard: bool = Field(description="It came with the product: it can be changed and disabled, not deleted.")
    kind: Kind | None = Field(description="Null: it cannot be read, and this version knows no such kind.")
    rule: Rule | None = Field(description="Null: see `unreadable`.")
    unreadable: str | None = Field(description=UNREADABLE)
    stored: dict[str, Any] | None = Field(description=STORED)
    changed_ms: int | None
    changed_by: str
    fired: int = Field(description="Alarms that it has raised in the last seven days.")

    @classmethod
    def of(cls, saved: AnyRule) -> Self:
        """The rule as told."""
        found = saved.stored if isinstance(saved, UnreadableRule) else saved.rule
        return cls(
            rule_id=saved.rule_id,
            version=saved.version,
            is_standard=saved.is_standard,
            kind=saved.kind,
            **_told(found),
            changed_ms=saved.changed_ms,
            changed_by=saved.changed_by,
            fired=saved.fired,
        )


class RulesOut(BaseModel):
    """All rules, the standard ones first; a tenant has at most 200 beside them."""

    items: list[RuleOut]


class RuleVersionOut(BaseModel):
    """One version of a rule."""

    version: int
    rule: Rule | None = Field(description="Null: see `unreadable`.")
    unreadable: str | None = Field(description=UNREADABLE)
    stored: dict[str, Any] | None = Field(description=STORED)
    what: str = Field(description="`created`, `changed`, `reverted`, `deleted`, or `delivered`.")
    at_ms: int | None = Field(description="Null: as delivered.")
    actor_kind: str
    actor_name: str
    why: str

    @classmethod
    def of(cls, version: RuleVersion) -> Self:
        """The version as told."""
        return cls(
            version=version.version,
            **_told(version.rule),
            what=version.what,
            at_ms=version.at_ms,
            actor_kind=version.actor_kind,
            actor_name=version.actor_name,
            why=version.why,
        )


class FiringOut(BaseModel):
    """An alarm that would have been raised."""

    model_config = ConfigDict(from_attributes=True)

    plant_id: str
    press_id: str
    subject: str = Field(description="Mode, feature or statistic.")
    raised_ms: int = Field(description="When its shot arrived.")
    cleared_ms: int | None = Field(description="Null: it would still be there.")
    shot_row_id: int | None
    probability: float | None
    value: float | None
    threshold: float | None
    why: str = Field(description="Which tests of Nelson.")


class PressCountOut(BaseModel):
    """How many alarms a press would have had."""

    plant_id: str
    press_id: str
    alarms: int


class DryRunOut(BaseModel):
    """What a rule would have done; nothing was written."""

    from_ms: int
    until_ms: int
    shots: int = Field(description="Read, of all presses.")
    shots_in_scope: int
    presses_in_scope: int = Field(description="That gave a shot.")
    alarms: int
    active: int = Field(description="How many of these would still be there.")
    by_press: list[PressCountOut]
    examples: list[FiringOut] = Field(description="The newest, at most 20.")
    cut: Cut | None = Field(
        description="`shots`: only the newest 200,000 shots of all presses were read; `time`: it ended after 20 s."
    )

    @classmethod
    def of(cls, run: DryRun) -> Self:
        """The run as told."""
        return cls(
            from_ms=run.from_ms,
            until_ms=run.until_ms,
            shots=run.shots,
            shots_in_scope=run.shots_in_scope,
            presses_in_scope=run.presses_in_scope,
            alarms=run.alarms,
            active=run.active,
            by_press=[
                PressCountOut(plant_id=press.plant_id, press_id=press.press_id, alarms=count)
                for press, count in run.by_press
            ],
            examples=[FiringOut.model_validate(firing) for firing in run.examples],
            cut=run.cut,
        )


def _told(found: Rule | Unreadable) -> dict[str, Any]:
    if isinstance(found, Rule):
        return {"rule": found, "unreadable": None, "stored": None}
    return {"rule": None, "unreadable": found.reason, "stored": dict(found.definition)}
