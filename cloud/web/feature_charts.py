"""The values of a press over a span of shots, with the limits of its own run in control and what happened meanwhile."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from cloud.alarms.naming import feature_name
from cloud.telemetry.store import StoredShot
from cloud.web.charts import Chart, Line, Mark, Panel, Role, chart_of, line_of, panel_of, point
from cloud.web.happenings import Happening, happening_text
from cloud.web.numbers import number
from cloud.web.press_history import Reference, place_of
from cloud.web.press_view import columns_of
from cloud.web.translation import Catalogue
from cloud.web.wording import quantity_unit
from contract.vocabulary import PARAMETERS
from models.control_chart import SIGMAS, ControlLimits, limits_of, residuals
from models.features.schema import FEATURES, FEATURES_HASH

FEATURES_SHOWN: Final = 3
LETTERS: Final = {
    "job": "J",
    "mould": "M",
    "material": "R",
    "dataset": "D",
    "set_point": "S",
    "maintenance": "W",
    "alarm": "A",
}
"""R is for raw material."""
_UNITS: Final = {spec.name: spec.unit for spec in FEATURES}
_PLACES: Final = {spec.name: at for at, spec in enumerate(FEATURES)}
_OF_CURVES: Final = tuple(spec.name for spec in FEATURES if spec.name not in PARAMETERS)


def features_of(row: StoredShot | None) -> list[str]:
    """What can be followed of a press: its parameters, the usual first, then features of its curves that it has."""
    if row is None:
        return []
    parameters = row.scored.shot.parameters
    own = columns_of([parameters], columns_max=len(parameters))
    return [*own, *(name for name in _OF_CURVES if math.isfinite(value_of(row, name)))]


def shown_features(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Those of `names` that are wanted; where none is, the first few."""
    return [name for name in names if name in wanted] or list(names[:FEATURES_SHOWN])


def value_of(row: StoredShot, name: str) -> float:
    """A parameter or feature of a shot; NaN where it has none."""
    value = row.scored.shot.parameters.get(name)
    if value is not None:
        return value
    at, features = _PLACES.get(name), row.scored.features
    if at is None or row.scored.features_hash != FEATURES_HASH or len(features) != len(FEATURES):
        return math.nan
    return float(features[at])


def unit_of(name: str) -> str:
    """The unit of a parameter or feature."""
    return quantity_unit(name) or _UNITS.get(name, "")


def features_chart(
    t: Catalogue,
    rows: Sequence[StoredShot],
    names: Sequence[str],
    *,
    reference: Reference | None,
    marks: Sequence[Happening] = (),
) -> Chart:
    """A panel a feature, in the order of the press's own time.

    Limits hold for the mould of the reference alone; for shots with another one nothing is drawn.
    """
    ordered = sorted(rows, key=place_of)
    panels = [_panel(t, name, ordered, reference) for name in names] if ordered else []
    times = [row.scored.shot.ended_ms / 1000 for row in ordered]
    told = marks_of(t, marks)
    version = f"{ordered[0].row_id}-{ordered[-1].row_id}-{len(ordered)}-{len(told)}-{names}" if ordered else "none"
    return chart_of(version, t("chart.when"), times, panels, is_time=True, marks=told)


def marks_of(t: Catalogue, happenings: Sequence[Happening]) -> list[Mark]:
    """What happened, as a chart marks it."""
    return [
        Mark(at=each.at_ms / 1000, kind=each.kind, letter=LETTERS[each.kind], label=happening_text(t, each))
        for each in happenings
    ]


def _panel(t: Catalogue, name: str, rows: Sequence[StoredShot], reference: Reference | None) -> Panel:
    values, unit = _values(rows, name), unit_of(name)
    line = _line(feature_name(t, name), unit, "value", values.tolist())
    limits = limits_of(_values(reference.run, name)) if reference is not None else None
    if limits is None or reference is None:
        return panel_of(feature_name(t, name), [line], note=t("chart.no_limits"))
    is_own = np.array([row.scored.shot.mould_id == reference.mould_id for row in rows])
    heights: list[tuple[Role, float]] = [("centre", limits.centre), ("limit", limits.high), ("limit", limits.low)]
    keys = ("chart.centre", "chart.upper", "chart.lower")
    drawn = [
        _line(t(key), unit, role, np.where(is_own, height, np.nan).tolist())
        for key, (role, height) in zip(keys, heights, strict=True)
    ]
    own = np.where(is_own, values, np.nan)
    outside = np.where(_is_outside(own, limits), own, np.nan)
    note = t("chart.limits_of", shots=limits.count, memory=number(limits.phi, digits=2))
    return panel_of(
        feature_name(t, name), [line, *drawn, _line(t("chart.outside"), unit, "outside", outside.tolist())], note=note
    )


def _is_outside(values: npt.NDArray[np.float64], limits: ControlLimits) -> npt.NDArray[np.bool_]:
    """Beyond a limit, or too far from what the value before foretold."""
    with np.errstate(invalid="ignore"):
        is_far = np.abs(residuals(limits, values)) > SIGMAS
        return is_far | (values > limits.high) | (values < limits.low)


def _values(rows: Sequence[StoredShot], name: str) -> npt.NDArray[np.float64]:
    return np.array([value_of(row, name) for row in rows], np.float64)


def _line(label: str, unit: str, role: Role, values: Iterable[float]) -> Line:
    return line_of(label, unit, [point(value) for value in values], role=role)
