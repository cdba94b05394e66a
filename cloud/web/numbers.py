"""How numbers, ages and times read on a page: few digits, a unit, UTC until the browser makes it local."""

import math
from datetime import UTC, datetime
from decimal import Decimal

from babel import Locale
from babel.numbers import format_currency

from cloud.tiering.money import decimals

NARROW_SPACE = "\u202f"
MISSING = "–"
MINUS = "−"
SIGNIFICANT_DIGITS = 4
GROUPED_FROM = 10_000
"""Thousands stand apart from here on; a comma does it, and a point stands before decimals, in every language we speak
(CLDR; a test holds it against Babel's data), so that numbers need no language."""


def number(value: float | None, unit: str = "", *, digits: int = SIGNIFICANT_DIGITS, is_column: bool = False) -> str:
    """`value` to `digits` significant digits (whole numbers keep theirs) with its unit; a dash when missing or NaN.

    In a column (`is_column`) closing zeros stay, so that points stand under one another.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    text = _plain(value, digits, keep_zeros=is_column)
    return f"{text}{NARROW_SPACE}{unit}" if unit else text


def percent(share: float | None) -> str:
    """A share of 0..1 in whole percent; what rounds to a certainty it is not is written as <1 % or >99 %."""
    if share is None or not math.isfinite(share):
        return MISSING
    whole = round(share * 100)
    if whole == 0 and share > 0:
        return f"<1{NARROW_SPACE}%"
    if whole == 100 and share < 1:
        return f">99{NARROW_SPACE}%"
    return f"{whole}{NARROW_SPACE}%"


def change(share: float | None) -> str:
    """A share that something is more (or less) than expected, in whole percent with its sign."""
    if share is None or not math.isfinite(share):
        return MISSING
    whole = round(share * 100)
    return f"{f'{whole:+d}' if whole else '±0'}{NARROW_SPACE}%".replace("-", MINUS)


def money(amount_minor: int, currency: str, locale: Locale, *, is_whole: bool = False) -> str:
    """An amount in minor units as CLDR writes it for the locale: `¥1,234.50`, `CN¥1,234.50`; or in whole units."""
    amount = Decimal(amount_minor).scaleb(-decimals(currency))
    text = format_currency(
        round(amount) if is_whole else amount,
        currency,
        locale=locale,
        format="¤#,##0" if is_whole else None,
        currency_digits=not is_whole,
    )
    return text.replace("-", MINUS)


def deviation(actual: float | None, wanted: float, unit: str = "") -> str:
    """By how much a value is above the wanted one, as exact as `number` writes that; a temperature's is in kelvin."""
    if actual is None or not math.isfinite(actual - wanted):
        return MISSING
    places = max(0, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(wanted)))) if wanted else SIGNIFICANT_DIGITS - 1
    difference = round(actual - wanted, places)
    sign = "±" if difference == 0 else MINUS if difference < 0 else "+"
    unit = "K" if unit == "°C" else unit
    return sign + number(abs(difference), unit)


def iso(utc_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds: what stands in a <time>'s datetime."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_text(utc_ms: int) -> str:
    """What a <time> reads before, or without, the browser's script: UTC, and it says so."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _plain(value: float, digits: int, *, keep_zeros: bool) -> str:
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    text = f"{value:{',' if abs(value) >= GROUPED_FROM else ''}.{max(0, places)}f}"
    return (text if keep_zeros or "." not in text else text.rstrip("0").rstrip(".")).replace("-", MINUS)
