"""Every route, asked by nobody, by another company's administrator and by one who may only read: none lets them in.

The list comes from the application itself: a route that is added and not thought of here fails the walk. Of a stream
that has no end the first events are looked at, by whatever name it goes. That a stranger finds nothing means something
only because its owner, asking the same, finds it.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import anyio
import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.app import Cloud, create_app
from cloud.core.access import RIGHTS, Right, Role
from cloud.core.audit import SYSTEM
from cloud.core.tenants import DEFAULT_TENANT
from cloud.entitlements.standard import STANDARD
from cloud.fleet.domain import SeenShot
from cloud.identity import repository
from cloud.identity.cookies import COOKIE
from cloud.identity.oidc_settings import OidcSettings
from cloud.identity.passwords import Passwords
from cloud.rollouts.tables import BundleRow
from cloud.settings import GatewaySettings
from cloud.telemetry.store import GatewayKey, IncomingGap, IncomingShot
from cloud.tiering.policy import Policy, to_json
from cloud.web import streams
from contract.model_orders import Bounds
from deploy.local.processes import free_port
from kit.clock import ManualClock
from tests.access import key_headers, session_headers
from tests.integration.test_cloud_api import scored, settings
from tests.integration.tiered_company import (
    GOAL,
    OVERRIDE,
    SERVING_BODIES,
    calendar_address,
    invoice,
    message,
    request_for_help,
    tiered,
)

pytestmark = pytest.mark.anyio
PAGE = {"Accept": "text/html"}
PUBLIC = {
    "GET /healthz",
    "GET /readyz",
    "GET /login",
    "GET /calendars/{secret}.ics",
    "POST /login",
    "POST /logout",
    "GET /setup",
    "POST /setup",
    "GET /welcome",
    "POST /welcome",
    "GET /login/oidc/{provider}",
    "GET /login/oidc/{provider}/callback",
    "GET /api/v1/openapi.json",
    "POST /api/v1/gateways/claim",
    "POST /api/v1/gateways/renew",
}
"""Asked by launchers, by people who are not signed in yet, and by gateways that prove themselves otherwise."""
OWN = {
    "GET /account",
    "POST /account/password",
    "POST /account/sessions/end",
    "POST /account/sessions/{session_id}/end",
    "POST /account/tenant",
    "POST /settings/look",
    "GET /api/v1/me",
    "GET /api/v1/sessions",
    "DELETE /api/v1/sessions",
    "DELETE /api/v1/sessions/{session_id}",
}
"""About who asks, whoever it is."""
RULE = {"name": "theft", "priority": "low", "condition": {"kind": "limit", "feature": "CushionStroke", "below": -9}}
BODIES: dict[str, dict[str, object]] = {
    "POST /api/v1/alarms/rules": {"rule": RULE},
    "POST /api/v1/alarms/rules/dry-run": {"rule": RULE},
    "PUT /api/v1/alarms/rules/{rule_id}?version=1": {"rule": RULE, "version": 1},
    "POST /api/v1/alarms/rules/{rule_id}/revert": {"to": 1, "version": 1},
    "POST /api/v1/alarms/{alarm_id}/shelve": {"minutes": 5, "reason": "theft"},
    "POST /api/v1/alarms/{alarm_id}/comment": {"comment": "theft"},
    "POST /api/v1/alarms/{alarm_id}/assign": {"user_id": None},
    "POST /api/v1/alarms/{alarm_id}/suppress": {"reason": "theft"},
    "POST /api/v1/alarms/{alarm_id}/out_of_service": {"reason": "theft"},
    "POST /api/v1/gateways/{plant_id}/{gateway_id}/revoke": {"reason": "theft"},
    "PUT /api/v1/people/{user_id}/roles": {"roles": ["viewer"]},
    "POST /api/v1/maintenance/jobs": {
        "plant_id": "hall-7",
        "press_id": "press-of-hall-7",
        "start_ms": 1,
        "end_ms": 2,
        "note": "x",
    },
    "PUT /api/v1/maintenance/jobs/{job_id}": {"start_ms": 1, "end_ms": 2, "who": "x"},
    "POST /api/v1/maintenance/jobs/{job_id}/done": {"outcome": "nothing"},
    "POST /api/v1/maintenance/done": {"plant_id": "hall-7", "press_id": "press-of-hall-7", "outcome": "nothing"},
    "PUT /api/v1/maintenance/moulds": {"mould_id": "M1", "interval_shots": 1},
    "POST /api/v1/maintenance/moulds/serviced": {"mould_id": "M1"},
    "POST /api/v1/maintenance/moulds/take-service-back": {"mould_id": "M1"},
    "POST /api/v1/models/rollouts": {"bundle_id": "0123456789ab"},
    "PUT /api/v1/plants/{plant_id}/display-name": {"display_name": "n"},
    "PUT /api/v1/plants/{plant_id}/presses/{press_id}/expected-cycles": {"mould_id": "m", "set_s": 20.0},
    "POST /api/v1/entitlements/tenants/{tenant_id}/tier": {"tier": "long_tail", "reason": "theft"},
    "POST /api/v1/entitlements/tenants/{tenant_id}/overrides": {
        "entitlement": "people_max",
        "value": 1,
        "reason": "theft",
        "owner": "x",
        "expires_ms": 1,
    },
    "PUT /api/v1/entitlements/catalogue": {
        "version": 0,
        "why": "theft",
        "tiers": {tier: has.to_json() for tier, has in STANDARD.tiers.items()},
    },
    "PUT /api/v1/tiering/policy": {**to_json(Policy()), "version": 0},
    "POST /api/v1/tiering/merges": {"kept_id": str(UUID(int=1)), "gone_id": str(UUID(int=2))},
    "POST /api/v1/tiering/customers/{customer_id}/override": OVERRIDE,
    "PUT /api/v1/tiering/customers/{customer_id}/plan": {
        "summary": "theft",
        "owner": "x",
        "start_day": 20_500,
        "version": 0,
    },
    "POST /api/v1/tiering/customers/{customer_id}/plan/goals": GOAL | {"version": 1},
    "PUT /api/v1/tiering/customers/{customer_id}/plan/goals/{goal_id}": GOAL | {"version": 1},
    "PUT /api/v1/tiering/customers/{customer_id}/plan/reviews/{number}": {"note": "theft", "version": 1},
    "POST /api/v1/tiering/managers": {"name": "theft", "capacity": 1},
    "PUT /api/v1/tiering/managers/{manager_id}": {"name": "theft", "capacity": 1},
    "PUT /api/v1/tiering/customers/{customer_id}/place": {"latitude": 1, "longitude": 1},
    "POST /api/v1/tiering/assignments/apply": {
        "moves": [{"customer_id": str(UUID(int=1)), "manager_id": str(UUID(int=2))}]
    },
    "PUT /api/v1/tiering/playbooks": {"open_tasks_max": 1, "playbooks": [], "version": 0},
    "POST /api/v1/tiering/tasks/{task_id}/close": {"state": "dismissed", "reason": "theft"},
    **SERVING_BODIES,
    "POST /api/v1/tiering/tasks/{task_id}/give": {"manager_id": None},
    "POST /api/v1/tiering/what-if": {"hand": [1, 1, 1, 1, 1]},
    "POST /api/v1/endpoints": {"name": "other", "template": "json", "url": "https://receiver.invalid/"},
}
"""Good ones, so that it is not a missing field that stops a stranger."""
QUERIES = {
    "/api/v1/alarms/rules/{rule_id}": "?version=1",
    "/api/v1/models/history/shots": "?plant_id={plant_id}&press_id={press_id}",
    "/api/v1/tiering/imports": "?what=customers&name=f",
}
"""Of what is asked about a thing without its id in the path."""
MOVING = frozenset(
    {"health", "next_probe_ms", "resume_at_ms", "last_failure_ms", "last_error", "pending", "dead_letters"}
)
"""What of an endpoint changes by itself: nobody answers there."""
FORM = {
    "start": "2026-01-01T00:00",
    "end": "2026-01-01T01:00",
    "outcome": "nothing",
    "reason": "theft",
    "roles": "viewer",
    "tenant": "default",
}
SECRETS = (
    "hall-7",
    "endpoint-of-hall-7",
    "press-of-hall-7",
    "gateway-of-hall-7",
    "person-of-hall-7",
    "key-of-hall-7",
    "reason-of-hall-7",
    "bundle-of-hall-7",
    "rule-of-hall-7",
    "option-of-hall-7",
)
"""Names of the first company's things: no answer to anybody else may have one of them."""


