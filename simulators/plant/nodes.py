"""How is a node added to a server? Requests with typed values, gathered in order and sent at once."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from asyncua import Server, ua

from kit.errors import ZhisanError
from simulators.plant.companion import OWN, Argument, Companion

_BUILTIN: Final = {
    "Boolean": ua.VariantType.Boolean,
    "Int32": ua.VariantType.Int32,
    "UInt16": ua.VariantType.UInt16,
    "UInt32": ua.VariantType.UInt32,
    "UInt64": ua.VariantType.UInt64,
    "Float": ua.VariantType.Float,
    "Double": ua.VariantType.Double,
    "Duration": ua.VariantType.Double,
    "String": ua.VariantType.String,
    "LocaleId": ua.VariantType.String,
    "LocalizedText": ua.VariantType.LocalizedText,
    "DateTime": ua.VariantType.DateTime,
    "Image": ua.VariantType.ByteString,
    "NodeId": ua.VariantType.NodeId,
    "Enumeration": ua.VariantType.Int32,
}
_ZERO: Final[dict[ua.VariantType, Any]] = {
    ua.VariantType.Boolean: False,
    ua.VariantType.Int32: 0,
    ua.VariantType.UInt16: 0,
    ua.VariantType.UInt32: 0,
    ua.VariantType.UInt64: 0,
    ua.VariantType.Float: 0.0,
    ua.VariantType.Double: 0.0,
    ua.VariantType.String: "",
}
_STRUCTURES: Final = {
    "TimeZoneDataType": ua.TimeZoneDataType,
    "EUInformation": ua.EUInformation,
    "Range": ua.Range,
    "Argument": ua.Argument,
}
_RULES: Final = {
    "M": ua.ObjectIds.ModellingRule_Mandatory,
    "O": ua.ObjectIds.ModellingRule_Optional,
    "OP": ua.ObjectIds.ModellingRule_OptionalPlaceholder,
    "MP": ua.ObjectIds.ModellingRule_MandatoryPlaceholder,
}


class AddressSpaceError(ZhisanError):
    """The server refused a node or a reference: a fault in our model, not in the world."""


class NodeWriter:
    """Gathers nodes and references; parents are added before their children."""

    def __init__(self, companion: Companion, indexes: Mapping[str, int]) -> None:
        self._companion = companion
        self._indexes = indexes
        self._prefixes = {index: prefix for prefix, index in indexes.items()}
        self._nodes: list[ua.AddNodesItem] = []
        self._references: list[ua.AddReferencesItem] = []

    def node_id(self, prefix: str, identifier: int | str) -> ua.NodeId:
        """A NodeId in the namespace of a prefix."""
        return ua.NodeId(identifier, self._indexes[prefix])

    def type_id(self, name: str) -> ua.NodeId:
        """The NodeId of a type, an enumeration, a structure, or of what OPC UA itself defines under that name."""
        if ":" not in name:
            return ua.NodeId(getattr(ua.ObjectIds, name))
        prefix, known = name.split(":")[0], self._companion
        if name in known.types:
            return self.node_id(prefix, known.types[name].node_id)
        if name in known.enums:
            return self.node_id(prefix, known.enums[name][0])
        return self.node_id(prefix, known.structures[name].node_id)

    def variant(self, data_type: str, rank: int, value: Any = None) -> ua.Variant:
        """A value with its type spelt out; None becomes the type's zero, an empty array, or null where it has none."""
        built_in = ua.VariantType.ExtensionObject
        if data_type in _BUILTIN:
            built_in = _BUILTIN[data_type]
        elif data_type in self._companion.enums:
            built_in = ua.VariantType.Int32
        if rank >= 1:
            return ua.Variant([] if value is None else value, built_in, is_array=True)
        if value is None and data_type in _STRUCTURES:
            value = _STRUCTURES[data_type]()
        elif value is None and built_in is ua.VariantType.LocalizedText:
            value = ua.LocalizedText("")
        elif value is None:
            value = _ZERO.get(built_in)
        return ua.Variant(value, built_in) if value is not None else ua.Variant()

    def object(
        self,
        node: ua.NodeId,
        parent: ua.NodeId,
        browse: tuple[str, str],
        type_name: str,
        reference: str = "HasComponent",
    ) -> None:
        """An object of a type below a parent."""
        attributes = ua.ObjectAttributes(DisplayName=ua.LocalizedText(browse[1]), EventNotifier=0)
        self._add(node, parent, reference, browse, ua.NodeClass.Object, attributes, self.type_id(type_name))

    def variable(
        self,
        node: ua.NodeId,
        parent: ua.NodeId,
        browse: tuple[str, str],
        data_type: str,
        value: ua.Variant,
        *,
        rank: int = -1,
        type_name: str = "",
        is_property: bool = False,
        is_writable: bool = False,
    ) -> None:
        """A property or a component with a value."""
        access = ua.AccessLevel.CurrentRead.mask | (ua.AccessLevel.CurrentWrite.mask if is_writable else 0)
        attributes = ua.VariableAttributes(
            DisplayName=ua.LocalizedText(browse[1]),
            Value=value,
            DataType=self.type_id(data_type),
            ValueRank=ua.ValueRank(rank),
            ArrayDimensions=[0] if rank == 1 else None,
            AccessLevel=access,
            UserAccessLevel=access,
            Historizing=False,
        )
        type_name = type_name or ("PropertyType" if is_property else "BaseDataVariableType")
        reference = "HasProperty" if is_property else "HasComponent"
        self._add(node, parent, reference, browse, ua.NodeClass.Variable, attributes, self.type_id(type_name))

    def method(
        self,
        node: ua.NodeId,
        parent: ua.NodeId,
        browse: tuple[str, str],
        inputs: tuple[Argument, ...],
        outputs: tuple[Argument, ...],
        *,
        rule: str | None = None,
    ) -> None:
        """A method with its arguments, all under the modelling rule of a declaration; its action is linked later."""
        attributes = ua.MethodAttributes(DisplayName=ua.LocalizedText(browse[1]), Executable=True, UserExecutable=True)
        self._add(node, parent, "HasComponent", browse, ua.NodeClass.Method, attributes, ua.NodeId())
        for name, arguments in (("InputArguments", inputs), ("OutputArguments", outputs)):
            if arguments:
                below = ua.NodeId(f"{self._prefixes[node.NamespaceIndex]}:{node.Identifier}/{name}", self._indexes[OWN])
                value = self.variant("Argument", 1, [self._argument(argument) for argument in arguments])
                self.variable(below, node, ("ua", name), "Argument", value, rank=1, is_property=True)
                if rule is not None:
                    self.rule(below, "M")
        if rule is not None:
            self.rule(node, rule)

    def type_node(
        self,
        node: ua.NodeId,
        base: ua.NodeId,
        browse: tuple[str, str],
        *,
        is_abstract: bool,
        is_data_type: bool = False,
    ) -> None:
        """An object type or a data type below its base."""
        text = ua.LocalizedText(browse[1])
        if is_data_type:
            attributes: Any = ua.DataTypeAttributes(DisplayName=text, IsAbstract=is_abstract)
            self._add(node, base, "HasSubtype", browse, ua.NodeClass.DataType, attributes, ua.NodeId())
            return
        attributes = ua.ObjectTypeAttributes(DisplayName=text, IsAbstract=is_abstract)
        self._add(node, base, "HasSubtype", browse, ua.NodeClass.ObjectType, attributes, ua.NodeId())

    def rule(self, node: ua.NodeId, rule: str) -> None:
        """The modelling rule of an instance declaration."""
        self.reference(node, "HasModellingRule", ua.NodeId(_RULES[rule]), ua.NodeClass.Object)

    def reference(self, source: ua.NodeId, name: str, target: ua.NodeId, target_class: ua.NodeClass) -> None:
        """A reference forward from one node to another."""
        item = ua.AddReferencesItem()
        item.SourceNodeId, item.TargetNodeId, item.IsForward = source, target, True
        item.ReferenceTypeId, item.TargetNodeClass = ua.NodeId(getattr(ua.ObjectIds, name)), target_class
        self._references.append(item)

    async def flush(self, server: Server) -> None:
        """Send all to the server.

        Raises:
            AddressSpaceError: it refused one.
        """
        session = server.iserver.isession
        results = await session.add_nodes(self._nodes)
        refused = [
            (item.BrowseName.Name, str(item.RequestedNewNodeId), result.StatusCode.name)
            for item, result in zip(self._nodes, results, strict=True)
            if not result.StatusCode.is_good()
        ]
        bad = [status.name for status in await session.add_references(self._references) if not status.is_good()]
        if refused or bad:
            raise AddressSpaceError(f"nodes refused: {refused[:5]}; references refused: {bad[:5]}")
        self._nodes, self._references = [], []

    def _argument(self, argument: Argument) -> ua.Argument:
        name, data_type, rank = argument
        return ua.Argument(
            Name=name, DataType=self.type_id(data_type), ValueRank=rank, ArrayDimensions=[0] * (rank > 0)
        )

    def _add(
        self,
        node: ua.NodeId,
        parent: ua.NodeId,
        reference: str,
        browse: tuple[str, str],
        node_class: ua.NodeClass,
        attributes: Any,
        type_definition: ua.NodeId,
    ) -> None:
        item = ua.AddNodesItem()
        item.RequestedNewNodeId, item.ParentNodeId = node, parent
        item.BrowseName = ua.QualifiedName(browse[1], self._indexes[browse[0]])
        item.ReferenceTypeId = ua.NodeId(getattr(ua.ObjectIds, reference))
        item.NodeClass, item.NodeAttributes, item.TypeDefinition = node_class, attributes, type_definition
        self._nodes.append(item)


def enum_definition(values: Mapping[str, int]) -> ua.EnumDefinition:
    """The DataTypeDefinition of an enumeration."""
    return ua.EnumDefinition(
        Fields=[
            ua.EnumField(Value=value, DisplayName=ua.LocalizedText(name), Name=name) for name, value in values.items()
        ]
    )


def structure_definition(
    fields: Iterable[Argument], base: ua.NodeId, encoding: ua.NodeId, writer: NodeWriter
) -> ua.StructureDefinition:
    """The DataTypeDefinition of a structure, fields of its bases included by the caller."""
    return ua.StructureDefinition(
        DefaultEncodingId=encoding,
        BaseDataType=base,
        StructureType=ua.StructureType.Structure,
        Fields=[
            ua.StructureField(
                Name=name,
                DataType=writer.type_id(data_type),
                ValueRank=ua.Int32(rank),
                ArrayDimensions=[0] * (rank > 0),
                IsOptional=False,
            )
            for name, data_type, rank in fields
        ],
    )
