"""How far ranks and tiers hang on the weights, and whether leaving customers out turns others round. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from cloud.tiering.dimensions import DIMENSIONS, Dimension
from cloud.tiering.evidence import Floats, Ints
from cloud.tiering.ranking import rank_correlation, ranks, score
from cloud.tiering.scaling import scale_of, trusted

STEP: Final = 0.2
TURNED_ROUND_MAX: Final = 50
COMPARED_MAX: Final = 500
"""So many of the best are compared pair by pair."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What changes when one weight is a fifth more or less, the others sharing the rest as before."""

    dimension: Dimension
    factor: float
    correlation: float
    rank_move_max: int
    rank_move_mean: float
    tier_moves: int


@dataclass(frozen=True, slots=True)
class Reversal:
    """Pairs of customers whose order turned round when others were left out; `pairs` names the first of them."""

    left_out: int
    compared: int
    turned: int
    pairs: tuple[tuple[str, str], ...]


def shifts(scaled: Floats, weights: Floats, ids: tuple[str, ...], shares: tuple[float, float]) -> list[Shift]:
    """Every weight a fifth up and down; `shares` of the customers are strategic and value."""
    base = ranks(score(scaled, weights).weighted, ids)
    found = []
    for at, dimension in enumerate(DIMENSIONS):
        for factor in (1 - STEP, 1 + STEP):
            moved = ranks(score(scaled, moved_weights(weights, at, factor)).weighted, ids)
            by = np.abs(moved - base)
            found.append(
                Shift(
                    dimension,
                    factor,
                    rank_correlation(base, moved),
                    int(by.max(initial=0)),
                    float(by.mean()) if len(by) else 0.0,
                    int((bands(base, shares) != bands(moved, shares)).sum()),
                )
            )
    return found


def moved_weights(weights: Floats, at: int, factor: float) -> Floats:
    """One weight times `factor`, at most 1; the others keep their proportions and the sum stays 1."""
    target = min(1.0, float(weights[at]) * factor)
    rest = 1 - float(weights[at])
    out = weights * ((1 - target) / rest) if rest > 0 else weights.copy()
    out[at] = target if rest > 0 else 1.0
    return out


def bands(rank: Ints, shares: tuple[float, float]) -> Ints:
    """0 strategic, 1 value, 2 long tail by rank alone, without hysteresis."""
    count = len(rank)
    first, second = round(shares[0] * count), round((shares[0] + shares[1]) * count)
    return np.where(rank < first, 0, np.where(rank < second, 1, 2)).astype(np.int64)


def reversal(
    raw: Floats, confidence: Floats, weights: Floats, ids: tuple[str, ...], left_out: Ints, *, topsis: bool
) -> Reversal:
    """Score again without some customers and count the pairs among the best that changed places."""
    kept = np.setdiff1d(np.arange(len(ids)), left_out)
    whole = _scores(raw, confidence, weights, topsis=topsis)
    names = tuple(ids[at] for at in kept)
    before = ranks(whole[kept], names)
    after = ranks(_scores(raw[kept], confidence[kept], weights, topsis=topsis), names)
    best = np.argsort(before)[:COMPARED_MAX]
    turned = [(int(best[a]), int(best[b])) for a, b in np.argwhere(np.triu(_later(after[best]), 1))]
    pairs = tuple((names[a], names[b]) for a, b in turned[:TURNED_ROUND_MAX])
    return Reversal(len(left_out), len(best), len(turned), pairs)


def _later(rank: Ints) -> np.ndarray:
    """Whether the first of a pair, the better before, is now behind the second."""
    return rank[:, None] > rank[None, :]


def _scores(raw: Floats, confidence: Floats, weights: Floats, *, topsis: bool) -> Floats:
    both = score(trusted(scale_of(raw).scaled(raw), confidence), weights)
    return both.topsis if topsis else both.weighted
