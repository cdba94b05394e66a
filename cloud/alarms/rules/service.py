"""Rules are written, changed, taken back and deleted here, in the caller's transaction; every save is a version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.domain import AlarmDefaults
from cloud.alarms.record import point_of
from cloud.alarms.rules import repository
from cloud.alarms.rules.definition import Kind, Rule
from cloud.alarms.rules.standard import DELIVERED, STANDARD, delivered
from cloud.alarms.rules.stored import RULE_UNREADABLE, Unreadable, read
from cloud.alarms.rules.tables import RuleRow, RuleVersionRow
from cloud.alarms.service import AlarmService
from cloud.alarms.tables import AlarmRow, TrackerRow, TroubleTrackerRow
from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.paging import Slice, slice_of
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.fleet.reading import plant_ids
from kit.errors import ZhisanError
from kit.ids import uuid7

RULES_MAX = 200
"""Of a tenant, beside the standard ones."""
DISABLED, DELETED, NARROWED = "rule_disabled", "rule_deleted", "rule_narrowed"
"""Why the alarms of a rule clear when it looks at their place or cause no more."""
READABLE = "rule_readable"
"""Why the alarm about a rule clears that could not be read: somebody has saved it anew."""
WEEK_MS = 7 * 24 * 60 * 60 * 1000
What = Literal["created", "changed", "reverted", "deleted", "delivered"]


class StaleVersionError(ZhisanError):
    """Somebody has saved the rule since it was read: 409."""

    def __init__(self, rule_id: str, told: int, is_now: int) -> None:
        super().__init__(f"Rule {rule_id} is at version {is_now}, not {told}: read it again, then save.")
        self.is_now = is_now


class RuleRefusedError(ZhisanError):
    """What was asked does not fit how things stand: 409."""


@dataclass(frozen=True, slots=True)
class SavedRule:
    """A rule as it is now; version 0 is a standard rule as delivered, which nobody has changed."""

    rule_id: str
    version: int
    rule: Rule
    changed_ms: int | None
    changed_by: str
    fired: int
    """Alarms that it has raised in the last seven days."""

    @property
    def is_standard(self) -> bool:
        """Whether it came with the product: it can be changed and disabled, not deleted."""
        return self.rule_id.startswith(STANDARD)

    @property
    def name(self) -> str:
        """As people named it."""
        return self.rule.name

    @property
    def kind(self) -> Kind:
        """What its condition looks at."""
        return self.rule.condition.kind


@dataclass(frozen=True, slots=True)
class UnreadableRule:
    """A saved rule whose words this version does not know: nothing is watched by it until it is saved anew."""

    rule_id: str
    version: int
    stored: Unreadable
    kind: Kind | None
    changed_ms: int | None
    changed_by: str
    fired: int

    @property
    def is_standard(self) -> bool:
        """Whether it came with the product: it can be taken back to how it was delivered, not deleted."""
        return self.rule_id.startswith(STANDARD)

    @property
    def name(self) -> str:
        """As people named it, else its id."""
        return self.stored.name or self.rule_id


AnyRule = SavedRule | UnreadableRule


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """One version of a rule, with who saved it and why."""

    version: int
    rule: Rule | Unreadable
    what: str
    at_ms: int | None
    actor_kind: str
    actor_name: str
    why: str


class RuleService:
    """All that is done to rules."""

    def __init__(self, alarms: AlarmService) -> None:
        self._alarms = alarms

    @property
    def defaults(self) -> AlarmDefaults:
        """What the standard rules are made of."""
        return self._alarms.defaults

    async def rules(self, session: AsyncSession, tenant_id: TenantId, now_ms: int) -> list[AnyRule]:
        """All rules of a tenant, the standard ones first; at most RULES_MAX beside them."""
        fired = await repository.raised_since(session, tenant_id, now_ms - WEEK_MS)
        found: dict[str, AnyRule] = {
            rule_id: SavedRule(rule_id, DELIVERED, rule, None, "", fired.get(rule_id, 0))
            for rule_id, rule in delivered(self.defaults).items()
        }
        for row in await repository.rules(session, tenant_id):
            found[row.rule_id] = self._known(row, fired.get(row.rule_id, 0))
        return list(found.values())

    async def rule(self, session: AsyncSession, tenant_id: TenantId, rule_id: str, now_ms: int) -> AnyRule:
        """One rule.

        Raises:
            NotFoundError: the tenant has none such, or it was deleted.
        """
        for saved in await self.rules(session, tenant_id, now_ms):
            if saved.rule_id == rule_id:
                return saved
        raise NotFoundError("rule", rule_id)

    async def versions(
        self, session: AsyncSession, tenant_id: TenantId, rule_id: str, *, before: int | None, limit: int
    ) -> Slice[RuleVersion]:
        """All that a rule was, newest first; of a deleted rule too.

        Raises:
            NotFoundError: the tenant never had such a rule.
        """
        rows = await repository.versions(session, tenant_id, rule_id, before=before, limit=limit + 1)
        found = [_version(row) for row in rows]
        standard = delivered(self.defaults).get(rule_id)
        if standard is not None and len(found) <= limit and (before is None or before > DELIVERED):
            found.append(_as_delivered(standard))
        if not found and standard is None and await repository.rule(session, tenant_id, rule_id) is None:
            raise NotFoundError("rule", rule_id)
        return slice_of(found, limit)

    async def create(
        self, session: AsyncSession, tenant_id: TenantId, rule: Rule, *, why: str, actor: Actor, now_ms: int
    ) -> SavedRule:
        """A new rule at version 1.

        Raises:
            RuleRefusedError: there are RULES_MAX already.
        """
        if len(await repository.rules(session, tenant_id)) >= RULES_MAX:
            raise RuleRefusedError(f"There are {RULES_MAX} rules already: delete one first.")
        row = RuleRow(tenant_id=tenant_id, rule_id=str(uuid7(now_ms)), version=0, deleted_ms=None)
        session.add(row)
        return self._save(session, row, rule, "created", None, why, actor, now_ms)

    async def change(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        rule_id: str,
        rule: Rule,
        *,
        version: int,
        why: str,
        actor: Actor,
        now_ms: int,
        what: What = "changed",
    ) -> SavedRule:
        """The next version of a rule; alarms that it would not raise any more for their place or cause clear.

        Raises:
            NotFoundError: the tenant has none such.
            StaleVersionError: `version` is not the one that is saved.
            InvalidFieldError: it would be of another kind.
        """
        row = await self._current(session, tenant_id, rule_id, version)
        kind = self._kind(row)
        if kind is not None and rule.condition.kind != kind:
            raise InvalidFieldError("body.rule.condition.kind", f"stays {kind!r}: write a new rule")
        saved = self._save(session, row, rule, what, row.definition, why, actor, now_ms)
        reason = DISABLED if not rule.is_enabled else NARROWED
        await self._let_go(session, tenant_id, rule_id, rule if rule.is_enabled else None, reason, now_ms)
        return saved

    async def revert(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        rule_id: str,
        *,
        to: int,
        version: int,
        why: str,
        actor: Actor,
        now_ms: int,
    ) -> SavedRule:
        """An old version saved anew; version 0 of a standard rule is the rule as delivered.

        Raises:
            NotFoundError: there is no such rule or version.
            StaleVersionError: `version` is not the one that is saved.
            RuleRefusedError: the old version cannot be read any more.
        """
        old = await repository.version(session, tenant_id, rule_id, to)
        standard = delivered(self.defaults).get(rule_id) if to == DELIVERED else None
        if old is None and standard is None:
            raise NotFoundError("version of the rule", str(to))
        rule = standard if old is None else read(old.definition)
        assert rule is not None
        if isinstance(rule, Unreadable):
            raise RuleRefusedError(f"Version {to} cannot be read any more: {rule.reason}")
        return await self.change(
            session, tenant_id, rule_id, rule, version=version, why=why, actor=actor, now_ms=now_ms, what="reverted"
        )

    async def delete(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        rule_id: str,
        *,
        version: int,
        why: str,
        actor: Actor,
        now_ms: int,
    ) -> None:
        """The rule raises nothing more, and its alarms clear; its versions stay readable.

        Raises:
            NotFoundError: the tenant has none such.
            StaleVersionError: `version` is not the one that is saved.
            RuleRefusedError: it is a standard rule.
        """
        row = await self._current(session, tenant_id, rule_id, version)
        if rule_id.startswith(STANDARD):
            raise RuleRefusedError("A standard rule is not deleted: disable it.")
        row.deleted_ms = now_ms
        self._write(session, row, row.definition, "deleted", row.definition, why, actor, now_ms)
        await self._let_go(session, tenant_id, rule_id, None, DELETED, now_ms)

    async def _current(self, session: AsyncSession, tenant_id: TenantId, rule_id: str, version: int) -> RuleRow:
        row = await repository.rule(session, tenant_id, rule_id)
        standard = delivered(self.defaults).get(rule_id)
        if row is None and standard is not None:
            row = RuleRow(tenant_id=tenant_id, rule_id=rule_id, version=DELIVERED, deleted_ms=None)
            row.definition = standard.model_dump(mode="json")
            session.add(row)
        if row is None or row.deleted_ms is not None:
            raise NotFoundError("rule", rule_id)
        if row.version != version:
            raise StaleVersionError(rule_id, version, row.version)
        return row

    def _kind(self, row: RuleRow) -> Kind | None:
        """The kind that a rule keeps; None where this version has none such any more."""
        standard = delivered(self.defaults).get(row.rule_id)
        if standard is not None:
            return standard.condition.kind
        found = read(row.definition)
        return found.kind if isinstance(found, Unreadable) else found.condition.kind

    def _known(self, row: RuleRow, fired: int) -> AnyRule:
        found = read(row.definition)
        if isinstance(found, Rule):
            return SavedRule(row.rule_id, row.version, found, row.changed_ms, row.changed_by, fired)
        return UnreadableRule(row.rule_id, row.version, found, self._kind(row), row.changed_ms, row.changed_by, fired)

    def _save(
        self,
        session: AsyncSession,
        row: RuleRow,
        rule: Rule,
        what: What,
        before: Mapping[str, Any] | None,
        why: str,
        actor: Actor,
        now_ms: int,
    ) -> SavedRule:
        self._write(session, row, rule.model_dump(mode="json"), what, before, why, actor, now_ms)
        return SavedRule(row.rule_id, row.version, rule, row.changed_ms, row.changed_by, 0)

    def _write(
        self,
        session: AsyncSession,
        row: RuleRow,
        definition: Mapping[str, Any],
        what: What,
        before: Mapping[str, Any] | None,
        why: str,
        actor: Actor,
        now_ms: int,
    ) -> None:
        row.version, row.definition = row.version + 1, dict(definition)
        row.changed_ms, row.changed_by = now_ms, actor.name[:NAME_CHARACTERS_MAX]
        session.add(
            RuleVersionRow(
                tenant_id=row.tenant_id,
                rule_id=row.rule_id,
                version=row.version,
                definition=row.definition,
                what=what,
                at_ms=now_ms,
                actor_kind=actor.kind,
                actor_id=actor.id,
                actor_name=row.changed_by,
                why=why,
            )
        )
        audit.record(
            session,
            row.tenant_id,
            actor,
            f"alarm_rule_{what}",
            f"alarm_rule:{row.rule_id}",
            now_ms=now_ms,
            before=None if before is None else {"version": row.version - 1, **_differing(before, definition)},
            after={"version": row.version, "why": why, **_differing(definition, before or {})},
        )

    async def _let_go(
        self, session: AsyncSession, tenant_id: TenantId, rule_id: str, rule: Rule | None, reason: str, now_ms: int
    ) -> None:
        """Clear what `rule` (None: nobody) watches no more, and forget what was seen there."""
        for row in await repository.active_alarms(session, tenant_id, rule_id):
            if row.kind == RULE_UNREADABLE and reason != DELETED:
                await self._alarms.clear_at(session, point_of(row), now_ms, why=READABLE)
            elif rule is None or not _watches(rule, row):
                await self._alarms.clear_at(session, point_of(row), now_ms, why=reason)
        plants = await plant_ids(session, tenant_id)
        for tracker in await repository.trackers_of(session, rule_id, sorted(plants)):
            if rule is None or not _watches(rule, tracker):
                await session.delete(tracker)


def _watches(rule: Rule, row: AlarmRow | TrackerRow | TroubleTrackerRow) -> bool:
    press_id = "" if isinstance(row, TroubleTrackerRow) else row.press_id
    subjects = rule.condition.kind == "stale_data" or rule.has_subject(row.mode)
    return subjects and rule.scope.has_place(row.plant_id, press_id)


def _differing(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in which `mine` is not as the other."""
    return {name: value for name, value in mine.items() if name not in theirs or theirs[name] != value}


def _version(row: RuleVersionRow) -> RuleVersion:
    found = read(row.definition)
    return RuleVersion(row.version, found, row.what, row.at_ms, row.actor_kind, row.actor_name, row.why)


def _as_delivered(rule: Rule) -> RuleVersion:
    return RuleVersion(DELIVERED, rule, "delivered", None, "system", "", "")


def kinds_of(rules: Sequence[AnyRule]) -> dict[str, list[SavedRule]]:
    """The rules that can be read, by kind."""
    found: dict[str, list[SavedRule]] = {}
    for saved in rules:
        if isinstance(saved, SavedRule):
            found.setdefault(saved.kind, []).append(saved)
    return found
