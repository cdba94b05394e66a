"""The catalogue of options and the rules of serving: read, and saved in versions with an audit line and an event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.problems import InvalidFieldError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.serving import options, repository, rules
from cloud.serving.options import OPTIONS_MAX, Option, OptionError
from cloud.serving.rules import ServingRules
from cloud.serving.tables import OptionRow, ServingRulesRow
from kit.clock import Clock

OPTION_SAVED: Final = "serving.option_saved"


async def rules_of(session: AsyncSession, tenant_id: TenantId) -> tuple[int, ServingRules]:
    """The version and the rules that hold; version 0 are the standard ones."""
    row = await repository.rules(session, tenant_id)
    return (0, ServingRules()) if row is None else (row.version, rules.from_json(row.rules))


async def options_of(session: AsyncSession, tenant_id: TenantId) -> dict[str, tuple[int, Option]]:
    """Every option with the number of its newest version, by code."""
    return {row.code: (row.version, option_of(row)) for row in await repository.options(session, tenant_id)}


async def as_sold(session: AsyncSession, tenant_id: TenantId, sold: Sequence[tuple[str, int]]) -> Mapping[Any, Option]:
    """The versions of options that were sold, by code and version."""
    found = {}
    for code, version in set(sold):
        row = await repository.option(session, tenant_id, code, version)
        assert row is not None, "versions are never deleted"
        found[code, version] = option_of(row)
    return found


def option_of(row: OptionRow) -> Option:
    """The value of a row."""
    return options.from_json(row.code, row.option)


@dataclass(frozen=True, slots=True)
class CatalogueDesk:
    """Where pages and API have options and rules saved."""

    database: Database
    events: EventLog
    clock: Clock

    async def save(self, tenant_id: TenantId, option: Option, actor: Actor, *, version: int) -> int:
        """Save the next version of an option after `version`, 0 for a new one; its number.

        What was sold by an earlier version keeps its price.

        Raises:
            InvalidFieldError: it cannot be, somebody has saved another meanwhile, or there are OPTIONS_MAX.
        """
        with_fields(option.check)
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            known = await options_of(session, tenant_id)
            newest, before = known.get(option.code, (0, None))
            if newest != version:
                raise InvalidFieldError("body.version", f"{newest} is the newest: look at it, then save again")
            if before is None and len(known) >= OPTIONS_MAX:
                raise InvalidFieldError("body.code", f"{OPTIONS_MAX} options are the most of a catalogue")
            row = OptionRow(
                tenant_id=tenant_id,
                code=option.code,
                version=version + 1,
                option=options.to_json(option),
                saved_ms=now_ms,
                saved_by=actor.name[:NAME_CHARACTERS_MAX],
            )
            session.add(row)
            target = f"option:{option.code}:{row.version}"
            told = {"before": options.to_json(before) if before is not None else {}, "after": row.option}
            audit.record(session, tenant_id, actor, "option_saved", target, now_ms=now_ms, **told)
            payload = {"code": option.code, "version": row.version, "price_minor": option.price_minor}
            self.events.record(session, tenant_id, OPTION_SAVED, payload, now_ms)
            return row.version

    async def save_rules(self, tenant_id: TenantId, held: ServingRules, actor: Actor, *, version: int) -> int:
        """Save the next version of the rules after `version`; its number.

        Raises:
            InvalidFieldError: they cannot hold, or somebody has saved others meanwhile.
        """
        with_fields(held.check)
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            newest, before = await rules_of(session, tenant_id)
            if newest != version:
                raise InvalidFieldError("body.version", f"{newest} was saved meanwhile: look at it, then save again")
            row = ServingRulesRow(
                tenant_id=tenant_id,
                version=version + 1,
                rules=rules.to_json(held),
                saved_ms=now_ms,
                saved_by=actor.name[:NAME_CHARACTERS_MAX],
            )
            session.add(row)
            told = {"before": rules.to_json(before), "after": row.rules}
            target = f"serving_rules:{row.version}"
            audit.record(session, tenant_id, actor, "serving_rules_saved", target, now_ms=now_ms, **told)
            return row.version


def with_fields(check: Any) -> None:
    """Run a check; what cannot be is a refusal that names the field of the body.

    Raises:
        InvalidFieldError: the check refuses.
    """
    try:
        check()
    except OptionError as error:
        raise InvalidFieldError(f"body.{error.field}", error.why) from error
