"""What ranks and tiers would be with other weights or quotas, from the last run's values. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from cloud.tiering.bands import Rules
from cloud.tiering.evidence import Floats
from cloud.tiering.ranking import rank_correlation, ranks, score
from cloud.tiering.scoring import Method
from cloud.tiering.sensitivity import bands
from cloud.tiering.tiers import BY_BAND

MOVERS_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Mover:
    """A customer whose tier by rank would be another; ranks from 1."""

    customer_id: str
    rank: int
    rank_then: int
    tier: str
    tier_then: str


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What would change, by rank alone: stays and notices would hold most moves back for a while."""

    customers: int
    correlation: float | None
    counts: dict[str, int]
    counts_then: dict[str, int]
    moves: int
    movers: tuple[Mover, ...]


def what_if(
    ids: Sequence[str],
    scaled: Floats,
    rank_now: Sequence[int],
    now: Rules,
    weights: Floats,
    then: Rules,
    method: Method,
) -> WhatIf:
    """Rank the last run's values anew; `rank_now` are its ranks, from 1."""
    if not ids:
        return WhatIf(0, None, {}, {}, 0, ())
    scores = score(scaled, weights)
    ranked = ranks(scores.weighted if method == "weighted" else scores.topsis, tuple(ids))
    before = np.asarray(rank_now, np.int64) - 1
    old, new = bands(before, _shares(now)), bands(ranked, _shares(then))
    moved = np.flatnonzero(old != new)
    order = moved[np.lexsort((before[moved], np.minimum(old, new)[moved]))][:MOVERS_TOLD]
    movers = tuple(
        Mover(ids[at], int(before[at]) + 1, int(ranked[at]) + 1, BY_BAND[int(old[at])], BY_BAND[int(new[at])])
        for at in order
    )
    agree = rank_correlation(before, ranked)
    return WhatIf(
        len(ids), None if np.isnan(agree) else round(agree, 4), _counts(old), _counts(new), len(moved), movers
    )


def _shares(rules: Rules) -> tuple[float, float]:
    return rules.strategic.quota, rules.value.quota - rules.strategic.quota


def _counts(banded: np.ndarray) -> dict[str, int]:
    return {str(BY_BAND[band]): int((banded == band).sum()) for band in range(3)}
