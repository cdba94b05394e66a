"""The whole application in one process with one of everything in it, and the address of each of its pages."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from cloud.app import Cloud, create_app
from cloud.core.access import Role
from cloud.identity import setup_file
from cloud.identity.cookies import COOKIE
from cloud.identity.passwords import Passwords
from cloud.self_service.settings import SignupSettings
from cloud.settings import GatewaySettings
from tests.access import session_headers
from tests.e2e.web_plant import FORESEEN_PRESS, PLANT, WORN_PRESS, Plant
from tests.integration.test_cloud_api import settings
from tests.integration.test_identity_routes import furnished

SHOTS = 30
FEW_PASSES = Passwords(memory_kib=64, passes=1)
NO_PAGE = re.compile(r"^/(api|live|static|healthz|readyz|metrics)\b|\.(json|csv|ics)$")
Got = TypeVar("Got")


class WholePlant(Plant):
    """The small plant of the pages, in front of the real composition root and its jobs."""

    cloud: Cloud

    def app(self) -> FastAPI:
        """The application as it is deployed, without a broker."""
        given = settings(self._folder).model_copy(
            update={
                "gateways": GatewaySettings(broker_host="broker.example"),
                "signup": SignupSettings(enabled=True, confirm="link"),
            }
        )
        app = create_app(given, environ={}, hasher=FEW_PASSES)
        self.cloud = cloud = app.state.cloud
        self.database, self._fleet, self._store, self._live = cloud.database, cloud.fleet, cloud.store, cloud.live
        self._pages = app.state.pages
        whole = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            self._loop = asyncio.get_running_loop()
            async with whole(app):
                yield

        app.router.lifespan_context = lifespan
        return app

    def ask(self, work: Coroutine[Any, Any, Got]) -> Got:
        """Let the application's loop do something, and wait for what comes of it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(40)

    async def _digest(self) -> None:
        self._live.shots.publish()


@dataclass(frozen=True, slots=True)
class House:
    """Where it is served, the cookie of one who may do everything, and the addresses of its pages by their routes."""

    url: str
    cookie: str
    plant: WholePlant
    pages: dict[str, str]
    setup_link: str

    def cookies(self) -> list[dict[str, str]]:
        """What a browser has after signing in."""
        return [{"name": COOKIE, "value": self.cookie, "url": self.url}]


@contextmanager
def open_house(folder: Path) -> Iterator[House]:
    """Serve it, furnished: shots, alarms, people, keys, gateways, a trial; it is closed at the end."""
    plant = WholePlant(folder)
    app = plant.app()
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, name="the whole application")
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.02)
    try:
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        link = setup_file.read(plant.cloud.settings.storage.dir)
        assert link is not None, "nobody has an account yet"
        plant.run(shots=SHOTS, wear=0.95)
        ids, cookie = plant.ask(_move_in(app, plant.cloud))
        ids |= {"plant_id": PLANT, "press_id": WORN_PRESS, "gateway_id": "gateway-1", "provider": "none"}
        yield House(url, cookie, plant, dict(pages_of(app, ids)), link)
    finally:
        plant.close_streams()
        server.should_exit = True
        thread.join(20)


async def _move_in(app: FastAPI, cloud: Cloud) -> tuple[dict[str, str], str]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cloud") as client:
        ids = await furnished(cloud, client)
    headers = await session_headers(cloud, "anna", Role.PLATFORM_ADMIN)
    return ids, headers["Cookie"].partition("=")[2]


def pages_of(app: FastAPI, ids: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each route that a person may open, with a path that leads somewhere."""
    for route in iter_route_contexts(app.routes):
        if "GET" not in (route.methods or ()) or NO_PAGE.search(route.path):
            continue
        path = route.path
        for name, value in ids.items():
            path = path.replace(f"{{{name}}}", value)
        assert "{" not in path, f"{route.path}: which id is this?"
        yield route.path, path
    foreseen = f"/plants/{PLANT}/presses/{FORESEEN_PRESS}"
    yield f"{foreseen} (looks ahead)", foreseen
