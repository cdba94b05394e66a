"""Faults of screw, barrel, heaters and nozzle."""

from dataclasses import replace
from typing import Final

import numpy as np

from simulators.press.condition import Condition, Value, Zones
from simulators.press.process import Process

CLEARANCE_GROWTH: Final = 1.0
"""A clearance twice as wide as new costs up to a quarter of the output: the screw is condemned."""
BAND_FADE: Final = 0.45
BAND_OPENS: Final = 0.98
"""A heater's winding burns through turn by turn (one phase, then the next) before the band is open."""
BAND_ZONE: Final = 2
SENSOR_DRIFT_K: Final = -12.0
"""A thermocouple that has come loose or aged reads low: the control heats the melt above what it shows."""
SENSOR_ZONE: Final = 3
NOZZLE_LEAK: Final = 0.022


def screw_barrel_wear(condition: Condition, severity: Value, _process: Process) -> Condition:
    """Flight and barrel lose metal: clearance = new x (1 + severity)."""
    factor = condition.screw_clearance_factor
    return replace(condition, screw_clearance_factor=factor * (1 + CLEARANCE_GROWTH * np.asarray(severity)))


def heater_band_open(condition: Condition, severity: Value, _process: Process) -> Condition:
    """A band of zone 3 gives less and less and is open in the end; the others and the melt make good what they can."""
    worn = np.asarray(severity, np.float64)
    left = np.where(worn >= BAND_OPENS, 0.0, 1 - BAND_FADE * worn)
    return replace(
        condition, zone_heater_share=_with_zone(condition.zone_heater_share, BAND_ZONE, left, is_factor=True)
    )


def thermocouple_drift(condition: Condition, severity: Value, _process: Process) -> Condition:
    """The thermocouple of zone 4 reads low, up to 12 K."""
    offset = SENSOR_DRIFT_K * np.asarray(severity, np.float64)
    zones = _with_zone(condition.zone_sensor_offset_k, SENSOR_ZONE, offset, is_factor=False)
    return replace(condition, zone_sensor_offset_k=zones)


def nozzle_leak_drool(condition: Condition, severity: Value, _process: Process) -> Condition:
    """The nozzle's seat is washed out: a leak whose area grows to 2 % of the bore's."""
    return replace(condition, nozzle_leak_share=condition.nozzle_leak_share + NOZZLE_LEAK * np.asarray(severity))


def _with_zone(zones: Zones, number: int, value: Value, *, is_factor: bool) -> Zones:
    changed = list(zones)
    changed[number] = changed[number] * value if is_factor else changed[number] + value
    one, two, three, four, nozzle = changed
    return one, two, three, four, nozzle
