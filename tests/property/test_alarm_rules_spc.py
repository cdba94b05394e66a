"""Nelson's tests on residuals flag normal shots as often as Nelson meant, whatever their memory, and find a shift."""

from collections.abc import Sequence

import numpy as np
import pytest

from cloud.alarms.rules.nelson import WINDOW, fired
from cloud.alarms.rules.residuals import LEARN_SHOTS, Residuals, as_stored, follow, from_stored
from models.ar1 import fit

ALL = range(1, 9)
SEEDS, SHOTS = 24, 400
NOMINAL, BAND = 0.024, 0.010
"""2.4 % by all eight tests on independent values; the mean of SEEDS rows of shots lies within the band."""
SHIFT_SHOTS_MAX = 80


def memory_of(seed: int, phi: float, shots: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(shots)
    noise[0] /= np.sqrt(1 - phi**2)
    values = np.empty(shots)
    last = 0.0
    for at, each in enumerate(noise):
        last = values[at] = phi * last + each
    return values


def followed(values: Sequence[float], state: Residuals = Residuals()) -> Residuals:  # noqa: B008 - frozen
    for value in values:
        state = follow(state, "job", float(value))
    return state


@pytest.mark.parametrize("phi", [0.0, 0.7, 0.9])
def test_normal_shots_are_flagged_as_rarely_as_independent_ones(phi: float) -> None:
    rates = []
    for seed in range(SEEDS):
        values = 120 + 3 * memory_of(seed, phi, LEARN_SHOTS + WINDOW + SHOTS)
        state, flagged = followed(values[: LEARN_SHOTS + WINDOW]), 0
        for value in values[LEARN_SHOTS + WINDOW :]:
            state = follow(state, "job", float(value))
            flagged += bool(fired(state.window, ALL))
        rates.append(flagged / SHOTS)
    assert abs(np.mean(rates) - NOMINAL) < BAND, f"{np.mean(rates):.4f}"


@pytest.mark.parametrize("phi", [0.0, 0.7, 0.9])
def test_a_shift_of_two_sigma_is_found_within_a_bound(phi: float) -> None:
    needed = []
    for seed in range(SEEDS):
        values = memory_of(seed, phi, LEARN_SHOTS + 50 + SHIFT_SHOTS_MAX)
        values[LEARN_SHOTS + 50 :] += 2 / np.sqrt(1 - phi**2)
        state = followed(values[: LEARN_SHOTS + 50])
        for count, value in enumerate(values[LEARN_SHOTS + 50 :], start=1):
            state = follow(state, "job", float(value))
            if fired(state.window, (1, 2, 3, 5, 6)):
                needed.append(count)
                break
    assert len(needed) == SEEDS, f"not found within {SHIFT_SHOTS_MAX} shots"
    assert np.median(needed) <= 8


def test_raw_values_with_memory_would_be_flagged_far_too_often() -> None:
    values = [float(value) for value in memory_of(1, 0.7, 2_000) * np.sqrt(1 - 0.7**2)]
    flagged = sum(bool(fired(values[at - WINDOW : at], ALL)) for at in range(WINDOW, len(values)))
    assert flagged / len(values) > 0.15


def test_a_few_wild_shots_do_not_tilt_what_is_learnt() -> None:
    values = memory_of(3, 0.7, LEARN_SHOTS)
    clean = fit(values)
    values[[20, 90, 150]] += 40
    dirty = fit(values)
    assert abs(dirty.phi - clean.phi) < 0.15
    assert dirty.sigma / clean.sigma < 1.3


def test_memory_is_bounded_and_survives_storage() -> None:
    state = Residuals()
    for at, value in enumerate(memory_of(5, 0.7, LEARN_SHOTS + 60)):
        state = follow(state, "job", float(value))
        assert len(state.learnt) < LEARN_SHOTS
        assert len(state.window) <= WINDOW
        if at % 50 == 0:
            assert from_stored(as_stored(state)) == state
    assert state.learnt == ()


def test_another_job_is_learnt_anew_and_a_missing_reading_breaks_the_row() -> None:
    state = followed(memory_of(5, 0.7, LEARN_SHOTS + 60))
    assert state.window
    assert follow(state, "job", float("nan")).window == ()
    assert follow(state, "other job", 1.0) == Residuals("other job", (1.0,))


def test_a_reading_that_never_changes_teaches_without_dividing_by_nothing() -> None:
    state = followed([7.0] * (LEARN_SHOTS + 20))
    assert fired(state.window, (1, 2, 3, 5, 6)) == frozenset()
    assert fired(follow(state, "job", 7.5).window, (1,)) == {1}


@pytest.mark.parametrize(
    ("number", "values", "before"),
    [
        (1, [3.1], [2.9]),
        (2, [0.1] * 9, [-0.1] + [0.1] * 8),
        (3, [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 4, 6]),
        (4, [0.5, -0.5] * 7, [0.5, -0.5] * 6 + [0.5, 0.6]),
        (5, [2.1, 0, 2.1], [2.1, 0, -2.1]),
        (6, [1.1, 1.1, 0, 1.1, 1.1], [1.1, 1.1, 0, 0, 1.1]),
        (7, [0.9, -0.9] * 7 + [0.9], [1.1] + [0.9, -0.9] * 7),
        (8, [1.1, -1.1] * 4, [0.9, -1.1] + [1.1, -1.1] * 3),
    ],
)
def test_each_test_fires_at_its_pattern_and_not_just_short_of_it(
    number: int, values: list[float], before: list[float]
) -> None:
    assert fired(values, [number]) == {number}
    assert fired(before, [number]) == frozenset()
    assert fired([-value for value in values], [number]) == {number}
