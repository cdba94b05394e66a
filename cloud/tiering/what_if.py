"""What ranks and tiers would be with other weights or quotas, from the last run's values. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from cloud.tiering.bands import Rules
from cloud.tiering.evidence import Floats, Ints
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


NOBODY: Final = WhatIf(0, None, {}, {}, 0, ())


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
        return NOBODY
    scores = score(scaled, weights)
    ranked = ranks(scores.weighted if method == "weighted" else scores.topsis, tuple(ids))
    before = np.asarray(rank_now, np.int64) - 1
    old, new = bands(before, _shares(now)), bands(ranked, _shares(then))
    return changes_of(ids, before, ranked, old, new)


def changes_of(ids: Sequence[str], rank: Ints, rank_then: Ints, tier: Ints, tier_then: Ints) -> WhatIf:
    """What is different between two reviews of the same customers; ranks from 0, tiers as bands."""
    moved = np.flatnonzero(tier != tier_then)
    order = moved[np.lexsort((rank[moved], np.minimum(tier, tier_then)[moved]))][:MOVERS_TOLD]
    movers = tuple(
        Mover(ids[at], int(rank[at]) + 1, int(rank_then[at]) + 1, BY_BAND[int(tier[at])], BY_BAND[int(tier_then[at])])
        for at in order
    )
    agree = rank_correlation(rank, rank_then)
    return WhatIf(
        len(ids),
        None if np.isnan(agree) else round(agree, 4),
        _counts(tier),
        _counts(tier_then),
        len(moved),
        movers,
    )


def _shares(rules: Rules) -> tuple[float, float]:
    return rules.strategic.quota, rules.value.quota - rules.strategic.quota


def _counts(banded: Ints) -> dict[str, int]:
    return {str(BY_BAND[band]): int((banded == band).sum()) for band in range(3)}
