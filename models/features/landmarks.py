"""The landmarks of curves by phase: means, peaks, slopes, integrals and times of n shots at once.

Every curve is cut at the marks 0, a quarter and three quarters of filling, its end, half of hold, its end, and the
curve's end. Sums and peaks over these parts, taken once, give every landmark; double precision inside, as a slope is a
small difference of large sums.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.shot import FloatArray
from contract.vocabulary import SIGNALS
from models.features.phases import Counts, Phases
from models.features.schema import FEATURES

SETTLED_SHARE, ARRIVED_SHARE, RISEN_SHARE = 0.05, 0.1, 0.9

Wide = npt.NDArray[np.float64]
Marks = list[int]
"""k of them; what is asked between k pairs is answered for all in one go."""
_ROW: Final = {name: row for row, name in enumerate(SIGNALS)}
_PRESSURE, _CAVITY, _VELOCITY = _ROW["InjectionPressure"], _ROW["CavityPressure"], _ROW["ScrewVelocity"]
_SLOPED: Final = 5
"""Slopes and ripples are asked of the first signals only, up to hydraulic pressure."""
_START, _QUARTER, _REST, _FILL, _HALF, _HOLD, _END = range(7)
"""The marks."""
_SPLIT: Final = tuple(
    (spec.name, _ROW[signal], kind) for spec in FEATURES for signal, dot, kind in [spec.name.partition(".")] if dot
)
"""Name, signal's row and kind of each landmark."""


