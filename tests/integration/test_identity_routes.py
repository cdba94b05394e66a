"""Every route, asked by nobody, by another company's administrator and by one who may only read: none lets them in.

The list comes from the application itself: a route that is added and not thought of here fails the walk.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from cloud.app import Cloud, create_app
from cloud.core.access import RIGHTS, Right, Role
from cloud.fleet.domain import SeenShot
from cloud.identity.passwords import Passwords
from cloud.settings import GatewaySettings
from cloud.telemetry.store import GatewayKey, IncomingGap, IncomingShot
from tests.access import key_headers
from tests.integration.test_cloud_api import scored, settings

pytestmark = pytest.mark.anyio
PAGE = {"Accept": "text/html"}
PUBLIC = {
    "GET /healthz",
    "GET /readyz",
    "GET /login",
    "POST /login",
    "POST /logout",
    "GET /setup",
    "POST /setup",
    "GET /welcome",
    "POST /welcome",
    "GET /api/v1/openapi.json",
    "POST /api/v1/gateways/claim",
    "POST /api/v1/gateways/renew",
}
"""Asked by launchers, by people who are not signed in yet, and by gateways that prove themselves otherwise."""
OWN = {"GET /account", "POST /account/password", "POST /account/sessions/end", "GET /api/v1/me"}
"""About who asks, whoever it is."""
STREAMS = {"GET /live/fleet", "GET /live/plants/{plant_id}/presses/{press_id}"}
SECRETS = ("hall-7", "press-of-hall-7", "gateway-of-hall-7", "person-of-hall-7", "key-of-hall-7", "reason-of-hall-7")
"""Names of the first company's things: no answer to anybody else may have one of them."""


@dataclass(frozen=True, slots=True)
class Walk:
    app: FastAPI
    cloud: Cloud
    client: httpx.AsyncClient
    ids: dict[str, str]

    def operations(self) -> Iterator[tuple[str, str, str]]:
        """Method, path as declared, path with the first company's ids in it."""
        mounts = [route.path for route in self.app.routes if isinstance(route, Mount)]
        assert mounts == ["/static"], f"{mounts} are mounted: who may see them?"
        for route in iter_route_contexts(self.app.routes):
            if route.methods is None:
                continue
            filled = route.path.replace("{name}", "access")
            for name, value in self.ids.items():
                filled = filled.replace(f"{{{name}}}", value)
            assert "{" not in filled, f"{route.path}: which id is this?"
            for method in sorted(route.methods):
                yield method, route.path, filled


@pytest.fixture(scope="module")
async def walk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Walk]:
    folder: Path = tmp_path_factory.mktemp("walk")
    given = settings(folder).model_copy(update={"gateways": GatewaySettings(broker_host="broker.example")})
    app = create_app(given, environ={}, hasher=Passwords(memory_kib=64, passes=1))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
            yield Walk(app, app.state.cloud, client, await furnished(app.state.cloud, client))


async def furnished(cloud: Cloud, client: httpx.AsyncClient) -> dict[str, str]:
    """One of everything in the first company; the ids of all."""
    now_ms = cloud.clock.utc_ms()
    plant, press, gateway = "hall-7", "press-of-hall-7", "gateway-of-hall-7"
    key = GatewayKey(plant, gateway)
    rows = [scored(n, now_ms) for n in range(1, 6)]
    rows = [replace(row, shot=replace(row.shot, press_id=press)) for row in rows]
    cloud.store.write([IncomingShot(key, "e", n, now_ms, False, row) for n, row in enumerate(rows, 1)])
    cloud.store.write([IncomingGap(key, "e", 90, now_ms, press, now_ms, "reason-of-hall-7")])
    async with cloud.database.transaction() as session:
        await cloud.fleet.node_born(session, plant, gateway, epoch="e", metrics={}, now_ms=now_ms)
        await cloud.fleet.device_born(session, plant, gateway, press, now_ms=now_ms)
        await cloud.fleet.shots_seen(session, [SeenShot(plant, gateway, press, now_ms, now_ms)])
    cloud.live.shots.publish()
    admin = await key_headers(cloud)
    person = {"login": "person-of-hall-7", "name": "Li", "roles": ["viewer"]}
    made = await client.post("/api/v1/people", json=person, headers=admin)
    new_key = await client.post("/api/v1/keys", json={"name": "key-of-hall-7", "rights": ["read"]}, headers=admin)
    claim = await client.post("/api/v1/gateways/claims", json={"plant": plant, "gateway": gateway}, headers=admin)
    assert (made.status_code, new_key.status_code, claim.status_code) == (201, 201, 201)
    alarms: list[dict[str, str]] = []
    with anyio.fail_after(20):
        while not alarms:
            alarms = (await client.get("/api/v1/alarms", headers=admin)).json()["items"]
            await anyio.sleep(0.05)
    shots = (await client.get(f"/api/v1/plants/{plant}/presses/{press}/shots", headers=admin)).json()["items"]
    return {
        "plant_id": plant,
        "press_id": press,
        "gateway_id": gateway,
        "row_id": str(shots[0]["row_id"]),
        "alarm_id": alarms[0]["alarm_id"],
        "user_id": made.json()["person"]["user_id"],
        "key_id": new_key.json()["key"]["key_id"],
    }


