"""Where a press's server says what it is set to: production dataset, expected cycle time, zones' temperatures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from asyncua import Node, ua

from contract.shot import ProductionDataset
from contract.units import UnitError
from contract.vocabulary import SET_POINTS
from edge_agent.shots import Converter, parameter_converter, production_dataset
from edge_agent.sources.opcua.browsing import children, find, unit_of

NAME, DESCRIPTION, MOULD_DESCRIPTION = "ProductionDatasetName", "ProductionDatasetDescription", "Description"
OWN_OBJECT: Final = "SetPoints"
"""OPC 40077 has no set pressures, speeds and times: makers who tell them do so in a namespace of their own."""
BARREL_ZONES: Final = tuple(f"BarrelTemperature{number}" for number in range(1, 5))
NOZZLE, MOULD_ZONE = "NozzleTemperature", "MouldTemperature"


@dataclass(frozen=True, slots=True)
class DatasetNodes:
    """What is read of a press's set points, by a key of its own, and how each becomes one of the vocabulary."""

    nodes: dict[str, Node]
    converters: dict[str, Converter]

    def dataset_of(self, found: Mapping[str, object]) -> ProductionDataset:
        """What was read, by the same keys."""
        texts = (found.get(key) for key in (NAME, DESCRIPTION, MOULD_DESCRIPTION))
        return production_dataset(*texts, reported=found, converters=self.converters)


async def find_dataset(root: Node, notes: list[str]) -> DatasetNodes:
    """What the press offers of its set points; what cannot be used is noted."""
    job = await _below(root, "Jobs", "ActiveJob")
    nodes = {name: job[name] for name in (NAME, DESCRIPTION) if name in job}
    mould = await _below(root, "Moulds", "Mould_1")
    if MOULD_DESCRIPTION in mould:
        nodes[MOULD_DESCRIPTION] = mould[MOULD_DESCRIPTION]
    values: dict[str, Node] = await _own(root, notes)
    if "ExpectedCycleTime" in job:
        values["CycleTime"] = job["ExpectedCycleTime"]
    values |= await _barrel(await _below(root, "InjectionUnits", "InjectionUnit_1"), notes)
    values |= await _mould(mould, notes)
    converters: dict[str, Converter] = {}
    for name, node in values.items():
        try:
            converter = parameter_converter(name, await unit_of(node))
        except UnitError as error:
            notes.append(f"set value of {name}: {error}; it is left out")
            continue
        if converter is not None:
            key = f"{OWN_OBJECT}/{name}"
            nodes[key], converters[key] = node, converter
    return DatasetNodes(nodes, converters)


async def _own(root: Node, notes: list[str]) -> dict[str, Node]:
    offered = await _below(root, OWN_OBJECT)
    unknown = sorted(offered.keys() - set(SET_POINTS))
    if unknown:
        notes.append(f"{OWN_OBJECT}/{', '.join(unknown)}: no set points that are known; they are left out")
    return {name: offered[name] for name in SET_POINTS if name in offered}


async def _barrel(unit: Mapping[str, Node], notes: list[str]) -> dict[str, Node]:
    """By OPC 40083 the zones of a barrel count from the feeding on, and the last one is at the nozzle."""
    zones = await _zones(unit)
    barrel, nozzle = (zones[:-1], zones[-1:]) if len(zones) > 1 else (zones, [])
    if len(barrel) > len(BARREL_ZONES):
        notes.append(f"{len(barrel)} zones before the nozzle: those behind the first {len(BARREL_ZONES)} are left out")
    return dict(zip((*BARREL_ZONES[: len(barrel)], NOZZLE), [*barrel[: len(BARREL_ZONES)], *nozzle], strict=False))


async def _mould(mould: Mapping[str, Node], notes: list[str]) -> dict[str, Node]:
    zones = await _zones(mould)
    if len(zones) > 1:
        notes.append(f"{len(zones)} temperature zones of the mould: those behind the first are left out")
    return {MOULD_ZONE: zones[0]} if zones else {}


async def _zones(holder: Mapping[str, Node]) -> list[Node]:
    """The set temperatures of those zones that are there, in their order."""
    if "TemperatureZones" not in holder:
        return []
    found: list[tuple[int, Node]] = []
    for zone in (await children(holder["TemperatureZones"], ua.NodeClass.Object)).values():
        parts = await children(zone, ua.NodeClass.Variable)
        place = parts.get("Position", parts.get("Index"))
        if "NominalTemperature" not in parts or place is None:
            continue
        number, is_present = await _value(place), await _value(parts.get("IsPresent"))
        if isinstance(number, int) and is_present is not False:
            found.append((number, parts["NominalTemperature"]))
    return [node for _, node in sorted(found, key=lambda each: each[0])]


async def _value(node: Node | None) -> object:
    """None where the press cannot say."""
    try:
        return None if node is None else await node.read_value()
    except ua.UaStatusCodeError:
        return None


async def _below(root: Node, *names: str) -> dict[str, Node]:
    node = await find(root, *names)
    return {} if node is None else await children(node)
