"""The one feature set: names, units and formulas, in the order of the vector that models are trained and served on."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from contract.vocabulary import PARAMETERS, SIGNALS


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One number computed from a shot; NaN when the shot lacks what it is made of."""

    name: str
    unit: str
    doc: str


_FROM_PARAMETERS: Final = tuple(
    FeatureSpec(quantity.name, quantity.unit, f"The parameter {quantity.name} as the press reports it.")
    for quantity in PARAMETERS.values()
)

# t_f: end of filling, t_h: end of hold; see models.features.phases.
_FROM_CURVES: Final = (
    FeatureSpec("InjectionPressure.FillPeak", "bar", "Highest injection pressure up to t_f."),
    FeatureSpec("InjectionPressure.FillIntegral", "bar·s", "Integral of injection pressure from 0 to t_f."),
    FeatureSpec("InjectionPressure.FillSlope", "bar/s", "Least-squares slope of injection pressure from 0 to t_f."),
    FeatureSpec("InjectionPressure.PeakTime", "s", "When injection pressure is highest up to t_h."),
    FeatureSpec("InjectionPressure.HoldMean", "bar", "Mean injection pressure from t_f to t_h."),
    FeatureSpec("InjectionPressure.HoldSlope", "bar/s", "Least-squares slope of injection pressure in hold."),
    FeatureSpec("InjectionPressure.HoldIntegral", "bar·s", "Integral of injection pressure from t_f to t_h."),
    FeatureSpec("InjectionPressure.HoldRipple", "bar", "Standard deviation around that slope, second half of hold."),
    FeatureSpec("InjectionPressure.SettleTime", "s", "From t_f until within 5 % of the mean of hold's second half."),
    FeatureSpec("CavityPressure.Peak", "bar", "Highest cavity pressure up to t_h."),
    FeatureSpec("CavityPressure.PeakTime", "s", "When cavity pressure is highest up to t_h."),
    FeatureSpec("CavityPressure.Arrival", "s", "When cavity pressure first is a tenth of that: melt at the sensor."),
    FeatureSpec("CavityPressure.AtTransfer", "bar", "Cavity pressure at t_f."),
    FeatureSpec("CavityPressure.HoldMean", "bar", "Mean cavity pressure from t_f to t_h."),
    FeatureSpec("CavityPressure.HoldSlope", "bar/s", "Least-squares slope of cavity pressure, second half of hold."),
    FeatureSpec("CavityPressure.Integral", "bar·s", "Integral of cavity pressure over the kept curve."),
    FeatureSpec("ScrewPosition.Start", "mm", "Screw position at injection start."),
    FeatureSpec("ScrewPosition.AtTransfer", "mm", "Screw position at t_f."),
    FeatureSpec("ScrewPosition.AtHoldEnd", "mm", "Screw position at t_h: the cushion as the curve shows it."),
    FeatureSpec("ScrewPosition.FillStroke", "mm", "Travel from injection start to t_f."),
    FeatureSpec("ScrewPosition.HoldTravel", "mm", "Travel from t_f to t_h: packing, shrinkage and check-ring leak."),
    FeatureSpec("ScrewPosition.HoldCreep", "mm/s", "Forward speed of the screw, second half of hold: leak alone."),
    FeatureSpec("ScrewVelocity.FillMean", "mm/s", "Mean screw velocity from 0 to t_f."),
    FeatureSpec("ScrewVelocity.FillMax", "mm/s", "Highest screw velocity up to t_f."),
    FeatureSpec("ScrewVelocity.FillSd", "mm/s", "Standard deviation of screw velocity, middle half of filling."),
    FeatureSpec("ScrewVelocity.RiseTime", "s", "When screw velocity first is nine tenths of its highest up to t_f."),
    FeatureSpec("ScrewVelocity.HoldMean", "mm/s", "Mean screw velocity from t_f to t_h."),
    FeatureSpec("HydraulicPressure.FillPeak", "bar", "Highest hydraulic pressure up to t_f."),
    FeatureSpec("HydraulicPressure.FillMean", "bar", "Mean hydraulic pressure from 0 to t_f."),
    FeatureSpec("HydraulicPressure.HoldMean", "bar", "Mean hydraulic pressure from t_f to t_h."),
    FeatureSpec("HydraulicPressure.HoldRipple", "bar", "Standard deviation around its slope, second half of hold."),
    FeatureSpec("HydraulicPressure.Intensification", "1", "Mean injection over mean hydraulic pressure in hold."),
    FeatureSpec("MeltTemperature.FillMean", "°C", "Mean melt temperature from 0 to t_f."),
    FeatureSpec("MeltTemperature.Rise", "°C", "Highest melt temperature up to t_f above that at injection start."),
    FeatureSpec("ClampForce.Peak", "kN", "Highest clamp force over the kept curve."),
    FeatureSpec("ClampForce.Breathing", "kN", "Highest clamp force up to t_h above that at injection start."),
    FeatureSpec("ClampForce.HoldMean", "kN", "Mean clamp force from t_f to t_h."),
    FeatureSpec("MouldTemperature.Mean", "°C", "Mean mould temperature over the kept curve."),
    FeatureSpec("MouldTemperature.Rise", "°C", "Highest mould temperature above that at injection start."),
)

FEATURES: Final = _FROM_PARAMETERS + _FROM_CURVES
"""All features, in the order of the vector."""


def hash_of(features: Iterable[tuple[str, str]]) -> str:
    """Names and units, in their order, in 16 hexadecimal digits."""
    return sha256("\n".join(f"{name} [{unit}]" for name, unit in features).encode()).hexdigest()[:16]


FEATURES_HASH: Final = hash_of((spec.name, spec.unit) for spec in FEATURES)
"""Names, units and order in 16 hexadecimal digits: a model of another set is refused."""

REFERENCE_SIGNALS: Final = ("InjectionPressure", "CavityPressure", "ScrewPosition")
"""The curves that are held against those which the press-and-mould showed in its baseline."""

# t_F, t_H: ends of filling and of hold on the reference curve; see models.runtime.baseline_curves.
RESIDUALS: Final = tuple(
    FeatureSpec(f"{signal}.{name}", unit or SIGNALS[signal].unit, f"{doc}.")
    for signal in REFERENCE_SIGNALS
    for name, unit, doc in (
        ("FillResidual", "", "Root mean square distance from the reference curve, 0 to t_F"),
        ("HoldResidual", "", "Root mean square distance from the reference curve, t_F to t_H"),
        ("LargestResidual", "", "Distance from the reference curve, with its sign, where it is largest up to t_H"),
        ("LargestResidualTime", "s", "When it is largest"),
    )
)
"""What a shot has beside its features as soon as its press-and-mould has a reference curve."""

VALUES: Final = FEATURES + RESIDUALS
"""All that a baseline follows, in its order."""

VALUES_HASH: Final = hash_of((spec.name, spec.unit) for spec in VALUES)
"""Of `VALUES`: a stored baseline of another set is refused."""

_INDEX: Final = {spec.name: position for position, spec in enumerate(VALUES)}


def index(name: str) -> int:
    """Where a feature stands in the vector; a residual stands after all features.

    Raises:
        KeyError: there is no such feature.
    """
    return _INDEX[name]
