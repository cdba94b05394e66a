"""What is a press set to, and where does its server say so? Zones and cycle time by OPC 40077, the rest in our own."""

from typing import Final

from asyncua import ua

from contract.vocabulary import PARAMETERS
from simulators.plant.companion import OWN, Companion, own_member
from simulators.plant.instances import Content, instantiate
from simulators.plant.nodes import NodeWriter
from simulators.press.cycle import duty_of
from simulators.press.process import Process

SET_POINTS: Final = "SetPoints"
UNIT_ZONES: Final = "InjectionUnits/InjectionUnit_1/TemperatureZones"
MOULD_ZONE: Final = "Moulds/Mould_1/TemperatureZones/TemperatureZone_1"
EXPECTED_CYCLE: Final = "Jobs/ActiveJob/ExpectedCycleTime"


def nominal_temperatures(process: Process) -> dict[str, float]:
    """What the zones are set to, by their paths, in °C."""
    steps = enumerate(process.machine.zone_steps_k, start=1)
    barrel = {f"{UNIT_ZONES}/TemperatureZone_{number}": process.melt_degc + step_k for number, step_k in steps}
    return barrel | {MOULD_ZONE: process.mould_degc}


def own_set_points(process: Process) -> dict[str, float]:
    """What OPC 40077 has no node for, by the parameters that are set, in the vocabulary's units."""
    return {
        "HoldTime": process.hold_s,
        "CoolingTime": process.cool_s,
        "BackPressure": process.back_bar,
        "HoldSpecificPressureAverage": process.hold_bar,
        "InjectionSpeedMaximum": process.speed_mm_s,
        "InjectionStartPosition": process.dose_mm + process.machine.decompression_mm,
        "PlastificationRotationalSpeedAverage": process.rpm,
        "VPChangeOverPosition": process.vp_mm,
    }


def expected_cycle_ms(process: Process) -> float:
    """What the job's planner reckons with, to a tenth of a second: of a press as designed, not of its last cycle."""
    return round(duty_of(process).cycle_s, 1) * 1000


def set_values(process: Process) -> dict[str, float]:
    """All that an operator sets, by the paths of its nodes, in their units."""
    own = {f"{SET_POINTS}/{name}": value * _per_unit(name) for name, value in own_set_points(process).items()}
    zones = {f"{path}/NominalTemperature": degc for path, degc in nominal_temperatures(process).items()}
    return own | zones | {EXPECTED_CYCLE: expected_cycle_ms(process)}


def write_set_points(companion: Companion, writer: NodeWriter, root: ua.NodeId, process: Process) -> None:
    """Add the object of our namespace below a machine."""
    path = f"{root.Identifier}/{SET_POINTS}"
    holder = ua.NodeId(path, root.NamespaceIndex)
    writer.object(holder, root, (OWN, SET_POINTS), "BaseObjectType")
    for name, value in own_set_points(process).items():
        member, content = own_member(name, PARAMETERS[name].unit), Content(values={"": value * _per_unit(name)})
        instantiate(companion, writer, member, holder, path=path, content=content)


def _per_unit(name: str) -> float:
    """Durations are ms to OPC UA and s in the vocabulary."""
    return 1000 if PARAMETERS[name].unit == "s" else 1
