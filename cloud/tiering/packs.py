"""Evidence packed as it comes in, and read whole: what scoring, economics and playbooks look at."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import numpy as np
from anyio import CapacityLimiter, Semaphore, create_task_group, to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.database import Database
from cloud.core.tenants import TenantId
from cloud.tiering import repository
from cloud.tiering.evidence import CODES, EvidenceTable
from cloud.tiering.packing import NO_ROWS, ROWS_MAX, Assembly, Columns, joined, pack, unpack
from cloud.tiering.tables import PackRow

PART_ROWS: Final = 5_000
"""So many rows are read at a time, so that the loop is held up for some tens of milliseconds at most."""
UNPACKERS: Final = 2
"""So many packs are unpacked at a time, while the next one is read."""
Codes: Final[Mapping[str, int]] = {str(kind): code for kind, code in CODES.items()}


class Packer:
    """Packs a company's evidence; one at a time, by the job."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._limiter = CapacityLimiter(1)

    async def pack_new(self, tenant_id: TenantId) -> int:
        """Pack what was entered since; how many rows. A pack a transaction: what is packed stays so."""
        count = 0
        while (rows := await self._pack_some(tenant_id)) > 0:
            count += rows
        return count

    async def _pack_some(self, tenant_id: TenantId) -> int:
        """Fill the last pack, or begin one."""
        async with self._database.reading() as session:
            last = await repository.last_pack(session, tenant_id)
            after = 0 if last is None else last.last_id
            if not await repository.evidence_part(session, tenant_id, after=after, limit=1):
                return 0
            room = ROWS_MAX if last is None or last.rows >= ROWS_MAX else ROWS_MAX - last.rows
            new, last_id = await _columns_after(session, tenant_id, after, rows_max=room)
        if last is not None and last.rows < ROWS_MAX:
            number, before = last.number, await to_thread.run_sync(unpack, last.owners, last.body)
        else:
            number, before = (0 if last is None else last.number + 1), NO_ROWS
        whole = await to_thread.run_sync(joined, before, new, limiter=self._limiter)
        owners, body = await to_thread.run_sync(pack, whole, limiter=self._limiter)
        row = PackRow(tenant_id=tenant_id, number=number, last_id=last_id, rows=len(whole), owners=owners, body=body)
        async with self._database.transaction() as session:
            await session.merge(row)
        return len(new)


async def table_of(session: AsyncSession, tenant_id: TenantId, known: Sequence[UUID]) -> EvidenceTable:
    """All evidence of these customers; what is not packed yet is read row by row."""
    assembly = Assembly(known, await repository.merged(session, tenant_id))
    after, unpackers = 0, Semaphore(UNPACKERS)
    async with create_task_group() as tasks:
        for place, number in enumerate(await repository.pack_numbers(session, tenant_id)):
            after, owners, body = await repository.pack(session, tenant_id, number)
            await unpackers.acquire()
            tasks.start_soon(_unpack, assembly, place, owners, body, unpackers)
    while True:
        new, last_id = await _columns_after(session, tenant_id, after, rows_max=ROWS_MAX)
        if not len(new):
            break
        await to_thread.run_sync(assembly.add_columns, new)
        after = last_id
    return await to_thread.run_sync(assembly.table)


async def table_of_one(session: AsyncSession, tenant_id: TenantId, customer_id: UUID) -> EvidenceTable:
    """All evidence of one customer, row by row."""
    rows = await repository.evidence_columns_of(session, tenant_id, customer_id)
    kinds, days, amounts, quantities = zip(*rows, strict=True) if rows else ((), (), (), ())
    return EvidenceTable(
        [str(customer_id)],
        np.zeros(len(rows)),
        [Codes[kind] for kind in kinds],
        days,
        [amount or 0 for amount in amounts],
        [quantity or 0.0 for quantity in quantities],
    )


async def _unpack(assembly: Assembly, place: int, owners: bytes, body: bytes, unpackers: Semaphore) -> None:
    try:
        await to_thread.run_sync(assembly.add, place, owners, body)
    finally:
        unpackers.release()


async def _columns_after(
    session: AsyncSession, tenant_id: TenantId, after: int, *, rows_max: int
) -> tuple[Columns, int]:
    """At most so many rows entered after one, and the id of the last."""
    gone = await repository.gone_by_merge(session, tenant_id)
    owners: dict[Any, int] = {}
    parts: list[tuple[Any, ...]] = []
    count = 0
    while count < rows_max:
        rows = await repository.evidence_part(session, tenant_id, after=after, limit=min(PART_ROWS, rows_max - count))
        if not rows:
            break
        after, count = rows[-1][0], count + len(rows)
        parts.append(await to_thread.run_sync(_part, rows, gone, owners))
    if not parts:
        return NO_ROWS, after
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Columns([UUID(str(each)) for each in owners], *columns), after


def _part(rows: Sequence[Sequence[Any]], gone: Mapping[str, str], owners: dict[Any, int]) -> tuple[Any, ...]:
    """Rows as columns; one that a merge has moved is its first owner's."""
    _, customers, kinds, days, amounts, quantities, merges = zip(*rows, strict=True)
    whose = [customer if merge is None else gone[merge] for customer, merge in zip(customers, merges, strict=True)]
    return (
        np.array([owners.setdefault(each, len(owners)) for each in whose], np.int32),
        np.array([Codes[kind] for kind in kinds], np.int8),
        np.array(days, np.int32),
        np.array([amount or 0 for amount in amounts], np.float64),
        np.array([quantity or 0.0 for quantity in quantities], np.float64),
    )
