"""Cloud, gateway and broker as programs, used and refused with every secret there is: no log, no file repeats one.

Used as well as refused: an account with its passwords and sessions, an API key, a claim, a sign-in by a provider and a
call to a webhook's endpoint all succeed in the run whose logs, of level DEBUG, are searched.
"""

import base64
import json
import secrets
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from deploy.local.processes import Child, free_port, wait_for_port
from deploy.local.receiver import Receiver
from tests.integration import secrets_in_use
from tests.integration.oidc_world import real_provider

WAIT_S_MAX = 25.0
ZHISAN = [sys.executable, "-m", "deploy.cli"]
WEBHOOK_VARIABLE, CLIENT_VARIABLE = "TEST_WEBHOOK_SECRET", "TEST_CLIENT_SECRET"


@dataclass(frozen=True, slots=True)
class Secrets:
    """All that nobody may read anywhere; new ones each time."""

    webhook: str
    cloud_broker: str
    gateway_broker: str
    press: str
    api_key: str
    session: str
    link: str
    password: str
    new_password: str
    client_secret: str
    learnt: dict[str, str] = field(default_factory=dict)
    """What the programs made and told once: tokens, keys, sessions, codes."""

    def forms(self) -> dict[str, str]:
        """Each secret as it is, and as base64, by its name."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "learnt"} | self.learnt
        assert all(len(text) > 15 for text in plain.values()), "what is shorter may stand there by chance"
        plain["client_login"] = f"zhisan:{self.client_secret}"
        plain["webhook_raw"] = self.webhook.removeprefix("whsec_")
        encoded = {f"{name} (base64)": base64.b64encode(text.encode()).decode() for name, text in plain.items()}
        return {**plain, **encoded}


@dataclass(frozen=True, slots=True)
class Plant:
    """The running programs."""

    url: str
    folder: Path
    secrets: Secrets


def new_secrets() -> Secrets:
    webhook = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    return Secrets(webhook, *(secrets.token_urlsafe(24) for _ in range(9)))


def start_broker(folder: Path, port: int, password: str) -> Child:
    """NATS that lets nobody in without the password."""
    config = folder / "nats.conf"
    config.write_text(
        f'server_name: zhisan\nhost: "127.0.0.1"\nport: -1\njetstream {{ store_dir: "{folder / "jetstream"}" }}\n'
        f'authorization {{ user: "zhisan", password: "{password}" }}\n'
        f'mqtt {{ host: "127.0.0.1", port: {port} }}\n',
        encoding="utf-8",
    )
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    child = Child.start("broker", [program, "-c", config], folder / "broker.log")
    wait_for_port(child, "127.0.0.1", port, WAIT_S_MAX)
    return child


def start_cloud(folder: Path, port: int, mqtt_port: int, found: Secrets, *, issuer: str, hook: str) -> Child:
    config = folder / "cloud.toml"
    config.write_text(
        f'[storage]\ndir = "{folder}/cloud"\n[web]\nport = {port}\n[telemetry]\nstore = "memory"\n'
        f'[broker]\nport = {mqtt_port}\nusername = "zhisan"\n[log]\nlevel = "DEBUG"\nstyle = "json"\n'
        f'[gateways]\nbroker_host = "broker.example"\n'
        f'[oidc]\npublic_url = "http://127.0.0.1:{port}"\n'
        f'[[oidc.providers]]\nname = "plant"\nlabel_zh = "厂"\nlabel_en = "Plant"\nissuer = "{issuer}"\n'
        f'client_id = "zhisan"\nclient_secret_variable = "{CLIENT_VARIABLE}"\n'
        f'allowed_domains = ["plant.example"]\ncreate_users = true\n'
        f'[[webhooks.endpoints]]\nname = "ops"\nurl = "{hook}"\nallow_private_addresses = true\n'
        f'secret_variable = "{WEBHOOK_VARIABLE}"\n',
        encoding="utf-8",
    )
    environ = {
        "ZHISAN_CLOUD__BROKER__PASSWORD": found.cloud_broker,
        WEBHOOK_VARIABLE: found.webhook,
        CLIENT_VARIABLE: found.client_secret,
    }
    command = [*ZHISAN, "cloud", "run", "--config", config]
    return Child.start("cloud", command, folder / "cloud.log", environ=environ)


def start_gateway(folder: Path, mqtt_port: int, found: Secrets) -> Child:
    """Its password is another one than the broker's, and its press is not there."""
    config = folder / "gateway.toml"
    config.write_text(
        f'[gateway]\nplant = "p"\nid = "g"\nstate_dir = "{folder}/gateway"\n'
        f'[broker]\nport = {mqtt_port}\nusername = "zhisan"\npassword = "{found.gateway_broker}"\n'
        f'[log]\nlevel = "DEBUG"\nstyle = "json"\n'
        f'[[sources.opcua]]\npress = "m1"\nurl = "opc.tcp://127.0.0.1:{free_port()}/"\n'
        f'username = "zhisan"\npassword = "{found.press}"\n',
        encoding="utf-8",
    )
    return Child.start("gateway", [*ZHISAN, "edge", "run", "--config", config], folder / "gateway.log")


