"""Names that come from data, in words: failure modes, features, parameters, quality classes, advice."""

from cloud.alarms.naming import spaced
from cloud.web.translation import Catalogue
from contract.vocabulary import PARAMETERS, SIGNALS


def measure_name(t: Catalogue, measure: str) -> str:
    """What a figure of a model card measures."""
    return t.find(f"measure.{measure.replace('.', '_')}") or spaced(measure)


def mode_advice(t: Catalogue, mode: str) -> str | None:
    """What to do about a failure mode, where the catalogue knows."""
    return t.find(f"mode.{mode}.advice")


def quantity_name(t: Catalogue, name: str) -> str:
    """A parameter's or signal's name."""
    return t.find(f"quantity.{name}") or spaced(name)


def quantity_unit(name: str) -> str:
    """A parameter's unit, empty where the vocabulary does not have it."""
    quantity = PARAMETERS.get(name) or SIGNALS.get(name)
    return quantity.unit if quantity else ""


def plan_value(t: Catalogue, entitlement: str, value: object) -> str:
    """What a plan has of an entitlement, in words: `90 days`, `no limit`, `included`."""
    if value is None:
        return t("plan.no_promise" if entitlement == "support_response_h" else "plan.no_limit")
    if isinstance(value, bool):
        return t("plan.included" if value else "plan.not_included")
    if entitlement == "report_depth":
        return t(f"report_depth.{value}")
    return t(f"entitlement.{entitlement}.value", value=value)