@dataclass(frozen=True, slots=True)
class Walk:
    app: FastAPI
    cloud: Cloud
    clock: ManualClock
    client: httpx.AsyncClient
    first: "FirstEvent"
    ids: dict[str, str]

    def operations(self) -> Iterator[tuple[str, str, str]]:
        """Method, path as declared, path with the first company's ids in it."""
        mounts = [route.path for route in self.app.routes if isinstance(route, Mount)]
        assert mounts == ["/static"], f"{mounts} are mounted: who may see them?"
        for route in iter_route_contexts(self.app.routes):
            if route.methods is None:
                continue
            declared = route.path + QUERIES.get(route.path, "")
            filled = (
                declared.replace("{name}", "access")
                .replace("{deed}", "close")
                .replace("{table}.{form}", "plans.json")
                .replace("{secret}", "none")
            )
            for name, value in self.ids.items():
                filled = filled.replace(f"{{{name}}}", value)
            assert "{" not in filled, f"{route.path}: which id is this?"
            for method in sorted(route.methods):
                yield method, declared, filled


class FirstEvent:
    """Passes requests on; of a stream of events it takes the beat and the first content, and goes away like a tab."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.paths: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left: int | None = None
        with anyio.CancelScope() as until_first:

            async def pass_on(message: Message) -> None:
                nonlocal left
                if left == 0:
                    await anyio.sleep_forever()
                if message["type"] == "http.response.start":
                    kind = Headers(raw=message["headers"]).get("content-type", "")
                    left = 2 if kind.startswith("text/event-stream") else None
                elif left is not None:
                    left -= 1
                    if left == 0:
                        self.paths.add(scope["path"])
                        until_first.cancel()
                        message = {**message, "more_body": False}
                with anyio.CancelScope(shield=True):
                    await send(message)

            await self._app(scope, receive, pass_on)


@pytest.fixture(scope="module")
async def walk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Walk]:
    folder: Path = tmp_path_factory.mktemp("walk")
    oidc = OidcSettings.model_validate(
        {
            "public_url": "https://cloud",
            "providers": [
                {
                    "name": "company-accounts",
                    "label_zh": "厂",
                    "label_en": "plant",
                    "issuer": f"https://127.0.0.1:{free_port()}",
                    "client_id": "zhisan",
                }
            ],
        }
    )  # nobody answers there; it is the routes that are walked
    given = settings(folder).model_copy(
        update={"gateways": GatewaySettings(broker_host="broker.example"), "oidc": oidc}
    )
    clock = ManualClock()
    app = create_app(given, clock, environ={}, hasher=Passwords(memory_kib=64, passes=1))
    async with app.router.lifespan_context(app):
        first = FirstEvent(app)
        transport = httpx.ASGITransport(first, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
            yield Walk(app, app.state.cloud, clock, client, first, await furnished(app.state.cloud, client))


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
    downtime = {"plant_id": plant, "press_id": press, "start_ms": 1, "end_ms": 2, "reason": "reason-of-hall-7"}
    planned = await client.post("/api/v1/planned-downtimes", json=downtime, headers=admin)
    job = {"plant_id": plant, "press_id": press, "start_ms": 1, "end_ms": 2, "note": "reason-of-hall-7"}
    job_made = await client.post("/api/v1/maintenance/jobs", json=job, headers=admin)
    shots = (await client.get(f"/api/v1/plants/{plant}/presses/{press}/shots", headers=admin)).json()["items"]
    rollout_id, bundle_id = await trial(cloud, press, now_ms)
    endpoint = {"name": "endpoint-of-hall-7", "template": "json", "url": "https://receiver.invalid/"}
    hook = (await client.post("/api/v1/endpoints", json=endpoint, headers=admin)).json()["endpoint"]["endpoint_id"]
    deliveries: list[dict[str, str]] = []
    with anyio.fail_after(20):
        while not deliveries:
            deliveries = (await client.get("/api/v1/deliveries", headers=admin)).json()["items"]
            await anyio.sleep(0.05)
    rule = await client.post("/api/v1/alarms/rules", json={"rule": {**RULE, "name": "rule-of-hall-7"}}, headers=admin)
    override = {"entitlement": "people_max", "value": 500, "reason": "reason-of-hall-7", "owner": "x"}
    agreed = await client.post(
        f"/api/v1/entitlements/tenants/{DEFAULT_TENANT}/overrides",
        json={**override, "expires_ms": now_ms + 1_000_000},
        headers=admin,
    )
    return {
        **await tiered(client, admin, now_ms),
        "feed_id": await calendar_address(cloud),
        "tenant_id": DEFAULT_TENANT,
        "invoice_id": await invoice(cloud, now_ms),
        "request_id": await request_for_help(cloud, now_ms),
        "message_id": await message(cloud, now_ms),
        "override_id": agreed.json()["override_id"],
        "endpoint_id": hook,
        "delivery_id": deliveries[0]["delivery_id"],
        "rule_id": rule.json()["rule_id"],
        "claim_id": claim.json()["claim_id"],
        "rollout_id": rollout_id,
        "bundle_id": bundle_id,
        "provider": "company-accounts",
        "plant_id": plant,
        "press_id": press,
        "gateway_id": gateway,
        "row_id": str(shots[0]["row_id"]),
        "alarm_id": alarms[0]["alarm_id"],
        "job_id": job_made.json()["job_id"],
        "downtime_id": planned.json()["downtime_id"],
        "user_id": made.json()["person"]["user_id"],
        "key_id": new_key.json()["key"]["key_id"],
        "session_id": await session_of(cloud, client, "admin-of-hall-7"),
    }


async def trial(cloud: Cloud, press: str, now_ms: int) -> tuple[str, str]:
    """A bundle of the first company on trial; of its file only that there is one matters."""
    path = cloud.rollouts.files.path_of("0" * 64)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"bundle-of-hall-7")
    row = BundleRow(
        tenant_id=DEFAULT_TENANT,
        bundle_id="0123456789ab",
        state="candidate",
        sha256="0" * 64,
        size_bytes=1,
        key_id="key-of-hall-7",
        features_hash="h",
        card={"heads": [], "training": {}, "features": 0, "seed": 1, "labels": 0, "created_ms": None, "commit": ""},
        uploaded_ms=now_ms,
        uploaded_by="person-of-hall-7",
    )
    async with cloud.database.transaction() as session:
        session.add(row)
        begun = await cloud.rollouts.service.start(
            session,
            DEFAULT_TENANT,
            row.bundle_id,
            SYSTEM,
            canaries=[("hall-7", press)],
            bounds=Bounds(),
            is_automatic=False,
            stage_shots=1,
            why="reason-of-hall-7",
            now_ms=now_ms,
        )
    return str(begun.rollout_id), row.bundle_id


async def session_of(cloud: Cloud, client: httpx.AsyncClient, login: str) -> str:
    headers = await session_headers(cloud, login, Role.TENANT_ADMIN)
    return str((await client.get("/api/v1/sessions", headers=headers)).json()["items"][0]["session_id"])


async def ask(walk: Walk, method: str, declared: str, path: str, headers: dict[str, str]) -> httpx.Response:
    """One request with a body that the operation takes."""
    if method in ("GET", "HEAD"):
        return await walk.client.request(method, path, headers=headers)
    if declared.startswith("/api/"):
        return await walk.client.request(method, path, headers=headers, json=BODIES.get(f"{method} {declared}", {}))
    form = {**FORM, "csrf_token": headers.get("X-CSRF-Token", "")}
    return await walk.client.request(method, path, headers=headers, data=form)


STRANGERS = {
    "without anything": {},
    "with a cookie that is none": {"Cookie": f"{COOKIE}=x"},
    "with a key that never was": {"Authorization": f"Bearer zsk_{'0' * 32}_{'x' * 43}"},
}


@pytest.mark.parametrize("comes", STRANGERS)
async def test_nobody_gets_in(walk: Walk, comes: str) -> None:
    checks, headers = 0, STRANGERS[comes]
    walk.clock.advance(60.0)
    for method, declared, path in walk.operations():
        walk.clock.advance(0.1)  # what one address may ask in a while is another test
        name = f"{'GET' if method == 'HEAD' else method} {declared}"
        response = await ask(walk, method, declared, path, headers)
        if name in PUBLIC:
            assert not any(secret in response.text for secret in SECRETS), name
        else:
            assert response.status_code == 401, (method, path, response.status_code)
            if method == "GET" and not declared.startswith("/api/"):
                led = await walk.client.request(method, path, headers={**headers, **PAGE})
                assert led.status_code == 303, path
                assert led.headers["location"].startswith("/login"), path
                checks += 1
        checks += 1
    print(f"{checks} checks as nobody, {comes}")
    assert checks > 70


@pytest.mark.parametrize("comes", ["with a key", "in a session"])
async def test_the_administrator_of_another_company_sees_and_changes_nothing(walk: Walk, comes: str) -> None:
    """Every right there is, but in the own company only."""
    before = await everything(walk)
    checks = 0
    for method, declared, path in walk.operations():
        name = f"{'GET' if method == 'HEAD' else method} {declared}"
        if comes == "with a key":
            headers = await key_headers(walk.cloud, tenant_id="elsewhere")
        else:  # a new one each time: some operations end it
            headers = await session_headers(walk.cloud, "stranger", Role.PLATFORM_ADMIN, tenant_id="elsewhere")
        response = await ask(walk, method, declared, path, {**headers, **PAGE})
        if name not in PUBLIC:  # those tell nobody anything: a stranger neither
            assert "{" not in declared or response.status_code == 404, (name, response.status_code)
            assert response.status_code < 500, name
        for secret in SECRETS:
            said = path + json.dumps(BODIES.get(name, {}))
            assert secret in said or secret not in response.text, (name, secret)
        checks += 1
    assert await everything(walk) == before
    print(f"{checks} checks as another company's administrator, {comes}")
    assert checks == len(list(walk.operations()))


async def test_who_owns_them_finds_all_that_the_stranger_is_refused(walk: Walk) -> None:
    owner = await session_headers(walk.cloud, "owner-of-the-house", Role.PLATFORM_ADMIN)
    walk.first.paths.clear()
    streams: dict[str, str] = {}
    found = 0
    for method, declared, path in walk.operations():
        if method not in ("GET", "HEAD") or f"GET {declared}" in PUBLIC:
            continue
        response = await walk.client.request(method, path, headers={**owner, **PAGE})
        assert response.status_code == 200, (declared, response.status_code)
        if path in walk.first.paths:
            streams[declared] = response.text
        found += 1
    of_fleet = {"/live/fleet", "/live/plants/{plant_id}/presses/{press_id}"}
    assert of_fleet | {"/live/start", "/live/gateways/claims/{claim_id}"} <= streams.keys()
    for declared, text in streams.items():
        assert any(secret in text for secret in SECRETS), f"{declared} tells nothing that a stranger could miss"
    print(f"{found} things found by their owner, {len(streams)} of them streams")


@pytest.mark.parametrize("comes", ["with a key", "in a session"])
async def test_who_may_only_read_changes_nothing(walk: Walk, comes: str) -> None:
    if comes == "with a key":
        viewer = await key_headers(walk.cloud, rights=RIGHTS[Role.VIEWER])
    else:
        viewer = await session_headers(walk.cloud, "viewer-of-the-house", Role.VIEWER)
    before = await everything(walk)
    checks = 0
    for method, declared, path in walk.operations():
        name = f"{method} {declared}"
        if method in ("GET", "HEAD") or name in PUBLIC | OWN:
            continue
        response = await ask(walk, method, declared, path, viewer)
        assert response.status_code == 403, (name, response.status_code)
        assert "This needs the right" in response.text, (name, "refused, but for another reason")
        checks += 1
    assert await everything(walk) == before
    print(f"{checks} checks as a viewer, {comes}")
    assert checks >= 15


async def test_a_page_acknowledges_an_alarm_in_the_name_of_who_is_signed_in(walk: Walk) -> None:
    operator = await session_headers(walk.cloud, "operator-of-the-house", Role.OPERATOR)
    page = (await walk.client.get("/alarms", headers={"Cookie": operator["Cookie"]})).text
    path = f"/alarms/{walk.ids['alarm_id']}/acknowledge"
    assert f'form="act" formaction="{path}?as=row"' in page
    token = page.partition('<form id="act"')[2].partition('name="csrf_token" value="')[2].partition('"')[0]
    operator.pop("X-CSRF-Token")
    assert (await walk.client.post(path, headers=operator)).status_code == 403
    done = await walk.client.post(path, headers=operator, data={"csrf_token": token})
    assert done.status_code == 303
    alarm = (await walk.client.get(f"/api/v1{path.removesuffix('/acknowledge')}", headers=operator)).json()
    assert alarm["acknowledged_by"] == "operator-of-the-house"


@asynccontextmanager
async def reading_live(walk: Walk, headers: Mapping[str, str]) -> AsyncIterator[anyio.Event]:
    """Somebody has the live overview open; the event is set when the stream has come to an orderly end."""
    feeds, ended = walk.app.state.pages._fleet_feeds, anyio.Event()

    async def read() -> None:
        transport = httpx.ASGITransport(walk.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
            assert (await client.get("/live/fleet", headers=headers)).status_code == 200
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        with anyio.fail_after(20):
            while not feeds.readers:
                await anyio.sleep(0.01)
            yield ended
            await ended.wait()
    assert feeds.readers == 0


@pytest.mark.parametrize("change", ["signs out", "has another role", "is taken out"])
async def test_a_live_page_ends_at_once_when_its_reader_may_no_longer_see_it(
    walk: Walk, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LOOK_EVERY_S", 3_600.0)
    login = f"reader-who-{change.replace(' ', '-')}"
    reader = await session_headers(walk.cloud, login, Role.VIEWER)
    admin = await key_headers(walk.cloud)
    user_id = (await walk.client.get("/api/v1/me", headers=reader)).json()["id"]
    async with reading_live(walk, reader) as ended:
        walk.cloud.live.pages.publish()
        await anyio.wait_all_tasks_blocked()
        assert not ended.is_set(), "nothing has changed for this reader"
        if change == "signs out":
            done = await walk.client.delete("/api/v1/sessions", headers=reader)
        elif change == "has another role":
            body = {"roles": ["operator"]}
            done = await walk.client.put(f"/api/v1/people/{user_id}/roles", json=body, headers=admin)
        else:
            done = await walk.client.delete(f"/api/v1/people/{user_id}", headers=admin)
        assert done.is_success, done.text


async def test_a_live_page_ends_when_its_key_is_revoked(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LOOK_EVERY_S", 3_600.0)
    key, admin = await key_headers(walk.cloud), await key_headers(walk.cloud)
    key_id = (await walk.client.get("/api/v1/me", headers=key)).json()["id"]
    async with reading_live(walk, key):
        assert (await walk.client.delete(f"/api/v1/keys/{key_id}", headers=admin)).is_success


async def test_a_live_page_ends_when_its_session_is_over_though_nobody_says_so(
    walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LOOK_EVERY_S", 0.01)
    reader = await session_headers(walk.cloud, "reader-of-old", Role.VIEWER)
    user_id = (await walk.client.get("/api/v1/me", headers=reader)).json()["id"]
    async with reading_live(walk, reader), walk.cloud.database.transaction() as session:
        await repository.end_sessions(session, user_id)


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
    endpoints = (await walk.client.get("/api/v1/endpoints", headers=admin)).json()["items"]
    hooks = [{name: value for name, value in one.items() if name not in MOVING} for one in endpoints]
    return people, [key for key in keys if key["name"] == "key-of-hall-7"], alarms, identities, hooks
