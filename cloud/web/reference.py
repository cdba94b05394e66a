"""How a press and mould usually move: healthy shots, the middle and the envelope of their curves. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cloud.telemetry.store import StoredShot
from cloud.web.fleet_view import failure_gauge, novelty_gauge
from cloud.web.press_view import is_poor
from contract.shot import FloatArray, Shot

Wide = npt.NDArray[np.float64]

REFERENCE_SHOTS: Final = 50
REFERENCE_SHOTS_MIN: Final = 10
"""Of fewer shots the twentieth part is less than one."""
ENVELOPE_POINTS: Final = 600
LOW_PERCENT, HIGH_PERCENT = 5.0, 95.0
PRESENT_SHARE: Final = 0.5
"""Where fewer of the shots still have samples, the envelope ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Of one signal the least but 5 %, the middle and the greatest but 5 % of the shots, on the envelope's times."""

    low: Wide
    middle: Wide
    high: Wide


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """The bands of the signals, and from how many shots they are."""

    shots: int
    time_s: Wide
    bands: Mapping[str, Band]


def is_healthy(row: StoredShot, *, threshold: float) -> bool:
    """Whether no head says otherwise: no mode near its threshold, not strange, no waste."""
    scores = row.scored.scores
    gauges = (failure_gauge(scores, threshold=threshold), novelty_gauge(scores))
    is_calm = all(gauge is None or gauge.level == "normal" for gauge in gauges)
    return is_calm and not (scores.quality_class and is_poor(scores.quality_class))


def healthy_of(rows: Sequence[StoredShot], mould_id: str, *, threshold: float) -> list[StoredShot]:
    """The healthy shots with this mould, in the order of `rows`."""
    return [row for row in rows if row.scored.shot.mould_id == mould_id and is_healthy(row, threshold=threshold)]


def envelope_of(shots: Sequence[Shot]) -> Envelope | None:
    """The envelope of these shots; None where fewer than REFERENCE_SHOTS_MIN have curves."""
    drawn = [shot for shot in shots if shot.curves and shot.sample_interval_s > 0]
    if len(drawn) < REFERENCE_SHOTS_MIN:
        return None
    end_s = max(_end_s(curve, shot) for shot in drawn for curve in shot.curves.values())
    time_s = np.linspace(0, end_s, ENVELOPE_POINTS)
    found = {name: _band(drawn, name, time_s) for name in sorted({name for shot in drawn for name in shot.curves})}
    return Envelope(len(drawn), time_s, {name: band for name, band in found.items() if band is not None})


def on_times(curve: FloatArray, interval_s: float, time_s: Wide) -> Wide:
    """A curve at other times than its own; missing (NaN) beyond its end."""
    if not len(curve):
        return np.full(len(time_s), np.nan)
    own_s = np.arange(len(curve)) * interval_s
    return np.interp(time_s, own_s, np.asarray(curve, np.float64), right=np.nan)


def _band(shots: Sequence[Shot], name: str, time_s: Wide) -> Band | None:
    curves = [on_times(shot.curves[name], shot.sample_interval_s, time_s) for shot in shots if name in shot.curves]
    if len(curves) < REFERENCE_SHOTS_MIN:
        return None
    values = np.stack(curves)
    is_present = np.isfinite(values).mean(axis=0) >= PRESENT_SHARE
    parts = np.full((3, len(time_s)), np.nan)
    if is_present.any():
        parts[:, is_present] = np.nanpercentile(values[:, is_present], (LOW_PERCENT, 50.0, HIGH_PERCENT), axis=0)
    return Band(parts[0], parts[1], parts[2])


def _end_s(curve: FloatArray, shot: Shot) -> float:
    return max(0, len(curve) - 1) * shot.sample_interval_s
