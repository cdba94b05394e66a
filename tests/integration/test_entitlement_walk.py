"""The entitlement walk: everything that a tier has or has not is tried from each tier through the whole application.

What is tried comes from the code: an entitlement that nobody tries here fails the walk.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from cloud.app import Cloud, create_app
from cloud.core.access import RIGHTS, Right, Role
from cloud.core.audit import SYSTEM, AuditRow
from cloud.core.tables import EventRow
from cloud.core.tenants import TenantId
from cloud.entitlements import gates
from cloud.entitlements.domain import DAY_MS, DEPTHS, GRACE_MS, NAMES, Entitlements, ReportDepth, Tier
from cloud.entitlements.service import assign_tier
from cloud.entitlements.standard import STANDARD
from cloud.identity.passwords import Passwords
from cloud.identity.tables import TenantRow
from cloud.settings import GatewaySettings, ModelSettings
from cloud.telemetry.store import GatewayKey, IncomingShot
from kit.clock import ManualClock
from tests.access import key_headers
from tests.integration.test_cloud_api import scored, settings
from tests.rollout_bundles import bundle_file

pytestmark = pytest.mark.anyio
PAGE = {"Accept": "text/html"}
SMALL: dict[Tier, Entitlements] = {
    tier: replace(
        STANDARD.tiers[tier],
        presses_max=presses,
        api_requests_per_min=rate,
        webhook_endpoints_max=endpoints,
        people_max=people,
    )
    for tier, presses, rate, endpoints, people in (
        (Tier.STRATEGIC, None, None, 4, None),
        (Tier.VALUE, 3, 90, 3, 3),
        (Tier.LONG_TAIL, 1, 60, 1, 1),
        (Tier.PROVISIONAL, 2, 75, 2, 2),
    )
}
"""The shape of the real ones, in numbers that a test reaches."""
BEYOND_MAX = 4
"""Where there is no limit, so many are tried."""


@dataclass(frozen=True, slots=True)
class House:
    """The application, with its jobs left out."""

    cloud: Cloud
    clock: ManualClock
    client: httpx.AsyncClient
    bundle: bytes

    async def tenant(self, tenant_id: str, tier: Tier | None) -> "Company":
        """A company that begins with this tier."""
        now_ms = self.clock.utc_ms()
        async with self.cloud.database.transaction() as session:
            session.add(TenantRow(tenant_id=tenant_id, name=tenant_id, created_ms=now_ms))
            await session.flush()
            if tier is not None:
                known = TenantId(tenant_id)
                await assign_tier(session, known, tier, reason="it begins so", by=SYSTEM, now_ms=now_ms)
            await self.cloud.fleet.own_plant(session, f"hall-{tenant_id}", TenantId(tenant_id), now_ms=now_ms)
        headers = await key_headers(self.cloud, tenant_id=tenant_id, rights=RIGHTS[Role.TENANT_ADMIN])
        return Company(self, TenantId(tenant_id), f"hall-{tenant_id}", headers)

    async def platform(self) -> dict[str, str]:
        """A fresh key of the platform's own people: days go by here."""
        return await key_headers(self.cloud, rights={Right.TIERING, Right.ENTITLEMENTS})

    async def save(self, tiers: dict[Tier, Entitlements], version: int) -> httpx.Response:
        body = {"version": version, "why": "a walk", "tiers": {tier: one.to_json() for tier, one in tiers.items()}}
        return await self.client.put("/api/v1/entitlements/catalogue", json=body, headers=await self.platform())


