"""An event as a message tells it: its facts, what it means for a receiver, and its words in a language. Pure."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final, Literal

from cloud.alarms.naming import Texts, alarm_name, feature_name
from cloud.alarms.rules.definition import UNITS
from cloud.webhooks.domain import TEST_KIND

Effect = Literal["trigger", "acknowledge", "resolve"]
REASONS_SHOWN: Final = 3
MOMENT_MS_MAX: Final = 253_402_214_400_000
"""A day before the last year that a calendar has."""
INCIDENT_CHARACTERS_MAX: Final = 128
_EFFECTS: Final[Mapping[str, Effect]] = {
    "alarm.raised": "trigger",
    "alarm.escalated": "trigger",
    "alarm.realarmed": "trigger",
    "alarm.unshelved": "trigger",
    "alarm.unsuppressed": "trigger",
    "alarm.shelved": "acknowledge",
    "alarm.suppressed": "acknowledge",
    "alarm.out_of_service": "acknowledge",
    "alarm.cleared": "resolve",
    "alarm.reset": "resolve",
    "alarm.flood_began": "trigger",
    "alarm.flood_ended": "resolve",
    "maintenance.planned": "trigger",
    "maintenance.changed": "acknowledge",
    "maintenance.reopened": "trigger",
    "maintenance.done": "resolve",
    "maintenance.cancelled": "resolve",
    "serving.margin_low": "trigger",
    "serving.margin_recovered": "resolve",
    "serving.hours_over": "trigger",
    "tiering.task_opened": "trigger",
    "tiering.task_closed": "resolve",
}
_SHARED: Final = (("tiering.task_", "task_id", "task"), ("serving.margin_", "customer_id", "margin"))
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Message:
    """One event: `data` is what was recorded with it."""

    kind: str
    event_id: int | None
    occurred_ms: int
    data: Mapping[str, Any]

    @property
    def alarm_id(self) -> str:
        """The alarm that it is about; empty for one that is about none."""
        return self.word("alarm_id")

    @property
    def incident(self) -> str:
        """What its alarm, or the flood that it is about, goes by; empty for an event of its own."""
        return incident_of(self.kind, self.data)

    @property
    def is_test(self) -> bool:
        """Whether somebody has asked for it to see whether calls arrive."""
        return self.kind == TEST_KIND

    @property
    def place(self) -> str:
        """The press or gateway that it is about, with its plant; the customer's code where it is about one."""
        return "/".join(
            part for part in (self.word("plant_id"), self.word("press_id") or self.word("gateway_id")) if part
        ) or self.word("code")

    @property
    def place_for_people(self) -> str:
        """The same with the plant as people call it."""
        name = self.word("plant_name")
        return " / ".join([name, *self.place.split("/")[1:]]) if name and self.word("plant_id") else self.place

    def word(self, name: str) -> str:
        """A text of the data; empty where there is none."""
        value = self.data.get(name)
        return _CONTROL.sub(" ", value) if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """A finite number of the data."""
        value = self.data.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        return float(value) if math.isfinite(value) else None


def incident_of(kind: str, data: Mapping[str, Any]) -> str:
    """The alarm's id, or what the events of a flood, a maintenance job, a task or a margin share; else empty."""
    alarm_id, began_ms, job_id = data.get("alarm_id"), data.get("began_ms"), data.get("job_id")
    if isinstance(alarm_id, str) and alarm_id:
        return _CONTROL.sub(" ", alarm_id)[:INCIDENT_CHARACTERS_MAX]
    if kind.startswith("maintenance.") and isinstance(job_id, str) and job_id:
        return f"maintenance-{_CONTROL.sub(' ', job_id)}"[:INCIDENT_CHARACTERS_MAX]
    for prefix, name, word in _SHARED:
        shared = data.get(name)
        if kind.startswith(prefix) and isinstance(shared, str) and shared:
            return f"{word}-{_CONTROL.sub(' ', shared)}"[:INCIDENT_CHARACTERS_MAX]
    is_flood = kind.startswith("alarm.flood") and isinstance(began_ms, int)
    return f"flood-{began_ms}" if is_flood else ""


def plant_of(data: Mapping[str, Any]) -> str:
    """The id of the plant that an event is about; empty where it is about none."""
    plant_id = data.get("plant_id")
    return plant_id if isinstance(plant_id, str) else ""


def message_of(body: str, event_id: int | None) -> Message:
    """The message in what the outbox keeps (`domain.body_of`)."""
    fields = json.loads(body)
    occurred = datetime.fromisoformat(fields["timestamp"])
    return Message(fields["type"], event_id, round(occurred.timestamp() * 1000), fields["data"])


def effect_of(message: Message) -> Effect:
    """What an event does to an incident at the receiver: by its kind, else by the state that the alarm is in then."""
    known = _EFFECTS.get(message.kind)
    if known is not None:
        return known
    state = message.word("state")
    if state == "normal" or state.startswith("cleared"):
        return "resolve"
    return "trigger" if state == "active_unacknowledged" or message.is_test else "acknowledge"


