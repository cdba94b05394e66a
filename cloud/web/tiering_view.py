"""What the pages of tiering draw: points of the portfolio, bars of a score, figures by tier. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from cloud.tiering.dimensions import DIMENSIONS
from cloud.tiering.economics import TierMonth
from cloud.tiering.tables import CustomerRow, ScoreRow

POINTS_MAX: Final = 1_500
WIDTH, HEIGHT, EDGE = 640.0, 260.0, 24.0


@dataclass(frozen=True, slots=True)
class Point:
    """A customer in the portfolio, in units of the drawing."""

    x: float
    y: float
    tier: str
    name: str
    customer_id: UUID


@dataclass(frozen=True, slots=True)
class Part:
    """One dimension of a score; `share` is its part of the longest bar."""

    dimension: str
    raw: float
    scaled: float
    confidence: float
    part: float
    topsis_part: float
    share: float


@dataclass(frozen=True, slots=True)
class TierSum:
    """A tier over all months shown."""

    tier: str
    revenue_minor: int
    margin_minor: int
    hours: float
    revenue_share: float | None


def points(scores: Sequence[ScoreRow], customers: Mapping[UUID, CustomerRow]) -> list[Point]:
    """Revenue of the year across, on a logarithmic scale, and score upwards; the best POINTS_MAX."""
    shown = scores[:POINTS_MAX]
    if not shown:
        return []
    money = [math.log10(max(1, row.revenue_minor)) for row in shown]
    low, high = min(money), max(max(money), min(money) + 1)
    return [
        Point(
            round(EDGE + (WIDTH - 2 * EDGE) * (at - low) / (high - low), 1),
            round(HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * min(1.0, max(0.0, row.weighted)), 1),
            row.tier,
            customers[row.customer_id].name,
            row.customer_id,
        )
        for at, row in zip(money, shown, strict=True)
    ]


def parts(opened: Mapping[str, Any]) -> list[Part]:
    """A score opened, dimension by dimension."""
    longest = max([*opened["parts"].values(), 1e-9])
    return [
        Part(
            each,
            raw=float(opened["raw"][each]),
            scaled=float(opened["scaled"][each]),
            confidence=float(opened["confidence"][each]),
            part=float(opened["parts"][each]),
            topsis_part=float(opened["topsis_parts"][each]),
            share=round(float(opened["parts"][each]) / longest, 3),
        )
        for each in DIMENSIONS
    ]


def sums(months: Sequence[TierMonth], tiers: Sequence[str]) -> list[TierSum]:
    """Each tier over all months."""
    revenue = {tier: sum(each.revenue_minor for each in months if each.tier == tier) for tier in tiers}
    whole = sum(revenue.values())
    return [
        TierSum(
            tier,
            revenue[tier],
            sum(each.margin_minor for each in months if each.tier == tier),
            round(sum(each.hours for each in months if each.tier == tier), 1),
            revenue[tier] / whole if whole else None,
        )
        for tier in tiers
    ]
