"""The JSON that charts draw: a shot's curves and a press's score trend, thinned to what a screen can show."""

import math
from collections.abc import Iterable, Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from cloud.telemetry.store import StoredShot
from cloud.web.fleet_view import NOVELTY_PREFIX
from cloud.web.translation import Catalogue
from cloud.web.wording import mode_name, quantity_name
from contract.alarming import risks
from contract.shot import FloatArray
from contract.vocabulary import SIGNALS

MODES_SHOWN = 6
POINTS_MAX = 1_200
"""About two a pixel on a wide screen; beyond it each pair of points is the least and the greatest of a bucket."""
POINT_DIGITS = 5

PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("pressure", ("InjectionPressure", "CavityPressure", "HydraulicPressure")),
    ("screw", ("ScrewPosition", "ScrewVelocity")),
    ("heat", ("MeltTemperature", "MouldTemperature", "ClampForce")),
)

Value = float | None


class Line(TypedDict):
    """One drawn line; None is a gap."""

    label: str
    unit: str
    values: list[Value]


class Limit(TypedDict):
    """A horizontal line."""

    label: str
    unit: str
    value: float


class Panel(TypedDict):
    """Lines that share a time axis and at most two units."""

    title: str
    series: list[Line]
    limits: list[Limit]
    range: tuple[float, float] | None


class Axis(TypedDict):
    """The common horizontal axis; seconds since 1970 where `is_time`."""

    label: str
    unit: str
    is_time: bool
    values: list[float]


class Chart(TypedDict):
    """What one figure draws; the same `version` means the same drawing."""

    version: str
    x: Axis
    panels: list[Panel]


def curves_chart(t: Catalogue, row: StoredShot | None) -> Chart:
    """The curves of one shot; no panel when it has none."""
    shot = row.scored.shot if row else None
    if row is None or shot is None or not shot.curves or shot.sample_interval_s <= 0:
        return _chart("none", t("chart.time"), [], [], is_time=False)
    count = max(len(curve) for curve in shot.curves.values())
    positions = _positions(count)
    panels = [
        _panel(t(f"chart.panel.{panel}"), [_curve(t, name, shot.curves[name], count) for name in names])
        for panel, names in _panels(shot.curves)
    ]
    times = [round(float(position) * shot.sample_interval_s, 4) for position in positions]
    return _chart(str(row.row_id), t("chart.time"), times, panels, is_time=False)


def trend_chart(t: Catalogue, rows: Sequence[StoredShot], *, threshold: float) -> Chart:
    """Failure probabilities with the alarm's threshold, and novelty with its limit, over time.

    Of many modes those MODES_SHOWN are shown that came nearest to their thresholds, each within its longest horizon.
    """
    ordered = sorted(rows, key=lambda row: (row.scored.shot.ended_ms, row.row_id))
    modes = _most_telling(ordered, threshold)
    novelties = _names(ordered, NOVELTY_PREFIX)
    panels: list[Panel] = []
    if modes:
        lines = [_scores(ordered, key, mode_name(t, mode), 100, "%") for mode, key in modes]
        limit: Limit = {"label": t("chart.threshold"), "unit": "%", "value": round(threshold * 100, 2)}
        panels.append(_panel(t("chart.panel.failure"), lines, limits=[limit], extent=(0.0, 100.0)))
    if novelties:
        lines = [_scores(ordered, NOVELTY_PREFIX + name, t(f"novelty.{name}"), 1, "×") for name in novelties]
        limit = {"label": t("chart.limit"), "unit": "×", "value": 1.0}
        panels.append(_panel(t("chart.panel.novelty"), lines, limits=[limit], extent=(0.0, 2.0)))
    version = f"{ordered[0].row_id}-{ordered[-1].row_id}-{len(ordered)}-{threshold}" if ordered else "none"
    times = [row.scored.shot.ended_ms / 1000 for row in ordered]
    return _chart(version, t("chart.when"), times, panels, is_time=True)


