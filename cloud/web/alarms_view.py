"""What the alarm page shows of the open alarms: filtered, grouped by place and cause, the worst first. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, Literal
from uuid import UUID

from cloud.alarms.domain import Alarm
from cloud.alarms.life import ACTIVE_STATES, LATCHED_STATES, OPEN_STATES, UNACKNOWLEDGED_STATES, State
from cloud.alarms.policy import PRIORITIES
from cloud.alarms.rules.stored import KINDS as RULE_KINDS
from cloud.alarms.rules.stored import RULE_UNREADABLE
from cloud.web.days import day_of
from contract.trouble import COUNTERS
from contract.vocabulary import FAILURE_MODES

Tab = Literal["open", "withheld", "history", "analytics"]
TABS: Final[tuple[Tab, ...]] = ("open", "withheld", "history", "analytics")
STATES_WANTED: Final[Mapping[str, tuple[State, ...]]] = {
    "": OPEN_STATES,
    "active": ACTIVE_STATES,
    "unacknowledged": UNACKNOWLEDGED_STATES,
    "cleared": ("cleared_unacknowledged", *LATCHED_STATES),
}
KINDS: Final = (*RULE_KINDS, RULE_UNREADABLE)
"""What raises alarms."""
MODES: Final = (*FAILURE_MODES, *COUNTERS)
DAYS: Final = ("1", "7", "30")
SEARCH_CHARACTERS_MAX: Final = 80
LINES_MAX: Final = 200
WEIGHT: Final[Mapping[str, int]] = {priority: weight for weight, priority in enumerate(PRIORITIES)}


@dataclass(frozen=True, slots=True)
class AlarmsWanted:
    """The choices in the page's URL; what is empty does not narrow."""

    tab: Tab = "open"
    state: str = ""
    plant: str = ""
    press: str = ""
    kind: str = ""
    mode: str = ""
    priority: str = ""
    assignee: str = ""
    q: str = ""
    days: str = "7"
    since: str = ""
    """A day in UTC, as `until`, which is the last one; of the past alone."""
    until: str = ""
    before: str = ""

    def query(self, **changes: str) -> dict[str, str]:
        """The query of the same page with some choices changed; what is as it is without asking is left out."""
        told = {field.name: str(getattr(replace(self, **changes), field.name)) for field in fields(self)}  # type: ignore[arg-type]
        return {name: value for name, value in told.items() if value != getattr(NOTHING_WANTED, name)}


NOTHING_WANTED: Final = AlarmsWanted()


def wanted_of(query: Mapping[str, str]) -> AlarmsWanted:
    """The choices in a URL; one that does not exist is none."""
    state, priority, days = (query.get(name, "") for name in ("state", "priority", "days"))
    return AlarmsWanted(
        tab=next((tab for tab in TABS if tab == query.get("tab")), "open"),
        state=state if state in STATES_WANTED else "",
        plant=query.get("plant", "").strip(),
        press=query.get("press", "").strip(),
        kind=query.get("kind", ""),
        mode=query.get("mode", ""),
        priority=priority if priority in PRIORITIES else "",
        assignee=query.get("assignee", ""),
        q=query.get("q", "").strip()[:SEARCH_CHARACTERS_MAX],
        since=_day(query.get("since", "")),
        until=_day(query.get("until", "")),
        days=days if days in DAYS else NOTHING_WANTED.days,
        before=query.get("before", ""),
    )


@dataclass(frozen=True, slots=True)
class Group:
    """Alarms of one place and cause: the first that came up, and those that followed."""

    first: Alarm
    followers: tuple[Alarm, ...]

    @property
    def ids(self) -> tuple[UUID, ...]:
        """All alarms of it, in their order."""
        return self.first.alarm_id, *(alarm.alarm_id for alarm in self.followers)


@dataclass(frozen=True, slots=True)
class AlarmBoard:
    """The groups that are drawn, how many alarms are not, and the open ones by priority."""

    groups: tuple[Group, ...]
    left_out: int
    counts: Mapping[str, int]
    unacknowledged: int


def board_of(alarms: Sequence[Alarm], wanted: AlarmsWanted) -> AlarmBoard:
    """The board of a tenant's open alarms."""
    shown = [alarm for alarm in alarms if _passes(alarm, wanted)]
    groups = sorted(_groups(shown), key=_rank)
    drawn: list[Group] = []
    room = LINES_MAX
    for group in groups:
        if len(group.ids) <= room:
            drawn.append(group)
            room -= len(group.ids)
    counts: dict[str, int] = {
        priority: sum(alarm.priority == priority for alarm in shown) for priority in reversed(PRIORITIES)
    }
    waiting = sum(alarm.state in UNACKNOWLEDGED_STATES for alarm in shown)
    return AlarmBoard(tuple(drawn), len(shown) - (LINES_MAX - room), counts, waiting)


def _day(text: str) -> str:
    day = day_of(text)
    return day.isoformat() if day else ""


def _passes(alarm: Alarm, wanted: AlarmsWanted) -> bool:
    names = (alarm.press_id, alarm.gateway_id, alarm.mode, alarm.assigned_name or "")
    return (
        alarm.state in STATES_WANTED[wanted.state]
        and wanted.plant in ("", alarm.plant_id)
        and wanted.press in ("", alarm.press_id)
        and wanted.kind in ("", alarm.kind)
        and wanted.mode in ("", alarm.mode)
        and wanted.priority in ("", alarm.priority)
        and wanted.assignee in ("", alarm.assigned_to)
        and any(wanted.q.casefold() in name.casefold() for name in names)
    )


def _groups(alarms: Sequence[Alarm]) -> list[Group]:
    """By place and cause, cut to LINES_MAX lines each: what is active stands before what has gone, by its coming up."""
    members: dict[tuple[str, str, str, str], list[Alarm]] = {}
    for alarm in alarms:
        place = alarm.plant_id, alarm.press_id, alarm.gateway_id, alarm.cause
        members.setdefault(place, []).append(alarm)
    ordered = (
        sorted(group, key=lambda alarm: (not alarm.is_active, alarm.raised_ms, alarm.group_order))
        for group in members.values()
    )
    return [Group(group[0], tuple(group[1:LINES_MAX])) for group in ordered]


def _rank(group: Group) -> tuple[int, int, int]:
    """The worst first: what nobody has answered, then the priority, then the newest."""
    alarms = (group.first, *group.followers)
    is_answered = all(alarm.state not in UNACKNOWLEDGED_STATES for alarm in alarms)
    weight = max(WEIGHT.get(alarm.priority, 0) for alarm in alarms)
    return is_answered, -weight, -max(alarm.raised_ms for alarm in alarms)
