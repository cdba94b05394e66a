"""Where pages and API have tiering done: reads files beside the loop, opens the transactions, wakes the job."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Literal
from uuid import UUID

from anyio import to_thread

from cloud.core import audit
from cloud.core.audit import Actor
from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.problems import InvalidFieldError, NotFoundError
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.core.tenants import TenantId
from cloud.entitlements.domain import Tier
from cloud.tiering import book, repository, runs
from cloud.tiering.importing import (
    CUSTOMER_COLUMNS,
    CUSTOMER_REQUIRED,
    EVIDENCE_COLUMNS,
    EVIDENCE_REQUIRED,
    Fault,
    check_customers,
    check_evidence,
)
from cloud.tiering.jobs import TieringJob
from cloud.tiering.policy import Policy, PolicyError, to_json
from cloud.tiering.sheets import Row, SheetError, read_sheet
from cloud.tiering.tables import ImportRow, MergeRow, PolicyRow, RunRow, TierOverrideRow
from kit.clock import Clock

What = Literal["customers", "evidence"]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a file holds: rows, how many of them are known already, and what is wrong; `kept` once it was taken."""

    what: What
    rows: int
    known: int
    faults: tuple[Fault, ...]
    kept: ImportRow | None


@dataclass(frozen=True, slots=True)
class TieringDesk:
    """The desk of one cloud."""

    database: Database
    events: EventLog
    clock: Clock
    job: TieringJob

    async def take_file(
        self, tenant_id: TenantId, what: What, content: bytes, file_name: str, actor: Actor, *, keep: bool
    ) -> Looked:
        """Look at a file; take it when `keep` and no row is bad.

        Raises:
            InvalidFieldError: it is no table that can be read, or has too many rows.
        """
        columns, required = (
            (CUSTOMER_COLUMNS, CUSTOMER_REQUIRED) if what == "customers" else (EVIDENCE_COLUMNS, EVIDENCE_REQUIRED)
        )
        try:
            rows = await to_thread.run_sync(read_sheet, content, columns, required)
        except SheetError as error:
            raise InvalidFieldError("body", str(error)) from error
        now_ms, name = self.clock.utc_ms(), file_name[:NAME_CHARACTERS_MAX]
        if what == "customers":
            return await self._customers(tenant_id, rows, name, actor, now_ms, keep=keep)
        return await self._evidence(tenant_id, rows, name, actor, now_ms, keep=keep)

    async def _customers(
        self, tenant_id: TenantId, rows: list[Row], file_name: str, actor: Actor, now_ms: int, *, keep: bool
    ) -> Looked:
        async with self.database.reading() as session:
            tenants = await repository.known_tenants(session, {row["tenant"] for row in rows if row["tenant"]})
            known = await repository.ids_by_code(session, tenant_id)
        checked = await to_thread.run_sync(check_customers, rows, tenants)
        looked = Looked(
            "customers", len(rows), sum(each.code in known for each in checked.good), tuple(checked.faults), None
        )
        if not keep or looked.faults:
            return looked
        async with self.database.transaction() as session:
            kept = await book.add_customers(
                session, tenant_id, checked.good, file_name=file_name, actor=actor, now_ms=now_ms
            )
        return replace(looked, kept=kept)

    async def _evidence(
        self, tenant_id: TenantId, rows: list[Row], file_name: str, actor: Actor, now_ms: int, *, keep: bool
    ) -> Looked:
        """Rows are checked outside of the transaction: a large file must not keep other writers waiting."""
        async with self.database.reading() as session:
            _, policy = await runs.policy_of(session, tenant_id)
            customers = await repository.ids_by_code(session, tenant_id)
        today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
        check = partial(check_evidence, currency=policy.currency, rates=policy.rates)
        checked = await to_thread.run_sync(check, rows, customers, today)
        async with self.database.reading() as session:
            new = await book.not_known(session, tenant_id, checked.good)
        looked = Looked("evidence", len(rows), len(checked.good) - len(new), tuple(checked.faults), None)
        if not keep or looked.faults:
            return looked
        async with self.database.transaction() as session:
            if await repository.ids_by_code(session, tenant_id) != customers:
                raise InvalidFieldError("body", "customers were added or merged meanwhile: take the file again")
            kept = await book.add_evidence(
                session, tenant_id, checked.good, file_name=file_name, actor=actor, now_ms=now_ms
            )
        return replace(looked, kept=kept)

    async def save_policy(self, tenant_id: TenantId, policy: Policy, actor: Actor, *, version: int) -> int:
        """Save the next version of the policy after `version`, which must be the newest; its number.

        Raises:
            PolicyError: it cannot hold, or somebody has saved another meanwhile, or evidence is in another currency.
            WeightsError: its matrix or weights.
            RulesError: its quotas.
        """
        policy.check()
        now_ms = self.clock.utc_ms()
        async with self.database.transaction() as session:
            newest, before = await runs.policy_of(session, tenant_id)
            if newest != version:
                raise PolicyError("version", f"{newest} was saved meanwhile: look at it, then save again")
            if policy.currency != before.currency and await repository.evidence(
                session, tenant_id, before=None, limit=1
            ):
                raise PolicyError("currency", f"evidence is in {before.currency} already")
            row = PolicyRow(
                tenant_id=tenant_id,
                version=newest + 1,
                policy=to_json(policy),
                saved_ms=now_ms,
                saved_by=actor.name[:NAME_CHARACTERS_MAX],
            )
            session.add(row)
            old, new = to_json(before), to_json(policy)
            changed = {name for name in new if new[name] != old[name]}
            audit.record(
                session,
                tenant_id,
                actor,
                "tiering_policy_saved",
                f"tiering_policy:{newest + 1}",
                now_ms=now_ms,
                before={name: old[name] for name in changed},
                after={name: new[name] for name in changed},
            )
        return newest + 1

    async def ask_run(self, tenant_id: TenantId, actor: Actor) -> RunRow:
        """Ask for a scoring run; the job does it at once."""
        async with self.database.transaction() as session:
            row = await runs.ask(session, tenant_id, actor=actor, now_ms=self.clock.utc_ms())
        self.job.wake()
        return row

    async def merge(self, tenant_id: TenantId, kept_id: UUID, gone_id: UUID, actor: Actor) -> MergeRow:
        """See `book.merge`."""
        async with self.database.transaction() as session:
            return await book.merge(session, tenant_id, kept_id, gone_id, actor=actor, now_ms=self.clock.utc_ms())

    async def undo_merge(self, tenant_id: TenantId, merge_id: UUID, actor: Actor) -> MergeRow:
        """See `book.undo_merge`."""
        async with self.database.transaction() as session:
            return await book.undo_merge(session, tenant_id, merge_id, actor=actor, now_ms=self.clock.utc_ms())

    async def set_override(
        self,
        tenant_id: TenantId,
        customer_id: UUID,
        tier: Tier,
        actor: Actor,
        *,
        reason: str,
        owner: str,
        expires_ms: int,
    ) -> TierOverrideRow:
        """See `book.set_override`."""
        async with self.database.transaction() as session:
            return await book.set_override(
                session,
                self.events,
                tenant_id,
                customer_id,
                tier,
                reason=reason,
                owner=owner,
                expires_ms=expires_ms,
                actor=actor,
                now_ms=self.clock.utc_ms(),
            )

    async def end_override(self, tenant_id: TenantId, override_id: UUID, actor: Actor) -> TierOverrideRow:
        """See `book.end_override`.

        Raises:
            NotFoundError: there is no such override.
        """
        async with self.database.transaction() as session:
            row = await repository.override(session, tenant_id, override_id)
            if row is None:
                raise NotFoundError("override", str(override_id))
            await book.end_override(session, self.events, row, actor=actor, now_ms=self.clock.utc_ms())
            return row
