"""The JSON that charts draw, thinned to what a screen can show; and the trend of a press's scores."""

import math
from collections.abc import Sequence
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt

from cloud.alarms.naming import mode_name, quality_name
from cloud.telemetry.store import StoredShot
from cloud.web.fleet_view import NOVELTY_PREFIX
from cloud.web.translation import Catalogue
from contract.alarming import risks
from contract.shot import FloatArray

MODES_SHOWN = 6
QUALITY_PREFIX = "QualityProbability/"
POINTS_MAX = 1_200
"""About two a pixel on a wide screen; beyond it each pair of points is the least and the greatest of a bucket."""
POINT_DIGITS = 5

Value = float | None
Role = Literal["value", "reference", "low", "high", "centre", "limit", "outside"]
"""What a line says: a shot's own values, what is usual (`low` and `high` bound a band), a limit, points outside it."""


class Line(TypedDict):
    """One drawn line; None is a gap. Lines of one `style` look alike in all panels; `at_ms` is its shot's time."""

    label: str
    unit: str
    role: Role
    style: int
    at_ms: int | None
    values: list[Value]


class Limit(TypedDict):
    """A horizontal line."""

    label: str
    unit: str
    value: float


class Mark(TypedDict):
    """Something that happened at a moment of the axis: a letter on an upright line, and in words below the chart."""

    at: float
    kind: str
    letter: str
    label: str


class Panel(TypedDict):
    """Lines that share a time axis and at most two units."""

    title: str
    note: str
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
    marks: list[Mark]
    note: str


def trend_chart(t: Catalogue, rows: Sequence[StoredShot], *, threshold: float, marks: Sequence[Mark] = ()) -> Chart:
    """Failure probabilities with the alarm's threshold, novelty with its limit, and the parts' quality, over time.

    Of many modes those MODES_SHOWN are shown that came nearest to their thresholds, each within its longest horizon.
    """
    ordered = sorted(rows, key=lambda row: (row.scored.shot.ended_ms, row.row_id))
    modes = _most_telling(ordered, threshold)
    novelties, qualities = _names(ordered, NOVELTY_PREFIX), _names(ordered, QUALITY_PREFIX)
    panels: list[Panel] = []
    if modes:
        lines = [_scores(ordered, key, mode_name(t, mode), 100, "%") for mode, key in modes]
        limit: Limit = {"label": t("chart.threshold"), "unit": "%", "value": round(threshold * 100, 2)}
        panels.append(panel_of(t("chart.panel.failure"), styled(lines), limits=[limit], extent=(0.0, 100.0)))
    if novelties:
        lines = [_scores(ordered, NOVELTY_PREFIX + name, t(f"novelty.{name}"), 1, "×") for name in novelties]
        limit = {"label": t("chart.limit"), "unit": "×", "value": 1.0}
        panels.append(panel_of(t("chart.panel.novelty"), styled(lines), limits=[limit], extent=(0.0, 2.0)))
    if qualities:
        lines = [_scores(ordered, QUALITY_PREFIX + name, quality_name(t, name), 100, "%") for name in qualities]
        panels.append(panel_of(t("chart.panel.quality"), styled(lines), extent=(0.0, 100.0)))
    version = f"{ordered[0].row_id}-{ordered[-1].row_id}-{len(ordered)}-{threshold}-{len(marks)}" if ordered else "none"
    times = [row.scored.shot.ended_ms / 1000 for row in ordered]
    return chart_of(version, t("chart.when"), times, panels, is_time=True, marks=list(marks))


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
    return [point(value) for value in padded.tolist()]


def point(value: float) -> Value:
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


def positions(count: int, points_max: int = POINTS_MAX) -> npt.NDArray[np.float64]:
    """The sample positions at which `thinned` points are drawn."""
    if count <= points_max:
        return np.arange(count, dtype=np.float64)
    width = _width(count, points_max)
    starts = np.arange(-(-count // width), dtype=np.float64) * width
    return np.stack([starts, starts + width / 2], axis=1).ravel()


def _width(count: int, points_max: int) -> int:
    """Samples a bucket: two points come out of each."""
    return -(-count * 2 // points_max)


def _scores(rows: Sequence[StoredShot], key: str, label: str, factor: float, unit: str) -> Line:
    values = (row.scored.scores.values.get(key) for row in rows)
    points = [None if value is None else point(value * factor) for value in values]
    return line_of(label, unit, points)


def _names(rows: Sequence[StoredShot], prefix: str) -> list[str]:
    keys = {key for row in rows for key in row.scored.scores.values if key.startswith(prefix)}
    return sorted(key.removeprefix(prefix) for key in keys)


def line_of(
    label: str, unit: str, values: list[Value], *, role: Role = "value", style: int = 0, at_ms: int | None = None
) -> Line:
    """A line; one of no shot has no time."""
    return {"label": label, "unit": unit, "role": role, "style": style, "at_ms": at_ms, "values": values}


def styled(lines: Sequence[Line]) -> list[Line]:
    """Lines that each look different, in their order."""
    return [{**line, "style": at} for at, line in enumerate(lines)]


def panel_of(
    title: str,
    lines: list[Line],
    *,
    limits: list[Limit] | None = None,
    extent: tuple[float, float] | None = None,
    note: str = "",
) -> Panel:
    """A panel; the axis holds at least `extent`."""
    return {"title": title, "note": note, "series": lines, "limits": limits or [], "range": extent}


def chart_of(
    version: str,
    label: str,
    times: list[float],
    panels: list[Panel],
    *,
    is_time: bool,
    note: str = "",
    marks: list[Mark] | None = None,
) -> Chart:
    """A chart; an axis of time is in seconds since 1970, another in seconds."""
    return {
        "version": version,
        "x": {"label": label, "unit": "" if is_time else "s", "is_time": is_time, "values": times},
        "panels": panels,
        "marks": marks or [],
        "note": note,
    }
