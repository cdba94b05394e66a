"""Conversion between the units that presses and files speak and those of the vocabulary."""

from typing import Final

from kit.errors import ZhisanError


class UnitError(ZhisanError):
    """A unit that is unknown, or that measures something else than the one wanted."""


# unit -> (dimension, factor, offset): value in the dimension's base unit = value * factor + offset.
_UNITS: Final[dict[str, tuple[str, float, float]]] = {
    "s": ("time", 1.0, 0.0),
    "ms": ("time", 1e-3, 0.0),
    "min": ("time", 60.0, 0.0),
    "h": ("time", 3600.0, 0.0),
    "bar": ("pressure", 1.0, 0.0),
    "MPa": ("pressure", 10.0, 0.0),
    "kPa": ("pressure", 0.01, 0.0),
    "Pa": ("pressure", 1e-5, 0.0),
    "psi": ("pressure", 0.0689475729, 0.0),
    "mm": ("length", 1.0, 0.0),
    "cm": ("length", 10.0, 0.0),
    "m": ("length", 1e3, 0.0),
    "in": ("length", 25.4, 0.0),
    "mm/s": ("speed", 1.0, 0.0),
    "cm/s": ("speed", 10.0, 0.0),
    "m/s": ("speed", 1e3, 0.0),
    "cm³": ("volume", 1.0, 0.0),
    "mm³": ("volume", 1e-3, 0.0),
    "l": ("volume", 1e3, 0.0),
    "°C": ("temperature", 1.0, 0.0),
    "K": ("temperature", 1.0, -273.15),
    "°F": ("temperature", 5 / 9, -32 * 5 / 9),
    "kN": ("force", 1.0, 0.0),
    "N": ("force", 1e-3, 0.0),
    "t": ("force", 9.80665, 0.0),
    "N·m": ("torque", 1.0, 0.0),
    "kN·m": ("torque", 1e3, 0.0),
    "r/min": ("rotation", 1.0, 0.0),
    "1/s": ("rotation", 60.0, 0.0),
    "kW·h": ("energy", 1.0, 0.0),
    "W·h": ("energy", 1e-3, 0.0),
    "MJ": ("energy", 1 / 3.6, 0.0),
    "bar·s": ("pressure-time", 1.0, 0.0),
    "MPa·s": ("pressure-time", 10.0, 0.0),
    "kW": ("power", 1.0, 0.0),
    "W": ("power", 1e-3, 0.0),
    "L/min": ("flow", 1.0, 0.0),
    "m³/h": ("flow", 1e3 / 60, 0.0),
    "1": ("number", 1.0, 0.0),
    "%": ("number", 0.01, 0.0),
}

# UNECE Recommendation 20 codes as OPC UA encodes them in EUInformation.unitId (OPC 10000-8, 5.6.3).
_UNECE: Final[dict[int, str]] = {
    5457219: "s",
    4403766: "ms",
    4342098: "bar",
    5066817: "MPa",
    5066068: "mm",
    4403510: "mm/s",
    4410705: "cm³",
    4408652: "°C",
    4932940: "K",
    4338743: "kN",
    20053: "N·m",
    5394509: "r/min",
    4937544: "kW·h",
    4937556: "kW",
    19506: "L/min",
    4404786: "1",
    20529: "%",
}

# Other spellings seen in files and on presses.
_ALSO: Final[dict[str, str]] = {
    "degC": "°C",
    "℃": "°C",
    "C": "°C",
    "degF": "°F",
    "F": "°F",
    "cm3": "cm³",
    "mm3": "mm³",
    "ccm": "cm³",
    "rpm": "r/min",
    "1/min": "r/min",
    "1/min (rpm)": "r/min",
    "Nm": "N·m",
    "kWh": "kW·h",
    "Wh": "W·h",
    "sec": "s",
    "bar*s": "bar·s",
    "l/min": "L/min",
}


def known(unit: str) -> str:
    """The vocabulary's spelling of a unit.

    Raises:
        UnitError: the unit is unknown.
    """
    unit = _ALSO.get(unit, unit)
    if unit not in _UNITS:
        raise UnitError(f"unit {unit!r} is unknown; known are {', '.join(_UNITS)}")
    return unit


def from_unece(unit_id: int, display_name: str) -> str:
    """The unit of an OPC UA EUInformation: by its UNECE code, else by its display name.

    Raises:
        UnitError: neither is known.
    """
    return _UNECE[unit_id] if unit_id in _UNECE else known(display_name)


def conversion(from_unit: str, to_unit: str) -> tuple[float, float]:
    """The factor and offset that take a value from one unit to the other.

    Raises:
        UnitError: a unit is unknown, or the two measure different things.
    """
    from_unit, to_unit = known(from_unit), known(to_unit)
    from_dimension, from_factor, from_offset = _UNITS[from_unit]
    to_dimension, to_factor, to_offset = _UNITS[to_unit]
    if from_dimension != to_dimension:
        raise UnitError(f"{from_unit} measures {from_dimension}, {to_unit} measures {to_dimension}")
    return from_factor / to_factor, (from_offset - to_offset) / to_factor
