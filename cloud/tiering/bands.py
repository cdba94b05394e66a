"""Which tier a customer's rank earns: quotas with hysteresis, a minimum stay and a notice period. Pure, vectorised.

A customer enters a tier when its rank is well inside, and leaves it when it is well outside; between the two thresholds
nothing happens. A move waits for the minimum stay, and a move downwards also for its notice to run out.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from cloud.tiering.evidence import Floats, Ints
from kit.errors import ZhisanError

STRATEGIC, VALUE, LONG_TAIL, PROVISIONAL = range(4)
NO_NOTICE: Final = -1
"""In `State.noticed`: no notice runs."""


class RulesError(ZhisanError):
    """Rules of the tiers that cannot hold together."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


@dataclass(frozen=True, slots=True)
class Cut:
    """Between a tier and the one below: the quota, and where one enters and leaves, as shares of the ranked."""

    quota: float
    enter: float
    leave: float


@dataclass(frozen=True, slots=True)
class Rules:
    """How tiers are assigned; shares are counted from the top, so that value's includes strategic's."""

    strategic: Cut = Cut(0.05, 0.04, 0.07)
    value: Cut = Cut(0.30, 0.27, 0.36)
    stay_days: int = 180
    notice_days: int = 60
    provisional_days: int = 90
    confidence_min: float = 0.2

    def check(self) -> None:
        """Raise for rules that cannot hold together.

        Raises:
            RulesError: naming the field.
        """
        for name, cut in (("strategic", self.strategic), ("value", self.value)):
            if not 0 < cut.enter <= cut.quota <= cut.leave < 1:
                raise RulesError(name, "must be 0 < enter <= quota <= leave < 1")
        if self.strategic.leave > self.value.enter:
            raise RulesError("value", "must be entered below where strategic is left")
        for field in ("stay_days", "notice_days", "provisional_days"):
            if not 0 <= getattr(self, field) <= 3_650:
                raise RulesError(field, "must be 0 to 3650")
        if not 0 <= self.confidence_min <= 1:
            raise RulesError("confidence_min", "must be 0 to 1")


@dataclass(frozen=True, slots=True)
class State:
    """Where each customer stands: tier, since which day, and the day its notice began (NO_NOTICE without one)."""

    tier: Ints
    since: Ints
    noticed: Ints


def newcomers(count: int, today: int) -> State:
    """Customers whose tier was never decided."""
    return State(np.full(count, PROVISIONAL), np.full(count, today), np.full(count, NO_NOTICE))


def shares(rank: Ints) -> Floats:
    """Ranks as shares of the ranked: above 0 for the first, 1 for the last."""
    return (rank + 0.5) / max(1, len(rank))


def assign(state: State, share: Floats, is_known: np.ndarray, today: int, rules: Rules) -> State:
    """One review. `is_known` says of whom there is enough evidence; the others are or stay provisional.

    A provisional customer takes the tier of its share by quota at once. Evidence that has become thin does not take a
    tier away: only who has none yet is provisional.
    """
    rules.check()
    has_tier = state.tier != PROVISIONAL
    wanted = np.where(has_tier, _wanted(state.tier, share, rules), _by_quota(share, rules))
    wanted = np.where(is_known, wanted, state.tier)
    down, up = wanted > state.tier, wanted < state.tier
    noticed = np.where(down & has_tier, np.where(state.noticed == NO_NOTICE, today, state.noticed), NO_NOTICE)
    stayed = today - state.since >= rules.stay_days
    told = today - noticed >= rules.notice_days
    moves = np.where(has_tier, stayed & (up | (down & told)), wanted != state.tier)
    return State(
        np.where(moves, wanted, state.tier),
        np.where(moves, today, state.since),
        np.where(moves, NO_NOTICE, noticed),
    )


def _by_quota(share: Floats, rules: Rules) -> Ints:
    return np.where(
        share <= rules.strategic.quota, STRATEGIC, np.where(share <= rules.value.quota, VALUE, LONG_TAIL)
    ).astype(np.int64)


def _wanted(tier: Ints, share: Floats, rules: Rules) -> Ints:
    """The tier that the thresholds ask for: entered above, left below, kept between."""
    entered = np.where(
        share <= rules.strategic.enter, STRATEGIC, np.where(share <= rules.value.enter, VALUE, LONG_TAIL)
    )
    left = np.where(share <= rules.strategic.leave, STRATEGIC, np.where(share <= rules.value.leave, VALUE, LONG_TAIL))
    return np.clip(tier, left, entered).astype(np.int64)
