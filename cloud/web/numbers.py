"""How numbers, ages and times read on a page: few digits, a unit, UTC until the browser makes it local."""

import math
from datetime import UTC, datetime

NARROW_SPACE = "\u202f"
MISSING = "–"
SIGNIFICANT_DIGITS = 4


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
    return f"{f'{whole:+d}' if whole else '±0'}{NARROW_SPACE}%".replace("-", "−")


def iso(utc_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds: what stands in a <time>'s datetime."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_text(utc_ms: int) -> str:
    """What a <time> reads before, or without, the browser's script: UTC, and it says so."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _plain(value: float, digits: int, *, keep_zeros: bool) -> str:
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    text = f"{value:.{max(0, decimals)}f}"
    return (text if keep_zeros or "." not in text else text.rstrip("0").rstrip(".")).replace("-", "−")
