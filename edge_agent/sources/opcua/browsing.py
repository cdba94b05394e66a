"""How is a node found on a server, and in which unit is its value? By browse names, whatever their namespace."""

from asyncua import Node, ua

from contract.units import from_unece


async def children(node: Node, node_class: ua.NodeClass = ua.NodeClass.Unspecified) -> dict[str, Node]:
    """What stands below a node, by name; of several of one name the first."""
    found = await node.get_children_descriptions(nodeclassmask=node_class)
    return {each.BrowseName.Name: Node(node.session, each.NodeId) for each in reversed(found)}


async def find(start: Node, *names: str) -> Node | None:
    """Follow browse names, whatever their namespace."""
    node = start
    for name in names:
        below = await children(node)
        if name not in below:
            return None
        node = below[name]
    return node


async def unit_of(node: Node) -> str:
    """The unit of a variable: of its EngineeringUnits, of the type Duration (ms), or empty.

    Raises:
        UnitError: the server names a unit that we do not know.
    """
    units = await find(node, "EngineeringUnits")
    if units is not None:
        value = await units.read_value()
        if isinstance(value, ua.EUInformation) and (value.UnitId not in (-1, 0) or value.DisplayName.Text):
            return from_unece(value.UnitId, value.DisplayName.Text or "")
        return ""
    data_type = await node.read_data_type()
    return "ms" if data_type == ua.NodeId(ua.ObjectIds.Duration) else ""
