"""The gateway's side, for real: the command over HTTP, renewal while connected, answers that are none."""

import json
import random
import stat
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import pytest
import uvicorn
from anyio import to_thread
from cryptography import x509

from cloud.gateways.domain import GatewayRules
from deploy.local.broker import mosquitto_program
from deploy.local.processes import free_port
from edge_agent.identity import cli, cloud_calls
from edge_agent.identity.cloud_calls import CloudAddress, CloudRefusedError
from edge_agent.identity.files import IdentityError, IdentityFiles
from edge_agent.identity.renewal import RETRY_S_MIN, Renewal
from edge_agent.settings import EdgeSettings
from kit.clock import ManualClock, SystemClock
from kit.mqtt import BrokerSettings
from kit.settings import load
from tests.integration.gateway_identity_world import (
    World,
    broker_world,
    common_name,
    host_settings,
    peer,
    until,
    world,
)

pytestmark = pytest.mark.anyio
RULES = GatewayRules(broker_host="127.0.0.1", broker_port=8883)


@asynccontextmanager
async def served(made: World) -> AsyncIterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(made.who, port=port, log_config=None, lifespan="off"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        while not server.started:
            await anyio.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True


async def run(*arguments: str, **environ: str) -> int:
    return await to_thread.run_sync(lambda: cli.main(["claim", *arguments], environ))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_command_makes_key_certificate_and_settings(tmp_path: Path, capsys: Any) -> None:
    config, state = tmp_path / "gateway.toml", tmp_path / "state"
    async with world(tmp_path, RULES) as made, served(made) as url:
        token = await made.token("north", "gw-1")
        given = ("--cloud", url, "--config", str(config), "--state-dir", str(state))
        assert await run(*given, ZHISAN_CLAIM_TOKEN=token) == 0
        files = IdentityFiles(state)
        identity = files.read()
        assert common_name(identity.certificate_pem) == "north/gw-1"
        assert (mode(files.gateway_file), mode(files.folder)) == (0o600, 0o700)
        settings = load(EdgeSettings, config, prefix="ZHISAN_EDGE__", environ={})
        assert (settings.gateway.plant, settings.gateway.id, settings.uplink.primary_host_id) == (
            "north", "gw-1", "zhisan",
        )  # fmt: skip
        assert (settings.broker.port, settings.broker.certificate_file) == (8883, files.gateway_file)
        assert await run(*given, ZHISAN_CLAIM_TOKEN=token) == 1, "the token is used"
        assert IdentityFiles(state).read().certificate_pem == identity.certificate_pem, "and nothing has changed"
        said = capsys.readouterr()
        assert "the cloud refuses (403)" in said.err
        again = await made.token("north", "gw-1")
        assert await run(*given, "--token", again) == 0
        assert f"{config} fits" in capsys.readouterr().out
        assert token not in said.out + said.err


async def test_an_existing_file_is_not_changed_and_what_it_lacks_is_said(tmp_path: Path, capsys: Any) -> None:
    config = tmp_path / "gateway.toml"
    text = f'[gateway]\nplant = "north"\nid = "gw-1"\nstate_dir = "{tmp_path / "state"}"\n'
    config.write_text(text, encoding="utf-8")
    async with world(tmp_path, RULES) as made, served(made) as url:
        token = await made.token("north", "gw-1")
        assert await run("--cloud", url, "--config", str(config), "--token", token) == 0
    out = capsys.readouterr().out
    said = tomllib.loads(out[out.index("[gateway]") :])
    assert said["broker"]["certificate_file"] == str(tmp_path / "state" / "identity" / "gateway.pem")
    assert config.read_text(encoding="utf-8") == text


async def test_what_the_command_cannot_do_it_says(tmp_path: Path, capsys: Any) -> None:
    state = ("--state-dir", str(tmp_path / "s"))
    assert await run("--cloud", "http://127.0.0.1:1", *state) == 2
    assert "ZHISAN_CLAIM_TOKEN" in capsys.readouterr().err
    assert await run("--cloud", "http://127.0.0.1:1", "--token", "x") == 2
    assert "--state-dir" in capsys.readouterr().err
    assert await run("--cloud", f"http://127.0.0.1:{free_port()}", "--token", "x", *state) == 1
    assert "cannot be asked" in capsys.readouterr().err
    assert await run("--cloud", "http://cloud.example", "--token", "x", *state) == 1
    assert "must begin with https" in capsys.readouterr().err
    assert not (tmp_path / "s" / "identity").exists()


@pytest.mark.skipif(mosquitto_program() is None, reason="mosquitto is not installed")
async def test_a_renewed_gateway_reconnects_with_its_new_certificate(tmp_path: Path) -> None:
    async with broker_world(tmp_path, certificate_ms=3 * 86_400_000) as (made, broker), served(made) as url:
        token = await made.token("north", "gw-1")
        files = IdentityFiles(tmp_path / "state")
        old = await to_thread.run_sync(cloud_calls.claim, CloudAddress(url), token)
        await to_thread.run_sync(files.write, old)
        settings = BrokerSettings(port=broker.port, ca_file=files.ca_file, certificate_file=files.gateway_file)
        async with (
            peer(host_settings(made, broker), "host", ["spBv1.0/#"]) as host,
            peer(settings, "north:gw-1") as gateway,
        ):
            await until(lambda: gateway.connected == 1 and host.connected == 1)
            renewal = Renewal(files, SystemClock(), random.Random(1), gateway.link.reconnect)
            await renewal.step()
            assert files.read().certificate_pem == old.certificate_pem, "it is not due"
            early = Renewal(files, Ahead(), random.Random(1), gateway.link.reconnect, ask=_asked_now)
            await early.step()
            new = files.read()
            assert new.certificate_pem != old.certificate_pem
            assert new.key.public_key() != old.key.public_key()
            assert (new.about, mode(files.gateway_file)) == (old.about, 0o600)
            await until(lambda: gateway.connected == 2)
            await until(lambda: gateway.link.publish("spBv1.0/north/NDATA/gw-1", b"x") and bool(host.got))


async def test_an_expired_revoked_or_damaged_identity_is_not_renewed_and_kept(tmp_path: Path) -> None:
    async with world(tmp_path, RULES) as made, served(made) as url:
        token = await made.token("north", "gw-1")
        files = IdentityFiles(tmp_path / "state")
        files.write(await to_thread.run_sync(cloud_calls.claim, CloudAddress(url), token))
        before = files.gateway_file.read_bytes()
        await made.client.post("/api/v1/gateways/north/gw-1/revoke", json={"reason": "x"})
        rejoined: list[bool] = []

        async def rejoin() -> None:
            rejoined.append(True)

        renewal = Renewal(files, Ahead(), random.Random(1), rejoin, ask=_asked_now)
        pauses = [await renewal.step() for _ in range(4)]
        assert RETRY_S_MIN / 2 <= pauses[0] <= RETRY_S_MIN
        assert pauses[3] > 2 * pauses[0]
        files.gateway_file.write_bytes(before[:100])
        assert await renewal.step() > 0
        with pytest.raises(IdentityError, match="Claim the gateway again"):
            files.read()
        assert rejoined == []


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{}", b"<html>", b"x" * 70_000, json.dumps({"plant_id": "p", "gateway_id": "g"}).encode()],
    ids=["empty", "list", "nothing in it", "html", "endless", "half"],
)
async def test_an_answer_that_is_none_changes_nothing(tmp_path: Path, answer: bytes) -> None:
    with answering(200, answer) as url, pytest.raises(IdentityError):
        await to_thread.run_sync(cloud_calls.claim, CloudAddress(url), "token")


