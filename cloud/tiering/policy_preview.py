"""What the next review would do by another policy, beside what it would do by the one that holds. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from cloud.tiering import bands
from cloud.tiering.evidence import Floats, Ints
from cloud.tiering.policy import Policy
from cloud.tiering.ranking import rank_correlation, ranks, score
from cloud.tiering.tiers import BY_BAND
from cloud.tiering.what_if import MOVERS_TOLD, Mover

BANDS_TOLD: Final = (bands.STRATEGIC, bands.VALUE, bands.LONG_TAIL)


@dataclass(frozen=True, slots=True)
class Preview:
    """Tiers after a review today by the policy that holds and by the other; `noticed` begin a notice by the other."""

    customers: int
    correlation: float | None
    counts: dict[str, int]
    counts_then: dict[str, int]
    moves: int
    movers: tuple[Mover, ...]
    noticed: int


def preview(ids: Sequence[str], scaled: Floats, state: bands.State, held: Policy, other: Policy, today: int) -> Preview:
    """Review the last run's values of those that have a tier; who is provisional is left out.

    Raises:
        WeightsError: the other policy's weights cannot be made of these values.
    """
    if not ids:
        return Preview(0, None, {}, {}, 0, (), 0)
    before, rank = _reviewed(ids, scaled, state, held, today)
    after, rank_then = _reviewed(ids, scaled, state, other, today)
    moved = np.flatnonzero(before.tier != after.tier)
    order = moved[np.lexsort((rank[moved], np.minimum(before.tier, after.tier)[moved]))][:MOVERS_TOLD]
    movers = tuple(
        Mover(
            ids[at],
            int(rank[at]) + 1,
            int(rank_then[at]) + 1,
            BY_BAND[int(before.tier[at])],
            BY_BAND[int(after.tier[at])],
        )
        for at in order
    )
    agree = rank_correlation(rank, rank_then)
    return Preview(
        len(ids),
        None if np.isnan(agree) else round(agree, 4),
        _counts(before.tier),
        _counts(after.tier),
        len(moved),
        movers,
        int(((after.noticed != bands.NO_NOTICE) & (state.noticed == bands.NO_NOTICE)).sum()),
    )


def _reviewed(
    ids: Sequence[str], scaled: Floats, state: bands.State, policy: Policy, today: int
) -> tuple[bands.State, Ints]:
    scores = score(scaled, policy.weights(scaled))
    rank = ranks(scores.weighted if policy.method == "weighted" else scores.topsis, tuple(ids))
    return bands.assign(state, bands.shares(rank), np.ones(len(ids), bool), today, policy.rules), rank


def _counts(tier: Ints) -> dict[str, int]:
    return {str(BY_BAND[band]): int((tier == band).sum()) for band in BANDS_TOLD}
