"""What a rule of alarms may say: a condition of one of six kinds, where it holds, and how its alarms behave."""

from typing import Annotated, Final, Literal, LiteralString, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from cloud.alarms.policy import HOUR_MS, Consequence, Priority, priority_of
from cloud.alarms.trouble import priority_of_trouble
from contract.trouble import COUNTERS
from contract.vocabulary import FAILURE_MODES
from models.features.schema import FEATURES

HORIZONS_H: Final = (8.0, 24.0, 72.0)
"""The horizons of the heads that are trained: `models.training.survival`."""
UNITS: Final = {spec.name: spec.unit for spec in FEATURES}
"""The unit of each feature; a parameter is a feature of the same name."""
NAMES_MAX, SUBJECTS_MAX = 200, 20
NUMBER_MAX = 1e12

Kind = Literal["failure_probability", "novelty", "limit", "spc", "stale_data", "gateway_trouble"]
NelsonRule = Annotated[int, Field(ge=1, le=8)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Number = Annotated[float, Field(ge=-NUMBER_MAX, le=NUMBER_MAX, allow_inf_nan=False)]


def _fault(word: str, told: LiteralString, **facts: str) -> PydanticCustomError:
    """What is wrong, in English for programs, and by a word with its facts for pages in any language."""
    return PydanticCustomError(f"rule_{word}", told, dict(facts))


def _is_feature(name: str) -> str:
    if name not in UNITS:
        raise _fault("feature", "'{name}' is no feature; see models/features/schema.py for their names", name=name)
    return name


def _is_mode(name: str) -> str:
    if name not in FAILURE_MODES:
        raise _fault(
            "mode", "'{name}' is no failure mode; there are {known}", name=name, known=", ".join(FAILURE_MODES)
        )
    return name


def _is_trouble(name: str) -> str:
    if name not in COUNTERS:
        raise _fault(
            "trouble", "'{name}' is no trouble of a gateway; there are {known}", name=name, known=", ".join(COUNTERS)
        )
    return name


def _is_horizon(hours: float) -> float:
    if hours not in HORIZONS_H:
        known = ", ".join(f"{each:g}" for each in HORIZONS_H)
        raise _fault("horizon", "{hours} is no horizon; there are {known} hours", hours=f"{hours:g}", known=known)
    return hours


def _each_once(names: tuple[object, ...]) -> tuple[object, ...]:
    if len(set(names)) != len(names):
        raise _fault("twice", "names something twice")
    return names


Feature = Annotated[str, Field(max_length=128), AfterValidator(_is_feature)]
Mode = Annotated[str, Field(max_length=128), AfterValidator(_is_mode)]
Trouble = Annotated[str, Field(max_length=128), AfterValidator(_is_trouble)]
Horizon = Annotated[float, Field(gt=0), AfterValidator(_is_horizon)]
Once = AfterValidator(_each_once)


class Part(BaseModel):
    """Part of a rule: nothing beyond its fields, and it does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FailureProbability(Part):
    """A head's failure probability reaches a threshold."""

    kind: Literal["failure_probability"] = "failure_probability"
    modes: Annotated[tuple[Mode, ...], Once] = Field((), max_length=SUBJECTS_MAX, description="Empty: all modes.")
    horizon_h: Horizon | None = Field(None, description="Null: the longest that the head tells.")
    use_bundle_threshold: bool = Field(True, description="The bundle's own threshold goes before `threshold`.")
    threshold: float = Field(0.8, gt=0, le=1)


class Novelty(Part):
    """A shot is unlike all that its press-and-mould's baseline knows."""

    kind: Literal["novelty"] = "novelty"
    statistics: Annotated[tuple[Literal["T2", "SPE"], ...], Once] = Field(("T2", "SPE"), min_length=1, max_length=2)
    factor: float = Field(1.0, gt=0, le=1_000, description="How many times the statistic's own limit.")


class Limit(Part):
    """A feature or parameter leaves its range, in the unit of the vocabulary."""

    kind: Literal["limit"] = "limit"
    feature: Feature
    unit: Name | None = Field(None, description="May be told to be sure; another than the feature's is refused.")
    above: Number | None = None
    below: Number | None = Field(None, description="With `above`: outside of the two.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.above is None and self.below is None:
            raise _fault("no_limit", "needs `above`, `below`, or both")
        if self.above is not None and self.below is not None and self.below >= self.above:
            raise _fault("limit_order", "`below` must be less than `above`")
        if self.unit is not None and self.unit != UNITS[self.feature]:
            is_, not_ = UNITS[self.feature], self.unit
            raise _fault(
                "unit", "`unit` of {feature} is '{is_}', not '{not_}'", feature=self.feature, is_=is_, not_=not_
            )
        return self


class Spc(Part):
    """Nelson's rules on what a feature does beyond its own AR(1) of a press, mould and job."""

    kind: Literal["spc"] = "spc"
    features: Annotated[tuple[Feature, ...], Once] = Field(min_length=1, max_length=SUBJECTS_MAX)
    nelson: Annotated[tuple[NelsonRule, ...], Once] = Field(
        (1, 2, 3, 5, 6), min_length=1, max_length=8, description="Which of the eight rules of Nelson (1984)."
    )


class StaleData(Part):
    """A press is silent for so many of its cycles, or so many seconds; with both, for the longer of the two."""

    kind: Literal["stale_data"] = "stale_data"
    cycles: float | None = Field(None, ge=1, le=100_000)
    seconds: float | None = Field(None, ge=1, le=2_592_000)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.cycles is None and self.seconds is None:
            raise _fault("no_silence", "needs `cycles`, `seconds`, or both")
        return self


class GatewayTrouble(Part):
    """A gateway counts trouble: shots refused, or a journal that gave something up or is damaged."""

    kind: Literal["gateway_trouble"] = "gateway_trouble"
    troubles: Annotated[tuple[Trouble, ...], Once] = Field((), max_length=SUBJECTS_MAX, description="Empty: all kinds.")


Condition = Annotated[
    FailureProbability | Novelty | Limit | Spc | StaleData | GatewayTrouble, Field(discriminator="kind")
]
Names = Annotated[tuple[Name, ...], Once, Field(max_length=NAMES_MAX)]


class RuleScope(Part):
    """Where a rule holds: what is empty does not narrow."""

    plants: Names = ()
    presses: Names = Field((), description="Ids of presses; a rule of gateways does not look at them.")
    moulds: Names = Field((), description="Ids of moulds; only rules of shots look at them.")

    def has_place(self, plant_id: str, press_id: str = "") -> bool:
        """Whether it holds for a press, or for a gateway of the plant."""
        is_plant = not self.plants or plant_id in self.plants
        return is_plant and (not press_id or not self.presses or press_id in self.presses)

    def has_mould(self, mould_id: str) -> bool:
        """Whether it holds for a mould."""
        return not self.moulds or mould_id in self.moulds


class Rule(Part):
    """A rule as people write it."""

    name: str = Field(min_length=1, max_length=80)
    condition: Condition
    scope: RuleScope = RuleScope()
    priority: Priority | None = Field(None, description="Or `consequence` with `respond_minutes`.")
    consequence: Consequence | None = None
    respond_minutes: float | None = Field(None, gt=0, le=10_080)
    on_delay_shots: int = Field(1, ge=1, le=1_000_000, description="Shots in a row that raise an alarm.")
    on_delay_s: float = Field(0.0, ge=0, le=NUMBER_MAX, description="Time these must span, by the press's clock.")
    off_delay_shots: int = Field(1, ge=1, le=1_000_000, description="Shots in a row that clear it.")
    off_delay_s: float = Field(0.0, ge=0, le=NUMBER_MAX, description="Time these must span, by the press's clock.")
    deadband: float = Field(0.0, ge=0, le=NUMBER_MAX, description="How far back within the limit a shot must be.")
    is_latching: bool = Field(False, description="An alarm stays until it is reset.")
    realarm_hours: float | None = Field(None, ge=0, le=168, description="Null: as the site has it; 0: never.")
    is_enabled: bool = True
    note: str = Field("", max_length=1_000)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        told = (self.consequence is not None) + (self.respond_minutes is not None)
        if told == 1:
            raise _fault("pair", "`consequence` and `respond_minutes` go together")
        ways = (self.priority is not None) + (told == 2)
        if ways == 2 or (ways == 0 and self.condition.kind != "gateway_trouble"):
            raise _fault("priority", "needs either `priority`, or `consequence` with `respond_minutes`")
        if isinstance(self.condition, FailureProbability) and self.deadband >= self.condition.threshold:
            raise _fault("deadband_threshold", "`deadband` must be below `threshold`, else no alarm can clear")
        if isinstance(self.condition, Novelty) and self.deadband >= self.condition.factor:
            raise _fault("deadband_factor", "`deadband` must be below `factor`, else no alarm can clear")
        return self

    @property
    def realarm_ms(self) -> int | None:
        """Its own time to the re-alarm, 0 for never; None leaves it to the site."""
        return None if self.realarm_hours is None else round(self.realarm_hours * HOUR_MS)

    def priority_at(self, subject: str) -> str:
        """The priority of its alarms; a rule of gateways that names none leaves it to the kind of trouble."""
        if self.priority is not None:
            return self.priority
        if self.consequence is not None and self.respond_minutes is not None:
            return priority_of(self.consequence, self.respond_minutes)
        return priority_of_trouble(subject)

    def has_subject(self, subject: str) -> bool:
        """Whether it looks at this mode, feature, statistic or kind of trouble."""
        match self.condition:
            case FailureProbability(modes=names) | GatewayTrouble(troubles=names):
                return not names or subject in names
            case Novelty(statistics=statistics):
                return subject in statistics
            case Limit(feature=feature):
                return subject == feature
            case Spc(features=names):
                return subject in names
        return True
