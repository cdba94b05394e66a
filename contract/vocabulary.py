"""The words of a shot: parameter and signal names with their units, the same on edge, wire, cloud and page.

Names are the BrowseNames of OPC 40077 (EUROMAP 77) 1.01 and OPC 40083 1.03 wherever the standard has one; `is_standard`
says so. Durations are seconds here (the standard's `Duration` is milliseconds; sources convert).
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Quantity:
    """One named physical quantity; `unit` is the display name of its UNECE unit."""

    name: str
    unit: str
    is_standard: bool = True


def _by_name(*quantities: Quantity) -> dict[str, Quantity]:
    return {quantity.name: quantity for quantity in quantities}


PARAMETERS: Final = _by_name(
    Quantity("CycleTime", "s"),
    Quantity("InjectionTime", "s"),
    Quantity("HoldTime", "s", is_standard=False),
    Quantity("CoolingTime", "s", is_standard=False),
    Quantity("DosingTime", "s"),
    Quantity("BackPressure", "bar"),
    Quantity("CavityPressureMaximum", "bar"),
    Quantity("CushionStroke", "mm"),
    Quantity("CushionVolume", "cm³"),
    Quantity("FlowIndex", "bar·s"),
    Quantity("HoldSpecificPressureAverage", "bar"),
    Quantity("HoldSpecificPressureMaximum", "bar"),
    Quantity("HydraulicPressureMaximum", "bar"),
    Quantity("InjectionSpeedAverage", "mm/s"),
    Quantity("InjectionSpeedMaximum", "mm/s"),
    Quantity("InjectionStartPosition", "mm"),
    Quantity("PlastificationRotationalSpeedAverage", "r/min"),
    Quantity("PlastificationSpecificPressureAverage", "bar"),
    Quantity("PlastificationSpecificPressureMaximum", "bar"),
    Quantity("PlastificationVolume", "cm³"),
    Quantity("SpecificPressureMaximum", "bar"),
    Quantity("TransferCavityPressure", "bar"),
    Quantity("TransferHydraulicPressure", "bar"),
    Quantity("TransferSpecificPressure", "bar"),
    Quantity("TransferStroke", "mm"),
    Quantity("TransferVolume", "cm³"),
    Quantity("VPChangeOverPosition", "mm"),
    Quantity("MeltTemperature", "°C", is_standard=False),
    Quantity("MouldTemperature", "°C", is_standard=False),
    Quantity("ClosingForce", "kN", is_standard=False),
    Quantity("ClampForceMaximum", "kN", is_standard=False),
    Quantity("ScrewTorqueAverage", "N·m", is_standard=False),
    Quantity("ScrewTorqueMaximum", "N·m", is_standard=False),
    Quantity("OilTemperature", "°C", is_standard=False),
    Quantity("EnergyPerCycle", "kW·h", is_standard=False),
    Quantity("ShotVolume", "cm³", is_standard=False),
    Quantity("BarrelTemperature1", "°C", is_standard=False),
    Quantity("BarrelTemperature2", "°C", is_standard=False),
    Quantity("BarrelTemperature3", "°C", is_standard=False),
    Quantity("BarrelTemperature4", "°C", is_standard=False),
    Quantity("NozzleTemperature", "°C", is_standard=False),
    Quantity("HeaterDuty1", "%", is_standard=False),
    Quantity("HeaterDuty2", "%", is_standard=False),
    Quantity("HeaterDuty3", "%", is_standard=False),
    Quantity("HeaterDuty4", "%", is_standard=False),
    Quantity("NozzleHeaterDuty", "%", is_standard=False),
    Quantity("ScrewRevolutions", "1", is_standard=False),
    Quantity("CoolantFlow", "L/min", is_standard=False),
    Quantity("CoolantTemperatureRise", "K", is_standard=False),
    Quantity("MouldClosingTime", "s", is_standard=False),
    Quantity("MouldOpeningTime", "s", is_standard=False),
    Quantity("EjectionTime", "s", is_standard=False),
    Quantity("EjectorForceMaximum", "kN", is_standard=False),
    Quantity("TieBarImbalance", "%", is_standard=False),
    Quantity("MouldProtectionForce", "kN", is_standard=False),
    Quantity("SystemPressureMaximum", "bar", is_standard=False),
    Quantity("PumpPower", "kW", is_standard=False),
)
"""Scalars of one cycle, by name."""

SET_POINTS: Final = (
    "CycleTime",
    "HoldTime",
    "CoolingTime",
    "BackPressure",
    "HoldSpecificPressureAverage",
    "InjectionSpeedMaximum",
    "InjectionStartPosition",
    "PlastificationRotationalSpeedAverage",
    "VPChangeOverPosition",
    "MouldTemperature",
    "BarrelTemperature1",
    "BarrelTemperature2",
    "BarrelTemperature3",
    "BarrelTemperature4",
    "NozzleTemperature",
)
"""Parameters that a press is set to: a set value bears the name and the unit of the parameter that it is meant for.

Of these OPC 40077 tells the temperatures (NominalTemperature of a zone) and the cycle time (ExpectedCycleTime).
"""

SIGNALS: Final = _by_name(
    Quantity("InjectionPressure", "bar", is_standard=False),
    Quantity("CavityPressure", "bar", is_standard=False),
    Quantity("ScrewPosition", "mm", is_standard=False),
    Quantity("ScrewVelocity", "mm/s", is_standard=False),
    Quantity("HydraulicPressure", "bar", is_standard=False),
    Quantity("MeltTemperature", "°C", is_standard=False),
    Quantity("ClampForce", "kN", is_standard=False),
    Quantity("MouldTemperature", "°C", is_standard=False),
)
"""Curves of one cycle, by name; outside OPC 40077, so offered in a namespace of the maker's own."""

FAILURE_MODES: Final = (
    "check_ring_wear",
    "screw_barrel_wear",
    "heater_band_open",
    "thermocouple_drift",
    "pump_leakage",
    "valve_lag_stiction",
    "accumulator_precharge_loss",
    "oil_cooler_fouling",
    "cooling_fouling",
    "mould_parting_wear_flash",
    "nozzle_leak_drool",
    "gate_or_nozzle_blocked",
    "toggle_tiebar_wear",
    "ejector_core_friction",
)
"""What can fail on a press; the ids of the process model's list. A bundle names those that it was trained on."""