@dataclass(frozen=True, slots=True)
class Company:
    """A tenant and what it does."""

    house: House
    tenant_id: TenantId
    plant: str
    headers: dict[str, str]

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return await self.house.client.request(method, f"/api/v1{path}", headers=self.headers, **more)

    async def look(self, path: str) -> httpx.Response:
        return await self.house.client.get(path, headers={**self.headers, **PAGE})

    async def born(self, number: int) -> str:
        """A press introduces itself and delivers a shot."""
        press, cloud, now_ms = f"m{number}", self.house.cloud, self.house.clock.utc_ms()
        async with cloud.database.transaction() as session:
            await cloud.fleet.device_born(session, self.plant, "g", press, now_ms=now_ms)
        self.shot(press, number, now_ms)
        return f"/plants/{self.plant}/presses/{press}"

    def shot(self, press: str, number: int, ended_ms: int) -> int:
        row = scored(number, ended_ms)
        row = replace(row, shot=replace(row.shot, press_id=press, ended_ms=ended_ms))
        gateway = GatewayKey(self.plant, "g")
        [row_id] = self.house.cloud.store.write([IncomingShot(gateway, press, number, ended_ms, False, row)])
        assert row_id is not None
        return row_id

    async def override(self, entitlement: str, value: object) -> None:
        body = {
            "entitlement": entitlement,
            "value": value,
            "reason": "agreed",
            "owner": "Chen",
            "expires_ms": self.house.clock.utc_ms() + DAY_MS,
        }
        path = f"/api/v1/entitlements/tenants/{self.tenant_id}/overrides"
        made = await self.house.client.post(path, json=body, headers=await self.house.platform())
        assert made.status_code == 201, made.text


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("entitlements")
    given = settings(folder).model_copy(
        update={
            "gateways": GatewaySettings(broker_host="broker.example"),
            "models": ModelSettings(require_signature=False),
        }
    )
    clock = ManualClock()
    app = create_app(given, clock, environ={}, hasher=Passwords(memory_kib=64, passes=1))
    cloud: Cloud = app.state.cloud
    bundle_file(folder / "upload.zip")
    try:
        await cloud._prepare()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
            made = House(cloud, clock, client, (folder / "upload.zip").read_bytes())
            assert (await made.save(SMALL, 0)).status_code == 200
            yield made
    finally:
        cloud.store.close()
        await cloud.database.close()


def refused(response: httpx.Response, entitlement: str, limit: object, status: int = 403) -> None:
    assert response.status_code == status, response.text
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["entitlement"]["name"] == entitlement
    assert problem["entitlement"].get("limit") == limit
    assert entitlement in problem["detail"]
    assert "/plan" in problem["detail"], "it says what to do"


async def presses(company: Company, has: Entitlements) -> None:
    room = has.presses_max if has.presses_max is not None else BEYOND_MAX
    paths = [await company.born(number) for number in range(1, room + 2)]
    for path in paths[:room]:
        assert (await company.ask("GET", path)).status_code == 200
    claim = {"plant": company.plant, "gateway": "one-more"}
    if has.presses_max is None:
        assert (await company.ask("GET", paths[-1])).status_code == 200
        assert (await company.ask("POST", "/gateways/claims", json=claim)).status_code == 201
        return
    for more in ("", "/shots"):
        refused(await company.ask("GET", f"{paths[-1]}{more}"), "presses_max", room)
    page = await company.look(paths[-1])
    assert page.status_code == 403
    assert f"{room}" in page.text
    assert "/plan" in page.text
    refused(await company.ask("POST", "/gateways/claims", json=claim), "presses_max", room)
    await company.override("presses_max", room + 1)
    shots = await company.ask("GET", f"{paths[-1]}/shots")
    assert len(shots.json()["items"]) == 1, "what came while there was no room is there"


async def custom_models(company: Company, has: Entitlements) -> None:
    kind = {**company.headers, "Content-Type": "application/octet-stream"}
    path = "/api/v1/models/bundles"
    answer = await company.house.client.post(path, content=company.house.bundle, headers=kind)
    if has.custom_models:
        assert answer.status_code == 201, answer.text
        return
    refused(answer, "custom_models", False)
    await company.override("custom_models", True)
    again = await company.house.client.post(path, content=company.house.bundle, headers=kind)
    assert again.status_code == 201


