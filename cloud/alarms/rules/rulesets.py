"""The rules of a tenant made ready for evaluation, kept until one of them is saved anew."""

from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms.domain import AlarmDefaults
from cloud.alarms.rules import repository
from cloud.alarms.rules.definition import Kind
from cloud.alarms.rules.evaluation import OF_SHOTS, Compiled, compiled
from cloud.alarms.rules.standard import DELIVERED, delivered
from cloud.alarms.rules.stored import Unreadable, read
from cloud.core.tenants import TenantId

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All enabled rules of a tenant."""

    rules: tuple[Compiled, ...]
    unreadable: frozenset[tuple[str, int]] = frozenset()
    """Rules with their versions that cannot be read: they are passed over, and `UnreadableWatch` tells of them."""
    _of_presses: dict[tuple[str, str], tuple[Compiled, ...]] = field(default_factory=dict)

    def of_press(self, plant_id: str, press_id: str) -> tuple[Compiled, ...]:
        """The rules of shots that hold for a press, whatever its mould."""
        key = plant_id, press_id
        if key not in self._of_presses:
            self._of_presses[key] = tuple(
                each
                for each in self.rules
                if each.rule.condition.kind in OF_SHOTS and each.rule.scope.has_place(plant_id, press_id)
            )
        return self._of_presses[key]

    def of_kind(self, kind: Kind) -> tuple[Compiled, ...]:
        """The rules of one kind."""
        return tuple(each for each in self.rules if each.rule.condition.kind == kind)


class RuleSets:
    """Compiled once for each state of a tenant's rules; a look costs one small query."""

    def __init__(self, defaults: AlarmDefaults) -> None:
        self._defaults = defaults
        self._known: dict[TenantId, tuple[tuple[int, int], RuleSet]] = {}

    async def of(self, session: AsyncSession, tenant_id: TenantId) -> RuleSet:
        """The rules as this transaction sees them."""
        revision = await repository.revision(session, tenant_id)
        known = self._known.get(tenant_id)
        if known is None or known[0] != revision:
            known = self._known[tenant_id] = revision, await self._load(session, tenant_id)
        return known[1]

    async def _load(self, session: AsyncSession, tenant_id: TenantId) -> RuleSet:
        found = {rule_id: (DELIVERED, rule) for rule_id, rule in delivered(self._defaults).items()}
        unreadable: set[tuple[str, int]] = set()
        for row in await repository.rules(session, tenant_id):
            found.pop(row.rule_id, None)
            rule = read(row.definition)
            if isinstance(rule, Unreadable):  # the other rules must go on
                unreadable.add((row.rule_id, row.version))
                log.error("alarm_rule_unreadable", tenant_id=tenant_id, rule_id=row.rule_id, reason=rule.reason)
            else:
                found[row.rule_id] = row.version, rule
        return RuleSet(
            tuple(
                compiled(rule_id, version, rule, self._defaults)
                for rule_id, (version, rule) in found.items()
                if rule.is_enabled
            ),
            frozenset(unreadable),
        )
