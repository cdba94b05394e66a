"""Raw values of a dimension on a scale of 0 to 1 that a few giants do not squeeze. Pure, vectorised."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from cloud.tiering.evidence import Floats

TO_SIGMA: Final = 1.4826
"""Median absolute deviations of a normal distribution in its standard deviation."""
STEEP: Final = 0.8
"""How fast the scale saturates: three deviations above the median are 0.92."""
PRIOR: Final = 0.5


@dataclass(frozen=True, slots=True)
class Scale:
    """Middle and spread of each dimension over all customers; a spread of 0 says that all are alike."""

    middle: Floats
    spread: Floats

    def scaled(self, raw: Floats) -> Floats:
        """0 to 1, a half at the middle, in the order of the raw values; beyond 40 spreads all are alike."""
        far = np.divide(raw - self.middle, self.spread, out=np.zeros_like(raw), where=self.spread > 0)
        return 1 / (1 + np.exp(-STEEP * np.clip(far, -40, 40)))


def scale_of(raw: Floats) -> Scale:
    """Median and median absolute deviation; where more than half are the same, the standard deviation."""
    if not len(raw):
        return Scale(np.zeros(raw.shape[1]), np.zeros(raw.shape[1]))
    middle = np.median(raw, axis=0)
    spread = TO_SIGMA * np.median(np.abs(raw - middle), axis=0)
    return Scale(middle, np.where(spread > 1e-9, spread, raw.std(axis=0)))


def trusted(scaled: Floats, confidence: Floats) -> Floats:
    """Drawn towards the middle as far as the evidence is thin or old: what is not known makes nobody first or last."""
    return confidence * scaled + (1 - confidence) * PRIOR
