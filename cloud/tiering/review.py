"""One scoring run over all customers: scores, tiers, sensitivity, churn, what they will still buy. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np

from cloud.tiering import bands, churn
from cloud.tiering.dimensions import DIMENSIONS, Dimension, margin_of, revenue_of
from cloud.tiering.evidence import CODES, EvidenceTable, Floats, Ints, Kind
from cloud.tiering.policy import Policy
from cloud.tiering.ranking import rank_correlation
from cloud.tiering.scoring import Scored, rescore_by
from cloud.tiering.sensitivity import reversal, shifts
from cloud.tiering.sums import first_day, newest_day

REASONS_TOLD: Final = 3
LEFT_OUT_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Known:
    """A customer as the last review left it."""

    customer_id: UUID
    tier: int
    since_day: int
    noticed_day: int


@dataclass(frozen=True, slots=True)
class CustomerScore:
    """What a run says of one customer."""

    customer_id: UUID
    rank: int
    weighted: float
    topsis: float
    trust: float
    revenue_minor: int
    margin_minor: int
    churn: float | None
    state: Known
    opened: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Review:
    """A whole run: scores by rank, and figures about all of them; `left` are customers no more."""

    scores: tuple[CustomerScore, ...]
    left: int
    figures: dict[str, Any]


def table_of(known: Sequence[Known], rows: Sequence[Sequence[Any]]) -> EvidenceTable:
    """Stored evidence (customer, kind, day, amount, quantity) of these customers as columns."""
    index = {customer.customer_id: at for at, customer in enumerate(known)}
    kept = [row for row in rows if row[0] in index]
    return EvidenceTable(
        [str(customer.customer_id) for customer in known],
        [index[row[0]] for row in kept],
        [CODES[Kind(row[1])] for row in kept],
        [row[2] for row in kept],
        [row[3] or 0 for row in kept],
        [row[4] or 0.0 for row in kept],
    )


def has_left(table: EvidenceTable, today: int) -> np.ndarray:
    """Who is a customer no more: lapsed since the last bill or contract, or silent for churn.SILENT_DAYS.

    Of whom no money is known at all is not counted as gone.
    """
    money = newest_day(table, (Kind.INVOICE, Kind.CONTRACT, Kind.RENEWED))
    billed = newest_day(table, (Kind.INVOICE,))
    silent = (billed > 0) & (today - np.maximum(billed, money) >= churn.SILENT_DAYS)
    return (newest_day(table, (Kind.LAPSED,)) > money) | silent


def review(known: Sequence[Known], rows: Sequence[Sequence[Any]], policy: Policy, today: int) -> Review:
    """Score, rank and place everybody.

    Raises:
        WeightsError: the policy's weights cannot be made of these customers.
    """
    everyone = table_of(known, rows).until(today)
    stays = ~has_left(everyone, today)
    here = [customer for customer, is_here in zip(known, stays, strict=True) if is_here]
    table = table_of(here, rows).until(today)
    if not here:
        return Review((), len(known), {"weights": {}, "note": "there are no customers"})
    from cloud.tiering.future import billed_in_a_year  # scipy: 0.6 s that a cloud's start does not wait for

    scored = rescore_by(table, today, policy.weights, method=policy.method)
    placed = _placed(here, table, scored, policy, today)
    future, future_note = billed_in_a_year(table, today)
    risks = _churn(everyone, table, today)
    figures = _figures(table, scored, policy) | {"future_note": future_note, "churn": risks.told}
    revenue, margin = revenue_of(table, today), margin_of(table, today)
    scores = [
        CustomerScore(
            customer.customer_id,
            int(scored.rank[at]),
            float(scored.scores.weighted[at]),
            float(scored.scores.topsis[at]),
            float(scored.trust[at]),
            round(float(revenue[at])),
            round(float(margin[at])),
            None if risks.probability is None else float(risks.probability[at]),
            Known(customer.customer_id, *(int(each[at]) for each in (placed.tier, placed.since, placed.noticed))),
            _opened(scored, at)
            | {"reasons": risks.reasons(at), "future_minor": None if future is None else future[at]},
        )
        for at, customer in enumerate(here)
    ]
    return Review(tuple(sorted(scores, key=lambda each: each.rank)), len(known) - len(here), figures)


def _placed(here: Sequence[Known], table: EvidenceTable, scored: Scored, policy: Policy, today: int) -> bands.State:
    state = bands.State(
        *(np.array([getattr(each, name) for each in here], np.int64) for name in ("tier", "since_day", "noticed_day"))
    )
    age = today - first_day(table, (Kind.CONTRACT, Kind.INVOICE))
    has_money = scored.measured.confidence[:, DIMENSIONS.index(Dimension.REVENUE)] > 0
    is_known = has_money & (age >= policy.rules.provisional_days) & (scored.trust >= policy.rules.confidence_min)
    return bands.assign(state, _shares_of_known(scored.rank, is_known), is_known, today, policy.rules)


def _shares_of_known(rank: Ints, is_known: np.ndarray) -> Floats:
    """Shares among those that are known; the quotas are of them."""
    order = np.argsort(rank)
    place = np.empty(len(rank))
    place[order] = np.cumsum(is_known[order])
    return np.asarray((place - 0.5) / max(1, int(is_known.sum())), np.float64)


def _opened(scored: Scored, at: int) -> dict[str, Any]:
    columns = {
        "raw": scored.measured.raw,
        "scaled": scored.scaled,
        "confidence": scored.measured.confidence,
        "parts": scored.scores.parts,
        "topsis_parts": scored.scores.topsis_parts,
    }
    opened: dict[str, Any] = {
        name: dict(zip(DIMENSIONS, (round(float(value), 6) for value in column[at]), strict=True))
        for name, column in columns.items()
    }
    return opened | {"missing": list(scored.measured.missing(at))}


def _figures(table: EvidenceTable, scored: Scored, policy: Policy) -> dict[str, Any]:
    quotas = policy.rules.strategic.quota, policy.rules.value.quota - policy.rules.strategic.quota
    lowest = np.flatnonzero(scored.rank >= round((1 - LEFT_OUT_SHARE) * len(table.ids)))
    turned = reversal(
        scored.measured.raw,
        scored.measured.confidence,
        scored.weights,
        table.ids,
        lowest,
        topsis=policy.method == "topsis",
    )
    agree = rank_correlation(scored.scores.weighted, scored.scores.topsis)
    return {
        "weights": dict(zip(DIMENSIONS, (round(float(each), 6) for each in scored.weights), strict=True)),
        "methods_correlation": None if np.isnan(agree) else round(agree, 4),
        "sensitivity": [
            {
                "dimension": each.dimension,
                "factor": each.factor,
                "correlation": None if np.isnan(each.correlation) else round(each.correlation, 4),
                "rank_move_max": each.rank_move_max,
                "rank_move_mean": round(each.rank_move_mean, 2),
                "tier_moves": each.tier_moves,
            }
            for each in shifts(scored.scaled, scored.weights, table.ids, quotas)
        ],
        "reversal": {"left_out": turned.left_out, "compared": turned.compared, "turned": turned.turned},
    }


@dataclass(frozen=True, slots=True)
class _Risks:
    probability: Floats | None
    parts: Floats | None
    told: dict[str, Any]

    def reasons(self, at: int) -> list[dict[str, Any]]:
        """The signs that speak loudest for leaving."""
        if self.parts is None:
            return []
        order = np.argsort(-self.parts[at])[:REASONS_TOLD]
        return [
            {"sign": churn.REASONS[sign], "log_odds": round(float(self.parts[at, sign]), 3)}
            for sign in order
            if self.parts[at, sign] > 0
        ]


def _churn(everyone: EvidenceTable, table: EvidenceTable, today: int) -> _Risks:
    """Fitted on everybody, those that have left above all; judged on the last half year by a fit before it."""
    try:
        model = churn.fit(everyone, today)
    except churn.ChurnError as error:
        return _Risks(None, None, {"note": str(error)})
    told: dict[str, Any] = {"note": ""}
    then = today - churn.AHEAD_DAYS
    try:
        judged = churn.judge(churn.fit(everyone.until(then), then), everyone, today)
        told |= {
            "customers": judged.customers,
            "left": judged.left,
            "brier": round(judged.brier, 4),
            "brier_base": round(judged.brier_base, 4),
            "gap": round(judged.gap, 4),
        }
    except churn.ChurnError as error:
        told["note"] = f"not judged yet: {error}"
    return _Risks(model.probability(table, today), model.parts(table, today), told)