async def test_nobody_gets_in(walk: Walk) -> None:
    checks = 0
    for method, declared, path in walk.operations():
        name = f"{'GET' if method == 'HEAD' else method} {declared}"
        response = await walk.client.request(method, path)
        if name in PUBLIC:
            assert not any(secret in response.text for secret in SECRETS), name
        else:
            assert response.status_code == 401, (method, path, response.status_code)
            if method == "GET" and not declared.startswith("/api/"):
                led = await walk.client.request(method, path, headers=PAGE)
                assert led.status_code == 303, path
                assert led.headers["location"].startswith("/login"), path
                checks += 1
        checks += 1
    print(f"{checks} checks as nobody")
    assert checks > 70


async def test_the_administrator_of_another_company_sees_and_changes_nothing(walk: Walk) -> None:
    foreign = await key_headers(walk.cloud, tenant_id="elsewhere")
    before = await everything(walk)
    checks = 0
    for method, declared, path in walk.operations():
        name = f"{'GET' if method == 'HEAD' else method} {declared}"
        if name in PUBLIC | STREAMS:
            continue
        response = await walk.client.request(
            method, path, headers={**foreign, **PAGE}, json={} if method != "GET" else None
        )
        about = declared.partition("{")[2]
        if about and not declared.endswith("broker/{name}") and name not in OWN:
            assert response.status_code in (403, 404, 422), (name, response.status_code)
        assert response.status_code < 500, name
        shown = response.text
        for secret in SECRETS:
            asked = secret in path
            assert asked or secret not in shown, (name, secret)
        checks += 1
    assert await everything(walk) == before
    print(f"{checks} checks as another company's administrator")


async def test_a_stream_of_another_company_is_not_opened(walk: Walk) -> None:
    foreign = await key_headers(walk.cloud, tenant_id="elsewhere")
    path = f"/live/plants/{walk.ids['plant_id']}/presses/{walk.ids['press_id']}"
    assert (await walk.client.get(path, headers=foreign)).status_code == 404


async def test_who_may_only_read_changes_nothing(walk: Walk) -> None:
    viewer = await key_headers(walk.cloud, rights=RIGHTS[Role.VIEWER])
    before = await everything(walk)
    checks = 0
    for method, declared, path in walk.operations():
        name = f"{method} {declared}"
        if method in ("GET", "HEAD") or name in PUBLIC | OWN:
            continue
        response = await walk.client.request(method, path, headers=viewer, json={})
        assert response.status_code == 403, (name, response.status_code)
        checks += 1
    assert await everything(walk) == before
    print(f"{checks} checks as a viewer")
    assert checks >= 15


@pytest.mark.parametrize("right", sorted(Right))
async def test_a_page_is_shown_to_those_whose_right_it_needs(walk: Walk, right: Right) -> None:
    needed = {"/people": Right.MANAGE_PEOPLE, "/keys": Right.MANAGE_PEOPLE, "/audit": Right.READ_AUDIT, "/": Right.READ}
    headers = await key_headers(walk.cloud, rights={right})
    for path, wanted in needed.items():
        status = (await walk.client.get(path, headers={**headers, **PAGE})).status_code
        assert status == (200 if right == wanted else 403), (path, right)


async def everything(walk: Walk) -> object:
    """What the first company has, as its administrator sees it; without what each look itself changes."""
    admin = await key_headers(walk.cloud, rights={Right.READ, Right.MANAGE_PEOPLE})
    people = (await walk.client.get("/api/v1/people", headers=admin)).json()
    keys = (await walk.client.get("/api/v1/keys", headers=admin)).json()["items"]
    alarms = (await walk.client.get("/api/v1/alarms", headers=admin)).json()
    identities = (await walk.client.get("/api/v1/gateways/identities", headers=admin)).json()
    return people, [key for key in keys if key["name"] == "key-of-hall-7"], alarms, identities
