"""The application without its jobs, on a clock that moves when told, and browsers that keep their cookies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI

from cloud.app import Cloud, create_app
from cloud.identity import setup_file
from cloud.identity.passwords import Passwords
from kit.clock import ManualClock
from tests.integration.test_cloud_api import settings

PASSWORD = "a calm grey press"
FIRST = {"login": "Anna@plant", "name": "Anna", "password": PASSWORD, "again": PASSWORD}
HERE = {"Origin": "http://cloud"}


@dataclass(frozen=True, slots=True)
class World:
    app: FastAPI
    cloud: Cloud
    clock: ManualClock
    folder: Path

    def browser(self, address: str = "10.0.0.1") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=HERE)

    def setup_token(self) -> str:
        return (setup_file.read(self.folder) or "").partition("token=")[2]

    async def set_up(self) -> httpx.AsyncClient:
        """The first admin's browser, signed in."""
        browser = self.browser()
        made = await browser.post("/setup", data={**FIRST, "token": self.setup_token()})
        assert made.status_code == 303, made.text
        return browser

    async def member(self, admin: httpx.AsyncClient, login: str, *roles: str) -> httpx.AsyncClient:
        """Somebody who was invited and has followed the link."""
        invited = await admin.post(
            "/api/v1/people", json={"login": login, "name": login, "roles": list(roles)}, headers=await csrf(admin)
        )
        assert invited.status_code == 201, invited.text
        browser = self.browser()
        token = invited.json()["link"].partition("token=")[2]
        form = {"token": token, "password": PASSWORD, "again": PASSWORD}
        assert (await browser.post("/welcome", data=form)).status_code == 303
        return browser


@asynccontextmanager
async def world(folder: Path, postgresql: str = "") -> AsyncIterator[World]:
    clock, given = ManualClock(), settings(folder)
    given = given.model_copy(update={"storage": given.storage.model_copy(update={"postgresql": postgresql})})
    app = create_app(given, clock, environ={}, hasher=Passwords(memory_kib=64, passes=1))
    cloud: Cloud = app.state.cloud
    try:
        await cloud._prepare()  # without the links to a broker, whose end takes a second each
        yield World(app, cloud, clock, folder / "cloud")
    finally:
        cloud.store.close()
        await cloud.database.close()


async def csrf(browser: httpx.AsyncClient) -> dict[str, str]:
    """The header that our pages send back."""
    page = (await browser.get("/account")).text
    return {"X-CSRF-Token": page.partition('name="csrf_token" value="')[2].partition('"')[0]}


async def me(browser: httpx.AsyncClient) -> int:
    return (await browser.get("/api/v1/me")).status_code
