"""Laws of baselines: a block is its shots, a restart changes nothing, damage is found, units do not matter."""

import tracemalloc
from functools import cache
from hashlib import sha256
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.vocabulary import SIGNALS
from models.features.schema import FEATURES, VALUES
from models.runtime.baseline import BaselineError, Baselines, Options, Standings
from models.runtime.baseline_normal import Normal, robust
from models.runtime.baseline_tracks import BLOCK, Tracks

OPTIONS = Options(settle_shots=4, learn_shots=20, recentre_shots=6, ripen_every=3)
SHOTS = 160
HEAD_BYTES = 8 + 2 + 16 + 32


@st.composite
def _histories(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, moulds and features of SHOTS shots: with steps, spikes, lost readings, stops and job changes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = (50 + rng.standard_normal((SHOTS, len(FEATURES)))).astype(np.float32)
    for at in draw(st.lists(st.integers(0, SHOTS - 1), max_size=3)):
        rows[at:, rng.random(len(FEATURES)) < 0.2] += np.float32(rng.normal(0, 20))
    for at in draw(st.lists(st.integers(0, SHOTS - 1), max_size=3)):
        rows[at, rng.random(len(FEATURES)) < 0.3] = draw(st.sampled_from([np.nan, 1e6, 0.0]))
    rows[:, rng.random(len(FEATURES)) < 0.05] = np.nan
    gaps_ms = np.full(SHOTS, 20_000)
    gaps_ms[draw(st.lists(st.integers(0, SHOTS - 1), max_size=2))] = 3_600_000
    cuts = sorted(draw(st.lists(st.integers(0, SHOTS), max_size=3)))
    moulds = np.array(["A", "B"])[np.searchsorted(cuts, np.arange(SHOTS), side="right") % 2]
    return np.cumsum(gaps_ms), moulds, rows


def _run(baselines: Baselines, history: tuple[np.ndarray, np.ndarray, np.ndarray], start: int, end: int) -> Standings:
    ended_ms, moulds, rows = history
    changes = [start, *(np.flatnonzero(moulds[start + 1 : end] != moulds[start : end - 1]) + start + 1).tolist(), end]
    parts = [
        baselines.observe_block("p", str(moulds[at]), ended_ms[at:to], rows[at:to])
        for at, to in pairwise(changes)
        if to > at
    ]
    return Standings.joined(parts)


@given(_histories(), st.lists(st.integers(1, SHOTS - 1), max_size=6))
@settings(max_examples=25, deadline=None)
def test_shots_stand_the_same_one_by_one_and_in_any_blocks(
    history: tuple[np.ndarray, np.ndarray, np.ndarray], cuts: list[int]
) -> None:
    single, blocks = Baselines(options=OPTIONS), Baselines(options=OPTIONS)
    one = Standings.joined([_run(single, history, shot, shot + 1) for shot in range(SHOTS)])
    edges = sorted({0, *cuts, SHOTS})
    many = Standings.joined([_run(blocks, history, at, to) for at, to in pairwise(edges)])
    assert list(one.stages) == list(many.stages)
    assert one.notes == many.notes
    np.testing.assert_allclose(one.z, many.z, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(one.inputs, many.inputs, rtol=1e-3, atol=1e-3)


@given(_histories(), st.integers(1, SHOTS - 1))
@settings(max_examples=20, deadline=None)
def test_a_restart_at_any_shot_changes_nothing(
    history: tuple[np.ndarray, np.ndarray, np.ndarray], stopped: int
) -> None:
    through, before, after = (Baselines(options=OPTIONS) for _ in range(3))
    for baselines in (through, before):
        _run(baselines, history, 0, stopped)
    assert after.load(before.dump("p")) == "p"
    assert after.dump("p") == before.dump("p")
    assert after.states() == before.states()
    found, wanted = (_run(baselines, history, stopped, SHOTS) for baselines in (after, through))
    assert list(found.stages) == list(wanted.stages)
    np.testing.assert_array_equal(found.inputs, wanted.inputs)


FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=5)


@given(FLIPS, st.none() | st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_any_damage_to_stored_baselines_is_found(flips: list[tuple[float, int]], cut: float | None) -> None:
    data = _damaged(_stored(), flips, cut)
    baselines = Baselines(options=OPTIONS)
    try:
        baselines.load(data)
    except BaselineError:
        assert data != _stored()
        assert baselines.states() == []
        return
    assert data == _stored(), "taken though it is damaged"


@given(FLIPS, st.none() | st.floats(0, 1), st.booleans())
@settings(max_examples=150, deadline=None)
def test_what_another_program_stored_is_refused_or_taken_and_never_costs_much_memory(
    flips: list[tuple[float, int]],
    cut: float | None,
    in_text: bool,  # noqa: FBT001
) -> None:
    """Bytes that `pack` never wrote under a checksum that is right; most damage goes to the text that tells of them."""
    head, rest = _stored()[:HEAD_BYTES], _stored()[HEAD_BYTES:]
    told = 4 + int.from_bytes(rest[:4], "little") if in_text else len(rest)
    rest = _damaged(rest[:told], flips, None) + rest[told:]
    rest = _damaged(rest, [], cut)
    data = head[:-32] + sha256(rest).digest() + rest
    baselines = Baselines(options=OPTIONS)
    tracemalloc.start()
    try:
        baselines.load(data)
    except BaselineError:
        assert baselines.states() == []
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 * len(_stored()) + 2**20


def _damaged(data: bytes, flips: list[tuple[float, int]], cut: float | None) -> bytes:
    """The bytes with some bits flipped, and cut off; where in the data, is told as a share."""
    found = bytearray(data)
    for place, bit in flips:
        found[int(place * len(found))] ^= 1 << bit
    return bytes(found if cut is None else found[: int(cut * len(found))])


@cache
def _stored() -> bytes:
    """With one mould in force, one being learnt, and curves."""
    baselines = Baselines(options=OPTIONS)
    rng = np.random.default_rng(0)
    rows = rng.normal(9, 1, (40, len(FEATURES))).astype(np.float32)
    curves = rng.normal(9, 1, (40, len(SIGNALS), 300)).astype(np.float32)
    baselines.observe_block("p", "A", 20_000 * np.arange(40), rows, curves)
    baselines.observe_block("p", "B", 20_000 * np.arange(40, 50), rows[:10], curves[:10])
    return baselines.dump("p")


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 100), st.floats(-10, 10))
def test_units_do_not_matter(seed: int, factor: float, offset: float) -> None:
    rows = np.random.default_rng(seed).normal(3, 1, (60, len(VALUES))).astype(np.float32)
    other = (rows * factor + offset).astype(np.float32)
    found = []
    for values in (rows, other):
        centre, scale = robust(values)
        found.append(Normal(centre, scale, np.ones(len(VALUES))).z(values)[:, : len(FEATURES)])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-2, atol=1e-2)


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5), st.floats(-3, 3), st.integers(1, BLOCK))
def test_running_means_can_be_measured_by_another_normal(seed: int, by: float, moved: float, shots: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (shots, len(VALUES)))
    values[rng.random(values.shape) < 0.1] = np.nan
    ones = np.ones(len(VALUES))
    first, second = Normal(0 * ones, ones, ones), Normal(moved * ones, by * ones, ones)
    converted, direct = Tracks.empty(), Tracks.empty()
    converted.follow(first.z(values), ones)
    direct.follow(second.z(values), ones)
    converted = converted.to(first, second)
    np.testing.assert_allclose(converted.fast, direct.fast, atol=1e-9)
    np.testing.assert_allclose(converted.slow, direct.slow, atol=1e-9)