def wait_until(holds: Callable[[], bool], what: str) -> None:
    ends_s = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < ends_s, f"not within {WAIT_S_MAX} s: {what}"
        time.sleep(0.1)


def answers(url: str, status: int) -> bool:
    try:
        return httpx.get(url).status_code == status
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder, port, mqtt_port, found = tmp_path_factory.mktemp("secrets"), free_port(), free_port(), new_secrets()
    with ExitStack() as stack:
        stack.callback(start_broker(folder, mqtt_port, found.cloud_broker).stop)
        issuer, calls = stack.enter_context(real_provider(secrets_in_use.PERSON)), list[str]()
        hook = stack.enter_context(Receiver(found.webhook, lambda call_id, _body: calls.append(call_id))).url
        stack.callback(start_cloud(folder, port, mqtt_port, found, issuer=issuer, hook=hook).stop)
        gateway = start_gateway(folder, mqtt_port, found)
        stack.callback(gateway.stop)
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/readyz", 200), "the cloud is let in by the broker")
        wait_until(lambda: "broker" in gateway.log.read_text(encoding="utf-8"), "the gateway tells of the broker")
        ask_with_secrets(url, found)
        found.learnt.update(secrets_in_use.account(url, folder / "cloud", found.password, found.new_password))
        found.learnt.update(secrets_in_use.sign_on(url))
        secrets_in_use.call_webhook(mqtt_port, found.cloud_broker, lambda: bool(calls), WAIT_S_MAX)
        yield Plant(url, folder, found)


def ask_with_secrets(url: str, found: Secrets) -> None:
    """Requests that carry secrets as clients do: served, refused, malformed, too long."""
    bearer = {"Authorization": f"Bearer {found.api_key}"}
    cookies = f"session={found.session}; __Host-session={found.session}"
    with httpx.Client(base_url=url) as client:
        for path in ("/api/v1/alarms", "/api/v1/audit", "/api/v1/alarms?limit=x", "/", "/nothing"):
            client.get(path, headers=bearer)
            client.get(path, headers={"Cookie": cookies})
            client.get(f"{path.partition('?')[0]}/{found.link}")
        form = {"name": "anna", "login": "anna", "password": found.password}
        client.post("/login", data=form)
        client.post("/login", json=form, headers=bearer)
        with suppress(httpx.NetworkError):  # the rest of it is not read: its connection ends with the answer, or before
            client.post("/login", data={**form, "more": "x" * 100_000})
        client.post("/api/v1/alarms/none/acknowledge", json={"by": found.password * 100}, headers=bearer)
        client.post("/api/v1/gateways/claim", json={"token": found.api_key, "csr": found.password})


def test_the_logs_tell_what_happened_and_repeat_no_secret(plant: Plant) -> None:
    logs = {name: (plant.folder / f"{name}.log").read_text(encoding="utf-8") for name in ("cloud", "gateway")}
    events = [json.loads(line)["event"] for line in logs["cloud"].splitlines() if line.startswith("{")]
    assert {"cloud_started", "access_refused", "request_refused"} <= set(events)
    assert len(logs["gateway"].splitlines()) > 1
    assert len(plant.secrets.forms()) > 40
    print(f"{len(plant.secrets.forms())} forms of secrets sought in {sum(map(len, logs.values()))} characters of logs")
    found = [(name, kind) for name, log in logs.items() for kind, text in plant.secrets.forms().items() if text in log]
    assert found == []


def test_no_file_that_the_programs_wrote_holds_a_secret_in_clear(plant: Plant) -> None:
    """What is on disk of keys and passwords is their hashes; the webhook's secret stays in the environment."""
    written = [path for part in ("cloud", "gateway") for path in (plant.folder / part).rglob("*") if path.is_file()]
    assert any(path.name == "cloud.sqlite" for path in written)
    found = [
        (path.name, kind)
        for path in written
        for kind, text in plant.secrets.forms().items()
        if text.encode() in path.read_bytes()
    ]
    assert found == []


def test_no_answer_repeats_a_secret_that_was_sent(plant: Plant) -> None:
    key = plant.secrets.api_key
    for path in ("/api/v1/alarms", "/nothing", "/api/v1/openapi.json"):
        answer = httpx.get(plant.url + path, headers={"Authorization": f"Bearer {key}", "Cookie": f"session={key}"})
        assert key not in answer.text
        assert key not in str(answer.headers)
