"""From what a mode's trees add up to, to the chance of failing in an interval, beta calibration held to the base rate.

With p = sigmoid(score), the probability that the trees themselves believe in, the hazard is

    logit = low x ln p - high x ln(1 - p) + offset = low x score + (high - low) x ln(1 + e^score) + offset

M. Kull, T. Silva Filho, P. Flach, "Beta calibration", AISTATS (2017): `low` is the slope where the trees see nothing,
`high` where they are sure, so trees that are too sure of unseen presses are bent down without the others. Both slopes
are positive: the order of scores stays. Few failures are little evidence for a slope, so each press that failed counts
as one witness, however many of its hours are in the rows, and slopes pay a ridge: with no witness every score says the
base rate. All of it is one Softplus and a product, which float32 does not mind (isotonic steps it does: DESIGN 7).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

SLOPE_MIN, SLOPE_MAX = 0.02, 3.0
"""A score that says nothing of unseen presses keeps this much: alarms still go by its order."""
RIDGE = 3.0
"""What a slope costs. Of 0.1, 0.3, 1, 3 and 10 the least log loss and Brier score at 8, 24 and 72 h, on presses that
neither trees nor calibration had seen (17 presses x 90 days, 13 modes that failed on 3 to 7 of them)."""
HALF = 0.5
"""Of a failure, that none was seen of: no chance is nought."""
Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of one mode and interval."""

    low: float
    high: float
    offset: float

    def logit(self, score: Values) -> Values:
        """Of the hazard; monotone in the score."""
        found: Values = self.low * score + (self.high - self.low) * np.logaddexp(0.0, score) + self.offset
        return found


def calibrated(score: Values, fails: Mask, presses: npt.NDArray, *, ridge: float = RIDGE) -> Calibration:
    """Fit to scores of models that have not seen their presses.

    Args:
        score: (n,), one row an hour of running, so that rows come as often as in use.
        fails: (n,), whether the press fails in the interval.
        presses: (n,), whose row it is.
        ridge: how much a slope has to be worth, in witnesses.
    """
    assert len(score)
    witnesses = len(np.unique(presses[fails]))
    base = (fails.sum() + HALF) / (len(fails) + 2 * HALF)
    if not witnesses:
        return Calibration(SLOPE_MIN, SLOPE_MIN, float(np.log(base / (1 - base)) - SLOPE_MIN * score.mean()))
    columns = np.stack([score - np.logaddexp(0.0, score), np.logaddexp(0.0, score), np.ones(len(score))], axis=1)
    share = witnesses / fails.sum()

    def cost(given: Values) -> tuple[float, Values]:
        logits = columns @ given
        slope_cost = ridge / 2 * float(given[0] ** 2 + given[1] ** 2)
        value = share * float((np.logaddexp(0.0, logits) - fails * logits).sum()) + slope_cost
        slope = share * (columns.T @ (1 / (1 + np.exp(-logits)) - fails)) + ridge * np.array([given[0], given[1], 0.0])
        return value, slope

    start = np.array([SLOPE_MIN, SLOPE_MIN, np.log(base / (1 - base))])
    bounds = [(SLOPE_MIN, SLOPE_MAX), (SLOPE_MIN, SLOPE_MAX), (None, None)]
    low, high, offset = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds).x.tolist()
    return Calibration(low, high, offset)
