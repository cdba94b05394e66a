"""What one may do to one alarm or to many: one list for the API and the pages, with the right that each needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.answers import Answers
from cloud.alarms.domain import Alarm
from cloud.alarms.life import Event
from cloud.alarms.service import AlarmService
from cloud.alarms.withholding import Withholder
from cloud.core.access import Right
from cloud.core.audit import Actor
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tenants import TenantId

Action = Literal[
    "acknowledge",
    "reset",
    "shelve",
    "unshelve",
    "comment",
    "assign",
    "suppress",
    "unsuppress",
    "out_of_service",
    "in_service",
]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
EVENTS: Final[Mapping[Action, Event]] = {
    "unshelve": "unshelve",
    "suppress": "suppress",
    "unsuppress": "unsuppress",
    "out_of_service": "take_out",
    "in_service": "return_to_service",
}
"""What each begins or ends in the life of an alarm's point."""
ENGINEERING: Final[frozenset[Action]] = frozenset({"suppress", "unsuppress", "out_of_service", "in_service"})
"""What changes how a plant is watched, and not only how one alarm is answered."""
BULK_MAX: Final = 200
NEEDED: Final[Mapping[Action, tuple[str, ...]]] = {
    "shelve": ("minutes", "reason"),
    "comment": ("comment",),
    "suppress": ("reason",),
    "out_of_service": ("reason",),
}


@dataclass(frozen=True, slots=True)
class Deed:
    """An action with what it needs to know."""

    action: Action
    comment: str | None = None
    reason: str | None = None
    minutes: int | None = None
    is_one_shot: bool = False
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one alarm of many: how it is now, or why nothing was done."""

    alarm_id: UUID
    alarm: Alarm | None
    field: str | None = None
    message: str | None = None


def right_for(action: Action) -> Right:
    """The right that an action needs."""
    return Right.CONFIGURE if action in ENGINEERING else Right.ACKNOWLEDGE


def check(deed: Deed) -> None:
    """Raises InvalidFieldError when the action lacks something that it needs."""
    for name in NEEDED.get(deed.action, ()):
        if not getattr(deed, name):
            raise InvalidFieldError(f"body.{name}", f"is needed to {deed.action.replace('_', ' ')}")


class Deeds:
    """Does them, in the caller's transaction."""

    def __init__(self, alarms: AlarmService) -> None:
        self._answers = Answers(alarms)
        self._withholder = Withholder(alarms)

    async def do(
        self, session: AsyncSession, tenant_id: TenantId, alarm_id: UUID, deed: Deed, *, actor: Actor, now_ms: int
    ) -> Alarm:
        """The alarm after the deed.

        Raises:
            NotFoundError: the tenant has no such alarm.
            InvalidFieldError: something is missing, or not as the site allows; nothing was done.
        """
        check(deed)
        key = session, tenant_id, alarm_id
        reason = deed.reason or ""
        match deed.action:
            case "acknowledge":
                return await self._answers.acknowledge(*key, comment=deed.comment, actor=actor, now_ms=now_ms)
            case "reset":
                return await self._answers.reset(*key, comment=deed.comment, actor=actor, now_ms=now_ms)
            case "comment":
                return await self._answers.comment(*key, text=deed.comment or "", actor=actor, now_ms=now_ms)
            case "assign":
                return await self._answers.assign(*key, user_id=deed.user_id, actor=actor, now_ms=now_ms)
            case "shelve":
                return await self._withholder.shelve(
                    *key,
                    minutes=deed.minutes or 0,
                    reason=reason,
                    is_one_shot=deed.is_one_shot,
                    actor=actor,
                    now_ms=now_ms,
                )
            case "suppress" | "out_of_service":
                event = EVENTS[deed.action]
                return await self._withholder.withhold(*key, event, reason=reason, actor=actor, now_ms=now_ms)
            case "unshelve" | "unsuppress" | "in_service":
                return await self._withholder.release(*key, EVENTS[deed.action], actor=actor, now_ms=now_ms)

    async def do_all(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        alarm_ids: Sequence[UUID],
        deed: Deed,
        *,
        actor: Actor,
        now_ms: int,
    ) -> list[Outcome]:
        """The same for up to BULK_MAX alarms: each is done or refused by itself, before anything of it is written.

        Raises:
            InvalidFieldError: something is missing that the action needs for any alarm.
        """
        assert len(alarm_ids) <= BULK_MAX
        check(deed)
        outcomes: list[Outcome] = []
        for alarm_id in alarm_ids:
            try:
                alarm = await self.do(session, tenant_id, alarm_id, deed, actor=actor, now_ms=now_ms)
                outcomes.append(Outcome(alarm_id, alarm))
            except NotFoundError as error:
                outcomes.append(Outcome(alarm_id, None, "body.alarm_ids", str(error)))
            except InvalidFieldError as error:
                outcomes.append(Outcome(alarm_id, None, error.field, error.message))
        return outcomes
