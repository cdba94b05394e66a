"""What do OPC 40077 and 40083 define? Their types, enumerations and structures, read from euromap77.json, and ours.

The file's keys: `id` is the NodeId's number in the namespace of the name's prefix; a member has `n` name, `ns` the
BrowseName's namespace, `k` O(bject) V(ariable) M(ethod), `rule` M(andatory) O(ptional) OP (optional placeholder), `ref`
prop or comp, `dt` data type, `rank` 1 for arrays, `td` type definition, `rw` writable, `in` and `out` arguments as
[name, type, rank], `props` NodeId numbers of its properties, `eu` the rule of its EngineeringUnits where that is not M,
`decl` the NodeId numbers of its re-declared children. A name without a prefix is of OPC UA itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any, Final

from contract.vocabulary import PARAMETERS

OWN: Final = "zh"
OWN_URI: Final = "urn:zhisan:opcua:press"
EVENT_TYPE: Final = "zh:ImmCycleParametersEventType"
INJECTION_TYPE: Final = "zh:ImmInjectionUnitCycleParametersType"
MOULD_TYPE: Final = "zh:ImmMouldCycleParametersType"
INJECTION_GROUP: Final = "InjectionUnitCycleParameters_1"
MOULD_GROUP: Final = "MouldCycleParameters_1"
MOULD_FIELDS: Final = (
    "MouldTemperature",
    "ClosingForce",
    "ClampForceMaximum",
    "CoolantFlow",
    "CoolantTemperatureRise",
    "MouldClosingTime",
    "MouldOpeningTime",
    "EjectionTime",
    "EjectorForceMaximum",
    "TieBarImbalance",
    "MouldProtectionForce",
)
"""What of the vocabulary belongs to the mould; the rest that the standard lacks belongs to the injection unit."""

Argument = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Member:
    """One component or property of a type; `node_id` is None where no standard fixes it."""

    name: str
    namespace: str
    kind: str
    rule: str
    node_id: int | None = None
    is_property: bool = False
    data_type: str = ""
    rank: int = -1
    type_definition: str = ""
    is_writable: bool = False
    inputs: tuple[Argument, ...] = ()
    outputs: tuple[Argument, ...] = ()
    property_ids: Mapping[str, int] = field(default_factory=dict)
    declared_ids: Mapping[str, int] = field(default_factory=dict)
    declared_types: Mapping[str, str] = field(default_factory=dict)
    """Children that this member narrows to a subtype."""
    unit: str = ""
    units_rule: str = "M"
    """Of the EngineeringUnits."""

    @property
    def is_mandatory(self) -> bool:
        """Whether each instance has it."""
        return self.rule == "M"


@dataclass(frozen=True, slots=True)
class ObjectType:
    """One object type; `name` carries its namespace's prefix."""

    name: str
    node_id: int
    base: str
    is_abstract: bool = False
    interfaces: tuple[str, ...] = ()
    generates: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Structure:
    """One structured data type with the NodeIds of its encodings."""

    node_id: int
    base: str
    fields: tuple[Argument, ...]
    encodings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Companion:
    """All definitions; `namespaces` maps a prefix to its URI, `enums` a name to its NodeId number and values."""

    namespaces: Mapping[str, str]
    types: Mapping[str, ObjectType]
    enums: Mapping[str, tuple[int, Mapping[str, int]]]
    structures: Mapping[str, Structure]

    def members(self, type_name: str) -> dict[str, Member]:
        """A type's members with those of its bases; the type's own hide a base's of the same name."""
        found: dict[str, Member] = {}
        while type_name in self.types:
            described = self.types[type_name]
            found = {member.name: member for member in described.members} | found
            type_name = described.base
        return found

    def children(self, member: Member) -> dict[str, Member]:
        """What stands below a member: its type's members, narrowed where the member says so."""
        return {
            name: replace(child, type_definition=member.declared_types.get(name, child.type_definition))
            for name, child in self.members(member.type_definition).items()
        }


def load() -> Companion:
    """The standards' definitions with our own subtypes for the cycle event."""
    raw = json.loads((files("simulators.plant") / "euromap77.json").read_text(encoding="utf-8"))
    types = {name: _object_type(name, entry, raw["units"]) for name, entry in raw["types"].items()}
    types |= {own.name: own for own in _own_types()}
    return Companion(
        namespaces={prefix: entry["uri"] for prefix, entry in raw["namespaces"].items()} | {OWN: OWN_URI},
        types=types,
        enums={name: (entry["id"], entry["values"]) for name, entry in raw["enums"].items()},
        structures={
            name: Structure(entry["id"], entry["base"], _arguments(entry["fields"]), entry["enc"])
            for name, entry in raw["structs"].items()
        },
    )


def own_member(name: str, unit: str) -> Member:
    """A number of our namespace, a Duration where it is a time."""
    if unit == "s":
        return Member(name, OWN, "V", "M", data_type="Duration")
    return Member(name, OWN, "V", "M", data_type="Double", type_definition="AnalogItemType", unit=unit)


def _own_types() -> list[ObjectType]:
    """Concrete subtypes, as OPC 40077 17.3 asks of each server, with what the standard has no word for."""
    extra = [quantity for quantity in PARAMETERS.values() if not quantity.is_standard]
    unit = [own_member(q.name, q.unit) for q in extra if q.name not in MOULD_FIELDS]
    mould = [own_member(q.name, q.unit) for q in extra if q.name in MOULD_FIELDS]
    groups = (
        Member(INJECTION_GROUP, OWN, "O", "M", type_definition=INJECTION_TYPE),
        Member(MOULD_GROUP, OWN, "O", "M", type_definition=MOULD_TYPE),
    )
    return [
        ObjectType(EVENT_TYPE, 1001, "gt:CycleParametersEventType", members=groups),
        ObjectType(INJECTION_TYPE, 1002, "imm:InjectionUnitCycleParametersType", members=tuple(unit)),
        ObjectType(MOULD_TYPE, 1003, "gt:MouldCycleParametersType", members=tuple(mould)),
    ]


def _object_type(name: str, entry: Mapping[str, Any], units: Mapping[str, str]) -> ObjectType:
    members = (_member(member, units.get(f"{name}.{member['n']}", "")) for member in entry["members"])
    return ObjectType(
        name=name,
        node_id=entry["id"],
        base=entry["base"],
        is_abstract=entry.get("abstract", False),
        interfaces=tuple(entry.get("interfaces", ())),
        generates=tuple(entry.get("generates", ())),
        members=tuple(members),
    )


def _member(entry: Mapping[str, Any], unit: str) -> Member:
    declared = {name: at if isinstance(at, list) else [at, ""] for name, at in entry.get("decl", {}).items()}
    return Member(
        name=entry["n"],
        namespace=entry["ns"],
        kind=entry["k"],
        rule=entry["rule"],
        node_id=entry["id"],
        is_property=entry.get("ref") == "prop",
        data_type=entry.get("dt", ""),
        rank=entry.get("rank", -1),
        type_definition=entry.get("td", ""),
        is_writable=entry.get("rw", False),
        inputs=_arguments(entry.get("in", ())),
        outputs=_arguments(entry.get("out", ())),
        property_ids=entry.get("props", {}),
        declared_ids={name: node_id for name, (node_id, _) in declared.items()},
        declared_types={name: type_name for name, (_, type_name) in declared.items() if type_name},
        unit=unit,
        units_rule=entry.get("eu", "M"),
    )


def _arguments(entries: Any) -> tuple[Argument, ...]:
    return tuple((entry[0], entry[1], entry[2] if len(entry) > 2 else -1) for entry in entries)
