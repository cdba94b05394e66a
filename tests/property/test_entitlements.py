"""What is in force follows from tiers, catalogues and overrides; nothing is taken away without its time of grace."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.entitlements.domain import (
    DAY_MS,
    GRACE_MS,
    KINDS,
    NAMES,
    UNLIMITED,
    Assigned,
    CatalogueVersion,
    Effective,
    EntitlementFieldError,
    Entitlements,
    Override,
    ReportDepth,
    Tier,
    checked_catalogue,
    checked_entitlements,
    checked_value,
    effective,
    more_generous,
)
from cloud.entitlements.sight import ALL_TIME, hidden_before_ms
from cloud.entitlements.standard import STANDARD

NOW_MS = 1_000 * DAY_MS
AMOUNTS = st.none() | st.integers(1, 1_000)
WHOLE = st.builds(
    Entitlements,
    retention_days=AMOUNTS,
    presses_max=AMOUNTS,
    custom_models=st.booleans(),
    api_requests_per_min=AMOUNTS,
    support_response_h=AMOUNTS,
    report_depth=st.sampled_from(ReportDepth),
    webhook_endpoints_max=AMOUNTS,
    people_max=AMOUNTS,
)
HISTORIES = st.lists(st.tuples(st.integers(900, 1_000), st.sampled_from(Tier)), max_size=6).map(
    lambda found: [Assigned(day * DAY_MS, tier) for day, tier in sorted(found, key=lambda one: one[0])]
)
CATALOGUES = st.lists(
    st.tuples(st.integers(900, 1_000), st.fixed_dictionaries(dict.fromkeys(Tier, WHOLE))), max_size=3
).map(
    lambda found: [
        STANDARD,
        *(
            CatalogueVersion(version, day * DAY_MS, tiers)
            for version, (day, tiers) in enumerate(sorted(found, key=lambda one: one[0]), 1)
        ),
    ]
)


def at(
    catalogues: list[CatalogueVersion], assigned: list[Assigned], now_ms: int = NOW_MS, since_ms: int = 0
) -> Effective:
    return effective(catalogues, assigned, (), now_ms, since_ms=since_ms)


@given(CATALOGUES, HISTORIES)
def test_nothing_that_was_there_is_lower_before_its_grace_is_over(
    catalogues: list[CatalogueVersion], assigned: list[Assigned]
) -> None:
    now = at(catalogues, assigned).entitlements
    for day in range(0, 30, 5):
        then = at(catalogues, assigned, NOW_MS - day * DAY_MS)
        given_then = UNLIMITED if then.tier is None else _catalogue(catalogues, then.catalogue_version)[then.tier]
        for name in NAMES:
            have, had = getattr(now, name), getattr(given_then, name)
            assert more_generous(name, have, had) == have, (name, day)


@given(CATALOGUES, HISTORIES)
def test_when_all_is_still_for_the_time_of_grace_the_tier_holds_as_it_stands(
    catalogues: list[CatalogueVersion], assigned: list[Assigned]
) -> None:
    later = at(catalogues, assigned, NOW_MS + GRACE_MS + DAY_MS)
    due = UNLIMITED if later.tier is None else _catalogue(catalogues, later.catalogue_version)[later.tier]
    assert later.entitlements == due
    assert not later.pending
    assert later.tier == (assigned[-1].tier if assigned else None)


@given(CATALOGUES, HISTORIES)
def test_what_is_kept_in_memory_is_good_until_the_moment_that_it_names(
    catalogues: list[CatalogueVersion], assigned: list[Assigned]
) -> None:
    found = at(catalogues, assigned)
    if found.until_ms is not None:
        assert found.until_ms > NOW_MS
        assert at(catalogues, assigned, found.until_ms - 1).entitlements == found.entitlements
        assert at(catalogues, assigned, found.until_ms).entitlements != found.entitlements


@given(HISTORIES, st.sampled_from(NAMES), WHOLE)
def test_an_override_goes_before_all_while_it_is_in_force_and_for_its_entitlement_alone(
    assigned: list[Assigned], name: str, other: Entitlements
) -> None:
    override = Override("o", name, getattr(other, name), NOW_MS - DAY_MS, NOW_MS + DAY_MS)
    plain = at([STANDARD], assigned).entitlements
    found = effective([STANDARD], assigned, [override], NOW_MS)
    assert found.entitlements == replace(plain, **{name: getattr(other, name)})
    assert (found.sources[name].kind, found.sources[name].until_ms) == ("override", NOW_MS + DAY_MS)
    gone = effective([STANDARD], assigned, [override], NOW_MS + DAY_MS)
    assert gone.entitlements == at([STANDARD], assigned, NOW_MS + DAY_MS).entitlements


def test_a_tenant_without_a_tier_is_not_limited_and_a_new_one_with_a_tier_is_so_at_once() -> None:
    assert at([STANDARD], []).entitlements == UNLIMITED
    new = at([STANDARD], [Assigned(NOW_MS, Tier.LONG_TAIL)], since_ms=NOW_MS)
    assert new.entitlements == STANDARD.tiers[Tier.LONG_TAIL]
    old = at([STANDARD], [Assigned(NOW_MS, Tier.LONG_TAIL)])
    assert old.entitlements.presses_max is None
    assert {one.entitlement for one in old.pending} >= {"presses_max", "retention_days"}
    assert {one.at_ms for one in old.pending} == {NOW_MS + GRACE_MS}


@given(st.sampled_from(NAMES), WHOLE, WHOLE, WHOLE)
def test_which_of_two_is_better_does_not_depend_on_the_order(
    name: str, one: Entitlements, other: Entitlements, third: Entitlements
) -> None:
    a, b, c = getattr(one, name), getattr(other, name), getattr(third, name)
    assert more_generous(name, a, b) == more_generous(name, b, a)
    assert more_generous(name, more_generous(name, a, b), c) == more_generous(name, a, more_generous(name, b, c))


@given(WHOLE)
def test_entitlements_come_back_from_json_as_they_were(whole: Entitlements) -> None:
    assert checked_entitlements(whole.to_json()) == whole


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("presses_max", 0),
        ("presses_max", -1),
        ("presses_max", True),
        ("presses_max", 1_000_001),
        ("presses_max", "5"),
        ("custom_models", None),
        ("custom_models", 1),
        ("report_depth", "bottomless"),
        ("report_depth", None),
        ("no_such_thing", 1),
    ],
)
def test_a_value_that_an_entitlement_cannot_have_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(EntitlementFieldError) as caught:
        checked_value(name, value)
    assert caught.value.field == name


def test_a_catalogue_has_every_tier_and_every_entitlement() -> None:
    whole = {str(tier): found.to_json() for tier, found in STANDARD.tiers.items()}
    assert checked_catalogue(whole) == STANDARD.tiers
    for tiers, field in (
        ({**whole, "gold": whole["value"]}, "gold"),
        ({tier: found for tier, found in whole.items() if tier != "value"}, "value"),
        ({**whole, "value": {}}, "value.retention_days"),
        ({**whole, "value": {**whole["value"], "people_max": 0}}, "value.people_max"),
    ):
        with pytest.raises(EntitlementFieldError) as caught:
            checked_catalogue(tiers)
        assert caught.value.field == field
    assert KINDS.keys() == set(NAMES)


@given(st.integers(1, 5_000), st.integers(0, 4_000 * DAY_MS))
def test_at_least_so_many_whole_days_are_seen_and_less_than_one_more(days: int, now_ms: int) -> None:
    from_ms = hidden_before_ms(Entitlements(retention_days=days), now_ms)
    assert days * DAY_MS <= now_ms - from_ms < (days + 1) * DAY_MS
    assert hidden_before_ms(UNLIMITED, now_ms) == ALL_TIME


def _catalogue(catalogues: list[CatalogueVersion], version: int) -> dict[Tier, Entitlements]:
    return dict(next(one.tiers for one in catalogues if one.version == version))
