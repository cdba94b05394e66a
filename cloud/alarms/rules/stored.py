"""A rule as the database keeps it: read, or why it cannot be read any more. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from pydantic import ValidationError

from cloud.alarms.policy import Priority, priority_of
from cloud.alarms.rules.definition import Kind, Rule

RULE_UNREADABLE: Final = "rule_unreadable"
"""Kind and mode of the alarm about a rule that watches over nothing, since it cannot be read."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
REASON_CHARACTERS_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What was stored by another version's words, or by no version of ours."""

    definition: Mapping[str, Any]
    error: ValidationError = field(repr=False)

    @property
    def reason(self) -> str:
        """Which fields are at fault, and why."""
        return reason_of(self.error)

    @property
    def name(self) -> str:
        """Its name where one is left; else empty."""
        name = self.definition.get("name")
        return name if isinstance(name, str) else ""

    @property
    def kind(self) -> Kind | None:
        """Its kind where this version has it still."""
        condition = self.definition.get("condition")
        told = condition.get("kind") if isinstance(condition, Mapping) else None
        return next((kind for kind in KINDS if kind == told), None)


def read(definition: object) -> Rule | Unreadable:
    """The rule that is stored, or what is wrong with it."""
    try:
        return Rule.model_validate(definition)
    except ValidationError as error:
        return Unreadable(definition if isinstance(definition, Mapping) else {}, error)


def reason_of(error: ValidationError) -> str:
    """The faults in one line, each with its field; what was written is not told again."""
    parts = (f"{'.'.join(map(str, each['loc'])) or 'rule'}: {each['msg']}" for each in error.errors())
    return "; ".join(parts)[:REASON_CHARACTERS_MAX]


def priority_of_unreadable() -> Priority:
    """A press may come to damage unseen; somebody must look within the shift."""
    return priority_of("major", 480)
