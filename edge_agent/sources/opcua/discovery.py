"""What a press's OPC UA server offers: found anew at each connection, by names, so that no index is ever assumed."""

from dataclasses import dataclass

from asyncua import Client, Node, ua
from asyncua.common.events import get_filter_from_event_type
from asyncua.common.ua_utils import get_node_subtypes, is_subtype

from contract.units import UnitError
from edge_agent.shots import Converter, parameter_converter, signal_converter
from edge_agent.sources.opcua.browsing import children, find, unit_of
from edge_agent.sources.opcua.dataset import DatasetNodes, find_dataset
from edge_agent.sources.source import SourceError

DI = "http://opcfoundation.org/UA/DI/"
GENERAL_TYPES = "http://opcfoundation.org/UA/PlasticsRubber/GeneralTypes/"
IMM2MES = "http://opcfoundation.org/UA/PlasticsRubber/IMM2MES/"
DEVICE_SET = 5001  # OPC 10000-100, DeviceSet
IMM_MES_INTERFACE_TYPE = 1007  # OPC 40077, IMM_MES_InterfaceType
CYCLE_PARAMETERS_EVENT_TYPE = 1038  # OPC 40083, CycleParametersEventType
CURVES_OBJECT = "ProcessCurves"
MOULD_ID, MATERIAL, PRODUCT_NAME, CAVITIES = "MouldId", "Material", "ProductName", "NumCavities"
JOB_PROPERTIES = (MOULD_ID, MATERIAL, PRODUCT_NAME, CAVITIES)
"""What is read of the active job, where the press has it."""
INJECTION_UNIT = "InjectionUnitCycleParameters_1"
MOULD = "MouldCycleParameters_1"


class DiscoveryError(SourceError):
    """The server lacks a node that a press must have; `problems` names each."""

    def __init__(self, url: str, problems: list[str]) -> None:
        super().__init__(f"{url}: " + "; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Curves:
    """Where the curves of the last cycle stand."""

    counter: Node
    interval: Node
    nodes: tuple[Node, ...]
    converters: tuple[Converter, ...]


@dataclass(frozen=True, slots=True)
class PressNodes:
    """What the source subscribes to and reads."""

    root: Node
    event_filter: ua.EventFilter
    converters: dict[str, Converter]
    curves: Curves | None
    job: dict[str, Node]
    """Those of JOB_PROPERTIES that are there."""
    dataset: DatasetNodes
    notes: tuple[str, ...]
    """What is there but cannot be used (an unknown unit), for `zhisan edge check`."""


async def discover(client: Client, url: str) -> PressNodes:
    """Find the press, its cycle event and its curves.

    Raises:
        DiscoveryError: a namespace, the machine or the cycle event is missing.
    """
    namespaces = await client.get_namespace_array()
    missing = [uri for uri in (DI, GENERAL_TYPES, IMM2MES) if uri not in namespaces]
    if missing:
        raise DiscoveryError(url, [f"namespace {uri} is missing: no OPC 40077 server" for uri in missing])
    root = await _machine(client, namespaces)
    if root is None:
        raise DiscoveryError(url, ["no object of type IMM_MES_InterfaceType under DeviceSet"])
    event_type = await _cycle_event_type(client, namespaces)
    if event_type is None:
        raise DiscoveryError(url, ["no concrete subtype of CycleParametersEventType: the server fires no cycle events"])
    notes: list[str] = []
    return PressNodes(
        root=root,
        event_filter=await get_filter_from_event_type([event_type]),
        converters=await _converters(event_type, notes),
        curves=await _curves(root, notes),
        job=await _job(root),
        dataset=await find_dataset(root, notes),
        notes=tuple(notes),
    )


async def _machine(client: Client, namespaces: list[str]) -> Node | None:
    wanted = ua.NodeId(IMM_MES_INTERFACE_TYPE, namespaces.index(IMM2MES))
    device_set = client.get_node(ua.NodeId(DEVICE_SET, namespaces.index(DI)))
    try:
        children = await device_set.get_children()
    except ua.UaStatusCodeError:
        return None
    for child in children:
        type_id = await child.read_type_definition()
        if type_id is not None and (type_id == wanted or await is_subtype(client.get_node(type_id), wanted)):
            return child
    return None


async def _cycle_event_type(client: Client, namespaces: list[str]) -> Node | None:
    abstract = client.get_node(ua.NodeId(CYCLE_PARAMETERS_EVENT_TYPE, namespaces.index(GENERAL_TYPES)))
    try:
        subtypes = await get_node_subtypes(abstract)
    except ua.UaStatusCodeError:
        return None
    for subtype in subtypes:
        is_abstract = await subtype.read_attribute(ua.AttributeIds.IsAbstract)
        if not is_abstract.Value.Value:
            return subtype
    return None


async def _converters(event_type: Node, notes: list[str]) -> dict[str, Converter]:
    """The numeric fields that the vocabulary knows, by their path in the event (`Object/Field` or `Field`)."""
    found = await _fields(event_type, "", notes)
    # The cycle's own field is the standard's base type, which has no properties to read a unit from.
    found["CycleTime"] = Converter("CycleTime", 1e-3, 0.0)
    for group in (INJECTION_UNIT, MOULD):
        part = await find(event_type, group)
        if part is not None:
            found |= await _fields(part, f"{group}/", notes)
    return found


async def _fields(parent: Node, prefix: str, notes: list[str]) -> dict[str, Converter]:
    found = {}
    for node in await parent.get_children(nodeclassmask=ua.NodeClass.Variable):
        name = (await node.read_browse_name()).Name
        try:
            converter = parameter_converter(name, await unit_of(node))
        except UnitError as error:
            notes.append(f"{prefix}{name}: {error}; it is left out")
            continue
        if converter is not None:
            found[prefix + name] = converter
    return found


async def _curves(root: Node, notes: list[str]) -> Curves | None:
    holder = await find(root, CURVES_OBJECT)
    if holder is None:
        return None
    counter, interval = await find(holder, "CycleCounter"), await find(holder, "SampleInterval")
    if counter is None or interval is None:
        notes.append(f"{CURVES_OBJECT} lacks CycleCounter or SampleInterval; curves are left out")
        return None
    nodes, converters = [], []
    for node in await holder.get_children(nodeclassmask=ua.NodeClass.Variable):
        name = (await node.read_browse_name()).Name
        try:
            converter = signal_converter(name, await unit_of(node))
        except UnitError as error:
            notes.append(f"{CURVES_OBJECT}/{name}: {error}; it is left out")
            continue
        if converter is not None:
            nodes.append(node)
            converters.append(converter)
    return Curves(counter, interval, tuple(nodes), tuple(converters))


async def _job(root: Node) -> dict[str, Node]:
    job = await find(root, "Jobs", "ActiveJob")
    by_name = await children(job) if job is not None else {}
    return {name: by_name[name] for name in JOB_PROPERTIES if name in by_name}
