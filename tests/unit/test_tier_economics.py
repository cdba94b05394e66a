"""Retention by tier is that of the customers that were in it a year before, and not known before there were tiers."""

from datetime import date

import pytest

from cloud.tiering.economics import ALL, TierMonth, economics
from cloud.tiering.evidence import Evidence, EvidenceTable, Kind

STARTS = [date(2026, 1, 1), date(2026, 2, 1)]


def told(before: list[str] | None) -> dict[str, TierMonth]:
    """A grew and moved up, B shrank and moved down, C has left and D is new."""
    then, now = {"A": 100, "B": 100, "C": 100}, {"A": 150, "B": 60, "D": 500}
    bills = [(each, date(2025, 1, 5), amount) for each, amount in then.items()]
    bills += [(each, date(2026, 1, 5), amount) for each, amount in now.items()]
    rows = [Evidence(each, Kind.INVOICE, day, amount, 1.0, "erp") for each, day, amount in bills]
    table = EvidenceTable.of(rows, ("A", "B", "C", "D"))
    found = economics(
        table, [["strategic", "long_tail", "provisional", "value"]], [before], STARTS, ("strategic", "value")
    )
    return {each.tier: each for each in found}


def test_a_tier_keeps_those_that_have_moved_since_in_its_base() -> None:
    found = told(["value", "value", "value", "provisional"])
    value = found["value"]
    assert (value.kept, value.kept_net, value.gone) == (pytest.approx(160 / 300, abs=1e-4), 0.7, 1)
    assert (value.revenue_minor, value.customers) == (500, 1)
    assert found["strategic"].kept is None


def test_before_there_were_tiers_retention_is_known_of_all_together_alone() -> None:
    found = told(None)
    assert [(found[tier].kept, found[tier].kept_net, found[tier].gone) for tier in ("strategic", "value")] == [
        (None, None, None)
    ] * 2
    assert (found[ALL].kept_net, found[ALL].gone, found[ALL].revenue_minor) == (0.7, 1, 710)
