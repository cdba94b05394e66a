"""Requests made from the OpenAPI description, sensible and not, by an administrator and by nobody: none breaks it.

What is answered is what the description says: status, content type, and body.
"""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import schemathesis
import uvicorn
from anyio import to_thread
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.app import create_app
from cloud.core.access import RIGHTS, SCOPE_KEY, Principal, Role
from cloud.core.tenants import DEFAULT_TENANT
from cloud.settings import CloudSettings
from deploy.local.processes import free_port
from tests.postgres import PostgresServer

EVERYBODY = Principal("api_key", "schema", "schema", DEFAULT_TENANT, RIGHTS[Role.PLATFORM_ADMIN])
UNREADY = "/readyz"
"""There is no broker here."""
pytestmark = pytest.mark.anyio
CONFORMING = [status_code_conformance, content_type_conformance, response_schema_conformance]
CASES, CASES_SLOW = 5, 150
"""Of each operation; more would find more in one of them, but not one more."""
PUBLIC = {"GET /healthz", "GET /readyz", "POST /api/v1/gateways/claim", "POST /api/v1/gateways/renew"}
"""Asked by launchers, and by gateways that prove themselves otherwise."""
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@dataclass(frozen=True, slots=True)
class Served:
    """One application on two ports: asked by an administrator, and by nobody."""

    admin_url: str
    nobody_url: str


class SignedIn:
    """Stands inside of what finds out who asks, and says that at one port it is always an administrator."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_admin = scope["type"] == "http" and scope["server"][1] == self._port
        await self._app({**scope, SCOPE_KEY: EVERYBODY} if is_admin else scope, receive, send)


@contextmanager
def serving(folder: Path, postgresql: str = "") -> Iterator[Served]:
    """The application until the block ends."""
    raw = {
        "storage": {"dir": str(folder), "postgresql": postgresql},
        "telemetry": {"store": "memory"},
        "broker": {"port": free_port()},
        "limits": dict.fromkeys(("requests_burst", "stranger_requests_burst"), 1000000),
    }
    app = create_app(CloudSettings.model_validate(raw), environ={})
    with socket.create_server(("127.0.0.1", 0)) as admin, socket.create_server(("127.0.0.1", 0)) as nobody:
        served = Served(*(f"http://127.0.0.1:{end.getsockname()[1]}" for end in (admin, nobody)))
        app.user_middleware.append(Middleware(SignedIn, port=admin.getsockname()[1]))  # the last is the innermost
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, args=([admin, nobody],))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            thread.join(0.02)
        yield served
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("cloud")) as served:
        yield served


def ask_all(url: str, cases_each: int) -> dict[str, Counter[int]]:
    """Ask each operation of the description at `url` so many times; what was answered, by operation and status."""
    schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json")
    asked = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        asked[operation.label] = ask(operation, cases_each)
    described = httpx.get(f"{url}/api/v1/openapi.json").json()["paths"]
    assert asked.keys() == {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    print(f"{len(asked)} operations asked, {sum(map(Counter.total, asked.values()))} requests")
    return asked


def ask(operation: APIOperation, cases: int) -> Counter[int]:
    """Make at least `cases` requests of one operation, good ones and bad ones; what was answered, by status."""
    statuses: Counter[int] = Counter()

    @seed(20260101)
    @settings(max_examples=cases, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.one_of(operation.as_strategy(generation_mode=mode) for mode in MODES))
    def once(case: schemathesis.Case) -> None:
        response = case.call()
        statuses[response.status_code] += 1
        where = (case.method, case.path, response.status_code, response.text[:500])
        assert response.status_code < 500 or case.path == UNREADY, where
        case.validate_response(response, checks=CONFORMING)

    once()
    return statuses


EACH = pytest.mark.parametrize("cases_each", [CASES, pytest.param(CASES_SLOW, marks=pytest.mark.slow)])


@EACH
def test_whatever_an_administrator_asks_of_any_operation_is_answered_as_described(
    served: Served, cases_each: int
) -> None:
    statuses = sum(ask_all(served.admin_url, cases_each).values(), Counter[int]())
    assert {200, 422} <= statuses.keys()
    assert not {401, 403} & statuses.keys()


@pytest.mark.slow
async def test_postgresql_breaks_by_no_request_either(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """It refuses texts that SQLite takes, the character 0 among them."""
    address = await postgres_server.emptied()
    with serving(tmp_path, address) as served:
        statuses = sum((await to_thread.run_sync(ask_all, served.admin_url, 4 * CASES)).values(), Counter[int]())
    assert {200, 422} <= statuses.keys()


@EACH
def test_whatever_nobody_asks_of_any_operation_is_refused_as_described(served: Served, cases_each: int) -> None:
    asked = ask_all(served.nobody_url, cases_each)
    let_in = {label for label, statuses in asked.items() if not statuses[401]}
    assert let_in == PUBLIC


def test_the_description_names_every_route_of_the_api_and_no_other(served: Served) -> None:
    with httpx.Client(base_url=served.nobody_url) as client:
        description = client.get("/api/v1/openapi.json").json()
    assert all(path.startswith("/api/v1/") or path in ("/healthz", "/readyz") for path in description["paths"])


def test_the_start_is_in_the_audit_log_and_a_job_follows_its_chain(served: Served) -> None:
    with httpx.Client(base_url=served.admin_url) as client:
        (line,) = client.get("/api/v1/audit", params={"action": "cloud_started"}).json()["items"]
        assert (line["actor_kind"], line["target"]) == ("system", "host:zhisan")
        assert len(line["after"]["settings_sha256"]) == 64
        chain = client.get("/api/v1/audit/chain").json()
    assert chain["broken_audit_id"] is None
    assert chain["verified_audit_id"] >= line["audit_id"]