async def api_rate(company: Company, has: Entitlements) -> None:
    company.house.clock.advance(120)
    limit = has.api_requests_per_min
    for _ in range(limit or 100):
        assert (await company.ask("GET", "/me")).status_code == 200
    last = await company.ask("GET", "/me")
    if limit is None:
        assert last.status_code == 200
        return
    refused(last, "api_requests_per_min", limit, 429)
    assert (await company.ask("GET", "/plan")).status_code == 200, "what the rate is can be read all the same"
    assert (await company.look("/alarms")).status_code == 200, "pages are not counted"
    company.house.clock.advance(float(last.headers["Retry-After"]))
    assert (await company.ask("GET", "/me")).status_code == 200


async def retention(company: Company, has: Entitlements) -> None:
    path, now_ms = await company.born(1), company.house.clock.utc_ms()
    days = has.retention_days
    assert days is not None
    old = company.shot("m1", 2, now_ms - (days + 2) * DAY_MS)
    kept = company.shot("m1", 3, now_ms - (days - 1) * DAY_MS)
    listed = [row["row_id"] for row in (await company.ask("GET", f"{path}/shots")).json()["items"]]
    assert kept in listed
    assert old not in listed
    refused(await company.ask("GET", f"{path}/shots/{old}"), "retention_days", days)
    assert (await company.ask("GET", f"{path}/shots/{kept}")).status_code == 200
    await company.override("retention_days", None)
    assert (await company.ask("GET", f"{path}/shots/{old}")).status_code == 200, "it was hidden, not deleted"


async def support(company: Company, has: Entitlements) -> None:
    told = (await company.ask("GET", "/plan")).json()
    assert told["entitlements"]["support_response_h"] == has.support_response_h
    page = (await company.look("/plan?lang=en")).text
    assert f"within {has.support_response_h} h" in page


async def report_depth(company: Company, has: Entitlements) -> None:
    assert (await company.ask("GET", "/plan")).json()["entitlements"]["report_depth"] == has.report_depth
    now_ms = company.house.clock.utc_ms()
    async with company.house.cloud.database.reading() as session:
        for depth in ReportDepth:
            if DEPTHS.index(depth) <= DEPTHS.index(has.report_depth):
                await gates.demand_depth(session, company.tenant_id, depth, now_ms=now_ms)
                continue
            with pytest.raises(gates.EntitlementError) as caught:
                await gates.demand_depth(session, company.tenant_id, depth, now_ms=now_ms)
            assert caught.value.limit == has.report_depth


async def endpoints(company: Company, has: Entitlements) -> None:
    limit = has.webhook_endpoints_max
    assert limit is not None
    body = {"template": "json", "url": "https://receiver.invalid/"}
    for number in range(limit):
        made = await company.ask("POST", "/endpoints", json={**body, "name": f"e{number}"})
        assert made.status_code == 201, made.text
    refused(await company.ask("POST", "/endpoints", json={**body, "name": "x"}), "webhook_endpoints_max", limit)


async def people(company: Company, has: Entitlements) -> None:
    limit = has.people_max if has.people_max is not None else BEYOND_MAX
    for number in range(limit):
        login = f"p{number}-{company.tenant_id}"
        made = await company.ask("POST", "/people", json={"login": login, "name": "Li", "roles": ["viewer"]})
        assert made.status_code == 201, made.text
    last = {"login": f"x-{company.tenant_id}", "name": "Li", "roles": ["viewer"]}
    answer = await company.ask("POST", "/people", json=last)
    if has.people_max is None:
        assert answer.status_code == 201
        return
    refused(answer, "people_max", limit)


TRIALS: dict[str, Callable[[Company, Entitlements], Awaitable[None]]] = {
    "presses_max": presses,
    "custom_models": custom_models,
    "api_requests_per_min": api_rate,
    "retention_days": retention,
    "support_response_h": support,
    "report_depth": report_depth,
    "webhook_endpoints_max": endpoints,
    "people_max": people,
}


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("entitlement", NAMES)
async def test_what_a_tier_has_is_there_and_what_it_has_not_is_refused_by_name(
    house: House, entitlement: str, tier: Tier
) -> None:
    assert TRIALS.keys() == set(NAMES), "an entitlement that nobody tries"
    company = await house.tenant(f"{entitlement}-{tier}", tier)
    await TRIALS[entitlement](company, SMALL[tier])


