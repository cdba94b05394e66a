"""Requests made from the OpenAPI description, sensible and not, against a served cloud: none breaks it."""

import threading
from collections.abc import Iterator

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cloud.app import create_app
from cloud.settings import CloudSettings
from deploy.local.processes import free_port


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("cloud"), free_port()
    raw = {"storage": {"dir": str(folder)}, "telemetry": {"store": "memory"}, "broker": {"port": free_port()}}
    app = create_app(CloudSettings.model_validate(raw), environ={})
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
        client.get(f"{url}/healthz")
    yield url
    server.should_exit = True
    thread.join(20)


def test_no_request_that_the_description_allows_or_forbids_breaks_the_cloud(url: str) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    cases = st.one_of(
        operation.as_strategy(generation_mode=mode)
        for operation in operations
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    )
    statuses: set[int] = set()

    @settings(max_examples=150, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(cases)
    def ask(case: schemathesis.Case) -> None:
        response = case.call()
        statuses.add(response.status_code)
        assert response.status_code < 500 or case.path == "/readyz", (case.method, case.path, response.text)

    ask()
    assert len(operations) >= 13
    assert {200, 422} <= statuses
