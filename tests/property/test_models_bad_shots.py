"""Whatever a press sends: every shot goes on, what is said of it is a number or nothing, alone and in a batch."""

import math
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import shot_wire
from contract.shot import FloatArray, ScoredShot, Shot
from contract.sparkplug.codec import encode_metrics
from contract.vocabulary import PARAMETERS, SIGNALS
from edge_agent.models.baselines import BaselineStore
from edge_agent.models.lineup import Lineup
from edge_agent.models.loaded import LoadedBundle
from edge_agent.models.roster import Roster
from edge_agent.pipeline import score
from models.features.resample import INTERVAL_S, SAMPLES_MAX, resample
from models.features.schema import FEATURES_HASH
from models.runtime.baseline import Baselines, Options
from models.runtime.baseline_curves import REFERENCE_SHOTS
from models.runtime.bundle import Bundle
from models.runtime.scorer import Scorer
from tests.rollout_bundles import MODE, many_heads

OPTIONS = Options(settle_shots=0, learn_shots=REFERENCE_SHOTS + 5, recentre_shots=5, ripen_every=1)
CYCLE_MS, SAMPLES = 20_000, 400
LARGE = (0.0, -1.0, 1e30, -1e30, 3.4e38, -3.4e38, 1e-40, math.nan)


@dataclass(frozen=True)
class Curve:
    """A curve of this many samples of a value, which changes its sign at random where it `swings`."""

    samples: int
    value: float
    swings: bool = False

    def drawn(self) -> FloatArray:
        noise = np.random.default_rng(self.samples).standard_normal(self.samples)
        with np.errstate(invalid="ignore"):
            return (self.value * (np.sign(noise) if self.swings else np.ones(self.samples))).astype(np.float32)


@dataclass(frozen=True)
class Bad:
    """What has become of a plain shot; a curve of None is missing."""

    press: str
    readings: dict[str, float]
    curves: dict[str, Curve | tuple[float, ...] | None]
    tells_others: bool
    later_ms: int
    interval_s: float
    mould: str

    def shot(self, number: int) -> Shot:
        base = plain_shot(self.press, 1_000 + number)
        curves = dict(base.curves)
        for name, curve in self.curves.items():
            curves.pop(name)
            if curve is not None:
                curves[name] = curve.drawn() if isinstance(curve, Curve) else np.array(curve, np.float32)
        readings = {**base.parameters, **self.readings} if self.tells_others else self.readings
        return Shot(self.press, base.ended_ms + self.later_ms, readings, curves, self.interval_s, mould_id=self.mould)


BAD = st.builds(
    Bad,
    press=st.sampled_from(["p-1", "p-2"]),
    readings=st.dictionaries(
        st.sampled_from(list(PARAMETERS)),
        st.floats(-1e3, 1e3) | st.sampled_from([*LARGE, 1e300, math.inf, -math.inf]),
        max_size=6,
    ),
    curves=st.dictionaries(
        st.sampled_from(list(SIGNALS)),
        st.none()
        | st.builds(Curve, st.sampled_from([0, 1, 2, SAMPLES, 3_000]), st.sampled_from([*LARGE, math.inf]))
        | st.builds(Curve, st.just(SAMPLES), st.sampled_from([1e19, 3e38]), st.just(True))
        | st.lists(st.floats(width=32), max_size=20).map(tuple),
        max_size=8,
    ),
    tells_others=st.booleans(),
    later_ms=st.sampled_from([0, 0, 0, -10_000_000, 10_000_000]),
    interval_s=st.sampled_from([INTERVAL_S, INTERVAL_S, 0.0, 0.002, 1.0, 1e-300, math.inf, math.nan]),
    mould=st.sampled_from(["M", "M", "M", "", "other"]),
)
SHOTS = st.lists(BAD, min_size=1, max_size=6)


def plain_shot(press: str, number: int) -> Shot:
    """A shot as healthy presses make them."""
    rng = np.random.default_rng(number)
    parameters = {name: float(50 + rng.standard_normal()) for name in PARAMETERS}
    curves = {name: (100 + rng.standard_normal(SAMPLES)).astype(np.float32) for name in SIGNALS}
    timed = {"InjectionTime": 0.5, "HoldTime": 1.0}
    return Shot(press, number * CYCLE_MS, parameters | timed, curves, INTERVAL_S, mould_id="M")


