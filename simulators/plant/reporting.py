"""How does a press tell of a finished cycle? Curves first, then live values, then the cycle event."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from asyncua import Server, ua
from asyncua.common.event_objects import BaseEvent
from asyncua.server.event_generator import EventGenerator

from contract.shot import Shot
from contract.vocabulary import PARAMETERS
from simulators.plant.companion import (
    EVENT_TYPE,
    INJECTION_GROUP,
    INJECTION_TYPE,
    MOULD_FIELDS,
    MOULD_GROUP,
    MOULD_TYPE,
    Companion,
    Member,
)
from simulators.plant.instances import RANGES
from simulators.plant.machine import (
    CURVES,
    JOB_IN_PRODUCTION,
    JOB_VALUES,
    OIL,
    ZONE_VALUES,
    Machine,
)
from simulators.plant.nodes import NodeWriter
from simulators.plant.set_points import MOULD_ZONE, UNIT_ZONES, set_values
from simulators.plant.units import eu_information
from simulators.press.process import Process

GOOD_CYCLE: Final = 0
EVENT_SEVERITY: Final = 100
LOT_NAME: Final = "LOT-1"


@dataclass(slots=True)
class Counters:
    """What the job has counted."""

    cycles: int = 0
    cavities: int = 1
    average_s: float = 0.0
    averaged: int = 0

    def count(self, cycle_s: float) -> None:
        """Take in one more good cycle."""
        self.cycles += 1
        self.averaged += 1
        self.average_s += (cycle_s - self.average_s) / self.averaged

    def reset(self) -> None:
        """Start the job's counting anew."""
        self.cycles = 0

    def reset_average(self) -> None:
        """Start the average anew."""
        self.averaged, self.average_s = 0, 0.0


class Reporter:
    """Writes the shots of one press into its server and fires their events."""

    def __init__(
        self, server: Server, companion: Companion, writer: NodeWriter, machine: Machine, cavities: int
    ) -> None:
        self.counters = Counters(cavities=cavities)
        self._server = server
        self._companion = companion
        self._writer = writer
        self._machine = machine
        self._event = BaseEvent(machine.root, f"cycle of {machine.root_name}", EVENT_SEVERITY)
        self._generator = EventGenerator(server.iserver.isession)

    async def prepare(self) -> None:
        """Declare the event's fields and tell that the root generates it."""
        self._event.EventType = self._writer.type_id(EVENT_TYPE)
        for group, type_name in ((INJECTION_GROUP, INJECTION_TYPE), (MOULD_GROUP, MOULD_TYPE)):
            for member in self._companion.members(type_name).values():
                if member.is_mandatory or member.name in PARAMETERS:
                    self._declare(group, member)
        await self._generator.init(self._event, emitting_node=self._machine.root)

    async def report(self, shot: Shot) -> None:
        """Make one shot visible: its curves, the values that move, and its event, in this order."""
        counter = shot.cycle_counter or 0
        self.counters.count(shot.parameters["CycleTime"])
        for name, samples in shot.curves.items():
            values = ua.Variant(samples.tolist(), ua.VariantType.Float, is_array=True)
            await self._write(f"{CURVES}/{name}", values)
        await self._write(f"{CURVES}/SampleInterval", _double(shot.sample_interval_s * 1000))
        await self._write(f"{CURVES}/CycleCounter", _count(counter))
        for path, value in self._moving(shot, counter).items():
            await self._write(path, value)
        self._fill(shot, counter)
        await self._generator.trigger(time_attr=datetime.fromtimestamp(shot.ended_ms / 1000, UTC))

    async def show_set_points(self, process: Process) -> None:
        """Make visible what an operator has set."""
        for path, value in set_values(process).items():
            await self._write(path, _double(value))

    def _moving(self, shot: Shot, counter: int) -> dict[str, ua.Variant]:
        counts, values = self.counters, shot.parameters
        moving = {
            f"{JOB_VALUES}/JobCycleCounter": _count(counts.cycles),
            f"{JOB_VALUES}/JobPartsCounter": _count(counts.cycles * counts.cavities),
            f"{JOB_VALUES}/JobGoodPartsCounter": _count(counts.cycles * counts.cavities),
            f"{JOB_VALUES}/MachineCycleCounter": _count(counter),
            f"{JOB_VALUES}/LastCycleTime": _double(values["CycleTime"] * 1000),
            f"{JOB_VALUES}/AverageCycleTime": _double(counts.average_s * 1000),
            f"{MOULD_ZONE}/ActualTemperature": _double(values["MouldTemperature"]),
            OIL: _double(values["OilTemperature"]),
        }
        for number, name in enumerate(ZONE_VALUES, start=1):
            moving[f"{UNIT_ZONES}/TemperatureZone_{number}/ActualTemperature"] = _double(values[name])
        return moving

    def _fill(self, shot: Shot, counter: int) -> None:
        counts = self.counters
        for name, value in (
            ("MachineCycleCounter", counter),
            ("JobCycleCounter", counts.cycles),
            ("JobPartsCounter", counts.cycles * counts.cavities),
            ("JobGoodPartsCounter", counts.cycles * counts.cavities),
            ("JobBadPartsCounter", 0),
            ("JobTestSamplesCounter", 0),
        ):
            self._event.add_property(name, value, ua.VariantType.UInt64)
        for name, seconds in (("CycleTime", shot.parameters["CycleTime"]), ("AverageCycleTime", counts.average_s)):
            self._event.add_property(name, seconds * 1000, ua.VariantType.Double)
        self._event.add_property("JobName", shot.job_name, ua.VariantType.String)
        self._event.add_property("CurrentLotName", LOT_NAME, ua.VariantType.String)
        self._event.add_property("JobStatus", JOB_IN_PRODUCTION, ua.VariantType.Int32)
        self._event.add_property("CycleQuality", GOOD_CYCLE, ua.VariantType.Int32)
        for path, value in nested_fields(shot.parameters).items():
            # Spelt out: asyncua would guess a nested field's type from its Python value.
            self._event.add_property(path, value, ua.VariantType.Double)

    def _declare(self, group: str, member: Member) -> None:
        path = f"{group}/{member.name}"
        if member.name == "Index":
            self._event.add_property(path, 1, ua.VariantType.UInt32)
            return
        self._event.add_property(path, None, ua.VariantType.Double)
        if member.unit:
            units, interval = eu_information(member.unit), ua.Range(*RANGES[member.unit])
            self._event.add_property(f"{path}/EngineeringUnits", units, ua.VariantType.ExtensionObject)
            self._event.add_property(f"{path}/EURange", interval, ua.VariantType.ExtensionObject)

    async def _write(self, path: str, value: ua.Variant) -> None:
        await self._server.write_attribute_value(self._machine.node(path), ua.DataValue(value))


def nested_fields(parameters: Mapping[str, float]) -> dict[str, Any]:
    """The event's nested fields by path, in the standard's units: durations are milliseconds."""
    found = {}
    for name, value in parameters.items():
        if name == "CycleTime":
            continue  # a field of the event itself
        group = MOULD_GROUP if name in MOULD_FIELDS else INJECTION_GROUP
        found[f"{group}/{name}"] = value * 1000 if PARAMETERS[name].unit == "s" else value
    return found


def _double(value: float) -> ua.Variant:
    return ua.Variant(value, ua.VariantType.Double)


def _count(value: int) -> ua.Variant:
    return ua.Variant(value, ua.VariantType.UInt64)
