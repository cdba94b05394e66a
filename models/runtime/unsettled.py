"""How much do neighbouring cycles spread, all values together? Beyond what healthy presses show, models say nothing."""

import numpy as np
import numpy.typing as npt

from contract.shot import FloatArray


def unsettled(spreads: FloatArray) -> npt.NDArray[np.float64]:
    """The median over the values that are there; infinity where none is.

    One value that spreads is evidence of a fault (a check ring that closes late). When half of all values spread, the
    process itself is not settled: somebody is at the set points, or the press starts up.

    Args:
        spreads: (n, V), the logarithm of each value's short spread over its typical one (`@sd20` of the states).
    """
    known = ~np.isnan(spreads)
    ordered = np.sort(np.where(known, spreads, np.inf), axis=1)
    middle = np.maximum(known.sum(axis=1) - 1, 0) // 2
    found: npt.NDArray[np.float64] = ordered[np.arange(len(ordered)), middle].astype(np.float64)
    return found
