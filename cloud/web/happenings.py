"""What happened at a press, as its charts and its log tell it, and what a change between two shots says. Pure."""

from dataclasses import dataclass
from typing import Literal

from cloud.alarms.naming import feature_name, mode_name
from cloud.telemetry.store import Moved, StoredChange
from cloud.web.numbers import number
from cloud.web.translation import Catalogue
from contract.vocabulary import PARAMETERS

Kind = Literal["job", "mould", "material", "dataset", "set_point", "maintenance", "alarm"]
CHANGED: tuple[Kind, ...] = ("job", "mould", "material", "dataset")


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened at a press.

    `what` is the new job, mould, material or production dataset, or the failure mode of an alarm or repair; `moved`
    are the set points that were moved at once.
    """

    at_ms: int
    kind: Kind
    what: str = ""
    before: str = ""
    moved: tuple[Moved, ...] = ()


def happenings_of(change: StoredChange) -> list[Happening]:
    """What a change says: each of job, mould, material and dataset for itself, set points together."""
    pairs: list[tuple[Kind, str, str]] = [
        ("job", change.job_name, change.job_before),
        ("mould", change.mould_id, change.mould_before),
    ]
    if change.is_other_material:
        pairs.append(("material", change.material, change.material_before))
    if change.is_other_dataset:
        pairs.append(("dataset", change.dataset.name, change.dataset_before.name))
    found = [Happening(change.ended_ms, kind, now, before) for kind, now, before in pairs if now != before]
    return found + ([Happening(change.ended_ms, "set_point", moved=change.moved)] if change.moved else [])


def happening_text(t: Catalogue, happening: Happening) -> str:
    """What happened, in words."""
    if happening.kind in CHANGED:
        return t(f"mark.{happening.kind}", now=happening.what or "–", before=happening.before or "–")
    if happening.kind == "set_point":
        return t("mark.set_point", moved=t("mark.join").join(_moved_text(t, each) for each in happening.moved))
    return t(f"mark.{happening.kind}", mode=mode_name(t, happening.what))


def _moved_text(t: Catalogue, moved: Moved) -> str:
    unit = PARAMETERS[moved.name].unit if moved.name in PARAMETERS else ""
    now, before = number(moved.now, unit), number(moved.before, unit)
    return t("mark.moved", name=feature_name(t, moved.name), now=now, before=before)