@cache
def _loaded() -> LoadedBundle:
    manifest, models = many_heads()
    bundle = Bundle(path=Path("b.zip"), bundle_id="0" * 12, manifest=manifest, models=models)
    return LoadedBundle(bundle, Scorer(bundle))


@cache
def _learnt(press: str) -> bytes:
    baselines = Baselines(options=OPTIONS)
    store = BaselineStore(Path("nowhere"), baselines)
    for number in range(OPTIONS.learn_shots + 2):
        score([resample(plain_shot(press, number))], Roster(Lineup(), store))
    return baselines.dump(press)


def _gateway() -> tuple[Roster, BaselineStore, Baselines]:
    """A roster whose bundle has heads of each kind, and whose baselines have learnt two presses."""
    baselines = Baselines(options=OPTIONS)
    for press in ("p-1", "p-2"):
        baselines.load(_learnt(press))
    store = BaselineStore(Path("nowhere"), baselines)
    return Roster(Lineup(own=_loaded()), store), store, baselines


def _aliases() -> shot_wire.AliasOf:
    numbers = count(1)
    return lambda *_: next(numbers)


def _shots(bad: list[Bad]) -> list[Shot]:
    return [each.shot(number) for number, each in enumerate(bad)]


def _through(shots: list[Shot], roster: Roster) -> list[ScoredShot]:
    return score([resample(shot) for shot in shots], roster)


def test_a_plain_shot_is_told_everything_of() -> None:
    (found,) = _through([plain_shot("p-1", 1_000)], _gateway()[0])
    assert set(found.scores.values) == {
        f"FailureProbability/{MODE}@24h",
        "Novelty/T2",
        "QualityProbability/ok",
        "QualityProbability/waste",
    }


@given(SHOTS)
@settings(max_examples=60, deadline=None)
def test_bad_shots_go_on_with_numbers_or_nothing_and_alike_alone_and_in_a_batch(bad: list[Bad]) -> None:
    shots, (roster, store, _), (alone, _, _) = _shots(bad), _gateway(), _gateway()
    found = _through(shots, roster)
    for one, (same,) in zip(found, [_through([shot], alone) for shot in shots], strict=True):
        assert not np.isinf(one.features).any()
        assert all(math.isfinite(value) for value in one.scores.values.values())
        assert not any(math.isinf(reason.value) or not math.isfinite(reason.sigma) for reason in one.scores.reasons)
        assert one.features_hash == FEATURES_HASH
        encode_metrics(shot_wire.body_metrics(one, _aliases()))
        np.testing.assert_array_equal(one.features, same.features)
        assert dict(same.scores.values) == pytest.approx(dict(one.scores.values), rel=1e-3, abs=1e-5)
    assert store.failures == 0
    assert sum(figures.errors for report in roster.reports().values() for figures in report.figures.values()) == 0


@given(SHOTS)
@settings(max_examples=20, deadline=None)
def test_a_baseline_that_saw_bad_shots_is_stored_and_comes_back_the_same(bad: list[Bad]) -> None:
    shots, (roster, _, baselines) = _shots(bad), _gateway()
    _through(shots, roster)
    again = Baselines(options=OPTIONS)
    for press in {shot.press_id for shot in shots}:
        data = baselines.dump(press)
        again.load(data)
        assert again.dump(press) == data


def test_a_curve_of_100_000_samples_is_cut_where_it_enters_and_costs_no_more_than_its_length() -> None:
    def long_shot(samples: int) -> Shot:
        curve: FloatArray = np.linspace(0, 100, samples, dtype=np.float32)
        return Shot("p-1", 0, plain_shot("p-1", 0).parameters, dict.fromkeys(SIGNALS, curve), 0.000_05, mould_id="M")

    kept = resample(long_shot(100_000))
    assert {len(curve) for curve in kept.curves.values()} == {SAMPLES_MAX}
    assert kept.curves["ClampForce"][-1] == pytest.approx(99.9, abs=0.01), "5 s at 20 kHz are 5 s at 200 Hz"
    (found,) = _through([long_shot(100_000)], _gateway()[0])
    assert found.scores.values
