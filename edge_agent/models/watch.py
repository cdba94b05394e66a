"""The figures of one bundle on one press: counted shot by shot, summed up for a report."""

from typing import Final

import numpy as np

from contract.model_orders import Figures
from contract.shot import FloatArray, Scores
from edge_agent.models.loaded import LoadedBundle
from edge_agent.models.press_drift import PressDrift

LATENCIES: Final = 256
ALARM_SHOTS: Final = 5
"""So many shots over a threshold in a row are an alarm: as long as the cloud waits by default."""


class Watch:
    """Not for several threads at once."""

    def __init__(self, bundle: LoadedBundle) -> None:
        self._bundle = bundle
        self._latencies_ms = np.zeros(LATENCIES)
        self._shots = self._errors = self._silent = self._over = self._alarms = self._dropped = self._row = 0
        self._drift = PressDrift(bundle)

    def scored(self, vector: FloatArray, mould_id: str, scores: Scores, latency_ms: float, *, ended_ms: int) -> None:
        """The bundle has scored a shot."""
        self._latencies_ms[self._shots % LATENCIES] = latency_ms
        self._shots += 1
        self._silent += not scores.values
        is_over = self._bundle.is_over(scores)
        self._over += is_over
        self._row = self._row + 1 if is_over else 0
        self._alarms += self._row == ALARM_SHOTS
        self._drift.take(vector, mould_id, scores, ended_ms)

    def failed(self, latency_ms: float) -> None:
        """The bundle has failed on a shot."""
        self._latencies_ms[self._shots % LATENCIES] = latency_ms
        self._shots += 1
        self._errors += 1

    def repaired(self) -> None:
        """Maintenance was done on the press."""
        self._drift.begin_anew()

    @property
    def shots(self) -> int:
        """How many so far."""
        return self._shots

    def dropped(self, count: int) -> None:
        """Shots that were not scored since the bundle was too slow; for shadows alone."""
        self._dropped += count

    def figures(self) -> Figures:
        """All of it until now."""
        latencies = self._latencies_ms[: min(self._shots, LATENCIES)]
        return Figures(
            shots=self._shots,
            errors=self._errors,
            silent=self._silent,
            over=self._over,
            alarms=self._alarms,
            dropped=self._dropped,
            latency_p50_ms=_quantile(latencies, 0.5),
            latency_p99_ms=_quantile(latencies, 0.99),
            **self._drift.figures(),
        )


def _quantile(values: np.ndarray, share: float) -> float:
    return _rounded(float(np.quantile(values, share))) if len(values) else 0.0


def _rounded(value: float) -> float:
    return round(value, 4)
