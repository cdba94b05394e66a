"""How does OPC UA name a unit? EUInformation by UNECE Recommendation 20 (OPC 10000-8, 5.6.3)."""

from typing import Final

from asyncua import ua

UNECE_URI: Final = "http://www.opcfoundation.org/UA/units/un/cefact"
# display name: (unitId, description); a unit without a common code has unitId -1.
_UNITS: Final = {
    "bar": (4342098, "bar"),
    "mm": (5066068, "millimetre"),
    "mm/s": (4403510, "millimetre per second"),
    "cm³": (4410705, "cubic centimetre"),
    "°C": (4408652, "degree Celsius"),
    "kN": (4338743, "kilonewton"),
    "N·m": (20053, "newton metre"),
    "r/min": (5394509, "revolutions per minute"),
    "kW·h": (4937544, "kilowatt hour"),
    "bar·s": (-1, "bar second"),
    "kW": (4937556, "kilowatt"),
    "K": (4932940, "kelvin"),
    "L/min": (19506, "litre per minute"),
    "%": (20529, "percent"),
    "1": (4404786, "one"),
}


def eu_information(unit: str) -> ua.EUInformation:
    """The EUInformation of a unit of the vocabulary; an empty unit gives an empty one."""
    if not unit:
        return ua.EUInformation()
    unit_id, description = _UNITS[unit]
    return ua.EUInformation(UNECE_URI, unit_id, ua.LocalizedText(unit), ua.LocalizedText(description))
