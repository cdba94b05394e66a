"""`zhisan cloud`: run and check as programs, stopped by a signal, clear about what is wrong."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from deploy.local.processes import free_port

PROGRAM = [sys.executable, "-c", "import sys; from cloud.cli import main; sys.exit(main(sys.argv[1:]))"]
START_S_MAX = 30
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "cloud.toml"
    text = f'[storage]\ndir = "{tmp_path}/data"\n[web]\nport = {free_port()}\n[broker]\nport = {free_port()}\n'
    path.write_text(text, encoding="utf-8")
    return path


def start(arguments: Sequence[object]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def port_of(config: Path) -> int:
    return int(config.read_text(encoding="utf-8").split("port = ")[1].split()[0])


def answer(port: int) -> httpx.Response:
    with httpx.Client(transport=httpx.HTTPTransport(retries=9), timeout=START_S_MAX) as client:
        return client.get(f"http://127.0.0.1:{port}/healthz")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_and_ends_well_though_a_page_is_live(config: Path, number: signal.Signals) -> None:
    key = start(["key", "--config", config, "--name", "test"]).communicate(timeout=START_S_MAX)[0].strip()
    program, port = start(["run", "--config", config]), port_of(config)
    headers = {"Authorization": f"Bearer {key}"}
    try:
        assert answer(port).status_code == 200
        with httpx.stream("GET", f"http://127.0.0.1:{port}/live/fleet", headers=headers, timeout=10) as stream:
            assert stream.status_code == 200
            assert next(stream.iter_bytes())
            program.send_signal(number)
            output, _ = program.communicate(timeout=START_S_MAX)
    finally:
        program.kill()
    assert program.returncode == 0, output
    assert "cloud_stopped" in output
    assert "Traceback" not in output
    left = {path.name for path in (config.parent / "data").iterdir()}
    assert left == {"cloud.sqlite", "lock", "setup-link.txt", "telemetry.duckdb", "webhooks.key"}, (
        "the logs are folded into the files"
    )


def test_a_taken_port_and_a_folder_in_use_are_said_in_one_line(config: Path, tmp_path: Path) -> None:
    program, port = start(["run", "--config", config]), port_of(config)
    try:
        answer(port)
        second = start(["run", "--config", config])
        output, _ = second.communicate(timeout=START_S_MAX)
        assert second.returncode == 1
        assert output.count("\n") == 1
        assert "is used by a running cloud: stop it first" in output
        other = tmp_path / "other.toml"
        other.write_text(config.read_text(encoding="utf-8").replace("/data", "/other"), encoding="utf-8")
        third = start(["run", "--config", other])
        output, _ = third.communicate(timeout=START_S_MAX)
        assert third.returncode == 1
        assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in output
        assert "Traceback" not in output
    finally:
        program.terminate()
        program.communicate(timeout=START_S_MAX)


def test_check_names_each_thing_that_is_wrong(config: Path) -> None:
    with config.open("a", encoding="utf-8") as file:
        for name, host in (("inside", "127.0.0.1"), ("nowhere", "no-such-host.invalid")):
            file.write(f'[[webhooks.endpoints]]\nname = "{name}"\nurl = "http://{host}/"\nsecret = "{SECRET}"\n')
    program = start(["check", "--config", config])
    output, _ = program.communicate(timeout=START_S_MAX)
    assert program.returncode == 1
    lines = output.splitlines()
    assert [line.split(maxsplit=1)[0] for line in lines] == ["ok"] * 4 + ["ERROR", "warning", "ERROR", "ERROR"]
    assert "does not answer within 5 s" in lines[4]
    assert "no bundle can be uploaded" in lines[5]
    assert "127.0.0.1 is not a public address (a private address needs allow_private_addresses = true)" in lines[6]
    assert "its name has no address" in lines[7]
    assert SECRET[6:] not in output
    assert not (config.parent / "data").exists()


def test_settings_that_cannot_be_used_end_with_2(tmp_path: Path) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text("[web]\nprot = 1\n", encoding="utf-8")
    program = start(["run", "--config", path])
    output, _ = program.communicate(timeout=START_S_MAX)
    assert program.returncode == 2
    assert [line.split(": ", 1)[1] for line in output.splitlines()] == [
        "storage: Field required",
        "web.prot: unknown key",
    ]