async def test_who_has_no_tier_is_not_limited(house: House) -> None:
    company = await house.tenant("self-hosted", None)
    plan = (await company.ask("GET", "/plan")).json()
    assert plan["tier"] is None
    assert {source["kind"] for source in plan["sources"].values()} == {"default"}
    paths = [await company.born(number) for number in range(1, BEYOND_MAX + 2)]
    assert [(await company.ask("GET", path)).status_code for path in paths] == [200] * len(paths)


async def test_a_lower_tier_is_told_at_once_binds_after_its_grace_and_takes_no_press_that_is_there(
    house: House,
) -> None:
    company = await house.tenant("sinking", Tier.VALUE)
    paths = [await company.born(number) for number in (1, 2)]
    house.clock.advance(1)
    lower = {"tier": "long_tail", "reason": "the score fell"}
    path = f"/api/v1/entitlements/tenants/{company.tenant_id}"
    given = await house.client.post(f"{path}/tier", json=lower, headers=await house.platform())
    assert given.status_code == 200, given.text
    pending = {one["entitlement"]: one for one in given.json()["pending"]}
    at_ms = house.clock.utc_ms() + GRACE_MS
    assert pending["presses_max"] == {"entitlement": "presses_max", "now": 3, "then": 1, "at_ms": at_ms}
    assert 'id="plan-changes"' in (await company.look("/alarms")).text, "a banner on every page"
    async with house.cloud.database.reading() as session:
        told = await session.scalars(
            select(EventRow).where(
                EventRow.tenant_id == company.tenant_id, EventRow.kind == "entitlements.tier_changed"
            )
        )
        event = told.all()[-1].payload
        lines = await session.scalars(
            select(AuditRow).where(AuditRow.tenant_id == company.tenant_id, AuditRow.action == "tier_assigned")
        )
        line = lines.all()[-1]
    assert (event["tier"], event["before"], event["reason"]) == ("long_tail", "value", "the score fell")
    assert (line.before, line.after) == ({"tier": "value"}, {"tier": "long_tail", "reason": "the score fell"})
    third = await company.born(3)
    assert (await company.ask("GET", third)).status_code == 200, "within the grace there is the room of before"
    house.clock.advance(GRACE_MS / 1000)
    company = replace(company, headers=await key_headers(house.cloud, tenant_id=company.tenant_id))
    assert [(await company.ask("GET", path)).status_code for path in (*paths, third)] == [200] * 3
    fourth = await company.born(4)
    refused(await company.ask("GET", fourth), "presses_max", 1)
    day_before = {"at_ms": house.clock.utc_ms() - DAY_MS}
    then = (await house.client.get(path, params=day_before, headers=await house.platform())).json()
    now = (await house.client.get(path, headers=await house.platform())).json()
    assert (then["entitlements"]["presses_max"], now["entitlements"]["presses_max"]) == (3, 1)
    history = (await house.client.get(f"{path}/tiers", headers=await house.platform())).json()["items"]
    assert [one["tier"] for one in history] == ["long_tail", "value"]


async def test_a_change_holds_with_the_next_request_and_the_same_tier_again_is_no_change(house: House) -> None:
    company = await house.tenant("rising", Tier.LONG_TAIL)
    paths = [await company.born(number) for number in (1, 2)]
    refused(await company.ask("GET", paths[1]), "presses_max", 1)
    async with house.cloud.database.transaction() as session:
        for _ in range(2):
            await assign_tier(
                session, company.tenant_id, Tier.VALUE, reason="it grew", by=SYSTEM, now_ms=house.clock.utc_ms()
            )
    assert (await company.ask("GET", paths[1])).status_code == 200
    path = f"/api/v1/entitlements/tenants/{company.tenant_id}/tiers"
    history = (await house.client.get(path, headers=await house.platform())).json()["items"]
    assert [one["tier"] for one in history] == ["value", "long_tail"]


