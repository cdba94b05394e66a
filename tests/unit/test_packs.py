"""Packs: what is up and what is down, and what a dearer one costs for the rest of a month."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cloud.entitlements.domain import Tier
from cloud.self_service.domain import Pack, a_month_earlier, a_month_later, day_of, difference, is_up

PACK = Pack("p", Tier.LONG_TAIL, 100, "EUR", {})
MOMENTS = st.integers(1_577_836_800, 1_893_456_000).map(lambda at_s: at_s * 1_000)


def test_dearer_is_up_and_another_currency_never_is() -> None:
    assert is_up(PACK, price_minor=99, currency="EUR", tier=Tier.STRATEGIC)
    assert not is_up(PACK, price_minor=101, currency="EUR", tier=Tier.PROVISIONAL)
    assert not is_up(PACK, price_minor=0, currency="CNY", tier=Tier.PROVISIONAL)
    assert is_up(replace(PACK, tier=Tier.VALUE), price_minor=100, currency="EUR", tier=Tier.LONG_TAIL)
    assert not is_up(PACK, price_minor=100, currency="EUR", tier=Tier.LONG_TAIL)


@given(pack=st.integers(0, 10**9), price=st.integers(0, 10**9), passed=st.integers(-5, 35))
def test_a_difference_is_never_more_than_the_whole_and_nothing_at_the_end(pack: int, price: int, passed: int) -> None:
    found = difference(pack, price, from_ms=0, now_ms=passed, until_ms=30)
    assert 0 <= found <= max(0, pack - price)
    assert passed < 30 or found == 0


@given(at_ms=MOMENTS)
def test_a_month_back_and_forth_is_the_same_time(at_ms: int) -> None:
    anchor = day_of(at_ms)
    assert a_month_later(a_month_earlier(at_ms, anchor_day=anchor), anchor_day=anchor) == at_ms
