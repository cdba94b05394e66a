"""A cloud whose company has 120 customers and two years of evidence of them, by the files of the simulated business."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cloud.app import Cloud
from simulators.business.files import business, write
from tests.access import key_headers
from tests.integration.identity_world import World, world

API = "/api/v1/tiering"
BINARY = {"Content-Type": "application/octet-stream"}
HEADER = "customer,kind,day,amount,currency,quantity,source\n"


@dataclass(frozen=True, slots=True)
class Desk:
    """The application and somebody who may do tiering in it."""

    world: World
    client: httpx.AsyncClient

    @property
    def cloud(self) -> Cloud:
        return self.world.cloud

    async def get(self, path: str) -> Any:
        answer = await self.client.get(API + path)
        assert answer.status_code == 200, answer.text
        return answer.json() if "json" in answer.headers["content-type"] else answer.text

    async def send(self, method: str, path: str, status: int, /, **body: object) -> Any:
        answer = await self.client.request(method, API + path, json=body or None)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def file(self, what: str, content: str | bytes, *, keep: bool = True, status: int = 200) -> Any:
        query = f"?what={what}&name=f.csv&keep={str(keep).lower()}"
        body = content.encode() if isinstance(content, str) else content
        answer = await self.client.post(f"{API}/imports{query}", content=body, headers=BINARY)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def wait_days(self, days: float) -> None:
        """Let time pass; a key is for a day."""
        self.world.clock.advance(days * 86_400)
        self.client.headers.update(await key_headers(self.cloud))

    async def score(self) -> Any:
        """Ask for a run and have it done."""
        asked = await self.send("POST", "/runs", 202)
        await self.cloud.tiering_job.work()
        done = await self.get(f"/runs/{asked['run_id']}")
        assert done["state"] == "done", done
        return done


@asynccontextmanager
async def tiering_desk(folder: Path, *, postgresql: str = "") -> AsyncIterator[Desk]:
    async with world(folder, postgresql) as made:
        transport = httpx.ASGITransport(made.app, raise_app_exceptions=False)
        headers = await key_headers(made.cloud)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as client:
            yield Desk(made, client)


async def take_business(desk: Desk, folder: Path, *, customers: int = 120, months: int = 24) -> None:
    """Import a simulated business, as a person would."""
    write(business(customers, months, 4), folder)
    await desk.file("customers", (folder / "customers.csv").read_bytes())
    for path in sorted(folder.glob("evidence-*.csv")):  # noqa: ASYNC240 - a test has nothing else to do
        await desk.file("evidence", path.read_bytes())
