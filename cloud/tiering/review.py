"""One scoring run over all customers: scores, tiers, sensitivity, churn, what they will still buy. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np

from cloud.core.database import JsonText, strict_json
from cloud.tiering import bands, churn
from cloud.tiering.dimensions import DIMENSIONS, Dimension, margin_of, revenue_of
from cloud.tiering.evidence import EvidenceTable, Floats, Ints, Kind
from cloud.tiering.policy import Policy
from cloud.tiering.ranking import rank_correlation
from cloud.tiering.scoring import Scored, rescore_by
from cloud.tiering.sensitivity import reversal, shifts
from cloud.tiering.sums import first_day, newest_day

REASONS_TOLD: Final = 3
REASON: Final = '{"sign":"%s","log_odds":%r}'
WRITTEN_AT_ONCE: Final = 5_000
LEFT_OUT_SHARE: Final = 0.1
NAMES: Final = tuple(str(dimension) for dimension in DIMENSIONS)


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
    opened: JsonText


@dataclass(frozen=True, slots=True)
class Review:
    """A whole run: scores by rank, and figures about all of them; `left` are customers no more."""

    scores: tuple[CustomerScore, ...]
    left: int
    figures: dict[str, Any]


def has_left(table: EvidenceTable, today: int) -> np.ndarray:
    """Who is a customer no more: lapsed since the last bill or contract, or silent for churn.SILENT_DAYS.

    Of whom no money is known at all is not counted as gone.
    """
    money = newest_day(table, (Kind.INVOICE, Kind.CONTRACT, Kind.RENEWED))
    billed = newest_day(table, (Kind.INVOICE,))
    silent = (billed > 0) & (today - np.maximum(billed, money) >= churn.SILENT_DAYS)
    return (newest_day(table, (Kind.LAPSED,)) > money) | silent


def review(known: Sequence[Known], evidence: EvidenceTable, policy: Policy, today: int) -> Review:
    """Score, rank and place everybody; `evidence` is that of the customers in `known`, in their order.

    Raises:
        WeightsError: the policy's weights cannot be made of these customers.
    """
    everyone = evidence.until(today)
    stays: list[int] = np.flatnonzero(~has_left(everyone, today)).tolist()
    here = [known[at] for at in stays]
    table = everyone.of_customers(stays)
    if not here:
        return Review((), len(known), {"weights": {}, "note": "there are no customers"})
    from cloud.tiering.future import billed_in_a_year  # scipy: 0.6 s that a cloud's start does not wait for

    scored = rescore_by(table, today, policy.weights, method=policy.method)
    placed = _placed(here, table, scored, policy, today)
    future, future_note = billed_in_a_year(table, today)
    risks = _churn(everyone, table, today)
    told_of_all = _figures(table, scored, policy) | {"future_note": future_note, "churn": risks.told}
    columns = (
        scored.rank.tolist(),
        scored.scores.weighted.tolist(),
        scored.scores.topsis.tolist(),
        scored.trust.tolist(),
        np.round(revenue_of(table, today)).astype(np.int64).tolist(),
        np.round(margin_of(table, today)).astype(np.int64).tolist(),
        risks.told_of(len(here)),
    )
    states = zip(placed.tier.tolist(), placed.since.tolist(), placed.noticed.tolist(), strict=True)
    told = zip(here, zip(*columns, strict=True), states, _opened(scored, risks, future), strict=True)
    scores = [
        CustomerScore(
            each.customer_id,
            rank,
            weighted,
            closeness,
            trust,
            revenue,
            margin,
            risk,
            Known(each.customer_id, *state),
            opened,
        )
        for each, (rank, weighted, closeness, trust, revenue, margin, risk), state, opened in told
    ]
    return Review(tuple(sorted(scores, key=lambda each: each.rank)), len(known) - len(here), told_of_all)


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


def _opened(scored: Scored, risks: "_Risks", future: list[int] | None) -> Iterator[JsonText]:
    """What each customer's score opens into, written as JSON at once: many thousands of it go to the database."""
    columns = {
        "raw": scored.measured.raw,
        "scaled": scored.scaled,
        "confidence": scored.measured.confidence,
        "parts": scored.scores.parts,
        "topsis_parts": scored.scores.topsis_parts,
    }
    values = np.round(np.concatenate(list(columns.values()), axis=1), 6)
    assert np.isfinite(values).all(), "formulas give numbers"
    fields = ",".join(f'"{each}":%r' for each in NAMES)
    form = ",".join(f'"{name}":{{{fields}}}' for name in columns)
    knows_all: list[bool] = np.all(scored.measured.confidence > 0, axis=1).tolist()
    for start in range(0, len(values), WRITTEN_AT_ONCE):
        for at, row in enumerate(values[start : start + WRITTEN_AT_ONCE].tolist(), start):
            missing = "[]" if knows_all[at] else strict_json(list(scored.measured.missing(at)))
            told = "null" if future is None else future[at]
            rest = f'"missing":{missing},"reasons":{risks.reasons(at)},"future_minor":{told}'
            yield JsonText(f"{{{form % tuple(row)},{rest}}}")


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
    """`signs` and `log_odds` have the loudest REASONS_TOLD of each customer."""

    probability: Floats | None
    signs: list[list[int]]
    log_odds: list[list[float]]
    told: dict[str, Any]

    def told_of(self, count: int) -> list[float | None]:
        """The probability of each customer."""
        return [None] * count if self.probability is None else [*self.probability.tolist()]

    def reasons(self, at: int) -> str:
        """The signs that speak loudest for leaving, as JSON."""
        if self.probability is None:
            return "[]"
        told = zip(self.signs[at], self.log_odds[at], strict=True)
        return f"[{','.join(REASON % (churn.REASONS[sign], log_odds) for sign, log_odds in told if log_odds > 0)}]"


def _churn(everyone: EvidenceTable, table: EvidenceTable, today: int) -> _Risks:
    """Fitted on everybody, those that have left above all; judged on the last half year by a fit before it."""
    try:
        model = churn.fit(everyone, today)
    except churn.ChurnError as error:
        return _Risks(None, [], [], {"note": str(error)})
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
    parts = model.parts(table, today)
    loudest = np.argsort(-parts, axis=1)[:, :REASONS_TOLD]
    log_odds = np.round(np.take_along_axis(parts, loudest, axis=1), 3)
    return _Risks(model.probability(table, today), loudest.tolist(), log_odds.tolist(), told)
