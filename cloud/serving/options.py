"""What an option is: a bounded piece of work beside the standard product, with price, effort, and who may buy. Pure."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from cloud.entitlements.domain import (
    DEPTHS,
    KINDS,
    EntitlementFieldError,
    Entitlements,
    ReportDepth,
    Tier,
    Value,
    checked_value,
)
from cloud.tiering.evidence import AMOUNT_MINOR_MAX
from cloud.tiering.money import is_currency
from kit.errors import ZhisanError

CODE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
OPTIONS_MAX: Final = 200
"""Options of one company: a catalogue that nobody can overlook is no catalogue."""
NAME_CHARACTERS_MAX: Final = 128
DESCRIPTION_CHARACTERS_MAX: Final = 1_000
EFFORT_H_MAX: Final = 2_000.0
PER_CUSTOMER_MAX: Final = 50
DAY_MAX: Final = 100_000
LANGUAGES: Final = ("zh-CN", "en")
BUYERS: Final = (Tier.STRATEGIC, Tier.VALUE, Tier.LONG_TAIL)


class Billing(StrEnum):
    """How often the price is due."""

    ONE_OFF = "one_off"
    MONTHLY = "monthly"


class OptionError(ZhisanError):
    """An option that cannot be, or cannot be sold; `field` names what is wrong."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


@dataclass(frozen=True, slots=True)
class Need:
    """An entitlement that the buyer's plan must have, and how much of it at least."""

    entitlement: str
    least: Value

    def is_met(self, held: Entitlements) -> bool:
        """Whether a plan has so much; no limit is enough for anything, no promise for nothing."""
        value = getattr(held, self.entitlement)
        kind = KINDS[self.entitlement]
        if kind == "flag":
            return bool(value) or not self.least
        if kind == "depth":
            return DEPTHS.index(value) >= DEPTHS.index(ReportDepth(str(self.least)))
        if value is None or self.least is None:
            return value is None if kind == "amount" else self.least is None
        return bool(value <= self.least if kind == "hours" else value >= self.least)


@dataclass(frozen=True, slots=True)
class Option:
    """One version of an option; names and descriptions by language.

    A custom one has no price or effort of its own: both are estimated for each customer, with a scope in words, and
    somebody else approves it. From the day `retired_from` on nobody can buy it any more.
    """

    code: str
    names: Mapping[str, str]
    descriptions: Mapping[str, str]
    billing: Billing
    price_minor: int
    currency: str
    effort_h: float
    tiers: tuple[Tier, ...]
    per_customer_max: int
    need: Need | None = None
    retired_from: int | None = None
    is_custom: bool = False

    def check(self) -> None:
        """Raise for what cannot be.

        Raises:
            OptionError: a text, a number, a tier or the need.
        """
        if not CODE.fullmatch(self.code):
            raise OptionError("code", "must be 1 to 64 small letters, digits, - and _")
        for language in LANGUAGES:
            _text(f"names.{language}", self.names.get(language, ""), 1, NAME_CHARACTERS_MAX)
            _text(f"descriptions.{language}", self.descriptions.get(language, ""), 0, DESCRIPTION_CHARACTERS_MAX)
        if not is_currency(self.currency):
            raise OptionError("currency", f"{self.currency!r} is no ISO 4217 code")
        _within("price_minor", self.price_minor, 0, AMOUNT_MINOR_MAX)
        _within("effort_h", self.effort_h, 0, EFFORT_H_MAX)
        _within("per_customer_max", self.per_customer_max, 1, PER_CUSTOMER_MAX)
        if self.retired_from is not None:
            _within("retired_from", self.retired_from, 0, DAY_MAX)
        self._check_tiers()
        if self.need is not None:
            _check_need(self.need)

    def _check_tiers(self) -> None:
        if not self.tiers or len(set(self.tiers)) < len(self.tiers) or not set(self.tiers) <= set(BUYERS):
            raise OptionError("tiers", f"must be some of {', '.join(BUYERS)}, each once")
        if self.is_custom and self.tiers != (Tier.STRATEGIC,):
            raise OptionError("tiers", "a custom option is for the strategic tier alone")
        if self.is_custom and (self.price_minor or self.effort_h):
            raise OptionError("price_minor", "of a custom option price and effort are estimated for each customer")

    def check_sale(self, tier: Tier, held: Entitlements | None, *, open_of_it: int, today: int) -> None:
        """Raise where a customer cannot buy it; `held` is None of one that has no tenant on the platform.

        Raises:
            OptionError: it is retired, or the tier, the number of it or the plan stands against it.
        """
        if self.retired_from is not None and today >= self.retired_from:
            raise OptionError("code", "this option is retired")
        if tier not in self.tiers:
            raise OptionError("code", f"this option is not for the tier {tier}")
        if open_of_it >= self.per_customer_max:
            raise OptionError("code", f"a customer has this option {self.per_customer_max} times at most")
        if self.need is None:
            return
        if held is None:
            raise OptionError("code", f"this option needs {self.need.entitlement}: the customer has no tenant")
        if not self.need.is_met(held):
            raise OptionError("code", f"this option needs {self.need.entitlement} of {self.need.least} at least")


def can_buy(
    options: Collection[Option], tier: Tier, held: Entitlements | None, counts: Mapping[str, int], today: int
) -> list[Option]:
    """Those of the options that a customer may buy now."""
    found = []
    for option in options:
        try:
            option.check_sale(tier, held, open_of_it=counts.get(option.code, 0), today=today)
        except OptionError:
            continue
        found.append(option)
    return found


def to_json(option: Option) -> dict[str, Any]:
    """As it is stored and told, without its code."""
    need = option.need
    return {
        "names": dict(option.names),
        "descriptions": dict(option.descriptions),
        "billing": option.billing,
        "price_minor": option.price_minor,
        "currency": option.currency,
        "effort_h": option.effort_h,
        "tiers": list(option.tiers),
        "per_customer_max": option.per_customer_max,
        "need": {"entitlement": need.entitlement, "least": need.least} if need is not None else None,
        "retired_from": option.retired_from,
        "is_custom": option.is_custom,
    }


def from_json(code: str, stored: Mapping[str, Any]) -> Option:
    """What was stored."""
    need = stored["need"]
    return Option(
        **{
            **stored,
            "code": code,
            "billing": Billing(stored["billing"]),
            "tiers": tuple(Tier(each) for each in stored["tiers"]),
            "need": Need(need["entitlement"], need["least"]) if need is not None else None,
        }
    )


def _check_need(need: Need) -> None:
    try:
        checked_value(need.entitlement, need.least)
    except EntitlementFieldError as error:
        raise OptionError(f"need.{error.field}", error.message) from error


def _text(field: str, text: str, low: int, high: int) -> None:
    if not low <= len(text.strip()) <= high:
        raise OptionError(field, f"must have {low} to {high} characters")


def _within(field: str, number: float, low: float, high: float) -> None:
    if not low <= number <= high:
        raise OptionError(field, f"must be {low:g} to {high:g}")
