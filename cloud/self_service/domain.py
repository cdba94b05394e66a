"""Rules of self-service: what a pack is, who may sign up under which name, how months are counted. Pure."""

import calendar
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, get_args

from cloud.entitlements.domain import Tier
from kit.errors import ZhisanError

HOUR_MS: Final = 3_600_000
SIGNUP_MS: Final = 24 * HOUR_MS
"""How long a link that confirms an address is good."""
PAY_WITHIN_MS: Final = 14 * 24 * HOUR_MS
BASIS: Final = 10_000
"""Hundredths of a per cent in the whole."""
REMIND_AFTER_DAYS: Final = (1, 14, 30)
"""So long after its due day an invoice is reminded of, each once; then it is for people to ask."""
NAME_CHARACTERS_MAX: Final = 100
SUPPORT_CHARACTERS_MAX: Final = 4_000
EMAIL: Final = re.compile(r"[^\s@<>,;:\"\\()\[\]]{1,64}@[A-Za-z0-9.-]{1,190}")
SLUG_CHARACTERS_MAX: Final = 24
RANKS: Final[Mapping[Tier, int]] = {Tier.PROVISIONAL: 0, Tier.LONG_TAIL: 1, Tier.VALUE: 2, Tier.STRATEGIC: 3}
Currency = Literal["CNY", "EUR", "USD", "JPY"]
CURRENCIES: Final[tuple[Currency, ...]] = get_args(Currency)


class SignupError(ZhisanError):
    """A sign-up that cannot be: `reason` is `company`, `name`, `email`, `pack`, `terms`, `taken` or `link`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The sign-up is not taken: {reason}.")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Pack:
    """A standard offer: a tier at a price a month, in whole minor units (fen, cents) of a currency."""

    pack_id: str
    tier: Tier
    price_minor: int
    currency: str
    names: Mapping[str, str]
    """By language."""


@dataclass(frozen=True, slots=True)
class Tax:
    """What is added to every invoice: its names by language, and its rate in hundredths of a per cent."""

    names: Mapping[str, str]
    rate_bp: int

    def of(self, net_minor: int) -> int:
        """The tax on an amount, half a minor unit rounded up."""
        return (net_minor * self.rate_bp + BASIS // 2) // BASIS


NO_TAX: Final = Tax({}, 0)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody fills in who wants an account."""

    company: str
    name: str
    email: str
    pack_id: str
    terms_version: str


def checked(wish: Wish, packs: Mapping[str, Pack], terms_version: str) -> Wish:
    """The wish, tidied.

    Raises:
        SignupError: a field cannot be used, or the terms that were accepted are not those in force.
    """
    company, name, email = wish.company.strip(), wish.name.strip(), wish.email.strip().casefold()
    if not 2 <= len(company) <= NAME_CHARACTERS_MAX or not company.isprintable():
        raise SignupError("company")
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise SignupError("name")
    if not EMAIL.fullmatch(email) or len(email) > NAME_CHARACTERS_MAX:
        raise SignupError("email")
    if wish.pack_id not in packs:
        raise SignupError("pack")
    if wish.terms_version != terms_version:
        raise SignupError("terms")
    return Wish(company, name, email, wish.pack_id, terms_version)


def tenant_id_of(company: str, chance: str) -> str:
    """An id that people can read and no other company has: letters of the name, then chance."""
    plain = unicodedata.normalize("NFKD", company).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_CHARACTERS_MAX].strip("-")
    return f"{slug or 'company'}-{chance}"


InvoiceState = Literal["open", "part_paid", "overdue", "paid", "cancelled", "credit_note"]


def invoice_state(
    *, is_credit: bool, is_cancelled: bool, open_minor: int, paid_minor: int, due_ms: int, now_ms: int
) -> InvoiceState:
    """Where an invoice stands; what is overdue is told so even when a part of it was paid."""
    if is_credit:
        return "credit_note"
    if is_cancelled:
        return "cancelled"
    if open_minor <= 0:
        return "paid"
    if now_ms > due_ms:
        return "overdue"
    return "part_paid" if paid_minor else "open"


def reminders_due(due_ms: int, now_ms: int) -> int:
    """How many reminders of an open invoice have their day behind them."""
    days = (now_ms - due_ms) // (24 * HOUR_MS)
    return sum(days >= after for after in REMIND_AFTER_DAYS)


def a_month_later(utc_ms: int, *, anchor_day: int) -> int:
    """The same time in the next month, on `anchor_day` or the month's last day where it is shorter."""
    at = datetime.fromtimestamp(utc_ms / 1000, UTC)
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
    day = min(anchor_day, calendar.monthrange(year, month)[1])
    return round(at.replace(year=year, month=month, day=day).timestamp() * 1000)


def a_month_earlier(utc_ms: int, *, anchor_day: int) -> int:
    """The same time in the month before, on `anchor_day` or the month's last day where it is shorter."""
    at = datetime.fromtimestamp(utc_ms / 1000, UTC)
    year, month = (at.year - 1, 12) if at.month == 1 else (at.year, at.month - 1)
    day = min(anchor_day, calendar.monthrange(year, month)[1])
    return round(at.replace(year=year, month=month, day=day).timestamp() * 1000)


def is_up(pack: Pack, *, price_minor: int, currency: str, tier: Tier | None) -> bool:
    """Whether a pack is more than what a company has: dearer, or as dear with a higher tier.

    One in another currency is never up: it begins with a month of its own.
    """
    if pack.currency != currency:
        return False
    if pack.price_minor != price_minor:
        return pack.price_minor > price_minor
    return tier is not None and RANKS[pack.tier] > RANKS[tier]


def difference(pack_minor: int, price_minor: int, *, from_ms: int, now_ms: int, until_ms: int) -> int:
    """What a dearer pack costs more for the rest of a month that is paid already, rounded down."""
    left_ms, whole_ms = max(0, min(until_ms - now_ms, until_ms - from_ms)), until_ms - from_ms
    return max(0, pack_minor - price_minor) * left_ms // whole_ms


def day_of(utc_ms: int) -> int:
    """The day of the month, UTC."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).day


def year_of(utc_ms: int) -> int:
    """The year, UTC."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).year
