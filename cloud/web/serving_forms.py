"""Reads forms of serving: amounts in whole units, options, rules; what cannot be read names its field."""

from starlette.datastructures import FormData

from cloud.core.problems import InvalidFieldError
from cloud.entitlements.domain import KINDS, Tier
from cloud.serving.options import BUYERS, Billing, Need, Option
from cloud.serving.rules import ServingRules
from cloud.serving.sales_desk import Estimate
from cloud.tiering.money import MoneyError, amount_of
from cloud.web.forms import day, figure, text, whole


def money(form: FormData, name: str, currency: str) -> int:
    """An amount in whole units, as minor units.

    Raises:
        InvalidFieldError: it is none, or has parts smaller than the currency has.
    """
    try:
        return amount_of(text(form, name), currency, own=currency, rates={}).told_minor
    except MoneyError as error:
        field, _, why = str(error).partition(": ")
        raise InvalidFieldError("body.currency" if field == "currency" else f"body.{name}", why) from error


def option(form: FormData) -> Option:
    """An option as the form has it; not checked yet.

    Raises:
        InvalidFieldError: a field cannot be read.
    """
    currency, is_custom = text(form, "currency"), "is_custom" in form
    return Option(
        code=text(form, "code"),
        names={"zh-CN": text(form, "name_zh"), "en": text(form, "name_en")},
        descriptions={"zh-CN": text(form, "description_zh"), "en": text(form, "description_en")},
        billing=Billing.MONTHLY if text(form, "billing") == Billing.MONTHLY else Billing.ONE_OFF,
        price_minor=0 if is_custom and not text(form, "price") else money(form, "price", currency),
        currency=currency,
        effort_h=0.0 if is_custom and not text(form, "effort_h") else figure(form, "effort_h"),
        tiers=_tiers(form, "tiers"),
        per_customer_max=whole(form, "per_customer_max"),
        need=_need(form),
        retired_from=day(form, "retired_from") if text(form, "retired_from") else None,
        is_custom=is_custom,
    )


def rules(form: FormData, currency: str) -> ServingRules:
    """Rules as the form has them; shares in per cent, not checked yet.

    Raises:
        InvalidFieldError: a field cannot be read.
    """
    return ServingRules(
        hour_cost_minor=money(form, "hour_cost", currency),
        open_options_max=whole(form, "open_options_max"),
        margin_floor=figure(form, "margin_floor") / 100,
        margin_back=figure(form, "margin_back") / 100,
        watched=_tiers(form, "watched"),
    )


def estimate(form: FormData, currency: str) -> Estimate:
    """What a custom option is estimated at.

    Raises:
        InvalidFieldError: a field cannot be read.
    """
    return Estimate(text(form, "scope"), money(form, "price", currency), figure(form, "effort_h"))


def _tiers(form: FormData, name: str) -> tuple[Tier, ...]:
    told = {str(each) for each in form.getlist(name)}
    return tuple(tier for tier in BUYERS if tier in told)


def _need(form: FormData) -> Need | None:
    name, least = text(form, "need"), text(form, "need_least")
    if not name:
        return None
    kind = KINDS.get(name)
    if kind == "flag":
        return Need(name, True)
    if kind == "depth":
        return Need(name, least)  # type: ignore[arg-type] # the option's check names what is no depth
    return Need(name, whole(form, "need_least") if least else None)
