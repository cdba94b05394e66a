"""Who asks too often is told when to come again; others, and the cheap paths, are not held up."""

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.core.access import SCOPE_KEY, Principal
from cloud.core.limits import Limits, RequestRates
from kit.clock import ManualClock

pytestmark = pytest.mark.anyio
LIMITS = Limits(requests_per_s=2.0, requests_burst=5, stranger_requests_per_s=1.0, stranger_requests_burst=3)


def signed_in(app: ASGIApp, user: str) -> ASGIApp:
    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        principal = Principal("user", user, user, "t", frozenset())
        await app({**scope, SCOPE_KEY: principal}, receive, send)

    return served


async def count(app: ASGIApp, path: str = "/x", *, address: str = "10.0.0.1", most: int = 20) -> int:
    """How many of `most` requests are served before one is not."""
    transport = httpx.ASGITransport(app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
        for n in range(most):
            response = await client.get(path)
            if response.status_code != 200:
                assert response.status_code == 429
                assert int(response.headers["retry-after"]) >= 1
                assert response.json()["status"] == 429
                return n
    return most


async def test_each_caller_has_an_allowance_of_its_own_that_comes_back_with_time() -> None:
    clock = ManualClock()
    app = RequestRates(PlainTextResponse("served"), LIMITS, clock)
    assert await count(app) == 3
    assert await count(app, address="10.0.0.2") == 3
    assert await count(signed_in(app, "u1")) == 5
    assert await count(signed_in(app, "u2")) == 5
    assert await count(app) == 0
    clock.advance(2.0)
    assert await count(app) == 2
    assert await count(signed_in(app, "u1")) == 4


async def test_static_files_and_the_sign_of_life_are_always_served() -> None:
    app = RequestRates(PlainTextResponse("served"), LIMITS, ManualClock())
    assert await count(app) == 3
    for path in ("/static/dist/app.js", "/healthz"):
        assert await count(app, path, most=50) == 50


async def test_coming_when_told_is_early_enough() -> None:
    clock = ManualClock()
    app = RequestRates(PlainTextResponse("served"), LIMITS, clock)
    await count(app)
    transport = httpx.ASGITransport(app, client=("10.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
        clock.advance(float((await client.get("/x")).headers["retry-after"]))
        assert (await client.get("/x")).status_code == 200
