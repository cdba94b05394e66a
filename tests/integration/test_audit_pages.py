"""The audit log as a page, as JSON and as CSV: for its readers, in their tenant, never as a formula or markup."""

import csv
import io
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from cloud import audit_api
from cloud.core import problems
from cloud.core.access import RIGHTS, SCOPE_KEY, ForbiddenError, NotAuthenticatedError, Principal, Role
from cloud.core.audit import Actor, record
from cloud.core.audit_verifier import AuditVerifier
from cloud.core.csv_text import FORMULA_STARTS
from cloud.core.database import Database, sqlite_url
from cloud.migrations.upgrade import upgrade
from cloud.web import audit_page
from cloud.web.shell import Shell
from kit.clock import ManualClock

pytestmark = pytest.mark.anyio
NOW_MS = 1_767_225_600_000  # 2026-01-01
DAY_MS = 24 * 3600 * 1000
ANNA = Actor("user", "u1", "Anna", "10.0.0.9")


class Served:
    """The routes of the audit log over a real database, asked as anybody."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(sqlite_url(folder / "cloud.sqlite"))
        self.verifier = AuditVerifier(self.database, ManualClock(NOW_MS))
        self.app = FastAPI()
        problems.install(self.app)
        self.app.include_router(audit_api.router(self.database, self.verifier), prefix="/api/v1")
        audit_page.include(self.app, Shell(ManualClock(NOW_MS)), self.database, self.verifier)

    def as_(self, role: Role | None, *, tenant: str = "t") -> AbstractAsyncContextManager[httpx.AsyncClient]:
        async def signed_in(scope: Scope, receive: Receive, send: Send) -> None:
            if role is not None:
                scope[SCOPE_KEY] = Principal("user", "u1", "Anna", tenant, RIGHTS[role])
            await self.app(scope, receive, send)

        transport = httpx.ASGITransport(signed_in, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://cloud", headers={"Accept-Language": "en"})


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = Served(tmp_path)
    await upgrade(served.database)
    async with served.database.transaction() as session:
        for n in range(130):
            tenant = "other" if n % 13 == 0 else "t"
            after: dict[str, Any] = {"role": "operator", "note": "<img src=x>"} if n == 1 else {"n": n}
            at_ms = NOW_MS + n * DAY_MS
            record(session, tenant, ANNA, "user_changed", f"user:{n}", now_ms=at_ms, before={"n": -1}, after=after)
        record(session, "t", Actor("nobody", name="=cmd()"), "login_failed", "@evil", now_ms=NOW_MS)
    yield served
    await served.database.close()


async def test_the_api_pages_through_a_tenant_s_lines_without_loss_or_repeat(served: Served) -> None:
    async with served.as_(Role.PLANT_MANAGER) as client:
        found, cursor = [], None
        while True:
            page = (
                await client.get("/api/v1/audit", params={"limit": 50, **({"cursor": cursor} if cursor else {})})
            ).json()
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert [line["audit_id"] for line in found] == [131, *(n + 1 for n in range(129, 0, -1) if n % 13)]
        assert found[-1]["after"] == {"note": "<img src=x>", "role": "operator"}
        one = await client.get("/api/v1/audit", params={"target": "user:12", "to_ms": NOW_MS + 20 * DAY_MS})
        assert [line["target"] for line in one.json()["items"]] == ["user:12"]
        assert (await client.get("/api/v1/audit?cursor=nonsense")).status_code == 422
        assert (await client.get("/api/v1/audit?from_ms=-1")).status_code == 422


async def test_the_csv_has_the_same_lines_and_no_cell_that_a_spreadsheet_would_run(served: Served) -> None:
    async with served.as_(Role.TENANT_ADMIN) as client:
        answer = await client.get("/api/v1/audit/export.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 120 + 1
    assert (rows[0]["actor_name"], rows[0]["target"]) == ("'=cmd()", "'@evil")
    assert not [cell for row in rows for cell in row.values() if cell.startswith(FORMULA_STARTS)]


async def test_the_page_shows_lines_and_changes_as_text_and_turns_to_older_ones(served: Served) -> None:
    await served.verifier.verify()
    async with served.as_(Role.PLANT_MANAGER) as client:
        page = await client.get("/audit")
        assert page.status_code == 200
        assert "Chain verified up to line 131" in page.text
        assert page.text.count('data-label="Line"') == audit_page.LINES_SHOWN
        assert "/audit?before=" in page.text
        last = await client.get("/audit?target=user:1&until=2026-01-02")
        assert "&lt;img src=x&gt;" in last.text
        assert "<img" not in last.text
        assert "/api/v1/audit/export.csv?target=user%3A1&amp;to_ms=" in last.text
        assert "No line passes this filter." in (await client.get("/audit?action=nothing")).text
        for odd in ("since=9999-12-31", "since=0001-01-01", "until=never", "actor=%00"):
            assert (await client.get(f"/audit?{odd}")).status_code == 200, odd


async def test_a_broken_chain_is_said_on_the_page_and_in_the_api(served: Served) -> None:
    async with served.database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("DROP TRIGGER audit_refuses_update")
        await connection.exec_driver_sql("UPDATE audit SET actor_name = 'Bob' WHERE audit_id = 100")
    await served.verifier.verify()
    async with served.as_(Role.TENANT_ADMIN) as client:
        assert "The chain is broken at line 100" in (await client.get("/audit")).text
        chain = (await client.get("/api/v1/audit/chain")).json()
    assert (chain["broken_audit_id"], chain["verified_audit_id"], chain["checked_ms"]) == (100, 99, NOW_MS)


@pytest.mark.parametrize("path", ["/audit", "/api/v1/audit", "/api/v1/audit/export.csv", "/api/v1/audit/chain"])
async def test_only_who_may_read_the_log_reads_it_and_only_the_own_tenant_s(served: Served, path: str) -> None:
    served.app.add_exception_handler(NotAuthenticatedError, lambda _request, error: problems.answer(401, str(error)))
    served.app.add_exception_handler(ForbiddenError, lambda _request, error: problems.answer(403, str(error)))
    for role, status in ((None, 401), (Role.VIEWER, 403), (Role.ENGINEER, 403), (Role.ANALYST, 403)):
        async with served.as_(role) as client:
            assert (await client.get(path)).status_code == status
    async with served.as_(Role.TENANT_ADMIN, tenant="stranger") as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    assert "user:" not in answer.text
