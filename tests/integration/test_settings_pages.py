"""The pages of settings in both languages: looks, the company's name, planned downtimes and expected cycle times."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from cloud.app import Cloud, create_app
from cloud.core.access import Role
from cloud.core.audit import AuditRow
from cloud.core.tenants import DEFAULT_TENANT
from cloud.identity.passwords import Passwords
from cloud.production import repository
from cloud.production.service import UNDO_MS
from kit.clock import ManualClock
from tests.access import session_headers
from tests.integration.test_cloud_api import settings

pytestmark = pytest.mark.anyio
PAGE = "/settings/production"
WINDOW = {"start": "2026-03-01T08:00", "end": "2026-03-01T12:00", "reason": "spring holiday"}


@dataclass
class Desk:
    cloud: Cloud
    client: httpx.AsyncClient
    clock: ManualClock
    headers: dict[str, str]

    async def get(self, path: str, language: str = "en") -> str:
        answer = await self.client.get(path, headers={**self.headers, "Accept-Language": language})
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.text

    async def post(self, path: str, form: dict[str, str], status: int = 303, language: str = "en") -> httpx.Response:
        headers = {**self.headers, "Accept-Language": language, "Accept": "text/html"}
        answer = await self.client.post(path, data=form, headers=headers)
        assert answer.status_code == status, (path, answer.status_code)
        kept = "".join(f"; {name}={value}" for name, value in answer.cookies.items())
        self.headers = {**self.headers, "Cookie": self.headers["Cookie"] + kept}
        return answer

    async def audited(self) -> list[str]:
        async with self.cloud.database.reading() as session:
            return list(await session.scalars(select(AuditRow.action).order_by(AuditRow.audit_id)))

    async def as_role(self, role: Role) -> None:
        self.headers = await session_headers(self.cloud, f"of-{role}", role)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    clock = ManualClock()
    app = create_app(settings(tmp_path), clock, environ={}, hasher=Passwords(memory_kib=64, passes=1))
    async with app.router.lifespan_context(app):
        cloud: Cloud = app.state.cloud
        async with cloud.database.transaction() as session:
            now_ms = clock.utc_ms()
            await cloud.fleet.node_born(session, "north", "gw-1", epoch="e", metrics={}, now_ms=now_ms)
            await cloud.fleet.device_born(session, "north", "gw-1", "press-01", now_ms=now_ms)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
            yield Desk(cloud, client, clock, await session_headers(cloud, "li", Role.TENANT_ADMIN))


async def test_a_downtime_is_planned_moved_ended_taken_back_and_brought_back(desk: Desk) -> None:
    await desk.post(f"{PAGE}/downtimes", {"place": "north/press-01", **WINDOW})
    page = await desk.get(PAGE)
    assert "spring holiday" in page
    assert 'value="2026-03-01T08:00"' in page
    found = re.search(rf"{PAGE}/downtimes/([0-9a-f-]+)/change", page)
    assert found is not None
    path = f"{PAGE}/downtimes/{found.group(1)}"
    await desk.post(f"{path}/change", {**WINDOW, "end": "2026-03-02T12:00", "reason": "longer"})
    assert 'value="2026-03-02T12:00"' in await desk.get(PAGE)
    assert f"{path}/end" not in await desk.get(PAGE), "only one that has begun can be ended"
    await desk.post(f"{path}/take-back", {})
    for language, word in (("en", "Taken back:"), ("zh-CN", "已取消：")):
        page = await desk.get(PAGE, language)
        assert word in page
        assert f"{path}/change" not in page
    await desk.post(f"{path}/restore", {})
    assert f"{path}/change" in await desk.get(PAGE)
    await desk.post(f"{path}/take-back", {})
    desk.clock.advance(UNDO_MS / 1000 + 1)
    await desk.post(f"{path}/restore", {}, status=404)
    assert "Taken back:" not in await desk.get(PAGE)
    done = [action for action in await desk.audited() if action.startswith("downtime")]
    back = ["downtime_dropped", "downtime_restored", "downtime_dropped"]
    assert done == ["downtime_planned", "downtime_changed", *back]


async def test_a_running_downtime_is_ended_now_and_no_longer_counts(desk: Desk) -> None:
    now_ms = desk.clock.utc_ms()
    body = {"plant_id": "north", "start_ms": now_ms - 3_600_000, "end_ms": now_ms + 3_600_000}
    headers = {**desk.headers}
    made = await desk.client.post("/api/v1/planned-downtimes", json=body, headers=headers)
    path = f"{PAGE}/downtimes/{made.json()['downtime_id']}"
    assert f"{path}/end" in await desk.get(PAGE)
    await desk.post(f"{path}/end", {})
    async with desk.cloud.database.reading() as session:
        touching = await repository.downtimes(session, DEFAULT_TENANT, now_ms, now_ms + 1, limit=9)
    assert touching == []


async def test_an_expected_cycle_time_is_set_and_the_change_is_undone(desk: Desk) -> None:
    press = {"place": "north/press-01", "mould": "M-208"}
    await desk.post(f"{PAGE}/cycles", {**press, "seconds": "18,5"})
    await desk.post(f"{PAGE}/cycles", {**press, "seconds": "19"})
    page = await desk.get(PAGE)
    assert 'value="19.0"' in page
    assert "18.5" in page, "what was set before"
    await desk.post(f"{PAGE}/cycles/undo", press)
    assert 'value="18.5"' in await desk.get(PAGE)
    await desk.post(f"{PAGE}/cycles/undo", press, status=404)
    await desk.post(f"{PAGE}/cycles", {**press, "seconds": ""})
    assert 'value="18.5"' not in await desk.get(f"{PAGE}?q=m-208")
    assert "M-208" not in (await desk.get(f"{PAGE}?q=other")).partition("cycles-title")[2].partition("<details")[0]


@pytest.mark.parametrize(
    ("language", "words"), [("en", ("after the start", "seconds above 0")), ("zh-CN", ("结束必须", "大于 0"))]
)
async def test_what_cannot_be_is_told_by_its_field(desk: Desk, language: str, words: tuple[str, str]) -> None:
    turned = {"place": "north/press-01", "start": WINDOW["end"], "end": WINDOW["start"]}
    assert words[0] in (await desk.post(f"{PAGE}/downtimes", turned, 422, language)).text
    wrong = {"place": "north/press-01", "mould": "M", "seconds": "nan"}
    assert words[1] in (await desk.post(f"{PAGE}/cycles", wrong, 422, language)).text
    await desk.post(f"{PAGE}/downtimes", {"place": "south/press-01", **WINDOW}, 404, language)
    name = (await desk.post("/settings/company", {"name": " "}, 422, language)).text
    assert 'role="alert"' in name


async def test_looks_are_kept_and_the_company_gets_its_name(desk: Desk) -> None:
    answer = await desk.post("/settings/look", {"language": "zh-CN", "theme": "dark"})
    assert answer.headers["location"] == "/settings"
    page = await desk.get("/settings")
    assert '<html lang="zh-CN"' in page
    assert 'data-theme="dark"' in page
    await desk.post("/settings/look", {"language": "en", "theme": "pink"})
    assert 'data-theme="dark"' in await desk.get("/settings"), "what is no look changes nothing"
    await desk.post("/settings/company", {"name": "Suzhou Mouldings <A>"})
    assert 'value="Suzhou Mouldings &lt;A&gt;"' in await desk.get("/settings")
    assert "company_renamed" in await desk.audited()
    page = (await desk.get("/settings")).partition("<main")[2]
    assert all(f'href="{path}"' in page for path in ("/people", "/keys", "/audit", PAGE, "/webhooks"))


async def test_a_viewer_sees_the_settings_without_their_forms(desk: Desk) -> None:
    await desk.post(f"{PAGE}/cycles", {"place": "north/press-01", "mould": "M-208", "seconds": "18.5"})
    await desk.as_role(Role.VIEWER)
    page, production = await desk.get("/settings"), await desk.get(PAGE)
    assert "/settings/company" not in page
    assert 'href="/people"' not in page.partition("<main")[2]
    assert "M-208" in production
    assert 'method="post"' not in production.partition("<main")[2]
