"""What the next review would do by another policy, beside what it would do by the one that holds. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cloud.tiering import bands
from cloud.tiering.evidence import Floats, Ints
from cloud.tiering.policy import Policy
from cloud.tiering.ranking import ranks, score
from cloud.tiering.what_if import NOBODY, WhatIf, changes_of


@dataclass(frozen=True, slots=True)
class Preview:
    """Tiers after a review today by the policy that holds and by the other; `noticed` begin a notice by the other."""

    changes: WhatIf
    noticed: int


def preview(ids: Sequence[str], scaled: Floats, state: bands.State, held: Policy, other: Policy, today: int) -> Preview:
    """Review the last run's values of those that have a tier; who is provisional is left out.

    Raises:
        WeightsError: the other policy's weights cannot be made of these values.
    """
    if not ids:
        return Preview(NOBODY, 0)
    before, rank = _reviewed(ids, scaled, state, held, today)
    after, rank_then = _reviewed(ids, scaled, state, other, today)
    noticed = (after.noticed != bands.NO_NOTICE) & (state.noticed == bands.NO_NOTICE)
    return Preview(changes_of(ids, rank, rank_then, before.tier, after.tier), int(noticed.sum()))


def _reviewed(
    ids: Sequence[str], scaled: Floats, state: bands.State, policy: Policy, today: int
) -> tuple[bands.State, Ints]:
    scores = score(scaled, policy.weights(scaled))
    rank = ranks(scores.weighted if policy.method == "weighted" else scores.topsis, tuple(ids))
    return bands.assign(state, bands.shares(rank), np.ones(len(ids), bool), today, policy.rules), rank
