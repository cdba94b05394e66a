"""What stands in the address space of one press? The machine's data, its job, its zones and its curves."""

from dataclasses import dataclass
from typing import Any, Final

from asyncua import Server, ua

from contract.vocabulary import SIGNALS
from simulators.plant.companion import OWN, Companion, Member
from simulators.plant.instances import Content, instantiate
from simulators.plant.nodes import NodeWriter
from simulators.plant.set_points import (
    EXPECTED_CYCLE,
    MOULD_ZONE,
    UNIT_ZONES,
    expected_cycle_ms,
    nominal_temperatures,
    write_set_points,
)
from simulators.plant.types import DEVICE_SET
from simulators.plant.units import eu_information
from simulators.press.press import Press
from simulators.press.process import Process

MANUFACTURER: Final = "Zhisan"
MODEL: Final = "Sim 160"
NODE_VERSION: Final = "1"  # the structure never changes
DEVICE_CLASS: Final = "Injection Moulding Machine"
BARREL_ZONES: Final = 5  # four and the nozzle
ZONE_VALUES: Final = (*(f"BarrelTemperature{number}" for number in range(1, BARREL_ZONES)), "NozzleTemperature")
"""What the zones show after each cycle, from the hopper to the nozzle."""
CURVES: Final = "ProcessCurves"
AUTOMATIC, PRODUCTION, JOB_IN_PRODUCTION = 1, 4, 6
HEATING, TEMPERATURE_CONTROL, CONTROL_AUTOMATIC, MOULD_INSTALLED = 1, 3, 2, 3
OIL: Final = "PowerUnits/PowerUnit_1/ActualTemperature"
JOB_VALUES: Final = "Jobs/ActiveJobValues"


@dataclass(frozen=True, slots=True)
class Machine:
    """The nodes of one press, by path below its root."""

    root: ua.NodeId
    root_name: str
    index: int
    """Of our namespace."""

    def node(self, path: str) -> ua.NodeId:
        """The NodeId at a path of browse names below the root."""
        return ua.NodeId(f"Machine/{self.root_name}/{path}", self.index)


async def write_machine(server: Server, companion: Companion, writer: NodeWriter, press: Press) -> Machine:
    """Add the machine below DeviceSet, with its curves."""
    root_name = f"IMM_{MANUFACTURER}_{press.press_id}"
    member = Member(root_name, OWN, "O", "M", type_definition="imm:IMM_MES_InterfaceType")
    device_set = writer.node_id("di", DEVICE_SET)
    content = _content(press.press_id, press.process)
    root = instantiate(companion, writer, member, device_set, path="Machine", content=content)
    machine = Machine(root, root_name, root.NamespaceIndex)
    _curves(writer, machine)
    write_set_points(companion, writer, root, press.process)
    await writer.flush(server)
    await server.get_node(root).set_event_notifier([ua.EventNotifier.SubscribeToEvents])
    return machine


