"""What the pages cost: the fleet page's data for 10,000 presses, a live client's second, and the first page.

Budgets (DESIGN 9): fleet page data p99 <= 50 ms; first page <= 150 kB compressed and <= 1 s on loopback. The CPU of a
live client is the server's with all clients less that without any, a client and second; 40 tiles change every second.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import httpx
import numpy as np
import psutil

from bench import web_fleet
from bench.report import tell
from bench.web_fleet import Figures

PRESSES, ROUNDS = 10_000, 100
TILES, CLIENTS, WATCH_S = 40, 200, 20.0
SETTLE_S = 3.0
FIRST_PAGE, FIRST_PAGES = "/?lang=en", 20
START_S_MAX = 60.0
ASSET = re.compile(r'(?:src|href)="(/static/dist/[^"]+)"')


@dataclass(frozen=True, slots=True)
class Served:
    """The program under test, in a process of its own."""

    process: psutil.Process
    port: int
    headers: dict[str, str]

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """CPU time that it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def served(tiles: int) -> Iterator[Served]:
    """The program with so many presses, stopped at the end."""
    command = [sys.executable, "-m", "bench.web_server", str(tiles)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            told = json.loads(child.stdout.readline())
            yield Served(psutil.Process(child.pid), told["port"], {"Authorization": f"Bearer {told['key']}"})
        finally:
            child.terminate()
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()


class Client:
    """Reads the live fleet page as a browser does; counts its updates."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self.updates = self.bytes = 0

    async def run(self) -> None:
        """Read until cancelled."""
        async with await anyio.connect_tcp("127.0.0.1", self._server.port) as stream:
            lines = ["GET /live/fleet?lang=en HTTP/1.1", "Host: 127.0.0.1", "Accept: text/event-stream"]
            lines += [f"{name}: {value}" for name, value in self._server.headers.items()]
            await stream.send("\r\n".join([*lines, "", ""]).encode())
            async for chunk in stream:
                self.updates += chunk.count(b"event: delta")
                self.bytes += len(chunk)


async def live(server: Served, clients: int, watch_s: float) -> Figures:
    """The server's CPU without and with the clients."""
    await anyio.sleep(SETTLE_S)
    alone_s = await _cpu_over(server, watch_s)
    readers = [Client(server) for _ in range(clients)]
    async with anyio.create_task_group() as tasks:
        for reader in readers:
            tasks.start_soon(reader.run)
        await anyio.sleep(SETTLE_S)
        before = [(reader.updates, reader.bytes) for reader in readers]
        busy_s = await _cpu_over(server, watch_s)
        updates = [reader.updates - was for reader, (was, _) in zip(readers, before, strict=True)]
        volume = sum(reader.bytes - was for reader, (_, was) in zip(readers, before, strict=True))
        tasks.cancel_scope.cancel()
    return {
        "tiles": TILES,
        "clients": clients,
        "cpu_ms_per_client_s": (busy_s - alone_s) / clients / watch_s * 1000,
        "server_cpu_share_alone": alone_s / watch_s,
        "server_cpu_share": busy_s / watch_s,
        "updates_per_client_s": float(np.mean(updates)) / watch_s,
        "updates_least": min(updates),
        "bytes_per_client_s": volume / clients / watch_s,
    }


async def _cpu_over(server: Served, watch_s: float) -> float:
    before_s = server.cpu_s()
    await anyio.sleep(watch_s)
    return server.cpu_s() - before_s


async def first_page(server: Served) -> Figures:
    """The page with its script and style, as a browser without a cache loads them; a new connection each time."""
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers) as client:
        assets = ASSET.findall((await client.get(FIRST_PAGE)).text)
    times_ms, size = [], 0
    for _ in range(FIRST_PAGES):
        async with httpx.AsyncClient(base_url=server.url, headers=server.headers) as client:
            began_s = time.perf_counter()
            size = sum([await _load(client, path) for path in (FIRST_PAGE, *assets)])
            times_ms.append((time.perf_counter() - began_s) * 1000)
    return {
        "first_page_bytes": size,
        "first_page_files": 1 + len(assets),
        "first_page_ms": float(np.median(times_ms)),
        "first_page_max_ms": max(times_ms),
    }


async def _load(client: httpx.AsyncClient, path: str) -> int:
    """Get all of it; how many bytes came over the wire."""
    async with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        answer.raise_for_status()
        return sum([len(chunk) async for chunk in answer.aiter_raw()])


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--presses", type=int, default=PRESSES)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="seconds of shots, each followed by a look")
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--watch-s", type=float, default=WATCH_S, help="how long the live clients are watched")
    arguments = parser.parse_args()
    figures = anyio.run(web_fleet.measure, arguments.presses, arguments.rounds)
    with served(TILES) as server:
        figures |= anyio.run(first_page, server)
        figures |= anyio.run(live, server, arguments.clients, arguments.watch_s)
    tell(figures, as_json=arguments.json)


if __name__ == "__main__":
    main()
