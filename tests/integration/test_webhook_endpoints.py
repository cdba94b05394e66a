"""Endpoints through the API and the pages: made, tested, rotated, replayed, removed; secrets are told once only."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
import structlog
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from cloud.app import Cloud, create_app
from cloud.core.access import RIGHTS, Right, Role
from cloud.core.events import Event
from cloud.core.tenants import DEFAULT_TENANT
from cloud.settings import CloudSettings
from deploy.local.processes import free_port
from tests.access import key_headers, session_headers
from tests.integration.webhook_world import receiving

pytestmark = pytest.mark.anyio
GONE = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"
SICK = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\nsick"
NEEDED = {"name": "ops", "template": "json"}


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    raw = {
        "storage": {"dir": str(tmp_path / "cloud")},
        "telemetry": {"store": "memory"},
        "broker": {"port": free_port()},
        "webhooks": {"allow_private_addresses": True, "first_retry_s": 0.1},
    }
    app = create_app(CloudSettings.model_validate(raw), environ={})
    async with app.router.lifespan_context(app):
        app.state.cloud.app = app
        yield app.state.cloud


@pytest.fixture
async def client(cloud: Cloud) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(cloud.app)  # type: ignore[attr-defined]
    headers = await key_headers(cloud)
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as client:
        yield client


async def make(client: httpx.AsyncClient, **fields: object) -> tuple[str, str]:
    answer = await client.post("/api/v1/endpoints", json={**NEEDED, **fields})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    return made["endpoint"]["endpoint_id"], made["secret"]


async def owe(cloud: Cloud, event_id: int) -> None:
    """An event comes to the outbox, as the dispatcher brings it."""
    payload = {"alarm_id": f"a{event_id}", "plant_id": "p", "press_id": "m"}
    event = Event(event_id, DEFAULT_TENANT, "alarm.raised", payload, cloud.clock.utc_ms())
    async with cloud.database.transaction() as session:
        await cloud.webhooks.service.owe(session, [event])


async def settled(client: httpx.AsyncClient, state: str, count: int) -> list[dict[str, object]]:
    with anyio.fail_after(20):
        while True:
            found = (await client.get("/api/v1/deliveries", params={"state": state})).json()["items"]
            if len(found) == count:
                return list(found)
            await anyio.sleep(0.02)


async def test_a_secret_is_told_once_and_calls_are_signed_by_old_and_new_in_the_time_of_grace(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    async with receiving() as receiver:
        with structlog.testing.capture_logs() as logs:
            endpoint_id, old = await make(client, url=receiver.url)
            tested = (await client.post(f"/api/v1/endpoints/{endpoint_id}/test")).json()
            rotated = (await client.post(f"/api/v1/endpoints/{endpoint_id}/rotate", json={"grace_h": 1})).json()
            await owe(cloud, 1)
            await settled(client, "delivered", 2)
            at_once = (await client.post(f"/api/v1/endpoints/{endpoint_id}/rotate", json={"grace_h": 0})).json()
            await client.post(f"/api/v1/endpoints/{endpoint_id}/test")
        shown = [
            (await client.get(path)).text
            for path in ("/api/v1/endpoints", f"/api/v1/endpoints/{endpoint_id}", "/api/v1/audit", "/webhooks")
        ]
        shown += [(await client.get(f"/api/v1/deliveries/{tested['delivery']['delivery_id']}")).text]
    assert tested["attempts"][0]["status"] == 200
    assert tested["attempts"][0]["answer"] == "ok"
    secrets = (old, rotated["secret"], at_once["secret"])
    assert len(set(secrets)) == 3
    headers, body = receiver.calls[0]
    Webhook(old).verify(body, headers)
    headers, body = receiver.calls[1]
    for secret in (old, rotated["secret"]):
        assert Webhook(secret).verify(body, headers)["type"] == "alarm.raised"
    headers, body = receiver.calls[2]
    assert len(headers["webhook-signature"].split()) == 1
    Webhook(at_once["secret"]).verify(body, headers)
    async with cloud.database.reading() as session:
        stored = repr([tuple(row) for row in await session.execute(text("SELECT * FROM endpoints"))])
    for secret in secrets:
        assert secret.removeprefix("whsec_") not in repr((logs, shown)) + stored


async def test_410_disables_an_endpoint_and_enabling_and_replaying_bring_what_was_lost(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    async with receiving(GONE) as receiver:
        endpoint_id, _ = await make(client, url=receiver.url)
        await owe(cloud, 1)
        [dead] = await settled(client, "failed", 1)
        path = f"/api/v1/endpoints/{endpoint_id}"
        endpoint = (await client.get(path)).json()
        assert (endpoint["health"], endpoint["dead_letters"]) == ("disabled", 1)
        assert endpoint["disabled_reason"] == "gone"
        assert "410 Gone" in (await client.get("/webhooks?lang=en")).text
        refused = await client.post(f"/api/v1/deliveries/{dead['delivery_id']}/replay")
        assert refused.status_code == 409
        assert "enable it first" in refused.json()["detail"]
        assert (await client.patch(path, json={"is_enabled": True})).json()["health"] == "healthy"
        assert (await client.post(f"/api/v1/deliveries/{dead['delivery_id']}/replay")).status_code == 200
        [again] = await settled(client, "delivered", 1)
        assert again["delivery_id"] == dead["delivery_id"]
        assert (await client.post(f"{path}/replay")).json() == {"count": 0}
        assert (await client.delete(path)).status_code == 204
        assert (await client.get(path)).status_code == 404
    async with cloud.database.reading() as session:
        lines = await session.execute(text("SELECT action FROM audit ORDER BY audit_id"))
        actions = [action for (action,) in lines]
    assert [action for action in actions if "endpoint" in action or "letters" in action] == [
        "webhook_endpoint_added",
        "webhook_endpoint_disabled",
        "webhook_endpoint_enabled",
        "dead_letters_replayed",
        "webhook_endpoint_removed",
    ]


async def test_what_does_not_fit_is_refused_with_the_field_or_the_reason(
    cloud: Cloud, client: httpx.AsyncClient
) -> None:
    url = "https://receiver.invalid/"
    for wrong, field in (
        ({"url": ""}, "body.url"),
        ({"url": "http://169.254.169.254/"}, "body.url"),
        ({"url": url, "secret": "x"}, "body.secret"),
        ({"url": url, "kinds": ["shots.*"]}, "body.kinds.0"),
        ({"url": url, "time_zone": "Mars"}, "body.time_zone"),
        ({"url": url, "name": "a b"}, "body.name"),
        ({"template": "email", "recipients": ["a@b.example"]}, "body.template"),
    ):
        answer = await client.post("/api/v1/endpoints", json={**NEEDED, **wrong})
        assert answer.status_code == 422, wrong
        assert answer.json()["errors"][0]["field"] == field
    endpoint_id, _ = await make(client, url=url)
    assert (await client.post("/api/v1/endpoints", json={**NEEDED, "url": url})).status_code == 409
    slack_id, secret = await make(
        client, name="slack", template="slack", url="https://hooks.slack.com/services/T0/B0/Xyz"
    )
    assert secret is None
    assert (await client.post(f"/api/v1/endpoints/{slack_id}/rotate", json={})).status_code == 409
    assert (await client.patch(f"/api/v1/endpoints/{slack_id}", json={"name": "ops"})).status_code == 409
    shown = (await client.get(f"/api/v1/endpoints/{slack_id}")).json()
    assert shown["url"] == "https://hooks.slack.com/***"
    changed = await client.patch(
        f"/api/v1/endpoints/{endpoint_id}", json={"priority_min": "high", "kinds": ["alarm.*"]}
    )
    assert (changed.json()["priority_min"], changed.json()["kinds"]) == ("high", ["alarm.*"])


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_who_may_not_configure_looks_only(cloud: Cloud, client: httpx.AsyncClient, role: Role) -> None:
    endpoint_id, _ = await make(client, url="https://receiver.invalid/")
    reader = await key_headers(cloud, rights=RIGHTS[role])
    assert (await client.get(f"/webhooks/{endpoint_id}", headers=reader)).status_code == 200
    assert "/webhooks/new" not in (await client.get("/webhooks", headers=reader)).text
    for path in ("", "/test", "/switch", "/rotate", "/replay", "/remove"):
        assert (await client.post(f"/webhooks/{endpoint_id}{path}", headers=reader)).status_code == 403, path


async def test_the_pages_make_test_rotate_and_remove_an_endpoint(cloud: Cloud, client: httpx.AsyncClient) -> None:
    async with receiving(SICK) as receiver:
        engineer = await session_headers(cloud, "engineer", Role.ENGINEER)
        browser = httpx.AsyncClient(transport=client._transport, base_url="http://cloud", headers=engineer)
        assert 'name="url"' in (await browser.get("/webhooks/new?template=dingtalk&lang=en")).text
        refused = await browser.post("/webhooks", data={"template": "json", "name": "ops", "url": "ftp://x"})
        assert refused.status_code == 422
        assert 'role="alert"' in refused.text
        none = await browser.post(
            "/webhooks", data={"template": "json", "name": "o", "url": "https://x", "kinds_shown": "1"}
        )
        assert none.status_code == 422, "no event is not every event"
        form = {"template": "json", "name": "ops", "url": receiver.url, "language": "en", "time_zone": "Asia/Shanghai"}
        form |= {"kinds_shown": "1", "kinds": "alarm.raised", "priority_min": "high", "presses": "p/m, p/n"}
        made = await browser.post("/webhooks", data=form)
        assert made.status_code == 201
        assert re.search(r'id="secret-text">whsec_[A-Za-z0-9+/=]{44}<', made.text)
        [endpoint] = (await client.get("/api/v1/endpoints")).json()["items"]
        assert (endpoint["presses"], endpoint["kinds"]) == (["p/m", "p/n"], ["alarm.raised"])
        path = f"/webhooks/{endpoint['endpoint_id']}"
        tested = await browser.post(f"{path}/test")
        assert "sick" in tested.text
        assert "whsec_" not in tested.text
        assert (await browser.post(f"{path}/test")).text.count("tone-alarm") < tested.text.count("tone-alarm")
        assert "whsec_" in (await browser.post(f"{path}/rotate", data={"grace": "24"})).text
        assert (await browser.post(f"{path}/rotate", data={"grace": "999"})).status_code == 422
        saved = await browser.post(path, data={**form, "url": "", "presses": "", "language": "zh-CN"})
        assert saved.status_code == 303
        changed = (await client.get(f"/api/v1{path.replace('webhooks', 'endpoints')}")).json()
        assert (changed["presses"], changed["language"], changed["url"]) == ([], "zh-CN", endpoint["url"])
        assert (await browser.post(f"{path}/switch", data={"to": "disabled"})).status_code == 303
        assert (await browser.get(f"/deliveries?endpoint={endpoint['endpoint_id']}&lang=en")).text.count("<tr>") == 3
        preview = (await browser.get("/webhooks/preview?template=feishu&language=zh-CN&time_zone=Asia/Shanghai")).text
        assert "止逆环磨损" in preview
        assert (await browser.post(f"{path}/remove")).headers["location"] == "/webhooks"
        await browser.aclose()


async def test_the_settings_own_an_endpoint_of_theirs(tmp_path: Path) -> None:
    secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    endpoint = {"name": "ops", "url": "http://127.0.0.1:9/", "secret": secret}
    raw = {
        "storage": {"dir": str(tmp_path / "cloud")},
        "telemetry": {"store": "memory"},
        "broker": {"port": free_port()},
        "webhooks": {"endpoints": [endpoint]},
    }
    app = create_app(CloudSettings.model_validate(raw), environ={})
    async with app.router.lifespan_context(app):
        headers = await key_headers(app.state.cloud, rights={Right.READ, Right.CONFIGURE})
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as client:
            [shown] = (await client.get("/api/v1/endpoints")).json()["items"]
            path = f"/api/v1/endpoints/{shown['endpoint_id']}"
            assert shown["is_from_settings"]
            for refused in (
                await client.patch(path, json={"url": "https://other.invalid/"}),
                await client.post(f"{path}/rotate", json={}),
                await client.delete(path),
            ):
                assert refused.status_code == 409
                assert "settings" in refused.json()["detail"]
            filtered = await client.patch(path, json={"priority_min": "critical"})
            assert filtered.json()["priority_min"] == "critical"
            assert json.dumps(secret)[7:-1] not in (await client.get(path)).text
