"""What each customer leaves over a year: revenue, cost to serve, whether it is too little. Pure, vectorised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from cloud.serving.rules import ServingRules
from cloud.tiering.dimensions import margin_of, revenue_of
from cloud.tiering.evidence import EvidenceTable
from cloud.tiering.review import has_left


@dataclass(frozen=True, slots=True)
class Margin:
    """A customer's twelve months in minor units of the company's currency; `share` is of the revenue."""

    customer_id: UUID
    revenue_minor: int
    cost_minor: int

    @property
    def margin_minor(self) -> int:
        """What is left."""
        return self.revenue_minor - self.cost_minor

    @property
    def share(self) -> float | None:
        """Of the revenue; None without revenue."""
        return self.margin_minor / self.revenue_minor if self.revenue_minor > 0 else None


def margins(evidence: EvidenceTable, today: int) -> dict[UUID, Margin]:
    """Of everybody who is a customer still and of whom money is known."""
    known = [UUID(each) for each in evidence.ids]
    if not known:
        return {}
    table = evidence.until(today)
    revenue, margin, gone = revenue_of(table, today), margin_of(table, today), has_left(table, today)
    here = np.flatnonzero(~gone & ((revenue > 0) | (margin < 0)))
    return {
        known[at]: Margin(known[at], round(float(revenue[at])), round(float(revenue[at] - margin[at]))) for at in here
    }


def is_low(margin: Margin, rules: ServingRules, *, was_low: bool) -> bool:
    """Whether the margin is too low; cost without revenue is."""
    if margin.share is None:
        return margin.cost_minor > 0
    return margin.share < rules.margin_floor + (rules.margin_back if was_low else 0.0)


def turned(
    found: Mapping[UUID, Margin], watched: Sequence[UUID], low_before: frozenset[UUID], rules: ServingRules
) -> tuple[list[Margin], list[UUID]]:
    """Whose margin has become too low, and who is no longer in that state."""
    low = {each for each in watched if each in found and is_low(found[each], rules, was_low=each in low_before)}
    return [found[each] for each in watched if each in low - low_before], sorted(low_before - low)