def _content(press_id: str, process: Process) -> Content:
    mould, screw_mm = process.mould, process.machine.screw_diameter_mm
    values: dict[str, Any] = {
        "MachineInformation/DeviceClass": DEVICE_CLASS,
        "MachineInformation/Manufacturer": ua.LocalizedText(MANUFACTURER),
        "MachineInformation/Model": ua.LocalizedText(MODEL),
        "MachineInformation/SerialNumber": press_id,
        "MachineInformation/ControllerName": "simulators.press",
        "MachineConfiguration/UserMachineName": press_id,
        "InjectionUnits/NodeVersion": NODE_VERSION,
        "Moulds/NodeVersion": NODE_VERSION,
        "PowerUnits/NodeVersion": NODE_VERSION,
        "MachineStatus/Users/NodeVersion": NODE_VERSION,
        f"{UNIT_ZONES}/NodeVersion": NODE_VERSION,
        "Moulds/Mould_1/TemperatureZones/NodeVersion": NODE_VERSION,
        "MachineStatus/IsPresent": True,
        "MachineStatus/MachineMode": AUTOMATIC,
        "MachineMESStatus/ProductionControl/AutomaticRunEnabled": True,
        "MachineMESStatus/ProductionControl/ProductionReleasedByMES": True,
        "MachineMESStatus/ProductionControl/ProductionStatus": PRODUCTION,
        "Jobs/ActiveJob/JobName": process.job_name,
        "Jobs/ActiveJob/JobDescription": process.name,
        "Jobs/ActiveJob/MouldId": mould.mould_id,
        "Jobs/ActiveJob/NumCavities": mould.cavities,
        "Jobs/ActiveJob/Material": [process.material.name],
        "Jobs/ActiveJob/ProductName": [process.name],
        "Jobs/ActiveJob/ProductionDatasetName": process.name,
        "Jobs/ActiveJob/ProductionDatasetDescription": f"{process.material.name}, screw {screw_mm:g} mm",
        "Jobs/ActiveJob/ContinueAtJobEnd": True,
        EXPECTED_CYCLE: expected_cycle_ms(process),
        f"{JOB_VALUES}/JobStatus": JOB_IN_PRODUCTION,
        f"{JOB_VALUES}/CurrentLotName": "LOT-1",
        f"{JOB_VALUES}/AverageCycleTime": 0.0,
        f"{JOB_VALUES}/MachineCycleCounter": 0,
        f"{JOB_VALUES}/ResetAverageCycleTime": None,
        "InjectionUnits/InjectionUnit_1/BarrelId": f"{press_id}-B1",
        "InjectionUnits/InjectionUnit_1/Index": 1,
        "InjectionUnits/InjectionUnit_1/InProduction": True,
        "InjectionUnits/InjectionUnit_1/IsPresent": True,
        "InjectionUnits/InjectionUnit_1/ScrewDiameter": screw_mm,
        "Moulds/Mould_1/Id": mould.mould_id,
        "Moulds/Mould_1/Description": f"{mould.cavities} cavities, {mould.cavity_cm3:g} cm³",
        "Moulds/Mould_1/Index": 1,
        "Moulds/Mould_1/IsPresent": True,
        "Moulds/Mould_1/MouldStatus": MOULD_INSTALLED,
        "PowerUnits/PowerUnit_1/Id": "P1",
        "PowerUnits/PowerUnit_1/Index": 1,
        "PowerUnits/PowerUnit_1/IsPresent": True,
        "PowerUnits/PowerUnit_1/PowerOn": True,
        OIL: 45.0,
    }
    nominal = nominal_temperatures(process)
    values |= _zone(MOULD_ZONE, 1, "Mould", TEMPERATURE_CONTROL, nominal[MOULD_ZONE])
    for number in range(1, BARREL_ZONES + 1):
        name, path = (
            "Nozzle" if number == BARREL_ZONES else f"Barrel {number}",
            f"{UNIT_ZONES}/TemperatureZone_{number}",
        )
        values |= _zone(path, number, name, HEATING, nominal[path])
    zone_type = "gt:TemperatureZoneType"
    return Content(
        values=values,
        parts={
            "InjectionUnits": (("InjectionUnit_1", "imm:InjectionUnitType"),),
            UNIT_ZONES: tuple((f"TemperatureZone_{number}", zone_type) for number in range(1, BARREL_ZONES + 1)),
            "Moulds": (("Mould_1", "gt:MouldType"),),
            "Moulds/Mould_1/TemperatureZones": (("TemperatureZone_1", zone_type),),
            "PowerUnits": (("PowerUnit_1", "gt:PowerUnitType"),),
        },
    )


def _zone(path: str, index: int, name: str, classification: int, set_degc: float) -> dict[str, Any]:
    return {
        f"{path}/Index": index,
        f"{path}/Name": name,
        f"{path}/IsPresent": True,
        f"{path}/ControlMode": CONTROL_AUTOMATIC,
        f"{path}/Classification": classification,
        f"{path}/NominalTemperature": set_degc,
        f"{path}/ActualTemperature": set_degc,
    }


def _curves(writer: NodeWriter, machine: Machine) -> None:
    holder = machine.node(CURVES)
    writer.object(holder, machine.root, (OWN, CURVES), "BaseObjectType")
    for signal in SIGNALS.values():
        node = machine.node(f"{CURVES}/{signal.name}")
        writer.variable(node, holder, (OWN, signal.name), "Float", writer.variant("Float", 1), rank=1)
        units = writer.variant("EUInformation", -1, eu_information(signal.unit))
        below = machine.node(f"{CURVES}/{signal.name}/EngineeringUnits")
        writer.variable(below, node, ("ua", "EngineeringUnits"), "EUInformation", units, is_property=True)
    for name, data_type in (("SampleInterval", "Duration"), ("CycleCounter", "UInt64")):
        node = machine.node(f"{CURVES}/{name}")
        writer.variable(node, holder, (OWN, name), data_type, writer.variant(data_type, -1))
