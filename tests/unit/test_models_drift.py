"""Drift of features: what stays away, what freezes and what is no number is told; an odd summary breaks nothing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.runtime.drift import (
    JUDGED_FROM_SHOTS,
    PSI_MOVED,
    REFERENCE_SHOTS,
    SHARE_MIN,
    DriftWatch,
    FeatureSummary,
    TrainingSummary,
    summarise,
)

NAMES = ("pressure", "time", "temperature")
COLUMNS = {name: place for place, name in enumerate(NAMES)}


def rows(shots: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal((500, 20, 230), (2, 0.1, 1), (shots, 3)).astype(np.float32)


def watched(shots: np.ndarray) -> DriftWatch:
    watch = DriftWatch(summarise(rows(2_000, 1), ["M"] * 2_000, ["p"] * 2_000, NAMES)["M"].features, COLUMNS)
    for row in shots:
        watch.take(row)
    return watch


def test_a_press_like_those_of_training_has_nothing_to_tell() -> None:
    watch = watched(rows(400))
    assert (watch.drifted(watch.indices()), watch.strange(), watch.missing()) == ([], [], [])


@pytest.mark.parametrize("since", [0, REFERENCE_SHOTS + 50], ids=["from the first shot", "later"])
def test_a_channel_that_froze_has_drifted_though_its_value_is_usual(since: int) -> None:
    shots = rows(400)
    shots[since:, 1] = 20.0
    watch = watched(shots)
    indices = watch.indices()
    assert watch.drifted(indices) == ["time"]
    assert indices["time"] > 10 * PSI_MOVED
    assert watch.strange() == [], "it lies where training was"


def test_a_channel_that_stays_away_is_missing_and_has_not_drifted() -> None:
    shots = rows(400)
    shots[REFERENCE_SHOTS:, 2] = np.nan
    watch = watched(shots)
    assert watch.missing() == ["temperature"]
    assert "temperature" not in watch.indices()


def test_nothing_is_told_before_there_are_shots_enough() -> None:
    shots = rows(REFERENCE_SHOTS + JUDGED_FROM_SHOTS - 1)
    shots[:, 1] = np.nan
    watch = watched(shots)
    assert (watch.indices(), watch.strange(), watch.missing()) == ({}, [], [])


@given(st.lists(st.sampled_from([0.0, 3.4e38, -3.4e38, math.inf, -math.inf, math.nan]), min_size=3, max_size=3))
@settings(max_examples=30, deadline=None)
def test_figures_are_numbers_whatever_came(values: list[float]) -> None:
    shots = np.concatenate([rows(20), np.tile(np.array(values, np.float32), (REFERENCE_SHOTS + JUDGED_FROM_SHOTS, 1))])
    assert all(math.isfinite(psi) for psi in watched(shots).indices().values())


def test_a_summary_without_features_watches_nothing() -> None:
    for features, columns in (({}, COLUMNS), (_summary().features, {})):
        watch = DriftWatch(features, columns)
        for row in rows(200):
            watch.take(row)
        assert (watch.features, watch.indices(), watch.strange(), watch.missing()) == (0, {}, [], [])


@pytest.mark.parametrize("share", [-0.1, 1.1, 1e308, math.nan])
def test_a_summary_whose_shares_are_none_is_refused(share: float) -> None:
    with pytest.raises(ValidationError, match="shares"):
        FeatureSummary.model_validate({**_summary().features["time"].model_dump(), "shares": [share] * 10})


def test_a_channel_that_comes_later_has_no_level_to_drift_from() -> None:
    shots = rows(400)
    shots[:REFERENCE_SHOTS, 2] = np.nan
    watch = watched(shots)
    assert "temperature" not in watch.indices()
    assert (watch.drifted(watch.indices()), watch.missing()) == ([], [])


@given(st.lists(st.floats(490, 510, width=32), min_size=JUDGED_FROM_SHOTS, max_size=JUDGED_FROM_SHOTS))
@settings(max_examples=30, deadline=None)
def test_the_index_is_that_of_its_definition(values: list[float]) -> None:
    summary = summarise(rows(2_000, 1), ["M"] * 2_000, ["p"] * 2_000, NAMES)["M"].features["pressure"]
    first, later = rows(REFERENCE_SHOTS)[:, 0], np.array(values, np.float32)
    watch = DriftWatch({"pressure": summary}, {"pressure": 0})
    for value in (*first, *later):
        watch.take(np.array([value]))
    centred = later.astype(np.float64) - np.median(first.astype(np.float64))
    found = np.bincount(np.searchsorted(summary.edges, centred, side="left"), minlength=10) / len(centred)
    p, q = np.maximum(found, SHARE_MIN), np.maximum(summary.shares, SHARE_MIN)
    assert watch.indices()["pressure"] == pytest.approx(float(((p - q) * np.log(p / q)).sum()), abs=1e-6)


def _summary() -> TrainingSummary:
    return summarise(rows(100), ["M"] * 100, ["p"] * 100, NAMES)["M"]
