"""How likely a customer leaves within half a year, and why: a calibrated logistic model over evidence. Pure.

It is trained on the company's own past: what was known AHEAD_DAYS ago, and who has left since. Where too few have left
there is no model, and nobody is given a probability.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from cloud.tiering.evidence import EvidenceTable, Floats, Kind
from cloud.tiering.signals import contract_ends
from cloud.tiering.sums import NEVER, Window, first_day, mean, newest_day, total
from kit.errors import ZhisanError

AHEAD_DAYS: Final = 182
QUARTER_DAYS: Final = 91
SILENT_DAYS: Final = 120
"""A customer without an invoice for so long has left, lapsed contract or not."""
LEFT_MIN: Final = 20
STRENGTH: Final = 0.5
"""Of the shrinkage: the inverse of the ridge's weight."""
REASONS: Final = (
    "shots_fall",
    "alarms_unheeded",
    "paid_late",
    "complaints",
    "labels_fall",
    "young",
    "contract_ends_soon",
    "hours_high",
)
"""What the model looks at, each so turned that more is worse."""
BINS: Final = 10
NEWTON_STEPS_MAX, NEWTON_STEP_MIN = 50, 1e-9


class ChurnError(ZhisanError):
    """No churn model can be made of this history; the message says why."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well told probabilities came true: Brier score, that of the base rate, mean gap over bins."""

    customers: int
    left: int
    brier: float
    brier_base: float
    gap: float


@dataclass(frozen=True, slots=True)
class Churn:
    """A fitted model; the probability is a logistic of a sum, so that each part of it is a reason."""

    middle: Floats
    spread: Floats
    weights: Floats
    base: float

    def parts(self, table: EvidenceTable, today: int) -> Floats:
        """What each of REASONS adds to the log odds, above zero where it speaks for leaving."""
        out: Floats = (signs(table, today) - self.middle) / self.spread * self.weights
        return out

    def probability(self, table: EvidenceTable, today: int) -> Floats:
        """Of leaving within AHEAD_DAYS."""
        out: Floats = _sigmoid(self.base + self.parts(table, today).sum(axis=1))
        return out


def fit(table: EvidenceTable, today: int) -> Churn:
    """Train on what was known AHEAD_DAYS and twice that before `today`.

    Raises:
        ChurnError: fewer than LEFT_MIN customers have left, or have stayed.
    """
    known = [_past(table, today - AHEAD_DAYS * back) for back in (1, 2)]
    seen = np.concatenate([features for features, _ in known])
    left = np.concatenate([gone for _, gone in known])
    if min(int(left.sum()), int((~left).sum())) < LEFT_MIN:
        raise ChurnError(f"{int(left.sum())} of {len(left)} customers have left: both groups need {LEFT_MIN}")
    middle, spread = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-9)
    weights, base = _logistic((seen - middle) / spread, left.astype(np.float64))
    return Churn(middle, spread, weights, base)


def _logistic(seen: Floats, left: Floats) -> tuple[Floats, float]:
    """Weights and base of a logistic model with a ridge on the weights, by Newton's method."""
    columns = np.column_stack([seen, np.ones(len(seen))])
    ridge = np.diag([*np.ones(seen.shape[1]), 0.0]) / STRENGTH
    at = np.zeros(columns.shape[1])
    for _ in range(NEWTON_STEPS_MAX):
        chance = _sigmoid(columns @ at)
        slope = columns.T @ (chance - left) + ridge @ at
        bend = (columns * (chance * (1 - chance))[:, None]).T @ columns + ridge
        step = np.linalg.solve(bend, slope)
        at = at - step
        if np.abs(step).max() < NEWTON_STEP_MIN:
            break
    return at[:-1], float(at[-1])


def _sigmoid(odds: Floats) -> Floats:
    """The logistic function, without overflow for odds of any size."""
    out: Floats = 0.5 * (1 + np.tanh(odds / 2))
    return out


def judge(model: Churn, table: EvidenceTable, today: int) -> Calibration:
    """How what the model says of AHEAD_DAYS ago has come true until `today`."""
    then = today - AHEAD_DAYS
    there = is_there(table, then)
    told = model.probability(table.until(then), then)[there]
    left = ~is_there(table, today)[there]
    if not len(told):
        raise ChurnError("there was no customer then")
    return calibration(told, left.astype(np.float64))


def calibration(told: Floats, true: Floats) -> Calibration:
    """Of told probabilities beside what happened."""
    order = np.argsort(told, kind="stable")
    groups = [group for group in np.array_split(order, BINS) if len(group)]
    gaps = [abs(float(told[group].mean() - true[group].mean())) * len(group) for group in groups]
    base = float(true.mean())
    brier = float(((told - true) ** 2).mean())
    return Calibration(len(told), int(true.sum()), brier, base * (1 - base), sum(gaps) / len(told))


def is_there(table: EvidenceTable, today: int) -> np.ndarray:
    """Who is a customer: billed within SILENT_DAYS and not lapsed since the last invoice."""
    billed = newest_day(table, (Kind.INVOICE,), until=today)
    return (today - billed < SILENT_DAYS) & (newest_day(table, (Kind.LAPSED,), until=today) <= billed)


def _past(table: EvidenceTable, then: int) -> tuple[Floats, np.ndarray]:
    """What was known then of those that were customers, and who of them had left AHEAD_DAYS later."""
    known = table.until(then)
    there = is_there(known, then)
    return signs(known, then)[there], ~is_there(table, then + AHEAD_DAYS)[there]


def signs(table: EvidenceTable, today: int) -> Floats:
    """The columns of REASONS by customer, from what the table holds."""
    now, before = Window(today - QUARTER_DAYS, today), Window(today - 2 * QUARTER_DAYS, today - QUARTER_DAYS)
    year = Window(today - 365, today)
    raised = total(table, (Kind.ALARMS_RAISED,), "quantity", now)
    acted = total(table, (Kind.ALARMS_ACTED,), "quantity", now)
    joined = first_day(table, (Kind.CONTRACT, Kind.INVOICE))
    hours = total(table, (Kind.COST_HOURS,), "quantity", year)
    presses = np.nan_to_num(mean(table, Kind.USAGE_PRESSES, year))
    return np.column_stack(
        [
            _fall(table, Kind.USAGE_SHOTS, now, before, 1_000.0),
            1 - (acted + 1) / (raised + 2),
            np.clip(np.nan_to_num(mean(table, Kind.PAYMENT, year)), 0, 120),
            np.log1p(total(table, (Kind.SUPPORT_COMPLAINTS,), "quantity", year)),
            _fall(table, Kind.LABELS, now, before, 5.0),
            np.exp(-np.maximum(0, today - joined) / 365),
            _ends_soon(table, today),
            np.log1p(hours / (1 + presses)),
        ]
    )


def _fall(table: EvidenceTable, kind: Kind, now: Window, before: Window, unit: float) -> Floats:
    later, earlier = (total(table, (kind,), "quantity", window) for window in (now, before))
    return np.clip(np.log((earlier + unit) / (later + unit)), -2, 2)


def _ends_soon(table: EvidenceTable, today: int) -> Floats:
    """1 where the newest contract runs out within AHEAD_DAYS, or has; 0 where it runs longer or none is known."""
    ends = contract_ends(table)
    return np.where(ends == NEVER, 0.0, (ends - today <= AHEAD_DAYS).astype(np.float64))
