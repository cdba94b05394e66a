"""The real cloud program is killed again and again while it delivers: every call arrives, few arrive twice."""

import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest
from standardwebhooks.webhooks import Webhook

from cloud.core.database import Database, sqlite_url
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tenants import DEFAULT_TENANT
from cloud.migrations.upgrade import upgrade
from cloud.webhooks.jobs import CALLS_PER_ENDPOINT_MAX
from deploy.local.processes import Child, free_port
from kit.clock import SystemClock

PROGRAM = [sys.executable, "-c", "import sys; from cloud.cli import main; sys.exit(main(sys.argv[1:]))"]
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
ALARMS = 60
KINDS = ("alarm.raised", "alarm.acknowledged", "alarm.cleared")
KILL_AFTER = (30, 100)
"""How many calls have arrived when the program is killed."""
PATIENCE_S = 90


class Receiver:
    """Counts calls by webhook-id; `arrived` is told of each. Every answer takes a moment, so that kills hit calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.arrived = threading.Condition()
        self.answer_s = 0.02

    def take(self, headers: dict[str, str], body: bytes) -> None:
        message = Webhook(SECRET).verify(body, headers)
        with self.arrived:
            self.calls.append((headers["webhook-id"], message["data"]["alarm_id"], message["type"]))
            self.arrived.notify_all()

    def wait_for(self, distinct: int) -> None:
        with self.arrived:
            is_there = self.arrived.wait_for(lambda: len({call[0] for call in self.calls}) >= distinct, PATIENCE_S)
        assert is_there, f"{len(self.calls)} calls after {PATIENCE_S} s"


@contextmanager
def receiving(receiver: Receiver) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
            threading.Event().wait(receiver.answer_s)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Silence."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                """Its caller was killed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def put_events(folder: Path) -> None:
    """The events of many alarms, as the alarms module writes them, while no program runs."""
    database = Database(sqlite_url(folder / "cloud.sqlite"))
    await upgrade(database)
    async with database.transaction() as session:
        for kind in KINDS:
            for number in range(ALARMS):
                payload = {"alarm_id": f"alarm-{number}", "plant_id": "p", "press_id": "m"}
                EventLog(Live()).record(session, DEFAULT_TENANT, kind, payload, SystemClock().utc_ms() + 60_000)
    await database.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    text = f'[storage]\ndir = "{tmp_path}/data"\n[web]\nport = {free_port()}\n[broker]\nport = {free_port()}\n'
    path = tmp_path / "cloud.toml"
    path.write_text(text + '[telemetry]\nstore = "memory"\n', encoding="utf-8")
    return path


def test_no_call_is_lost_when_the_program_is_killed_while_it_delivers(config: Path, tmp_path: Path) -> None:
    receiver = Receiver()
    with receiving(receiver) as url, config.open("a", encoding="utf-8") as file:
        endpoint = {"name": "ops", "url": url, "secret": SECRET}
        file.write("[webhooks]\nfirst_retry_s = 0.2\n[[webhooks.endpoints]]\nallow_private_addresses = true\n")
        file.writelines(f"{name} = {json.dumps(value)}\n" for name, value in endpoint.items())
        file.flush()
        (tmp_path / "data").mkdir()
        anyio.run(put_events, tmp_path / "data")
        for kill_after in KILL_AFTER:
            program = Child.start("cloud", [*PROGRAM, "run", "--config", config], tmp_path / "cloud.log")
            receiver.wait_for(kill_after)
            program.process.kill()
            program.process.wait()
        program = Child.start("cloud", [*PROGRAM, "run", "--config", config], tmp_path / "cloud.log")
        try:
            receiver.wait_for(ALARMS * len(KINDS))
        finally:
            program.stop()
    distinct = {call[0] for call in receiver.calls}
    duplicates = len(receiver.calls) - len(distinct)
    print(f"owed {ALARMS * len(KINDS)}, arrived {len(receiver.calls)}, distinct {len(distinct)}, twice {duplicates}")
    assert len(distinct) == ALARMS * len(KINDS)
    assert duplicates <= len(KILL_AFTER) * CALLS_PER_ENDPOINT_MAX
    assert max(Counter(call[0] for call in receiver.calls).values()) <= 2
    first_seen = list(dict.fromkeys(receiver.calls))
    for number in range(ALARMS):
        assert [kind for _, alarm_id, kind in first_seen if alarm_id == f"alarm-{number}"] == list(KINDS)
