"""The commands about accounts, run as programs: what they print works, and they keep off a running cloud."""

from pathlib import Path

import httpx
import pytest

from tests.integration.test_cloud_program import START_S_MAX, answer, config, port_of, start

__all__ = ["config"]


def run(*arguments: object) -> tuple[int, str]:
    program = start(arguments)
    output, _ = program.communicate(timeout=START_S_MAX)
    return program.returncode, output.strip()


def test_a_first_account_a_key_and_a_lost_password(config: Path) -> None:
    assert run("setup-link", "--config", config)[0] == 1, "the cloud never ran"
    code, key = run("key", "--config", config, "--name", "line", "--right", "read", "--right", "read_audit")
    assert (code, key.startswith("zsk_")) == (0, True)
    url = f"http://127.0.0.1:{port_of(config)}"
    program = start(["run", "--config", config])
    try:
        answer(port_of(config))
        code, link = run("setup-link", "--config", config)
        assert (code, link.startswith(f"{url}/setup?token=")) == (0, True)
        code, said = run("key", "--config", config, "--name", "second")
        assert (code, "is used by a running cloud: stop it first" in said) == (1, True)
        person = {"login": "li", "name": "Li", "password": "a calm grey press", "again": "a calm grey press"}
        with httpx.Client(base_url=url, headers={"Origin": url}) as browser:
            assert browser.post("/setup", data={**person, "token": link.partition("token=")[2]}).status_code == 303
        rights = httpx.get(f"{url}/api/v1/me", headers={"Authorization": f"Bearer {key}"}).json()["rights"]
        assert rights == ["read", "read_audit"]
    finally:
        program.terminate()
        log = program.communicate(timeout=START_S_MAX)[0]
    for secret in (key, key[-43:], link.partition("token=")[2], person["password"]):
        assert secret not in log, "a secret in the log"
    assert "setup-link.txt" in log
    code, said = run("reset-password", "--config", config, "--login", "nobody")
    assert (code, "There is no person 'nobody'" in said) == (1, True)
    code, link = run("reset-password", "--config", config, "--login", "LI")
    assert (code, link.startswith(f"{url}/welcome?token=")) == (0, True)
    program = start(["run", "--config", config])
    try:
        answer(port_of(config))
        new = {"password": "quite another one", "again": "quite another one", "token": link.partition("token=")[2]}
        with httpx.Client(base_url=url, headers={"Origin": url}) as browser:
            assert browser.post("/login", data={"login": "li", "password": person["password"]}).status_code == 303
            assert browser.post("/welcome", data=new).status_code == 303
            assert browser.post("/login", data={"login": "li", "password": person["password"]}).status_code == 401
    finally:
        program.terminate()
        program.communicate(timeout=START_S_MAX)


@pytest.mark.parametrize("arguments", [["key", "--name", "x", "--right", "everything"], ["reset-password"]])
def test_a_command_that_cannot_be_is_refused_by_its_usage(config: Path, arguments: list[str]) -> None:
    code, said = run(*arguments, "--config", config)
    assert (code, "usage: zhisan cloud" in said) == (2, True)
