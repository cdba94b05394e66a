"""Clock and ids: what every program relies on."""

import time
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.clock import ManualClock, SystemClock
from kit.ids import uuid7
from kit.mqtt import client_id


@given(st.lists(st.tuples(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1)), min_size=2, max_size=20))
def test_uuid7_sorts_by_time_and_says_its_version(made: list[tuple[int, int]]) -> None:
    ids = [uuid7(*each) for each in made]
    assert all(found.version == 7 and found.variant == "specified in RFC 4122" for found in ids)
    assert [found.int >> 80 for found in sorted(ids)] == sorted(utc_ms for utc_ms, _ in made)


def test_uuid7_agrees_with_the_example_of_rfc_9562() -> None:
    """Appendix A.6: 2022-02-22T19:22:22.000Z, rand_a CC3, rand_b 18C4DC0C0C07398F."""
    made = uuid7(0x017F22E279B0, 0xCC3 << 62 | 0x18C4DC0C0C07398F)
    assert made == UUID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")


def test_uuid7_never_repeats() -> None:
    assert len({uuid7(1) for _ in range(1_000)}) == 1_000


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(utc_ms=1_000)
    clock.advance(2.5)
    assert (clock.utc_ms(), clock.monotonic_s()) == (3_500, 2.5)
    clock.step_wall(-86_400_000)
    assert (clock.utc_ms(), clock.monotonic_s()) == (3_500 - 86_400_000, 2.5)


def test_the_system_clock_s_monotonic_time_never_runs_back() -> None:
    clock = SystemClock()
    times = [clock.monotonic_s() for _ in range(100)]
    assert times == sorted(times)
    assert clock.utc_ms() > 1_700_000_000_000


def test_the_system_clock_is_utc_in_any_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as place:
        place.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        off_ms = SystemClock().utc_ms() - datetime.now(UTC).timestamp() * 1000
    time.tzset()
    assert abs(off_ms) < 3_600_000


@given(st.lists(st.text("ab.*>:%-", min_size=1, max_size=6), min_size=1, max_size=3))
def test_client_ids_hold_nothing_that_a_broker_refuses_and_stay_distinct(parts: list[str]) -> None:
    made = client_id(*parts)
    assert not set(".*> ") & set(made)
    assert made.count(":") == len(parts) - 1
    assert made != client_id(*parts, "x")