async def test_bad_input_names_its_field_and_a_stale_catalogue_is_not_overwritten(house: House) -> None:
    path = "/api/v1/entitlements/tenants"
    unknown = {"tier": "value", "reason": "x"}
    assert (
        await house.client.post(f"{path}/nobody/tier", json=unknown, headers=await house.platform())
    ).status_code == 404
    company = await house.tenant("picky", Tier.VALUE)
    good = {"entitlement": "presses_max", "value": 5, "reason": "r", "owner": "o", "expires_ms": 1}
    for change, field in (
        ({}, "body.expires_ms"),
        ({"value": 0, "expires_ms": house.clock.utc_ms() + 1}, "body.value"),
        ({"entitlement": "shoe_size"}, "body.entitlement"),
        ({"reason": " "}, "body.reason"),
        ({"owner": " "}, "body.owner"),
    ):
        told = await house.client.post(
            f"{path}/{company.tenant_id}/overrides", json={**good, **change}, headers=await house.platform()
        )
        assert told.status_code == 422, told.text
        assert [error["field"] for error in told.json()["errors"]] == [field]
    assert (await house.save(SMALL, 0)).status_code == 409
    path = "/api/v1/entitlements/catalogue/versions"
    versions = (await house.client.get(path, headers=await house.platform())).json()
    assert [(one["version"], one["why"], one["made_by"]) for one in versions["items"]] == [(1, "a walk", "test")]


async def test_a_customer_s_administrator_sees_nothing_of_other_companies_plans(house: House) -> None:
    stranger = await key_headers(house.cloud, tenant_id="elsewhere")  # every right there is, in the own company
    for path in ("catalogue", "catalogue/versions", "tenants", "tenants/default"):
        answer = await house.client.get(f"/api/v1/entitlements/{path}", headers=stranger)
        assert answer.status_code == 404, path


async def test_the_platform_s_people_change_what_a_customer_has_by_forms(house: House) -> None:
    company = await house.tenant("by-forms", Tier.VALUE)
    house.clock.advance(1)
    headers, page = {**await house.platform(), **PAGE}, f"/entitlements/{company.tenant_id}"
    given = await house.client.post(f"{page}/tier", data={"tier": "strategic", "reason": "it grew"}, headers=headers)
    assert (given.status_code, given.headers["location"]) == (303, page)
    good = {"entitlement": "people_max", "value": "7", "days": "30", "owner": "Chen", "reason": "agreed"}
    assert (await house.client.post(f"{page}/overrides", data=good, headers=headers)).status_code == 303
    plan = (await company.ask("GET", "/plan")).json()
    assert (plan["tier"], plan["entitlements"]["people_max"]) == ("strategic", 7)
    assert plan["sources"]["people_max"]["kind"] == "override"
    for change in ({"value": "x"}, {"days": "0"}, {"owner": ""}, {"entitlement": "shoe_size"}):
        bad = await house.client.post(f"{page}/overrides", data={**good, **change}, headers=headers)
        assert bad.status_code == 422, change
        assert 'role="alert"' in bad.text
    assert (await house.client.post(f"{page}/tier", data={"tier": "gold"}, headers=headers)).status_code == 422
    shown = (await house.client.get(f"{page}?lang=en", headers=headers)).text
    assert "it grew" in shown
    assert "Chen: agreed" in shown
    catalogue = (await house.client.get("/entitlements?lang=en", headers=headers)).text
    assert 'name="long_tail.presses_max"' in catalogue
    stale = await house.client.post("/entitlements/catalogue", data={"version": "0", "why": "x"}, headers=headers)
    assert stale.status_code == 422, "every field of every tier must be there"
