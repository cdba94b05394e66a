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
from cloud.core.audit import SYSTEM, AuditRow
from cloud.core.tenants import DEFAULT_TENANT
from cloud.fleet.names import name_plant
from cloud.identity.passwords import Passwords
from cloud.production import repository
from cloud.production.service import UNDO_MS
from kit.clock import ManualClock
from tests.access import key_headers, session_headers
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


async def test_a_plant_is_called_by_its_display_name_and_goes_by_its_id(desk: Desk) -> None:
    await desk.post("/settings/plants", {"plant": "north", "name": " 北方 <一厂> "})
    for path in ("/", "/settings", "/plants/north/presses/press-01", PAGE):
        assert "北方 &lt;一厂&gt;" in await desk.get(path), path
    page = await desk.get("/settings")
    assert "<code>north</code>" in page
    assert 'href="/?plant=north"' in page
    assert (await plants(desk))["north"] == "北方 <一厂>"
    await desk.post("/settings/plants", {"plant": "north", "name": ""})
    assert "北方" not in await desk.get("/plants/north/presses/press-01")
    assert (await plants(desk))["north"] == ""
    await desk.post("/settings/plants", {"plant": "north", "name": ""})
    assert [action for action in await desk.audited() if action == "plant_named"] == ["plant_named"] * 2


@pytest.mark.parametrize(("language", "word"), [("en", "printable"), ("zh-CN", "可显示字符")])
async def test_a_display_name_that_cannot_be_shown_or_is_another_plant_s_is_refused(
    desk: Desk, language: str, word: str
) -> None:
    async with desk.cloud.database.transaction() as session:
        await desk.cloud.fleet.node_born(session, "south", "gw-2", epoch="e", metrics={}, now_ms=desk.clock.utc_ms())
    await desk.post("/settings/plants", {"plant": "south", "name": "二厂"})
    for wrong in ("x" * 129, "a\u200bb\n", "二厂", "south"):
        answer = await desk.post("/settings/plants", {"plant": "north", "name": wrong}, 422, language)
        assert word in answer.text
    await desk.post("/settings/plants", {"plant": "elsewhere", "name": "x"}, 404, language)
    assert await plants(desk) == {"north": "", "south": "二厂"}


async def test_who_manages_people_names_plants_by_the_api_and_of_the_own_company_alone(desk: Desk) -> None:
    path = "/api/v1/plants/north/display-name"

    async def put(name: str, headers: dict[str, str]) -> int:
        return (await desk.client.put(path, json={"display_name": name}, headers=headers)).status_code

    others = await session_headers(desk.cloud, "wu", Role.TENANT_ADMIN, tenant_id=(await foreign(desk)))
    engineer = await session_headers(desk.cloud, "an-engineer", Role.ENGINEER)
    assert [await put("N", headers) for headers in (others, engineer, desk.headers)] == [404, 403, 204]
    assert await put("x" * 129, desk.headers) == 422
    assert (await plants(desk))["north"] == "N"
    async with desk.cloud.database.transaction() as session:
        await name_plant(session, DEFAULT_TENANT, "north", "by another program", actor=SYSTEM, now_ms=0)
    await desk.cloud.plant_names.read()
    assert "by another program" in await desk.get("/")


async def plants(desk: Desk) -> dict[str, str]:
    answer = await desk.client.get("/api/v1/plants", headers=desk.headers)
    return {plant["plant_id"]: plant["display_name"] for plant in answer.json()["items"]}


async def foreign(desk: Desk) -> str:
    await key_headers(desk.cloud, tenant_id="other")
    return "other"


async def test_language_and_theme_follow_the_account_into_another_browser(desk: Desk) -> None:
    await desk.post("/settings/look", {"language": "zh-CN", "theme": "dark"})
    elsewhere = await session_headers(desk.cloud, "li", Role.TENANT_ADMIN)
    in_english = {**elsewhere, "Accept-Language": "en", "Accept": "text/html"}

    async def seen(path: str = "/settings", **more: str) -> tuple[str, str]:
        page = (await desk.client.get(path, headers={**in_english, **more})).text
        found = re.search(r'<html lang="([^"]+)".*?data-theme="([^"]+)"', page)
        assert found is not None
        return found.group(1), found.group(2)

    assert await seen() == ("zh-CN", "dark")
    foreign_link = {"Sec-Fetch-Site": "cross-site"}
    assert await seen("/settings?lang=en", **foreign_link) == ("en", "dark"), "asked for, and not kept"
    assert await seen() == ("zh-CN", "dark")
    assert await seen("/settings?lang=en") == ("en", "dark")
    assert await seen() == ("en", "dark")
    desk.headers = {**desk.headers, "Cookie": desk.headers["Cookie"] + "; language=zh-CN; theme=light"}
    assert '<html lang="en"' in await desk.get("/settings", "zh-CN"), "the account goes before the browser's cookie"
    nobody = await desk.client.get("/login", headers={"Cookie": "language=zh-CN; theme=light"})
    assert 'lang="zh-CN"' in nobody.text
    assert 'data-theme="light"' in nobody.text


async def test_the_head_names_the_company_once_it_has_a_name(desk: Desk) -> None:
    assert 'class="company"' not in await desk.get("/settings")
    await desk.post("/settings/company", {"name": "Suzhou Mouldings <A>"})
    for path in ("/", "/settings", "/alarms"):
        head = (await desk.get(path)).partition("<main")[0]
        assert head.count("Suzhou Mouldings &lt;A&gt;</span>") == 1, path


async def test_a_viewer_sees_the_settings_without_their_forms(desk: Desk) -> None:
    await desk.post(f"{PAGE}/cycles", {"place": "north/press-01", "mould": "M-208", "seconds": "18.5"})
    await desk.as_role(Role.VIEWER)
    page, production = await desk.get("/settings"), await desk.get(PAGE)
    assert "/settings/company" not in page
    assert "/settings/plants" not in page
    assert 'href="/people"' not in page.partition("<main")[2]
    assert "M-208" in production
    assert 'method="post"' not in production.partition("<main")[2]