def landmarks(samples: FloatArray, lengths: Counts, phases: Phases, interval_s: float) -> Wide:
    """The landmarks of `FEATURES` in their order, (n, landmarks); NaN where a phase or a curve is missing.

    Args:
        samples: curves without holes, (n, S, samples).
        lengths: of each curve, (n, S).
        phases: of each shot.
        interval_s: between two samples.
    """
    parts = _Parts.of(samples, lengths, phases)
    with np.errstate(divide="ignore"):  # of empty parts; they are NaN
        found = _by_name(parts, phases, interval_s)
    table = np.empty((len(samples), len(_SPLIT)))
    for column, (name, _, _) in enumerate(_SPLIT):
        table[:, column] = found[name]
    table[~phases.is_known] = np.nan
    return table


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The marks (7, n, S), and up to each of them, from injection start: sums, sums of products, and peaks.

    Samples are taken from a level of their curve (n, S), so that sums of squares stay exact.
    """

    level: Wide
    samples: Wide
    """(n, S, samples), from the level."""
    rows: Counts
    """Where a curve begins among all samples, (n, S)."""
    marks: Counts
    sums: Wide
    peaks: Wide
    """From the level; minus infinity before the first sample."""
    moments: Wide
    """Of sample number times sample, of the first _SLOPED signals."""
    squares: Wide
    """Of squared samples, of the same."""

    @classmethod
    def of(cls, samples: FloatArray, lengths: Counts, phases: Phases) -> "_Parts":
        shots, signals, count = samples.shape
        fill, hold = np.minimum(phases.fill[:, None], lengths), np.minimum(phases.hold[:, None], lengths)
        quarter, half = fill // 4, (fill + hold) // 2
        marks = np.stack([np.zeros_like(fill), quarter, fill - quarter, fill, half, hold, lengths], axis=2)
        rows = np.arange(0, shots * signals * count, count).reshape(shots, signals)
        anchor = np.minimum(half, np.maximum(lengths - 1, 0))
        anchor[:, _VELOCITY] = np.minimum(quarter, anchor)[:, _VELOCITY]
        level = samples.reshape(-1).take(rows + anchor).astype(np.float64)
        # One element more than the samples, so that a part may end with the last of them.
        flat = np.zeros(shots * signals * count + 1)
        moved = flat[:-1].reshape(samples.shape)
        np.subtract(samples, level[:, :, None], out=moved)
        few = np.zeros(shots * _SLOPED * count + 1)
        product, sloped = few[:-1].reshape(shots, _SLOPED, count), moved[:, :_SLOPED]
        np.multiply(sloped, np.arange(count, dtype=np.float64), out=product)
        moments = _up_to(marks[:, :_SLOPED], few, count, np.add, 0.0)
        np.multiply(sloped, sloped, out=product)
        squares = _up_to(marks[:, :_SLOPED], few, count, np.add, 0.0)
        sums = _up_to(marks, flat, count, np.add, 0.0)
        peaks = _up_to(marks, flat, count, np.maximum, -np.inf)
        return cls(level, moved, rows, np.ascontiguousarray(marks.transpose(2, 0, 1)), sums, peaks, moments, squares)

    def count(self, first: Marks, last: Marks, least: int) -> Wide:
        """Samples between marks, (k, n, S); NaN where there are fewer than `least`."""
        count = (self.marks[last] - self.marks[first]).astype(np.float64)
        return np.where(count >= least, count, np.nan)

    def mean(self, first: Marks, last: Marks) -> Wide:
        above: Wide = (self.sums[last] - self.sums[first]) / self.count(first, last, 1)
        return self.level + above

    def peak(self, last: Marks) -> Wide:
        """Of the samples before marks."""
        peak = self.peaks[last]
        return np.where(peak > -np.inf, self.level + peak, np.nan)

    def at(self, place: Counts) -> Wide:
        """The sample at a place (k, n, S), or the first or last where the curve does not reach it."""
        end = self.marks[_END]
        inside = np.maximum(np.minimum(place, end - 1), 0)
        return np.where(end > 0, self.level + self.samples.reshape(-1).take(self.rows + inside), np.nan)

    def integral(self, first: Marks, last: Marks, interval_s: float) -> Wide:
        """Trapezoidal, in the signal's unit times seconds."""
        ends = self.at(np.concatenate([self.marks[first], self.marks[last] - 1])).reshape(
            2, len(first), *self.rows.shape
        )
        whole: Wide = self.sums[last] - self.sums[first] + self.level * self.count(first, last, 2)
        area: Wide = (whole - (ends[0] + ends[1]) / 2) * interval_s
        return area

    def slope(self, first: Marks, last: Marks) -> Wide:
        """Least squares, in the signal's unit a sample, (k, n, _SLOPED)."""
        count = self.count(first, last, 2)[:, :, :_SLOPED]
        middle = (self.marks[first] + self.marks[last] - 1)[:, :, :_SLOPED] / 2
        moment: Wide = self.moments[last] - self.moments[first]
        moment -= middle * (self.sums[last] - self.sums[first])[:, :, :_SLOPED]
        return moment * 12 / (count * (count * count - 1))

    def deviation(self, first: Marks, last: Marks, slope: Wide) -> Wide:
        """Standard deviation around lines of these slopes a sample, (k, n, _SLOPED)."""
        count = self.count(first, last, 2)[:, :, :_SLOPED]
        mean: Wide = (self.sums[last] - self.sums[first])[:, :, :_SLOPED] / count
        square: Wide = (self.squares[last] - self.squares[first]) / count
        line = slope * slope * (count * count - 1) / 12
        return np.sqrt(np.maximum(square - mean * mean - line, 0.0))

    def first_time(self, signal: int, last: int, share: float, interval_s: float) -> Wide:
        """When a signal first reaches a share of its peak before a mark, (n,); NaN of a peak below zero."""
        level, peak = self.level[:, signal], self.peaks[last, :, signal]
        reaches = self.samples[:, signal] >= (peak - (1 - share) * (level + peak))[:, None]
        place = reaches.argmax(axis=1)
        is_reached = reaches[np.arange(len(place)), place] & (place < self.marks[last, :, signal])
        return np.where(is_reached, place * interval_s, np.nan)


def _up_to(marks: Counts, flat: Wide, samples: int, ufunc: np.ufunc, empty: float) -> Wide:
    """A sum or peak of the samples before each mark, (7, n, S)."""
    rows = marks.reshape(-1, marks.shape[2])
    starts = np.arange(0, len(rows) * samples, samples)[:, None] + rows
    parts = ufunc.reduceat(flat, starts.ravel()).reshape(marks.shape)[:, :, :-1]
    parts[marks[:, :, 1:] == marks[:, :, :-1]] = empty
    found = np.full((marks.shape[2], *marks.shape[:2]), empty)
    ufunc.accumulate(parts.transpose(2, 0, 1), axis=0, out=found[1:])
    return found


