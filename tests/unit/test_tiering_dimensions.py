"""The five dimensions move as their formulas say, and their confidence falls when evidence is thin or old."""

from datetime import date, timedelta

import numpy as np
import pytest

from cloud.tiering.dimensions import DIMENSIONS, Dimension, margin_of, measure, revenue_of
from cloud.tiering.evidence import Evidence, EvidenceTable, Kind, day_number, fault_of
from cloud.tiering.scaling import scale_of, trusted
from cloud.tiering.scoring import rescore

TODAY = date(2026, 6, 30)
DAY = day_number(TODAY)


def row(customer: str, kind: Kind, *, ago: int, amount: int | None = None, quantity: float | None = None) -> Evidence:
    return Evidence(customer, kind, TODAY - timedelta(days=ago), amount, quantity, "test")


def invoices(customer: str, amount: int, *, months: int = 12) -> list[Evidence]:
    return [row(customer, Kind.INVOICE, ago=30 * n + 1, amount=amount, quantity=1) for n in range(months)]


def raw(rows: list[Evidence], dimension: Dimension) -> dict[str, float]:
    measured = measure(EvidenceTable.of(rows), DAY)
    return dict(zip(measured.ids, measured.raw[:, DIMENSIONS.index(dimension)], strict=True))


def confidence(rows: list[Evidence], dimension: Dimension) -> float:
    return float(measure(EvidenceTable.of(rows, ["a"]), DAY).confidence[0, DIMENSIONS.index(dimension)])


def test_revenue_is_a_year_of_invoices_and_margin_is_less_the_cost_to_serve() -> None:
    rows = [
        *invoices("a", 100_000, months=14),
        row("a", Kind.COST_HOURS, ago=10, amount=300_000, quantity=9),
        row("b", Kind.CONTRACT, ago=400, amount=5_000_000, quantity=24),
        row("c", Kind.CONTRACT, ago=400, amount=5_000_000, quantity=12),
    ]
    table = EvidenceTable.of(rows)
    assert revenue_of(table, DAY).tolist() == [1_300_000, 5_000_000, 0], "13 invoices lie within 365 days"
    assert margin_of(table, DAY).tolist() == [1_000_000, 5_000_000, 0]


def test_a_customer_that_costs_more_than_it_brings_ranks_below_one_that_brings_nothing() -> None:
    rows = [row("a", Kind.COST_HOURS, ago=5, amount=9_000_000, quantity=100), row("b", Kind.SECTOR, ago=5, quantity=1)]
    told = raw(rows, Dimension.REVENUE)
    assert told["a"] < told["b"] == 0


def test_data_is_volume_times_quality_times_labels() -> None:
    def given(customer: str, *, shots: float, quality: float, labels: float) -> list[Evidence]:
        return [
            row(customer, Kind.USAGE_SHOTS, ago=3, quantity=shots),
            row(customer, Kind.USAGE_QUALITY, ago=3, quantity=quality),
            row(customer, Kind.LABELS, ago=3, quantity=labels),
        ]

    told = raw(
        [
            *given("base", shots=1e6, quality=0.5, labels=0),
            *given("volume", shots=4e6, quality=0.5, labels=0),
            *given("quality", shots=1e6, quality=0.9, labels=0),
            *given("labels", shots=1e6, quality=0.5, labels=200),
            *given("none", shots=0, quality=1, labels=500),
        ],
        Dimension.DATA,
    )
    assert told["none"] == 0, "labels of no shots are no data"
    assert told["base"] == pytest.approx(np.log1p(1000) * 0.5)
    assert min(told["volume"], told["quality"], told["labels"]) > told["base"]


def test_references_fade_and_count_by_what_they_are() -> None:
    told = raw(
        [
            row("new", Kind.CASE_STUDY, ago=0, quantity=1),
            row("old", Kind.CASE_STUDY, ago=730, quantity=1),
            row("visit", Kind.VISIT, ago=0, quantity=1),
        ],
        Dimension.DEMONSTRATION,
    )
    assert told["new"] == pytest.approx(np.log1p(4))
    assert told["old"] == pytest.approx(np.log1p(2)) == told["visit"]


