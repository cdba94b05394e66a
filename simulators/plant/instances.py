"""How does a type become an object? Its mandatory members and the optional ones that were asked for, recursively."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from asyncua import ua

from simulators.plant.companion import OWN, Companion, Member
from simulators.plant.nodes import NodeWriter
from simulators.plant.units import eu_information

NO_VALUES: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Content:
    """What one machine has beside the mandatory: values by path below the root, and what fills the placeholders.

    A path is of browse names joined by `/`. `parts` maps a container's path to the names and types in it.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def has(self, path: str) -> bool:
        """Whether something at or below a path was asked for."""
        return any(key == path or key.startswith(path + "/") for key in (*self.values, *self.parts))


def instantiate(
    companion: Companion,
    writer: NodeWriter,
    member: Member,
    parent: ua.NodeId,
    *,
    path: str,
    content: Content | None = None,
    rule: str | None = None,
    below: str = "",
) -> ua.NodeId:
    """Add a member as a node of our namespace, with all that belongs below it; the NodeId is its path.

    `path` is the parent's; `below` is the member's path inside `content`. With a `rule` it is an instance declaration.
    """
    content = content or Content()
    at = f"{path}/{member.name}"
    node, browse = writer.node_id(OWN, at), (member.namespace, member.name)
    if member.kind == "M":
        writer.method(node, parent, browse, member.inputs, member.outputs, rule=rule)
        return node
    if member.kind == "V":
        _variable(writer, member, node, parent, content.values.get(below))
    else:
        writer.object(node, parent, browse, member.type_definition)
        for child in _children(companion, member, content, below):
            inside = f"{below}/{child.name}" if below else child.name
            instantiate(companion, writer, child, node, path=at, content=content, rule=rule, below=inside)
    if rule is not None:
        writer.rule(node, rule)
    return node


def _children(companion: Companion, member: Member, content: Content, below: str) -> list[Member]:
    members = companion.children(member)
    prefix = f"{below}/" if below else ""
    chosen = [child for child in members.values() if child.is_mandatory or content.has(prefix + child.name)]
    holders = [child for child in members.values() if child.rule in ("OP", "MP")]
    parts = content.parts.get(below, ())
    assert not parts or holders, f"{below} has no placeholder"
    chosen += [replace(holders[0], name=name, type_definition=type_name) for name, type_name in parts]
    return chosen


def _variable(writer: NodeWriter, member: Member, node: ua.NodeId, parent: ua.NodeId, value: Any) -> None:
    writer.variable(
        node,
        parent,
        (member.namespace, member.name),
        member.data_type,
        writer.variant(member.data_type, member.rank, value),
        rank=member.rank,
        type_name=member.type_definition,
        is_property=member.is_property,
        is_writable=False,  # a simulated press takes no orders
    )
    if member.type_definition == "AnalogItemType":
        for name, data_type, filled in (
            ("EngineeringUnits", "EUInformation", eu_information(member.unit)),
            ("EURange", "Range", ua.Range(*RANGES.get(member.unit, (0.0, 1e6)))),
        ):
            at = ua.NodeId(f"{node.Identifier}/{name}", node.NamespaceIndex)
            typed = writer.variant(data_type, -1, filled)
            writer.variable(at, node, ("ua", name), data_type, typed, is_property=True)


RANGES = {
    "bar": (0.0, 2_500.0),
    "mm": (0.0, 200.0),
    "mm/s": (-200.0, 200.0),
    "cm³": (0.0, 318.0),
    "°C": (0.0, 400.0),
    "kN": (0.0, 1_600.0),
    "N·m": (0.0, 2_000.0),
    "r/min": (0.0, 200.0),
    "kW·h": (0.0, 10.0),
    "bar·s": (0.0, 10_000.0),
    "kW": (0.0, 30.0),
    "K": (-20.0, 50.0),
    "L/min": (0.0, 60.0),
    "%": (0.0, 100.0),
    "1": (0.0, 1_000.0),
}
"""What an instrument of the 160 t machine can show, by unit."""
