"""A rule as the fields of a form, and the other way. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from cloud.alarms.rules.definition import Kind, Rule
from cloud.alarms.rules.stored import KINDS, Unreadable
from cloud.web.translation import Catalogue

Fields = Mapping[str, Sequence[str]]
"""What stands in a form: each field with its values."""

NUMBERS: Final = {
    "failure_probability": ("horizon_h", "threshold"),
    "novelty": ("factor",),
    "limit": ("above", "below"),
    "spc": (),
    "stale_data": ("cycles", "seconds"),
    "gateway_trouble": (),
}
CHOICES: Final = {
    "failure_probability": ("modes",),
    "novelty": ("statistics",),
    "limit": (),
    "spc": ("features", "nelson"),
    "stale_data": (),
    "gateway_trouble": ("troubles",),
}
COMMON: Final = (
    "on_delay_shots",
    "on_delay_s",
    "off_delay_shots",
    "off_delay_s",
    "deadband",
    "realarm_hours",
    "respond_minutes",
)
SCOPE: Final = ("plants", "presses", "moulds")
OF_SHOTS: Final = ("failure_probability", "novelty", "limit", "spc")


def rule_of(kind: Kind, fields: Fields) -> Rule:
    """The rule that a form tells.

    Raises:
        ValidationError: it tells none; see `faults_of`.
    """
    condition: dict[str, Any] = {"kind": kind}
    condition |= {name: _one(fields, name) for name in NUMBERS[kind] if _one(fields, name)}
    condition |= {name: list(fields.get(name, ())) for name in CHOICES[kind]}
    if kind == "failure_probability":
        condition["use_bundle_threshold"] = bool(_one(fields, "use_bundle_threshold"))
    if kind == "limit":
        condition["feature"] = _one(fields, "feature")
    told = {name: _one(fields, name) for name in (*COMMON, "priority", "consequence") if _one(fields, name)}
    return Rule.model_validate(
        {
            "name": _one(fields, "name"),
            "condition": condition,
            "scope": {name: _names(_one(fields, name)) for name in SCOPE},
            "is_latching": bool(_one(fields, "is_latching")),
            "is_enabled": bool(_one(fields, "is_enabled")),
            "note": _one(fields, "note"),
            **told,
        }
    )


def fields_of(rule: Rule | Unreadable) -> dict[str, list[str]]:
    """What a form shows of a rule; of one that cannot be read, what is left of it."""
    told = rule.definition if isinstance(rule, Unreadable) else rule.model_dump(mode="json")
    flat = {**_part(told, "condition"), **{name: told[name] for name in told if name not in ("condition", "scope")}}
    fields, scope = {name: _shown(value) for name, value in flat.items()}, _part(told, "scope")
    return fields | {name: [", ".join(_shown(scope.get(name)))] for name in SCOPE}


def blank(kind: Kind) -> dict[str, list[str]]:
    """What the form of a new rule begins with."""
    fields = {"is_enabled": ["on"], "priority": ["medium"], "on_delay_shots": ["3"], "off_delay_shots": ["10"]}
    own = {
        "failure_probability": {"use_bundle_threshold": ["on"], "threshold": ["0.8"], "deadband": ["0.1"]},
        "novelty": {"statistics": ["T2", "SPE"], "factor": ["2"], "deadband": ["0.5"]},
        "limit": {},
        "spc": {"nelson": ["1", "2", "3", "5", "6"], "on_delay_shots": ["1"], "off_delay_shots": ["20"]},
        "stale_data": {"cycles": ["10"], "seconds": ["300"]},
        "gateway_trouble": {"priority": [""]},
    }
    return {**fields, **own[kind]}


def faults_of(error: ValidationError, t: Catalogue) -> list[tuple[str, str]]:
    """What is wrong: the field of the form, and the reason in the reader's language."""
    found = []
    for each in error.errors():
        names = [part for part in each["loc"] if isinstance(part, str) and part not in KINDS]
        told = t.find(f"rules.fault.{each['type']}")
        reason = each["msg"] if told is None else told.format(**each.get("ctx", {}))
        found.append((names[-1] if names and names[-1] != "condition" else "", reason))
    return found


def _one(fields: Fields, name: str) -> str:
    values = fields.get(name, ())
    return values[0].strip() if values else ""


def _names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.replace("\n", ",").split(",")) if name]


def _part(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = told.get(name)
    return part if isinstance(part, Mapping) else {}


def _shown(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(each) for each in value]
    if isinstance(value, bool):
        return ["on"] if value else []
    if isinstance(value, float):
        return [f"{value:.12g}"]
    return [] if value is None else [str(value)]