def test_stability_falls_with_late_payment_and_lapsed_contracts() -> None:
    def paid(customer: str, late: float) -> list[Evidence]:
        return [*invoices(customer, 1_000), row(customer, Kind.PAYMENT, ago=9, amount=1_000, quantity=late)]

    told = raw(
        [*paid("good", 0), *paid("late", 60), *paid("lapsed", 0), row("lapsed", Kind.LAPSED, ago=9, quantity=1)],
        Dimension.STABILITY,
    )
    assert told["good"] > told["late"] > 0
    assert told["good"] > told["lapsed"] > 0


def test_potential_rises_with_growing_revenue_and_planned_presses() -> None:
    steady = invoices("steady", 10_000_000)
    rows = [
        *steady,
        *(row("grows", Kind.INVOICE, ago=30 * n + 1, amount=10_000_000 - 700_000 * n, quantity=1) for n in range(12)),
        *invoices("plans", 10_000_000),
        row("plans", Kind.GROWTH_PRESSES, ago=30, quantity=10),
    ]
    told = raw(rows, Dimension.POTENTIAL)
    assert min(told["grows"], told["plans"]) > told["steady"]


def test_confidence_is_zero_without_evidence_and_falls_when_it_is_thin_or_old() -> None:
    many = invoices("a", 100)
    assert confidence([], Dimension.REVENUE) == 0
    full = confidence(many, Dimension.REVENUE)
    assert full > 0.9
    assert confidence(many[:1], Dimension.REVENUE) < full / 3
    old = [Evidence("a", Kind.INVOICE, each.day - timedelta(days=360), 100, 1, "test") for each in many]
    assert confidence(old, Dimension.REVENUE) < full / 3
    measured = measure(EvidenceTable.of(many, ["a"]), DAY)
    assert measured.missing(0) == (Dimension.DATA,)


def test_what_is_not_known_is_drawn_to_the_middle() -> None:
    assert trusted(np.array([[0.9, 0.1]]), np.array([[0.0, 0.5]])).tolist() == [[0.5, 0.3]]


def test_a_giant_does_not_squeeze_the_others_and_equal_values_are_all_in_the_middle() -> None:
    column = np.array([[1.0], [2.0], [3.0], [4.0], [1e9]])
    scaled = scale_of(column).scaled(column)
    assert (np.diff(scaled[:, 0]) > 0).all()
    assert scaled[3, 0] - scaled[0, 0] > 0.35
    same = np.ones((4, 1))
    assert scale_of(same).scaled(same).tolist() == [[0.5]] * 4


def test_what_came_later_does_not_count() -> None:
    rows = [*invoices("a", 100), *invoices("b", 90)]
    later = Evidence("b", Kind.INVOICE, TODAY + timedelta(days=1), 10**9, 1, "test")
    weights = np.full(5, 0.2)
    one, two = (rescore(EvidenceTable.of(each), DAY, weights) for each in (rows, [*rows, later]))
    assert one.scores.weighted.tolist() == two.scores.weighted.tolist()


@pytest.mark.parametrize(
    ("kind", "ago", "amount", "quantity", "fault"),
    [
        (Kind.INVOICE, -1, 100, 1, "day: 2026-07-01 lies in the future"),
        (Kind.INVOICE, 20_000, 100, 1, "day: 1971-09-27 is before 1990-01-01"),
        (Kind.INVOICE, 1, -100, 1, "amount: must be 0 to"),
        (Kind.INVOICE, 1, None, 1, "amount: invoice needs one"),
        (Kind.LABELS, 1, 5, 1, "amount: labels carries none"),
        (Kind.LABELS, 1, None, None, "quantity: labels needs one"),
        (Kind.USAGE_QUALITY, 1, None, 1.2, "quantity: must be 0 to 1"),
        (Kind.INVOICE, 1, 100, None, ""),
        (Kind.PAYMENT, 1, 100, -3, ""),
    ],
)
def test_a_row_that_cannot_be_is_refused_by_field(
    kind: Kind, ago: int, amount: int | None, quantity: float | None, fault: str
) -> None:
    found = fault_of(kind, TODAY - timedelta(days=ago), amount, quantity, TODAY)
    assert found.startswith(fault)
    assert bool(found) == bool(fault)
