"""How a company scores and cuts its customers: currency, rates, weights, method, quotas. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from cloud.tiering.bands import Cut, Rules
from cloud.tiering.dimensions import DIMENSIONS
from cloud.tiering.evidence import Floats
from cloud.tiering.money import is_currency
from cloud.tiering.scoring import Method
from cloud.tiering.weights import DEFAULT_PAIRWISE, by_hand, from_entropy, from_pairwise
from kit.errors import ZhisanError

WeightsBy = Literal["ahp", "entropy", "hand"]
RATES_MAX: Final = 50
RUN_EVERY_DAYS_MAX: Final = 366


class PolicyError(ZhisanError):
    """A policy that cannot hold; `field` names what is wrong."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


@dataclass(frozen=True, slots=True)
class Policy:
    """One version; `rates` say what one unit of another currency is worth, `run_every_days` 0 runs only when asked."""

    currency: str = "CNY"
    rates: Mapping[str, str] = field(default_factory=dict)
    weights_by: WeightsBy = "ahp"
    pairwise: Sequence[Sequence[float]] = DEFAULT_PAIRWISE
    hand: Sequence[float] = (0.35, 0.2, 0.1, 0.2, 0.15)
    method: Method = "weighted"
    rules: Rules = field(default_factory=Rules)
    run_every_days: int = 30

    def check(self) -> None:
        """Raise for what cannot hold.

        Raises:
            PolicyError: a currency, rate or number.
            WeightsError: the pairwise matrix or the weights.
            RulesError: the quotas.
        """
        if not is_currency(self.currency):
            raise PolicyError("currency", f"{self.currency!r} is no ISO 4217 code")
        if len(self.rates) > RATES_MAX:
            raise PolicyError("rates", f"{RATES_MAX} are the most")
        for code, rate in self.rates.items():
            if not is_currency(code) or code == self.currency:
                raise PolicyError("rates", f"{code!r} is no other currency")
            if not _is_rate(rate):
                raise PolicyError("rates", f"{code}: {rate!r} is no rate above 0")
        if not 0 <= self.run_every_days <= RUN_EVERY_DAYS_MAX:
            raise PolicyError("run_every_days", f"must be 0 to {RUN_EVERY_DAYS_MAX}")
        from_pairwise(self.pairwise)
        if len(self.pairwise) != len(DIMENSIONS):
            raise PolicyError("pairwise", f"must have {len(DIMENSIONS)} rows, one for each dimension")
        by_hand(self.hand, len(DIMENSIONS))
        self.rules.check()

    def weights(self, scaled: Floats) -> Floats:
        """The weights that hold for these customers."""
        if self.weights_by == "entropy":
            return from_entropy(scaled)
        if self.weights_by == "hand":
            return by_hand(self.hand, len(DIMENSIONS))
        return from_pairwise(self.pairwise)[0]


def to_json(policy: Policy) -> dict[str, Any]:
    """As it is stored."""
    rules = policy.rules
    return {
        "currency": policy.currency,
        "rates": dict(policy.rates),
        "weights_by": policy.weights_by,
        "pairwise": [list(row) for row in policy.pairwise],
        "hand": list(policy.hand),
        "method": policy.method,
        "run_every_days": policy.run_every_days,
        "rules": {
            "strategic": _cut_json(rules.strategic),
            "value": _cut_json(rules.value),
            "stay_days": rules.stay_days,
            "notice_days": rules.notice_days,
            "provisional_days": rules.provisional_days,
            "confidence_min": rules.confidence_min,
        },
    }


def from_json(stored: Mapping[str, Any]) -> Policy:
    """What was stored."""
    rules = dict(stored["rules"])
    strategic, value = Cut(**rules.pop("strategic")), Cut(**rules.pop("value"))
    return Policy(**{**stored, "rules": Rules(strategic, value, **rules)})


def _cut_json(cut: Cut) -> dict[str, float]:
    return {"quota": cut.quota, "enter": cut.enter, "leave": cut.leave}


def _is_rate(text: str) -> bool:
    try:
        rate = Decimal(text)
    except InvalidOperation:
        return False
    return rate.is_finite() and Decimal("1e-9") <= rate <= Decimal("1e9")
