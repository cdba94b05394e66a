"""The curves of a shot as a chart: over the usual ones and their envelope, with other shots beside it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from cloud.telemetry.store import StoredShot
from cloud.web.charts import Chart, Line, Panel, Role, chart_of, line_of, panel_of, point, positions, thinned
from cloud.web.press_query import LETTERS, SIGNALS_SHOWN
from cloud.web.reference import Band, Envelope, Wide, on_times
from cloud.web.translation import Catalogue
from cloud.web.wording import quantity_name
from contract.shot import FloatArray, Shot
from contract.vocabulary import SIGNALS

CURVE_POINTS: Final = 800
"""Of each line: what a chart of one signal has pixels for, half as many pairs of least and greatest."""

ORDER: tuple[str, ...] = (
    "InjectionPressure",
    "CavityPressure",
    "ScrewPosition",
    "ScrewVelocity",
    "HydraulicPressure",
    "MeltTemperature",
    "MouldTemperature",
    "ClampForce",
)


def signals_of(shots: Sequence[Shot]) -> list[str]:
    """The signals of shots in the order in which a setter looks at them, then others by name."""
    present = {name for shot in shots for name in shot.curves}
    return [*(name for name in ORDER if name in present), *sorted(present - set(ORDER))]


def shown_signals(signals: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Those of `signals` that are wanted; where none is, the first few."""
    return [name for name in signals if name in wanted] or list(signals[:SIGNALS_SHOWN])


def curves_chart(
    t: Catalogue,
    row: StoredShot | None,
    *,
    others: Sequence[StoredShot] = (),
    letters: Mapping[int, str] = MappingProxyType({}),
    envelope: Envelope | None = None,
    wanted: Sequence[str] = (),
) -> Chart:
    """A panel a signal: the shot, the middle and envelope of healthy ones, and the `others`; no panel without curves.

    All lines share the shot's own times; a spike of one sample survives in the shots' lines.
    """
    shot = row.scored.shot if row else None
    drawn = [each for each in others if each.scored.shot.curves and each.scored.shot.sample_interval_s > 0]
    if row is None or shot is None or not shot.curves or shot.sample_interval_s <= 0:
        return chart_of("none", t("chart.time"), [], [], is_time=False)
    interval_s = shot.sample_interval_s
    shots = [shot, *(each.scored.shot for each in drawn)]
    end_s = max(len(curve) * each.sample_interval_s for each in shots for curve in each.curves.values())
    count = max(1, round(end_s / interval_s))
    time_s = np.arange(count, dtype=np.float64) * interval_s
    names = shown_signals(signals_of(shots), wanted)
    called = [(letters.get(each.row_id, LETTERS[at]), each) for at, each in enumerate(drawn)]
    panels = [_panel(t, name, row, called, envelope, time_s) for name in names]
    version = f"{row.row_id}-{[each.row_id for each in drawn]}-{names}-{envelope.shots if envelope else 0}"
    note = t("chart.envelope", shots=envelope.shots) if envelope else t("chart.no_envelope")
    return chart_of(version, t("chart.time"), _times(count, interval_s), panels, is_time=False, note=note)


def _panel(
    t: Catalogue,
    name: str,
    row: StoredShot,
    others: Sequence[tuple[str, StoredShot]],
    envelope: Envelope | None,
    time_s: Wide,
) -> Panel:
    band = envelope.bands.get(name) if envelope else None
    unit = SIGNALS[name].unit if name in SIGNALS else ""
    lines: list[Line] = []
    if band is not None and envelope is not None:
        lines = _usual(t, band, envelope.time_s, time_s, unit)
    lines.append(_shot_line(t("chart.this_shot"), 0, row, name, time_s, unit))
    lines += [_shot_line(letter, LETTERS.index(letter) + 1, other, name, time_s, unit) for letter, other in others]
    return panel_of(quantity_name(t, name), lines)


def _usual(t: Catalogue, band: Band, own_s: Wide, time_s: Wide, unit: str) -> list[Line]:
    parts: Mapping[Role, Wide] = {"high": band.high, "low": band.low, "reference": band.middle}
    places = _positions(time_s)
    return [
        line_of(
            t(f"chart.{role}"),
            unit,
            [point(value) for value in np.interp(places, own_s, values, right=np.nan).tolist()],
            role=role,
        )
        for role, values in parts.items()
    ]


def _shot_line(label: str, style: int, row: StoredShot, name: str, time_s: Wide, unit: str) -> Line:
    shot = row.scored.shot
    curve = shot.curves.get(name, np.empty(0, np.float32))
    values = curve if not style else _as_float(on_times(curve, shot.sample_interval_s, time_s))
    return line_of(label, unit, thinned(values, len(time_s), CURVE_POINTS), style=style, at_ms=shot.ended_ms)


def _as_float(values: Wide) -> FloatArray:
    return values.astype(np.float32)


def _times(count: int, interval_s: float) -> list[float]:
    return [round(float(at), 4) for at in _positions(np.arange(count, dtype=np.float64) * interval_s)]


def _positions(time_s: Wide) -> Wide:
    """Where `thinned` draws its points."""
    interval_s = float(time_s[1] - time_s[0]) if len(time_s) > 1 else 0.0
    return positions(len(time_s), CURVE_POINTS) * interval_s
