"""How do this press and mould usually move? A reference curve a signal, and how far a shot's curves are from it.

The reference is the remedian of the first shots (Rousseeuw and Bassett, "The remedian: a robust averaging method for
large data sets", JASA 85 (1990) 97-104): medians of BASE curves, and the median of BASE such medians. It holds
2 x BASE curves instead of BASE², and 15 strange shots of 49 do not bend it wherever they fall.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from contract.shot import FloatArray
from contract.vocabulary import SIGNALS
from models.features.phases import phases_of
from models.features.resample import INTERVAL_S, SAMPLES_MAX
from models.features.schema import REFERENCE_SIGNALS, RESIDUALS

BASE: Final = 7
REFERENCE_SHOTS: Final = BASE * BASE
"""So many shots make a reference."""

_ROWS: Final = np.array([list(SIGNALS).index(name) for name in REFERENCE_SIGNALS])
_KINDS: Final = len(RESIDUALS) // len(REFERENCE_SIGNALS)


@dataclass(slots=True, eq=False)
class CurveReference:
    """The reference curves of one press and mould: being learnt, then fixed.

    Attributes:
        shots: how many shots it has learnt from.
        curves: in the order of REFERENCE_SIGNALS, (3, SAMPLES_MAX), NaN where no shot has samples; None while learning.
        times: InjectionTime and HoldTime of the shots it learns from, in s.
        fill, hold: where filling and hold end on the reference, in samples.
        first, second: curves that wait for their median, (shots, 3, SAMPLES_MAX).
    """

    shots: int = 0
    curves: FloatArray | None = None
    fill: int = 0
    hold: int = 0
    times: list[tuple[float, float]] = field(default_factory=list)
    first: list[FloatArray] = field(default_factory=list)
    second: list[FloatArray] = field(default_factory=list)

    def learn(self, curves: FloatArray, injection_s: float, hold_s: float) -> None:
        """Take in one shot's curves, (S, samples) on the grid of INTERVAL_S; the last one that is needed fixes it.

        Args:
            curves: in the order of `contract.vocabulary.SIGNALS`.
            injection_s: InjectionTime of the shot; NaN when the press does not tell.
            hold_s: HoldTime, the same way.
        """
        assert self.curves is None, "a fixed reference learns no more"
        self.first.append(_on_grid(curves[None])[0])
        self.times.append((injection_s, hold_s))
        self.shots += 1
        if len(self.first) == BASE:
            self.second.append(_median(np.stack(self.first)))
            self.first.clear()
        if self.shots == REFERENCE_SHOTS:
            self._fix(_median(np.stack(self.second)))

    def residuals(self, curves: FloatArray) -> FloatArray:
        """`RESIDUALS` of n shots, (n, 12) float32, of curves (n, S, samples); NaN while learning or of lost curves."""
        found = np.full((len(curves), len(REFERENCE_SIGNALS), _KINDS), np.nan, np.float32)
        if self.curves is None or not self.hold:
            return found.reshape(len(curves), len(RESIDUALS))
        # Beyond float32: such samples are lost ones. 0 / 0: a phase was lost altogether.
        with np.errstate(over="ignore", invalid="ignore"):
            apart = _on_grid(curves)[:, :, : self.hold] - self.curves[:, : self.hold]
            squares = apart * apart
            known = np.isfinite(squares)
            if not known.all():
                apart[~known] = squares[~known] = 0.0
            for column, phase in enumerate((slice(0, self.fill), slice(self.fill, self.hold))):
                found[:, :, column] = np.sqrt(squares[:, :, phase].sum(axis=2) / known[:, :, phase].sum(axis=2))
        place = squares.argmax(axis=2)
        found[:, :, 2] = np.take_along_axis(apart, place[:, :, None], axis=2)[:, :, 0]
        found[:, :, 3] = place * INTERVAL_S
        found[~known.any(axis=2)] = np.nan
        found[np.isinf(found)] = np.nan
        return found.reshape(len(curves), len(RESIDUALS))

    def _fix(self, curves: FloatArray) -> None:
        pressure = curves[:1]
        lengths = np.isfinite(pressure).sum(axis=1)
        injection_s, hold_s = _median(np.array(self.times, np.float32))[:, None]
        phases = phases_of(injection_s, hold_s, np.nan_to_num(pressure), lengths, INTERVAL_S)
        if phases.is_known[0]:
            self.fill, self.hold = int(phases.fill[0]), min(int(phases.hold[0]), SAMPLES_MAX)
        self.curves, self.times, self.first, self.second = curves, [], [], []


def _on_grid(curves: FloatArray) -> FloatArray:
    """The signals that have a reference, (n, 3, SAMPLES_MAX), NaN past the end."""
    kept = curves[:, _ROWS, :SAMPLES_MAX]
    if kept.shape[2] == SAMPLES_MAX:
        return kept
    padded = np.full((len(curves), len(_ROWS), SAMPLES_MAX), np.nan, np.float32)
    padded[:, :, : kept.shape[2]] = kept
    return padded


def _median(curves: FloatArray) -> FloatArray:
    """Along the first axis, the lower one of two; NaN where none is finite."""
    ordered = np.sort(np.where(np.isfinite(curves), curves, np.nan), axis=0)
    middle = np.maximum(np.isfinite(ordered).sum(axis=0) - 1, 0) // 2
    found: FloatArray = np.take_along_axis(ordered, middle[None], axis=0)[0]
    return found