async def test_a_certificate_for_another_key_or_name_is_not_taken(tmp_path: Path) -> None:
    async with world(tmp_path, RULES) as made:
        _, foreign = await made.claimed("north", "gw-1")
    with (
        answering(200, json.dumps(foreign).encode()) as url,
        pytest.raises(IdentityError, match="not for this gateway"),
    ):
        await to_thread.run_sync(cloud_calls.claim, CloudAddress(url), "token")


async def test_a_redirect_is_not_followed_with_the_token(tmp_path: Path) -> None:
    with (
        answering(200, b"{}") as other,
        answering(307, b"", location=f"{other}/x") as url,
        pytest.raises(CloudRefusedError) as caught,
    ):
        await to_thread.run_sync(cloud_calls.claim, CloudAddress(url), "token")
    assert caught.value.status == 307


def test_a_crash_between_the_files_leaves_the_old_identity_whole(tmp_path: Path, monkeypatch: Any) -> None:
    """Key and certificate are one file: whatever rename is the last one done, they fit."""
    files, made = IdentityFiles(tmp_path), ManualClock()
    first, second = identity_of(made), identity_of(made)
    files.write(first)
    real = Path.replace
    for done in range(3):
        calls: list[object] = []

        def replace(source: Path, target: Path, calls: list[object] = calls, done: int = done) -> None:
            calls.append(target)
            if len(calls) > done:
                raise OSError(28, "No space left on device", str(target))
            real(source, target)

        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(IdentityError):
            files.write(second)
        monkeypatch.undo()
        read = files.read()
        expected = second if done > 1 else first
        assert read.certificate_pem == expected.certificate_pem
        files.write(first)


class Ahead:
    """A clock that is 80 days on: the certificate is in its last third."""

    def utc_ms(self) -> int:
        return SystemClock().utc_ms() + 80 * 86_400_000

    def monotonic_s(self) -> float:
        return SystemClock().monotonic_s()


def _asked_now(old: Any, _now_ms: int) -> Any:
    return cloud_calls.renew(old, SystemClock().utc_ms())


def identity_of(clock: ManualClock) -> Any:
    import tempfile

    from cloud.gateways.authority import Authority
    from edge_agent.identity.files import About, Identity
    from tests.integration.gateway_identity_world import new_key

    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.open(Path(folder) / "ca", clock.utc_ms())
        key = new_key()
        issued = authority.issue_client(key.public_key(), "p/g", now_ms=clock.utc_ms(), life_ms=86_400_000)
        x509.load_pem_x509_certificate(issued.certificate_pem.encode())
        about = About("https://cloud", "p", "g", "broker", 8883, "zhisan")
        return Identity(about, issued.certificate_pem, authority.certificate_pem, key)


class answering:  # noqa: N801 - reads as a function
    """An HTTP server on loopback that gives one answer to all."""

    def __init__(self, status: int, body: bytes, *, location: str = "") -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(status, body, location))
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(status: int, body: bytes, location: str) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            if location:
                self.send_header("location", location)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Silence."""

    return Handler
