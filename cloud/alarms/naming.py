"""What alarms are about, in words for pages and messages: failure modes, features, scores. Pure."""

import re
from typing import Protocol

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Texts(Protocol):
    """The texts of one language."""

    @property
    def language(self) -> str:
        """Its RFC 5646 tag."""

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key`, filled in."""

    def find(self, key: str) -> str | None:
        """The text of `key` where there is one."""


def mode_name(t: Texts, mode: str) -> str:
    """A failure mode's name; `check_ring_wear@72h` is told with its horizon."""
    own, _, horizon = mode.partition("@")
    name = t.find(f"mode.{own}.name") or spaced(own)
    return t("mode_within", mode=name, hours=horizon.removesuffix("h")) if horizon else name


def alarm_name(t: Texts, kind: str, mode: str) -> str:
    """What an alarm is about: a failure mode or trouble, or what its rule found of a feature, score or press."""
    told = t.find(f"alarm.of.{kind}")
    if told is None:
        return mode_name(t, mode)
    what = score_name(t, f"Novelty/{mode}") if kind == "novelty" else feature_name(t, mode)
    return t(f"alarm.of.{kind}", what=what)


def score_name(t: Texts, key: str) -> str:
    """A score's name: `FailureProbability/check_ring_wear@72h` is the mode with its horizon."""
    kind, _, name = key.partition("/")
    if kind == "FailureProbability":
        return mode_name(t, name)
    return t.find(f"score.{kind}.{name}") or f"{t.find(f'score.{kind}.name') or spaced(kind)} {quality_name(t, name)}"


def feature_name(t: Texts, feature: str) -> str:
    """A feature's name: of the whole, else of its parts (`InjectionPressure.HoldSlope` is signal, then statistic)."""
    whole = t.find(f"feature.{feature}") or t.find(f"quantity.{feature}")
    if whole:
        return whole
    return t("feature_join").join(
        t.find(f"quantity.{part}") or t.find(f"statistic.{part}") or spaced(part) for part in re.split("[./]", feature)
    )


def quality_name(t: Texts, name: str) -> str:
    """A quality class's name."""
    return t.find(f"quality.{name.lower()}") or name


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