def _most_telling(rows: Sequence[StoredShot], threshold: float) -> list[tuple[str, str]]:
    """Modes with the name of their score, by name."""
    nearest: dict[tuple[str, str], float] = {}
    for row in rows:
        for mode, risk in risks(row.scored.scores).items():
            limit = max(risk.limit(threshold), 1e-9)
            if math.isfinite(risk.probability):
                key = mode, risk.key
                nearest[key] = max(nearest.get(key, 0.0), risk.probability / limit)
    return sorted(sorted(nearest, key=lambda key: -nearest[key])[:MODES_SHOWN])


def thinned(values: FloatArray, count: int, points_max: int = POINTS_MAX) -> list[Value]:
    """`values`, padded to `count`, as at most `points_max` points that keep every peak.

    Each bucket gives its least and greatest in the order in which they came, so that a spike of one sample survives.
    """
    padded = np.full(count, np.nan, dtype=np.float64)
    padded[: len(values)] = values[:count]
    if count > points_max:
        padded = _extremes(padded, _width(count, points_max))
    return [_point(value) for value in padded.tolist()]


def _point(value: float) -> Value:
    """`value` to POINT_DIGITS significant digits, as JSON can carry it; what is no finite number is a gap."""
    rounded = float(f"{value:.{POINT_DIGITS}g}")
    return rounded if math.isfinite(rounded) else None


def _extremes(values: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    buckets = np.full(-(-len(values) // width) * width, np.nan)
    buckets[: len(values)] = values
    rows = buckets.reshape(-1, width)
    is_empty = np.isnan(rows).all(axis=1)
    low = np.where(np.isnan(rows), np.inf, rows).argmin(axis=1)
    high = np.where(np.isnan(rows), -np.inf, rows).argmax(axis=1)
    first, second = np.minimum(low, high), np.maximum(low, high)
    index = np.arange(len(rows))
    pairs = np.stack([rows[index, first], rows[index, second]], axis=1)
    pairs[is_empty] = np.nan
    return pairs.ravel()


def _positions(count: int, points_max: int = POINTS_MAX) -> npt.NDArray[np.float64]:
    """The sample positions at which `thinned` points are drawn."""
    if count <= points_max:
        return np.arange(count, dtype=np.float64)
    width = _width(count, points_max)
    starts = np.arange(-(-count // width), dtype=np.float64) * width
    return np.stack([starts, starts + width / 2], axis=1).ravel()


def _width(count: int, points_max: int) -> int:
    """Samples a bucket: two points come out of each."""
    return -(-count * 2 // points_max)


def _panels(names: Iterable[str]) -> Iterable[tuple[str, list[str]]]:
    left = set(names)
    for panel, members in PANELS:
        found = [name for name in members if name in left]
        left.difference_update(found)
        if found:
            yield panel, found
    if left:
        yield "other", sorted(left)


def _curve(t: Catalogue, name: str, curve: FloatArray, count: int) -> Line:
    unit = SIGNALS[name].unit if name in SIGNALS else ""
    return {"label": quantity_name(t, name), "unit": unit, "values": thinned(curve, count)}


def _scores(rows: Sequence[StoredShot], key: str, label: str, factor: float, unit: str) -> Line:
    values = (row.scored.scores.values.get(key) for row in rows)
    points = [None if value is None else _point(value * factor) for value in values]
    return {"label": label, "unit": unit, "values": points}


def _names(rows: Sequence[StoredShot], prefix: str) -> list[str]:
    keys = {key for row in rows for key in row.scored.scores.values if key.startswith(prefix)}
    return sorted(key.removeprefix(prefix) for key in keys)


def _panel(
    title: str, lines: list[Line], *, limits: list[Limit] | None = None, extent: tuple[float, float] | None = None
) -> Panel:
    return {"title": title, "series": lines, "limits": limits or [], "range": extent}


def _chart(version: str, label: str, times: list[float], panels: list[Panel], *, is_time: bool) -> Chart:
    return {
        "version": version,
        "x": {"label": label, "unit": "" if is_time else "s", "is_time": is_time, "values": times},
        "panels": panels,
    }
