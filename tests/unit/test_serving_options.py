"""Options: what may be in the catalogue, who may buy, how a sold one goes on, and when a margin is too low."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.entitlements.domain import Entitlements, ReportDepth, Tier
from cloud.serving.margins import Margin, is_low, turned
from cloud.serving.options import Billing, Need, Option, OptionError, can_buy, from_json, to_json
from cloud.serving.rules import ServingRules
from cloud.serving.sales import GONE, OPEN, State, Step, after, check_hours, is_over, steps_of

NAMES = {"zh-CN": "报表模板", "en": "Report template"}
OPTION = Option(
    "report", NAMES, {"zh-CN": "", "en": ""}, Billing.ONE_OFF, 500_000, "CNY", 8.0, (Tier.VALUE, Tier.STRATEGIC), 2
)
CUSTOM = replace(OPTION, tiers=(Tier.STRATEGIC,), price_minor=0, effort_h=0.0, is_custom=True)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"code": "No Good"}, "code"),
        ({"names": {"en": "x"}}, "names.zh-CN"),
        ({"price_minor": -1}, "price_minor"),
        ({"effort_h": 2_001.0}, "effort_h"),
        ({"currency": "yuan"}, "currency"),
        ({"tiers": ()}, "tiers"),
        ({"tiers": (Tier.PROVISIONAL,)}, "tiers"),
        ({"per_customer_max": 0}, "per_customer_max"),
        ({"is_custom": True}, "tiers"),
        ({"is_custom": True, "tiers": (Tier.STRATEGIC,)}, "price_minor"),
        ({"need": Need("people_max", "many")}, "need.people_max"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(OptionError) as refused:
        replace(OPTION, **change).check()  # type: ignore[arg-type]
    assert refused.value.field == field


def test_an_option_comes_back_as_it_was_stored() -> None:
    for option in (OPTION, CUSTOM, replace(OPTION, need=Need("report_depth", ReportDepth.DEEP), retired_from=20_000)):
        option.check()
        assert from_json(option.code, to_json(option)) == option


def test_a_customer_buys_what_its_tier_its_plan_and_the_number_allow() -> None:
    deep = replace(OPTION, code="deep", need=Need("report_depth", ReportDepth.DEEP))
    many = replace(OPTION, code="many", need=Need("presses_max", 200))
    old = replace(OPTION, code="old", retired_from=100)
    shelf = [OPTION, deep, many, old]
    held = Entitlements(report_depth=ReportDepth.STANDARD, presses_max=200)

    def codes(tier: Tier, plan: Entitlements | None, counts: dict[str, int], today: int) -> list[str]:
        return [each.code for each in can_buy(shelf, tier, plan, counts, today)]

    assert codes(Tier.VALUE, held, {}, 99) == ["report", "many", "old"]
    assert codes(Tier.VALUE, held, {"report": 2}, 100) == ["many"]
    assert codes(Tier.VALUE, None, {}, 100) == ["report"]
    assert codes(Tier.VALUE, Entitlements(), {}, 100) == ["report", "deep", "many"]
    assert codes(Tier.LONG_TAIL, held, {}, 99) == []


@given(least=st.integers(0, 100), had=st.one_of(st.none(), st.integers(0, 100)), grows=st.booleans())
def test_more_of_an_entitlement_never_loses_an_option(least: int, had: int | None, *, grows: bool) -> None:
    need = Need("presses_max", least)
    more = None if had is None or grows else had + 1
    if need.is_met(Entitlements(presses_max=had)):
        assert need.is_met(Entitlements(presses_max=more))
    assert Need("support_response_h", least).is_met(Entitlements(support_response_h=None)) is False


@given(tried=st.lists(st.sampled_from(list(Step)), max_size=12), is_custom=st.booleans())
def test_whatever_is_tried_a_life_goes_forward_and_a_custom_option_is_approved_first(
    tried: list[Step], *, is_custom: bool
) -> None:
    order = [State.QUOTED, State.APPROVED, State.ACCEPTED, State.DOING, State.DELIVERED, State.ENDED, State.DECLINED]
    passed = [State.QUOTED]
    for step in tried:
        try:
            passed.append(after(passed[-1], step, is_custom=is_custom))
        except OptionError:
            assert step not in steps_of(passed[-1], is_custom=is_custom)
    assert passed == sorted(set(passed), key=order.index)
    assert (State.APPROVED in passed) or not (is_custom and State.ACCEPTED in passed)
    assert State.APPROVED not in passed or is_custom
    assert not OPEN & GONE


def test_hours_are_booked_where_somebody_works_and_in_bounds() -> None:
    check_hours(8.0, 100, 100, State.DOING)
    for hours, day, state in ((0.0, 100, State.DOING), (25.0, 100, State.DOING), (1.0, 101, State.DOING)):
        with pytest.raises(OptionError):
            check_hours(hours, day, 100, state)
    for state in (State.QUOTED, State.ENDED):
        with pytest.raises(OptionError):
            check_hours(1.0, 100, 100, state)
    assert not is_over(8.0, 8.0)
    assert is_over(8.0, 8.25)


def test_a_low_margin_is_told_once_and_over_only_when_it_has_recovered() -> None:
    rules = ServingRules(margin_floor=0.3, margin_back=0.05)
    one, two, free = (UUID(int=n) for n in range(3))
    found = {one: Margin(one, 1_000, 800), two: Margin(two, 1_000, 680), free: Margin(free, 0, 5)}
    told, back = turned(found, [one, two, free], frozenset(), rules)
    assert ([each.customer_id for each in told], back) == ([one, free], [])
    assert turned(found, [one, two, free], frozenset({one, two, free}), rules) == ([], []), "0.32 is not back yet"
    told, back = turned(found | {one: Margin(one, 1_000, 640)}, [one, two, free], frozenset({one, free}), rules)
    assert (told, back) == ([], [one])
    assert turned(found, [], frozenset({one}), rules) == ([], [one]), "who is not watched any more is not low"
    assert is_low(found[two], rules, was_low=True)