def title_of(message: Message, t: Texts) -> str:
    """One line: how grave, what, where, and what has happened to it."""
    if message.is_test:
        return t("message.test_title")
    priority = message.word("priority")
    parts = {
        "priority": t.find(f"message.priority.{priority}") or priority or t("message.priority.none"),
        "what": mode_of(message, t),
        "where": message.place_for_people or message.word("code") or t("message.nowhere"),
        "event": kind_of(message.kind, t),
    }
    return t("message.title", **parts)


def lines_of(message: Message, t: Texts, zone: tzinfo) -> list[tuple[str, str]]:
    """Labels and values, the important ones first; what the event does not tell is left out."""
    if message.is_test:
        return [(t("message.note"), t("message.test_note")), (t("message.at"), moment_of(message.occurred_ms, zone))]
    probability, threshold, count = (message.number(name) for name in ("probability", "threshold", "count"))
    count = message.number("raised") if count is None else count  # of a flood
    found = [
        (t("message.place"), message.place_for_people),
        (t("message.what"), mode_of(message, t)),
        (t("message.customer"), message.word("code") if message.kind.startswith("serving.") else ""),
        (t("message.event"), kind_of(message.kind, t)),
        (t("message.probability"), _share(probability, threshold, t)),
        (t("message.value"), _measured(message, probability, t)),
        (t("message.count"), "" if count is None else f"{count:g}"),
        (t("message.window"), _window(message, zone)),
        (t("message.who"), message.word("who")),
        (t("message.reasons"), _reasons(message, t)),
        (t("message.by"), message.word("by") or message.word("acknowledged_by")),
        (t("message.text"), message.word("text_zh" if t.language.startswith("zh") else "text_en")),
        (t("message.comment"), _comment(message)),
        (t("message.at"), moment_of(message.occurred_ms, zone)),
    ]
    return [(label, value) for label, value in found if value]


def advice_of(message: Message, t: Texts) -> str:
    """What to do about it, where the texts know; only while it asks for somebody."""
    return (t.find(f"mode.{_own_mode(message)}.advice") or "") if effect_of(message) == "trigger" else ""


def mode_of(message: Message, t: Texts) -> str:
    """The failure mode or trouble by its name, or what a rule found of a feature, score or press."""
    mode = _own_mode(message)
    if not mode:
        if message.kind.startswith(("serving.", "tiering.")):
            return t("message.some_customer")
        if message.kind.startswith("entitlements."):
            return t("message.some_plan")
        if message.kind.startswith("provider."):
            return t("message.some_word")
        return t("message.some_job" if message.kind.startswith("maintenance.") else "message.some_alarm")
    return alarm_name(t, message.word("kind"), mode)


def kind_of(kind: str, t: Texts) -> str:
    """What has happened, in words; a kind that the texts do not know is told by its own name."""
    own = kind.partition(".")[2]
    return t.find(f"message.kinds_of.{kind}") or t.find(f"message.kinds.{own}") or _spaced(own or kind)


def moment_of(utc_ms: int, zone: tzinfo) -> str:
    """A time on the clock of a zone, with the zone's name."""
    return datetime.fromtimestamp(utc_ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _window(message: Message, zone: tzinfo) -> str:
    start_ms, end_ms = message.number("start_ms"), message.number("end_ms")
    if start_ms is None or end_ms is None or not 0 <= start_ms <= end_ms <= MOMENT_MS_MAX:
        return ""
    return f"{moment_of(round(start_ms), zone)} - {moment_of(round(end_ms), zone)}"


def _comment(message: Message) -> str:
    """Why, or what somebody wrote: of a job what is to be done, what was done, or what was found."""
    return next(filter(None, map(message.word, ("why", "comment", "note", "work", "found"))), "")


def _own_mode(message: Message) -> str:
    return message.word("mode").partition("@")[0]


def _share(probability: float | None, threshold: float | None, t: Texts) -> str:
    if probability is None:
        return ""
    if threshold is None:
        return f"{probability:.0%}"
    return t("message.over", value=f"{probability:.0%}", threshold=f"{threshold:.0%}")


def _measured(message: Message, probability: float | None, t: Texts) -> str:
    """What a rule measured, in the unit of its feature, and the limit that it has left."""
    value, limit, unit = message.number("value"), message.number("threshold"), UNITS.get(_own_mode(message), "")
    if value is None or probability is not None:
        return ""
    told = f"{value:.4g} {unit}".rstrip()
    return told if limit is None else t("message.over", value=told, threshold=f"{limit:.4g} {unit}".rstrip())


def _reasons(message: Message, t: Texts) -> str:
    reasons = message.data.get("reasons")
    found = []
    for reason in reasons[:REASONS_SHOWN] if isinstance(reasons, list) else ():
        if isinstance(reason, dict) and isinstance(reason.get("sigma"), int | float):
            feature = str(reason.get("feature", ""))
            found.append(f"{feature_name(t, feature)} {reason['sigma']:+.1f} σ")
    return t("feature_join").join(found)


def _spaced(name: str) -> str:
    return name.replace("_", " ").replace(".", " ").strip()
