"""Weights by AHP, by entropy and by hand: as the literature has them, and refused with the reason."""

import numpy as np
import pytest
from pymcdm.methods import TOPSIS
from pymcdm.weights import entropy_weights

from cloud.tiering.ranking import rank_correlation, ranks, score
from cloud.tiering.sensitivity import moved_weights, reversal, shifts
from cloud.tiering.weights import DEFAULT_PAIRWISE, WeightsError, by_hand, from_entropy, from_pairwise

SAATY = [[1, 3, 5], [1 / 3, 1, 3], [1 / 5, 1 / 3, 1]]


def test_a_pairwise_matrix_becomes_saaty_s_weights_and_ratio() -> None:
    weights, ratio = from_pairwise(SAATY)
    assert weights == pytest.approx([0.637, 0.258, 0.105], abs=0.001)
    assert ratio == pytest.approx(0.033, abs=0.001)


def test_a_consistent_matrix_gives_back_the_weights_it_was_made_of() -> None:
    told = np.array([0.4, 0.3, 0.2, 0.1])
    weights, ratio = from_pairwise((told[:, None] / told[None, :]).tolist())
    assert weights == pytest.approx(told)
    assert ratio == pytest.approx(0, abs=1e-9)


def test_the_default_judgements_can_be_believed() -> None:
    weights, ratio = from_pairwise(DEFAULT_PAIRWISE)
    assert ratio < 0.02
    assert weights[0] > weights[1] > weights[2] > 0


@pytest.mark.parametrize(
    ("matrix", "word"),
    [
        ([[1, 9, 1 / 9], [1 / 9, 1, 9], [9, 1 / 9, 1]], "consistency ratio"),
        ([[1, 2], [2, 1]], "reciprocal"),
        ([[1, 12], [1 / 12, 1]], "1/9 to 9"),
        ([[1, 2, 3], [1 / 2, 1]], "square"),
        ([[1, float("nan")], [1, 1]], "1/9 to 9"),
    ],
)
def test_a_matrix_that_cannot_be_believed_is_refused_with_the_reason(matrix: list[list[float]], word: str) -> None:
    with pytest.raises(WeightsError, match=word) as caught:
        from_pairwise(matrix)
    assert (caught.value.ratio is not None) == (word == "consistency ratio")


def test_the_judgement_that_contradicts_the_others_is_named() -> None:
    told = np.array([0.4, 0.3, 0.2, 0.1])
    matrix = told[:, None] / told[None, :]
    matrix[0, 3], matrix[3, 0] = 1 / 9, 9
    with pytest.raises(WeightsError, match="row 1, column 4"):
        from_pairwise(matrix.tolist())


@pytest.mark.parametrize("told", [[1, 2], [1, -1, 1], [0, 0, 0], [1, float("inf"), 1]])
def test_weights_by_hand_must_be_one_a_dimension_and_not_below_zero(told: list[float]) -> None:
    with pytest.raises(WeightsError):
        by_hand(told, 3)


def test_entropy_and_topsis_agree_with_a_library() -> None:
    scaled = np.random.default_rng(4).uniform(0.05, 0.95, (40, 5))
    weights = from_entropy(scaled)
    assert weights == pytest.approx(entropy_weights(scaled))
    found = score(scaled, weights)
    by_length = scaled / np.sqrt((scaled**2).sum(axis=0))
    assert found.topsis == pytest.approx(TOPSIS(lambda column, cost: column)(by_length, weights, np.ones(5)))


def test_entropy_gives_nothing_to_a_dimension_in_which_all_are_alike() -> None:
    assert from_entropy(np.array([[0.5, 0.1], [0.5, 0.9]])) == pytest.approx([0, 1])
    with pytest.raises(WeightsError, match="alike"):
        from_entropy(np.full((3, 2), 0.5))


def test_parts_add_up_to_both_scores() -> None:
    scaled = np.random.default_rng(5).random((100, 5))
    found = score(scaled, by_hand([5, 1, 1, 2, 3], 5))
    assert found.parts.sum(axis=1) == pytest.approx(found.weighted)
    assert found.topsis_parts.sum(axis=1) + 0.5 == pytest.approx(found.topsis)


def test_a_weight_moved_by_a_fifth_leaves_the_others_proportions_and_the_sum() -> None:
    weights = np.array([0.5, 0.3, 0.2])
    moved = moved_weights(weights, 0, 1.2)
    assert moved == pytest.approx([0.6, 0.24, 0.16])
    assert moved_weights(np.array([1.0, 0.0]), 0, 0.8) == pytest.approx([1, 0])


def test_sensitivity_tells_moves_of_ranks_and_tiers() -> None:
    scaled = np.random.default_rng(6).random((200, 5))
    ids = tuple(f"c{n:03}" for n in range(200))
    found = shifts(scaled, np.full(5, 0.2), ids, (0.05, 0.25))
    assert len(found) == 10
    assert all(0.9 < each.correlation < 1 and each.rank_move_max > 0 for each in found)
    assert any(each.tier_moves for each in found)


def test_reversals_are_found_where_the_scale_hangs_on_those_left_out() -> None:
    chance = np.random.default_rng(7)
    raw = chance.lognormal(0, 1.5, (80, 5))
    ids, weights = tuple(f"c{n:03}" for n in range(80)), np.full(5, 0.2)
    none = reversal(raw, np.ones_like(raw), weights, ids, np.array([], np.int64), topsis=True)
    assert (none.turned, none.pairs) == (0, ())
    some = reversal(raw, np.ones_like(raw), weights, ids, np.arange(40), topsis=True)
    assert some.turned > 0
    assert all(first != second for first, second in some.pairs)


def test_ranks_break_ties_by_id_and_correlation_knows_ties() -> None:
    assert ranks(np.array([0.5, 0.9, 0.5]), ("b", "c", "a")).tolist() == [2, 0, 1]
    assert rank_correlation([1, 2, 2, 3], [1, 3, 3, 9]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert np.isnan(rank_correlation([1, 1], [1, 2]))
