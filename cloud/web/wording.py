"""Names that come from data, in words: failure modes, features, parameters, quality classes, advice."""

import re

from cloud.web.translation import Catalogue
from contract.vocabulary import PARAMETERS, SIGNALS

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def mode_name(t: Catalogue, mode: str) -> str:
    """A failure mode's name; `check_ring_wear@72h` is told with its horizon."""
    own, _, horizon = mode.partition("@")
    name = t.find(f"mode.{own}.name") or spaced(own)
    return t("mode_within", mode=name, hours=horizon.removesuffix("h")) if horizon else name


def alarm_name(t: Catalogue, kind: str, mode: str) -> str:
    """What an alarm is about: a failure mode or trouble, or what its rule found of a feature, score or press."""
    told = t.find(f"alarm.of.{kind}")
    if told is None:
        return mode_name(t, mode)
    what = score_name(t, f"Novelty/{mode}") if kind == "novelty" else feature_name(t, mode)
    return t(f"alarm.of.{kind}", what=what)


def measure_name(t: Catalogue, measure: str) -> str:
    """What a figure of a model card measures."""
    return t.find(f"measure.{measure.replace('.', '_')}") or spaced(measure)


def mode_advice(t: Catalogue, mode: str) -> str | None:
    """What to do about a failure mode, where the catalogue knows."""
    return t.find(f"mode.{mode}.advice")


def score_name(t: Catalogue, key: str) -> str:
    """A score's name: `FailureProbability/check_ring_wear@72h` is the mode with its horizon."""
    kind, _, name = key.partition("/")
    if kind == "FailureProbability":
        return mode_name(t, name)
    return t.find(f"score.{kind}.{name}") or f"{t.find(f'score.{kind}.name') or spaced(kind)} {quality_name(t, name)}"


def quantity_name(t: Catalogue, name: str) -> str:
    """A parameter's or signal's name."""
    return t.find(f"quantity.{name}") or spaced(name)


def quantity_unit(name: str) -> str:
    """A parameter's unit, empty where the vocabulary does not have it."""
    quantity = PARAMETERS.get(name) or SIGNALS.get(name)
    return quantity.unit if quantity else ""


def feature_name(t: Catalogue, feature: str) -> str:
    """A feature's name: of the whole, else of its parts (`InjectionPressure.HoldSlope` is signal, then statistic)."""
    whole = t.find(f"feature.{feature}") or t.find(f"quantity.{feature}")
    if whole:
        return whole
    return t("feature_join").join(
        t.find(f"quantity.{part}") or t.find(f"statistic.{part}") or spaced(part) for part in re.split("[./]", feature)
    )


def quality_name(t: Catalogue, name: str) -> str:
    """A quality class's name."""
    return t.find(f"quality.{name.lower()}") or name


def plan_value(t: Catalogue, entitlement: str, value: object) -> str:
    """What a plan has of an entitlement, in words: `90 days`, `no limit`, `included`."""
    if value is None:
        return t("plan.no_promise" if entitlement == "support_response_h" else "plan.no_limit")
    if isinstance(value, bool):
        return t("plan.included" if value else "plan.not_included")
    if entitlement == "report_depth":
        return t(f"report_depth.{value}")
    return t(f"entitlement.{entitlement}.value", value=value)


def spaced(name: str) -> str:
    """An identifier as words: `check_ring_wear` and `CheckRingWear` read `Check ring wear`."""
    words = _WORD.findall(name)
    if not words:
        return name
    return " ".join(
        [
            words[0].capitalize() if words[0].islower() else words[0],
            *(w if w.isupper() else w.lower() for w in words[1:]),
        ]
    )
