"""Playbooks: what happens to a customer, which tasks follow, and the limits by which nobody is nagged. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from cloud.entitlements.domain import Tier
from kit.errors import ZhisanError

PLAYBOOKS_MAX: Final = 20
STEPS_MAX: Final = 5
OPEN_TASKS_MAX: Final = 20
DAYS_MAX: Final = 365
CODE_CHARACTERS_MAX: Final = 64
TITLE_CHARACTERS_MAX: Final = 128
MESSAGE_CHARACTERS_MAX: Final = 500
UNREAD_MAX: Final = 3
"""A company that has so many unread messages gets no more."""


class Trigger(StrEnum):
    """What starts a playbook; each is measured by one figure a customer (`signals`)."""

    HEALTH_DROP = "health_drop"
    UNPAID_INVOICE = "unpaid_invoice"
    UNUSED_FEATURE = "unused_feature"
    RENEWAL_NEAR = "renewal_near"
    TIER_CHANGED = "tier_changed"
    MARGIN_LOW = "margin_low"


class OwnerRole(StrEnum):
    """Whose task it is."""

    SUCCESS = "success"
    SALES = "sales"
    SUPPORT = "support"
    FINANCE = "finance"


UNTIL: Final = frozenset({Trigger.RENEWAL_NEAR, Trigger.TIER_CHANGED, Trigger.MARGIN_LOW})
"""These start at their threshold or below it, the others at it or above."""


class PlaybookError(ZhisanError):
    """Playbooks that cannot hold; `field` names what is wrong."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


@dataclass(frozen=True, slots=True)
class Step:
    """A task of a playbook."""

    title: str
    owner_role: OwnerRole
    due_days: int


