"""Every scoring run ends, done or failed with its reason, and reads the same evidence packed or not."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import anyio
import pytest
from sqlalchemy import func, select, update

from cloud.core.tenants import DEFAULT_TENANT
from cloud.tiering import packs, repository
from cloud.tiering.packs import Packer
from cloud.tiering.tables import EvidenceRow, RunRow, ScoreRow
from tests.integration.tiering_world import Desk, take_business, tiering_desk

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with tiering_desk(tmp_path) as made:
        await take_business(made, tmp_path / "business", customers=12, months=24)
        yield made


async def state_of(desk: Desk, run_id: str) -> tuple[str, str]:
    row = await desk.get(f"/runs/{run_id}")
    return row["state"], row["why"]


async def test_what_nobody_has_expected_fails_the_run_with_its_reason_and_the_next_one_is_done(desk: Desk) -> None:
    async with desk.cloud.database.transaction() as session:
        await session.execute(update(EvidenceRow).where(EvidenceRow.evidence_id == 7).values(kind="nonsense"))
    asked = await desk.send("POST", "/runs", 202)
    await desk.cloud.tiering_job._runner.do_waiting()
    state, why = await state_of(desk, asked["run_id"])
    assert state == "failed"
    assert why.startswith("KeyError")
    async with desk.cloud.database.transaction() as session:
        await session.execute(update(EvidenceRow).where(EvidenceRow.evidence_id == 7).values(kind="contract"))
        assert await session.scalar(select(func.count()).select_from(ScoreRow)) == 0
    assert (await desk.score())["customers"] > 0


async def test_a_run_that_a_stopped_program_left_behind_fails_at_the_next_start(desk: Desk) -> None:
    asked = await desk.send("POST", "/runs", 202)
    async with desk.cloud.database.transaction() as session:
        await session.execute(update(RunRow).values(state="running", step="computing", percent=40))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(desk.cloud.tiering_job.run)
        with anyio.fail_after(10):
            while (await state_of(desk, asked["run_id"]))[0] == "running":
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert await state_of(desk, asked["run_id"]) == ("failed", "The program ended while it ran.")


async def test_a_due_run_that_failed_is_asked_for_again_a_day_later(desk: Desk) -> None:
    await desk.score()
    await desk.wait_days(30)
    assert await desk.cloud.tiering_job.ask_due()
    async with desk.cloud.database.transaction() as session:
        await session.execute(update(RunRow).where(RunRow.state == "waiting").values(state="failed"))
    assert not await desk.cloud.tiering_job.ask_due()
    await desk.wait_days(1)
    assert await desk.cloud.tiering_job.ask_due()


async def test_packed_evidence_follows_a_merge_and_its_undoing(desk: Desk) -> None:
    rows = (await desk.get("/customers"))["items"]
    kept, gone = (UUID(row["customer_id"]) for row in rows[:2])
    database, packer = desk.cloud.database, Packer(desk.cloud.database)
    assert await packer.pack_new(DEFAULT_TENANT) > 0
    merge = await desk.send("POST", "/merges", 201, kept_id=str(kept), gone_id=str(gone))
    for _ in range(2):
        async with database.reading() as session:
            table = await packs.table_of(session, DEFAULT_TENANT, [kept, gone])
            counts = select(EvidenceRow.customer_id, func.count().label("count")).group_by(EvidenceRow.customer_id)
            told = {row.customer_id: row.count for row in await session.execute(counts)}
        assert (table.customer == 0).sum() == told[kept]
        assert (table.customer == 1).sum() == told.get(gone, 0)
        await desk.send("POST", f"/merges/{merge['merge_id']}/undo", 200) if gone not in told else None
    assert await packer.pack_new(DEFAULT_TENANT) == 0
    async with database.reading() as session:
        last = await repository.last_pack(session, DEFAULT_TENANT)
        assert last is not None
        assert last.rows == await session.scalar(select(func.count()).select_from(EvidenceRow))


async def test_a_row_that_is_changed_is_packed_anew(desk: Desk) -> None:
    database, packer = desk.cloud.database, Packer(desk.cloud.database)
    ids = [UUID(row["customer_id"]) for row in (await desk.get("/customers"))["items"]]
    await packer.pack_new(DEFAULT_TENANT)
    async with database.transaction() as session:
        row = (await session.scalars(select(EvidenceRow).where(EvidenceRow.amount_minor > 0).limit(1))).one()
        row.amount_minor = 0
        await repository.forget_packs(session, DEFAULT_TENANT, row.evidence_id)
    for _ in range(2):
        async with database.reading() as session:
            table = await packs.table_of(session, DEFAULT_TENANT, ids)
            assert table.amount.sum() == await session.scalar(select(func.sum(EvidenceRow.amount_minor)))
        await packer.pack_new(DEFAULT_TENANT)


async def test_a_run_is_done_once_whoever_finds_it_waiting(desk: Desk) -> None:
    asked = await desk.send("POST", "/runs", 202)
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(desk.cloud.tiering_job._runner.do_waiting)
    assert (await desk.get(f"/runs/{asked['run_id']}"))["state"] == "done"
