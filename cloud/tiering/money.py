"""Amounts as people write them, in minor units of one currency, converted by a table of rates. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Final

from cloud.tiering.evidence import AMOUNT_MINOR_MAX

DECIMALS: Final[Mapping[str, int]] = {"BHD": 3, "JPY": 0, "KRW": 0, "KWD": 3, "OMR": 3, "TND": 3, "VND": 0}
"""Of minor units, where they are not two."""
CODE_CHARACTERS: Final = 3


class MoneyError(ValueError):
    """An amount or currency that cannot be used; the message names the field first."""


@dataclass(frozen=True, slots=True)
class Amount:
    """In minor units: as told, and in the company's currency."""

    told_minor: int
    told_currency: str
    minor: int


def is_currency(code: str) -> bool:
    """Whether it looks like an ISO 4217 code."""
    return len(code) == CODE_CHARACTERS and code.isascii() and code.isalpha() and code.isupper()


def decimals(currency: str) -> int:
    """Of the minor unit."""
    return DECIMALS.get(currency, 2)


def amount_of(text: str, currency: str, *, own: str, rates: Mapping[str, str]) -> Amount:
    """Read an amount; one in another currency needs a rate: what one unit of it is worth in `own`.

    Raises:
        MoneyError: it is no amount, has parts smaller than the currency, or there is no rate.
    """
    if not currency:
        raise MoneyError("currency: is missing")
    if not is_currency(currency):
        raise MoneyError(f"currency: {currency!r} is no ISO 4217 code")
    told = _minor(text, currency)
    if currency == own:
        return Amount(told, currency, told)
    rate = rates.get(currency)
    if rate is None:
        raise MoneyError(f"currency: {currency} is not {own}, and the policy has no rate for it")
    units = Decimal(told).scaleb(-decimals(currency)) * Decimal(rate)
    minor = int(units.scaleb(decimals(own)).to_integral_value(ROUND_HALF_EVEN))
    return Amount(told, currency, minor)


def _minor(text: str, currency: str) -> int:
    try:
        value = Decimal(text.strip().replace(",", ""))
    except InvalidOperation as error:
        raise MoneyError(f"amount: {text!r} is no number") from error
    if not value.is_finite() or abs(value) > AMOUNT_MINOR_MAX:
        raise MoneyError(f"amount: {text!r} is out of range")
    minor = value.scaleb(decimals(currency))
    if minor != minor.to_integral_value():
        raise MoneyError(f"amount: {text!r} has parts smaller than {currency} has")
    return int(minor)


def shown(minor: int, currency: str) -> str:
    """An amount as a file has it: `1234.50`."""
    return f"{Decimal(minor).scaleb(-decimals(currency)):.{decimals(currency)}f}"