@dataclass(frozen=True, slots=True)
class Message:
    """What a company is told, in its readers' language."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Playbook:
    """What follows on a trigger, for customers of these tiers, and not again within `again_days`: tasks, a message."""

    code: str
    trigger: Trigger
    threshold: float
    tiers: tuple[Tier, ...]
    again_days: int
    steps: tuple[Step, ...]
    is_on: bool = True
    message: Message | None = None

    def fires(self, tier: Tier, facts: Mapping[Trigger, float]) -> bool:
        """Whether the facts start it; a figure that is not known starts nothing."""
        figure = facts.get(self.trigger)
        if not self.is_on or figure is None or tier not in self.tiers:
            return False
        return figure <= self.threshold if self.trigger in UNTIL else figure >= self.threshold

    def due_day(self, step: Step, figure: float, today: int) -> int:
        """By when a task started today is to be done: where the figure counts the days that are left, within them."""
        days = min(step.due_days, max(0, int(figure))) if self.trigger in UNTIL else step.due_days
        return today + days


@dataclass(frozen=True, slots=True)
class Shelf:
    """The playbooks that hold, the first first, and how many open tasks a customer may have."""

    open_tasks_max: int
    playbooks: tuple[Playbook, ...]

    def check(self) -> None:
        """Raise for what cannot hold.

        Raises:
            PlaybookError: a number, a text, or a code that is there twice.
        """
        _within("open_tasks_max", self.open_tasks_max, 1, OPEN_TASKS_MAX)
        _within("playbooks", len(self.playbooks), 0, PLAYBOOKS_MAX)
        codes = [each.code for each in self.playbooks]
        if len(set(codes)) < len(codes):
            raise PlaybookError("playbooks", "a code is there twice")
        for each in self.playbooks:
            where = f"playbooks.{each.code}"
            _within(f"{where}.code", len(each.code.strip()), 1, CODE_CHARACTERS_MAX)
            _within(f"{where}.threshold", each.threshold, 0, 10_000)
            _within(f"{where}.again_days", each.again_days, 1, DAYS_MAX)
            least = 0 if each.message else 1
            _within(f"{where}.steps", len(each.steps), least, min(STEPS_MAX, self.open_tasks_max))
            if each.message is not None:
                for words in (each.message.zh, each.message.en):
                    _within(f"{where}.message", len(words.strip()), 1, MESSAGE_CHARACTERS_MAX)
            for step in each.steps:
                _within(f"{where}.title", len(step.title.strip()), 1, TITLE_CHARACTERS_MAX)
                _within(f"{where}.due_days", step.due_days, 0, DAYS_MAX)


def due(
    shelf: Shelf,
    tier: Tier,
    facts: Mapping[Trigger, float],
    *,
    open_tasks: int,
    started: Mapping[str, int],
    today: int,
    unread: int | None = 0,
) -> list[Playbook]:
    """The playbooks to start for a customer, each whole or not at all.

    `started` has the day on which each was last started for it. One that does not fit under `open_tasks_max` waits
    until tasks are closed, one with a message until some of `unread` are read; a smaller one behind it may go first.
    Where `unread` is None the company is not on the platform: what is only a message does not reach it.
    """
    found: list[Playbook] = []
    room = shelf.open_tasks_max - open_tasks
    messages = 0 if unread is None else UNREAD_MAX - unread
    for playbook in shelf.playbooks:
        last = started.get(playbook.code)
        if last is not None and today - last < playbook.again_days:
            continue
        if len(playbook.steps) > room or not playbook.fires(tier, facts):
            continue
        says = playbook.message is not None and (unread is not None or not playbook.steps)
        if says and messages <= 0:
            continue
        found.append(playbook)
        room -= len(playbook.steps)
        messages -= says
    return found


_NAMED: Final = (Tier.STRATEGIC, Tier.VALUE)
STANDARD: Final = Shelf(
    open_tasks_max=4,
    playbooks=(
        Playbook("renewal", Trigger.RENEWAL_NEAR, 90, _NAMED, 180, (Step("prepare_renewal", OwnerRole.SALES, 30),)),
        Playbook(
            "health",
            Trigger.HEALTH_DROP,
            0.1,
            _NAMED,
            90,
            (Step("find_cause", OwnerRole.SUCCESS, 7), Step("agree_remedy", OwnerRole.SUCCESS, 21)),
        ),
        Playbook(
            "unpaid",
            Trigger.UNPAID_INVOICE,
            45,
            (*_NAMED, Tier.LONG_TAIL),
            60,
            (Step("ask_for_payment", OwnerRole.FINANCE, 14),),
        ),
        Playbook("unused", Trigger.UNUSED_FEATURE, 60, _NAMED, 120, (Step("show_unused", OwnerRole.SUPPORT, 14),)),
        Playbook("margin", Trigger.MARGIN_LOW, 30, (Tier.VALUE,), 180, (Step("find_cost", OwnerRole.SUCCESS, 14),)),
        Playbook("tier", Trigger.TIER_CHANGED, 30, _NAMED, 180, (Step("explain_tier", OwnerRole.SUCCESS, 14),)),
    ),
)
"""What holds until a company saves its own; the long tail is served without people but for money that is owed."""


def to_json(shelf: Shelf) -> dict[str, Any]:
    """As it is stored and told."""
    return {
        "open_tasks_max": shelf.open_tasks_max,
        "playbooks": [
            {
                "code": each.code,
                "trigger": each.trigger,
                "threshold": each.threshold,
                "tiers": list(each.tiers),
                "again_days": each.again_days,
                "is_on": each.is_on,
                "steps": [
                    {"title": step.title, "owner_role": step.owner_role, "due_days": step.due_days}
                    for step in each.steps
                ],
                "message": {"zh": each.message.zh, "en": each.message.en} if each.message else None,
            }
            for each in shelf.playbooks
        ],
    }


def from_json(stored: Mapping[str, Any]) -> Shelf:
    """What was stored."""
    return Shelf(stored["open_tasks_max"], tuple(_playbook(each) for each in stored["playbooks"]))


def _playbook(stored: Mapping[str, Any]) -> Playbook:
    steps: Sequence[Mapping[str, Any]] = stored["steps"]
    return Playbook(
        stored["code"],
        Trigger(stored["trigger"]),
        stored["threshold"],
        tuple(Tier(each) for each in stored["tiers"]),
        stored["again_days"],
        tuple(Step(each["title"], OwnerRole(each["owner_role"]), each["due_days"]) for each in steps),
        stored.get("is_on", True),
        Message(**stored["message"]) if stored.get("message") else None,
    )


def _within(field: str, number: float, low: float, high: float) -> None:
    if not low <= number <= high:
        raise PlaybookError(field, f"must be {low:g} to {high:g}")
