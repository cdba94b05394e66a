"""How do the standards' types get into a server? Data types first, then object types with their declarations."""

from asyncua import Server, ua

from contract.vocabulary import PARAMETERS
from simulators.plant.companion import Companion, Member, ObjectType
from simulators.plant.instances import Content, instantiate
from simulators.plant.nodes import NodeWriter, enum_definition, structure_definition

DEVICE_SET = 5001  # OPC 10000-100
EVENT_CONTENT = Content(values=dict.fromkeys(PARAMETERS))
"""Of the standard's optional cycle parameters, those of the vocabulary."""
ANALOG_PROPERTIES = {"EngineeringUnits": "EUInformation", "EURange": "Range"}
"""Data types of what an AnalogItemType has below it."""


async def write_types(server: Server, companion: Companion, writer: NodeWriter) -> None:
    """Add DeviceSet, all data types and all object types of the companion specifications, and our subtypes."""
    writer.object(
        writer.node_id("di", DEVICE_SET),
        ua.NodeId(ua.ObjectIds.ObjectsFolder),
        ("di", "DeviceSet"),
        "BaseObjectType",
        reference="Organizes",
    )
    _data_types(companion, writer)
    for described in _bases_first(companion):
        _object_type(described, writer)
    await writer.flush(server)
    for described in companion.types.values():
        for member in described.members:
            _declare(companion, writer, described, member)
        for name in described.interfaces:
            if name in companion.types:
                _refer(writer, described.name, "HasInterface", name)
        for name in described.generates:
            _refer(writer, described.name, "GeneratesEvent", name)
    await writer.flush(server)
    await _definitions(server, companion, writer)


def _refer(writer: NodeWriter, source: str, reference: str, target: str) -> None:
    writer.reference(writer.type_id(source), reference, writer.type_id(target), ua.NodeClass.ObjectType)


def _data_types(companion: Companion, writer: NodeWriter) -> None:
    for name in companion.enums:
        browse = _browse(name)
        writer.type_node(
            writer.type_id(name), writer.type_id("Enumeration"), browse, is_abstract=False, is_data_type=True
        )
    # A structure's base stands before it in the file.
    for name, structure in sorted(
        companion.structures.items(), key=lambda entry: entry[1].base in companion.structures
    ):
        prefix, _ = browse = _browse(name)
        base = writer.type_id(structure.base)
        writer.type_node(writer.type_id(name), base, browse, is_abstract=False, is_data_type=True)
        for encoding, number in structure.encodings.items():
            node = writer.node_id(prefix, number)
            label = ("ua", f"Default {encoding}")
            writer.object(node, writer.type_id(name), label, "DataTypeEncodingType", reference="HasEncoding")


def _object_type(described: ObjectType, writer: NodeWriter) -> None:
    writer.type_node(
        writer.type_id(described.name),
        writer.type_id(described.base),
        _browse(described.name),
        is_abstract=described.is_abstract,
    )


def _declare(companion: Companion, writer: NodeWriter, described: ObjectType, member: Member) -> None:
    """An instance declaration with the standard's NodeId where it fixes one, and its re-declared children."""
    prefix, parent = described.name.split(":")[0], writer.type_id(described.name)
    if member.node_id is None:
        path = _browse(described.name)[1]
        instantiate(companion, writer, member, parent, path=path, content=EVENT_CONTENT, rule=member.rule)
        return
    node = writer.node_id(prefix, member.node_id)
    _declaration(writer, member, node, parent, prefix)
    children = companion.children(member) if member.declared_ids else {}
    for name, number in member.declared_ids.items():
        if name in children:
            _declaration(writer, children[name], writer.node_id(prefix, number), node, "")


def _declaration(writer: NodeWriter, member: Member, node: ua.NodeId, parent: ua.NodeId, prefix: str) -> None:
    browse = (member.namespace, member.name)
    if member.kind == "M":
        writer.method(node, parent, browse, member.inputs, member.outputs, rule=member.rule)
        return
    if member.kind == "O":
        reference = "HasProperty" if member.is_property else "HasComponent"
        writer.object(node, parent, browse, member.type_definition or "BaseObjectType", reference)
    else:
        writer.variable(
            node,
            parent,
            browse,
            member.data_type,
            writer.variant(member.data_type, member.rank),
            rank=member.rank,
            type_name=member.type_definition,
            is_property=member.is_property,
            is_writable=member.is_writable,
        )
    writer.rule(node, member.rule)
    for name, number in (member.property_ids if prefix else {}).items():
        if name in ANALOG_PROPERTIES:
            below, data_type = writer.node_id(prefix, number), ANALOG_PROPERTIES[name]
            value = writer.variant(data_type, -1)
            writer.variable(below, node, ("ua", name), data_type, value, is_property=True)
            writer.rule(below, member.units_rule if name == "EngineeringUnits" else "M")


async def _definitions(server: Server, companion: Companion, writer: NodeWriter) -> None:
    for name, (_, values) in companion.enums.items():
        await _define(server, writer.type_id(name), enum_definition(values))
    for name, structure in companion.structures.items():
        fields, base = list(structure.fields), structure.base
        while base in companion.structures:
            fields, base = [*companion.structures[base].fields, *fields], companion.structures[base].base
        encoding = writer.node_id(name.split(":")[0], structure.encodings["Binary"])
        definition = structure_definition(fields, writer.type_id(structure.base), encoding, writer)
        await _define(server, writer.type_id(name), definition)


async def _define(server: Server, node: ua.NodeId, definition: ua.EnumDefinition | ua.StructureDefinition) -> None:
    value = ua.DataValue(ua.Variant(definition, ua.VariantType.ExtensionObject))
    await server.get_node(node).write_attribute(ua.AttributeIds.DataTypeDefinition, value)


def _bases_first(companion: Companion) -> list[ObjectType]:
    ordered: dict[str, ObjectType] = {}

    def place(name: str) -> None:
        if name in companion.types and name not in ordered:
            place(companion.types[name].base)
            ordered[name] = companion.types[name]

    for name in companion.types:
        place(name)
    return list(ordered.values())


def _browse(name: str) -> tuple[str, str]:
    prefix, plain = name.split(":")
    return prefix, plain
