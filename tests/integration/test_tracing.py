"""Traces: a span for each request by its route, each batch and each call, nothing secret in them; off by default."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio.lowlevel
import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cloud.app import create_app
from cloud.ingest.digest import Digest
from cloud.settings import TracingSettings
from cloud.tracing import Traces, TracingMissingError, otlp
from cloud.web.translation import load_catalogues
from cloud.webhooks.calling import Caller
from cloud.webhooks.domain import Target
from cloud.webhooks.message import Message
from kit.clock import ManualClock
from tests.access import key_headers
from tests.integration.test_cloud_api import settings

pytestmark = pytest.mark.anyio
SECRET = "a-link-that-works-once"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def told(spans: InMemorySpanExporter) -> dict[str, Mapping[str, Any]]:
    return {span.name: span.attributes or {} for span in spans.get_finished_spans()}


async def test_requests_are_named_by_their_route_and_tell_no_query(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    app = create_app(settings(tmp_path), ManualClock(), environ={}, traces=Traces(spans, is_immediate=True))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        headers = await key_headers(app.state.cloud)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as client:
            answer = await client.get("/api/v1/alarms", params={"press": SECRET})
            assert (answer.status_code, answer.json()["items"]) == (200, []), "the request has its query all the same"
            assert (await client.get("/api/v1/alarms", params={"limit": SECRET})).status_code == 422
            await client.get(f"/setup?token={SECRET}")
            await client.get("/healthz")
        await app.state.cloud.ingest._store_one(Digest())
    found = told(spans)
    assert found["GET /api/v1/alarms"]["http.route"] == "/api/v1/alarms"
    assert found["ingest.batch"] == {"records": 0, "news": 0}
    assert not any("healthz" in name for name in found)
    everything = " ".join(span.to_json() for span in spans.get_finished_spans())
    assert SECRET not in everything
    assert headers["Authorization"].split()[-1] not in everything


async def test_a_webhook_call_is_a_span_without_address_or_secret(spans: InMemorySpanExporter) -> None:
    async def lookup(_host: str, _port: int, *, allow_private: bool) -> str:
        await anyio.lowlevel.checkpoint()
        return "127.0.0.1" if allow_private else "192.0.2.1"

    transport = httpx.MockTransport(lambda _request: httpx.Response(204, stream=httpx.ByteStream(b"")))
    texts = load_catalogues()
    caller = Caller(
        ManualClock(), texts, transport=transport, lookup=lookup, spans=Traces(spans, is_immediate=True).span
    )
    secret = "whsec_" + "A" * 43 + "="
    target = Target(
        UUID(int=1), "json", f"https://hooks.example/{SECRET}", (secret,), (), "en", "UTC", may_call_private=False
    )
    attempt = await caller.attempt(target, Message("alarm.raised", 1, 0, {"alarm_id": "a"}), "msg_1")
    assert attempt.answer.status == 204
    assert told(spans) == {"webhook.call": {"template": "json", "kind": "alarm.raised", "message_id": "msg_1"}}


def test_no_sdk_exporter_or_instrumentation_is_loaded_while_it_is_off() -> None:
    """The API alone is loaded by FastAPI, where it is installed."""
    assert not TracingSettings().enabled
    parts = tuple(f"opentelemetry.{name}" for name in ("sdk", "exporter", "instrumentation"))
    look = f"import sys, cloud.app; sys.exit(any(name.startswith({parts!r}) for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", look], check=False, timeout=60).returncode == 0


def test_without_the_packages_the_settings_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(TracingMissingError, match="requirements/cloud-tracing"):
        otlp("http://127.0.0.1:4318/v1/traces", share=1.0)
