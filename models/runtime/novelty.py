"""What makes a shot strange? From the contributions of a novelty head to reasons that an engineer can follow."""

import math
from collections.abc import Sequence

from contract.shot import FloatArray, Reason
from models.features.schema import index
from models.runtime.baseline_tracks import state_index

REASONS_MAX = 5
SHARE_MIN = 0.05
"""A value that makes less of the statistic is no reason."""


def reasons_of(
    inputs: Sequence[str], contributions: FloatArray, values: FloatArray, state: FloatArray
) -> tuple[Reason, ...]:
    """The values that make most of the statistic that is higher over its limit, the largest first.

    Args:
        inputs: of the head, W names of `STATE_INPUTS`.
        contributions: the head's second output for this shot, (2W,): of T2, then of SPE, as multiples of their limits.
        values: the shot's features, (F,) or with residuals (V,); what is not among them is no reason.
        state: its state vector, (4V,); a reason's sigma is read from it.
    """
    both = contributions.reshape(2, len(inputs))
    parts = both[both.sum(axis=1).argmax()]
    whole = float(parts.sum())
    furthest = (-parts).argsort(kind="stable")[:REASONS_MAX]
    return tuple(
        Reason(feature, float(values[index(feature)]), _known(float(state[state_index(inputs[place])])))
        for place in furthest.tolist()
        for feature in [inputs[place].partition("@")[0]]
        if parts[place] > SHARE_MIN * whole and index(feature) < len(values)
    )


def _known(sigma: float) -> float:
    """0 where it is missing: such an input counts as usual; `np.nan_to_num` takes 5 us for one number."""
    return 0.0 if math.isnan(sigma) else sigma