def _by_name(parts: _Parts, phases: Phases, interval_s: float) -> dict[str, Wide]:
    fill_mean, hold_mean, mean = parts.mean([_START, _FILL, _START], [_FILL, _HOLD, _END])
    fill_peak, peak, highest = parts.peak([_FILL, _HOLD, _END])
    shape = (len(fill_peak), 1)
    start, transfer, hold_end = parts.at(
        np.stack([np.zeros(shape, np.intp), phases.fill.reshape(shape), phases.hold.reshape(shape) - 1])
    )
    fill_integral, hold_integral, integral = parts.integral([_START, _FILL, _START], [_FILL, _HOLD, _END], interval_s)
    slopes = parts.slope([_START, _FILL, _HALF], [_FILL, _HOLD, _HOLD])
    fill_slope, hold_slope, late_slope = slopes / interval_s
    slopes[0] = 0.0
    fill_sd, ripple = parts.deviation([_QUARTER, _HALF], [_REST, _HOLD], slopes[[0, 2]])
    ripple = np.where(np.isnan(parts.count([_HALF], [_HOLD], 3)[0, :, :_SLOPED]), np.nan, ripple)
    columns = {
        "FillMean": fill_mean,
        "FillPeak": fill_peak,
        "FillMax": fill_peak,
        "FillIntegral": fill_integral,
        "FillSlope": fill_slope,
        "FillSd": fill_sd,
        "FillStroke": start - transfer,
        "HoldMean": hold_mean,
        "HoldSlope": hold_slope,
        "HoldIntegral": hold_integral,
        "HoldRipple": ripple,
        "HoldTravel": transfer - hold_end,
        "HoldCreep": -late_slope,
        "Start": start,
        "AtTransfer": transfer,
        "AtHoldEnd": hold_end,
        "Peak": peak,
        "Mean": mean,
        "Breathing": peak - start,
        "Integral": integral,
        "Rise": highest - start,
    }
    found = {name: columns[kind][:, row] for name, row, kind in _SPLIT if kind in columns}
    pressure, hydraulic = (found[f"{signal}.HoldMean"] for signal in ("InjectionPressure", "HydraulicPressure"))
    return found | {
        "CavityPressure.HoldSlope": late_slope[:, _CAVITY],
        "ClampForce.Peak": highest[:, _ROW["ClampForce"]],
        "MeltTemperature.Rise": (fill_peak - start)[:, _ROW["MeltTemperature"]],
        "InjectionPressure.PeakTime": parts.first_time(_PRESSURE, _HOLD, 1.0, interval_s),
        "InjectionPressure.SettleTime": _settle_time(parts, interval_s),
        "CavityPressure.PeakTime": parts.first_time(_CAVITY, _HOLD, 1.0, interval_s),
        "CavityPressure.Arrival": parts.first_time(_CAVITY, _HOLD, ARRIVED_SHARE, interval_s),
        "ScrewVelocity.RiseTime": parts.first_time(_VELOCITY, _FILL, RISEN_SHARE, interval_s),
        "HydraulicPressure.Intensification": np.where(hydraulic != 0, pressure, np.nan) / hydraulic,
    }


def _settle_time(parts: _Parts, interval_s: float) -> Wide:
    """From the end of filling until injection pressure first is within a share of its late level; to t_h if never."""
    level = parts.mean([_HALF], [_HOLD])[0, :, _PRESSURE]
    moved, fill, hold = parts.samples[:, _PRESSURE], *parts.marks[[_FILL, _HOLD], :, _PRESSURE]
    place = np.arange(moved.shape[1])
    away = np.abs(moved - (level - parts.level[:, _PRESSURE])[:, None])
    is_near = (away <= SETTLED_SHARE * np.abs(level)[:, None]) & (place >= fill[:, None]) & (place < hold[:, None])
    reached = np.where(is_near.any(axis=1), is_near.argmax(axis=1), hold)
    return np.where(np.isnan(level), np.nan, (reached - fill) * interval_s)
