"""How a company serves with options: what an hour costs, how many are open, which margin is too low. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from cloud.entitlements.domain import Tier
from cloud.serving.options import BUYERS, OptionError

HOUR_COST_MINOR_MAX: Final = 10**9
OPEN_MAX: Final = 50
SHARE_MIN, SHARE_MAX = -1.0, 0.95
BACK_MAX: Final = 0.5


@dataclass(frozen=True, slots=True)
class ServingRules:
    """One version; `margin_floor` and `margin_back` are shares of revenue.

    A customer whose margin fell below the floor counts as low until it is `margin_back` above it again, so that one
    invoice does not tell everybody twice.
    """

    hour_cost_minor: int = 30_000
    open_options_max: int = 10
    margin_floor: float = 0.3
    margin_back: float = 0.05
    watched: tuple[Tier, ...] = (Tier.VALUE,)

    def check(self) -> None:
        """Raise for what cannot hold.

        Raises:
            OptionError: a number or a tier.
        """
        for field, number, low, high in (
            ("hour_cost_minor", self.hour_cost_minor, 0, HOUR_COST_MINOR_MAX),
            ("open_options_max", self.open_options_max, 1, OPEN_MAX),
            ("margin_floor", self.margin_floor, SHARE_MIN, SHARE_MAX),
            ("margin_back", self.margin_back, 0, BACK_MAX),
        ):
            if not low <= number <= high:
                raise OptionError(field, f"must be {low:g} to {high:g}")
        if len(set(self.watched)) < len(self.watched) or not set(self.watched) <= set(BUYERS):
            raise OptionError("watched", f"must be some of {', '.join(BUYERS)}, each once")


def to_json(rules: ServingRules) -> dict[str, Any]:
    """As it is stored and told."""
    return asdict(rules) | {"watched": list(rules.watched)}


def from_json(stored: Mapping[str, Any]) -> ServingRules:
    """What was stored."""
    return ServingRules(**{**stored, "watched": tuple(Tier(each) for each in stored["watched"])})
