"""The whole cloud over mutual TLS: a claimed gateway comes online, and a revoked one is refused by broker and host."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from cryptography import x509
from structlog.testing import capture_logs

from cloud.app import Cloud, create_app
from cloud.core import credentials
from cloud.core.audit import SYSTEM
from cloud.core.tenants import DEFAULT_TENANT
from cloud.fleet import repository
from cloud.gateways.domain import GatewayRules
from cloud.settings import CloudSettings
from contract.sparkplug.edge_node import EdgeNodeSession
from contract.sparkplug.message import Message
from deploy.local.broker import mosquitto_program, start_mosquitto, start_mosquitto_with_certificates
from deploy.local.processes import free_port
from kit.clock import SystemClock
from kit.mqtt import BrokerSettings
from tests.integration.gateway_identity_world import (
    csr_of,
    key_pem,
    new_key,
    peer,
    until,
    world,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(mosquitto_program() is None, reason="mosquitto is not installed"),
    # paho forgets a socket whose TLS handshake fails, as while a broker stops, and leaves closing it to the interpreter
    pytest.mark.filterwarnings(r"ignore:Exception ignored in. <ssl\.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
]


def settings(folder: Path, broker: dict[str, Any], port: int, **gateways: Any) -> CloudSettings:
    return CloudSettings.model_validate(
        {
            "storage": {"dir": str(folder / "cloud")},
            "telemetry": {"store": "memory"},
            "broker": broker,
            "gateways": {"broker_host": "127.0.0.1", "broker_port": port, **gateways},
        }
    )


async def claimed(cloud: Cloud, folder: Path, gateway: str) -> Path:
    """A gateway's key and certificate, by the service itself."""
    key, actor, now_ms = new_key(), SYSTEM, cloud.clock.utc_ms()
    async with cloud.database.transaction() as session:
        new = await cloud.gateways.identities.make_claim(
            session, DEFAULT_TENANT, "north", gateway, actor, now_ms=now_ms
        )
    async with cloud.database.transaction() as session:
        welcome = await cloud.gateways.identities.claim(session, new.token, csr_of(key), actor, now_ms=now_ms)
    path = folder / f"{gateway}.pem"
    path.write_text(key_pem(key) + welcome.certificate_pem, encoding="utf-8")
    return path


async def revoke(cloud: Cloud, gateway: str) -> None:
    async with cloud.database.transaction() as session:
        await cloud.gateways.identities.revoke(
            session, DEFAULT_TENANT, "north", gateway, SYSTEM, reason="stolen", now_ms=cloud.clock.utc_ms()
        )


async def state_of(cloud: Cloud, gateway: str) -> tuple[str, int] | None:
    async with cloud.database.reading() as session:
        row = await repository.gateway(session, "north", gateway)
        return None if row is None else (row.state, row.born_ms)


def birth(gateway: str, bd_seq: int) -> Message:
    session = EdgeNodeSession("north", gateway, primary_host_id=None)
    session.connect(bd_seq)
    session.connected()
    return session.birth([], {}, SystemClock().utc_ms())[0]


async def until_state(cloud: Cloud, gateway: str, state: str) -> None:
    with anyio.fail_after(15):
        while (found := await state_of(cloud, gateway)) is None or found[0] != state:
            await anyio.sleep(0.05)


def broker_settings(folder: Path, host_port: int) -> dict[str, Any]:
    """The cloud's own connection, with the files that it makes itself."""
    own = folder / "cloud" / "host"
    return {
        "port": host_port,
        "ca_file": str(own / "ca.pem"),
        "certificate_file": str(own / "host.pem"),
        "private_key_file": str(own / "host.key"),
    }


async def test_a_running_cloud_takes_up_its_new_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one is revoked and the broker started anew: who still came with it would be refused for ever."""
    monkeypatch.setattr(credentials, "LOOK_EVERY_S", 0.1)
    port, host_port = free_port(), free_port()
    own, lists = tmp_path / "cloud" / "host", tmp_path / "cloud" / "broker"
    given = settings(tmp_path, broker_settings(tmp_path, host_port), port, reload_command=["true"])
    app = create_app(given, environ={})
    cloud: Cloud = app.state.cloud
    async with app.router.lifespan_context(app):
        await until(lambda: (lists / "access").exists())
        child = start_mosquitto_with_certificates(tmp_path / "mosquitto", lists, port, host_port)
        try:
            await until(lambda: cloud.ingest.listening.is_on, 20)
            old = x509.load_pem_x509_certificate((own / "host.pem").read_bytes())
            (own / "host.pem").unlink()
            with capture_logs() as logs:
                cloud.gateways.keeper.prepare()
                await until(lambda: any(line["event"] == "broker_credentials_taken_up" for line in logs))
            child.stop()
            await until(lambda: not cloud.ingest.listening.is_on)
            authority, now_ms = cloud.gateways.identities.authority(), cloud.clock.utc_ms()
            crl = authority.crl([(f"{old.serial_number:x}", now_ms)], now_ms=now_ms)
            (lists / "crl.pem").write_text(crl, encoding="utf-8")
            child = start_mosquitto_with_certificates(tmp_path / "mosquitto", lists, port, host_port)
            await until(lambda: cloud.ingest.listening.is_on, 30)
            async with peer(given.broker, "listener", ["spBv1.0/STATE/zhisan"]) as listener:
                await until(lambda: any(b'"online":true' in p.replace(b" ", b"") for _, p in listener.got), 30)
        finally:
            child.stop()


async def test_half_written_credentials_are_waited_for_and_every_new_pair_is_taken_up_once(tmp_path: Path) -> None:
    async with world(tmp_path, GatewayRules(broker_host="127.0.0.1")) as made:
        own, taken = tmp_path / "cloud" / "host", list[str]()
        given = BrokerSettings.model_validate(broker_settings(tmp_path, 1))

        async def rejoin() -> None:
            taken.append((own / "host.pem").read_text(encoding="utf-8"))

        watch = credentials.CredentialsWatch(given, rejoin)
        await watch.look()
        (own / "host.key").write_text(key_pem(new_key()), encoding="utf-8")
        await watch.look()
        (own / "host.pem").unlink()
        await watch.look()
        assert taken == []
        made.parts.keeper.prepare()
        await watch.look()
        await watch.look()
        assert taken == [(own / "host.pem").read_text(encoding="utf-8")]


async def test_the_whole_line_over_mutual_tls(tmp_path: Path) -> None:
    port, host_port = free_port(), free_port()
    own, broker = tmp_path / "cloud" / "host", broker_settings(tmp_path, host_port)
    pid_file = tmp_path / "mosquitto" / "mosquitto.pid"
    app = create_app(settings(tmp_path, broker, port, reload_pid_file=str(pid_file)), environ={})
    cloud: Cloud = app.state.cloud
    async with app.router.lifespan_context(app):
        lists = tmp_path / "cloud" / "broker"
        await until(lambda: (lists / "access").exists())
        child = start_mosquitto_with_certificates(tmp_path / "mosquitto", lists, port, host_port)
        try:
            file = await claimed(cloud, tmp_path, "gw-1")
            given = BrokerSettings(port=port, ca_file=own / "ca.pem", certificate_file=file)
            state_topic = ["spBv1.0/STATE/zhisan"]
            async with peer(given, "north:gw-1", state_topic) as gateway:
                await until(lambda: any(b'"online":true' in p.replace(b" ", b"") for _, p in gateway.got), 20)
                message = birth("gw-1", 1)
                gateway.link.publish(message.topic, message.payload)
                await until_state(cloud, "gw-1", "online")
                started_s = anyio.current_time()
                await revoke(cloud, "gw-1")
                await until(lambda: bool(gateway.faults), 20)
                assert anyio.current_time() - started_s < 15
                connected = gateway.connected
                await anyio.sleep(2.5)
                assert gateway.connected == connected
        finally:
            child.stop()


async def test_the_host_refuses_a_revoked_gateway_by_itself(tmp_path: Path) -> None:
    """A broker that knows nothing of certificates, and takes all: the cloud alone says no, and at once."""
    port = free_port()
    child = start_mosquitto(tmp_path / "broker", port)
    try:
        app = create_app(settings(tmp_path, {"port": port}, free_port(), reload_command=["true"]), environ={})
        cloud: Cloud = app.state.cloud
        async with app.router.lifespan_context(app):
            await claimed(cloud, tmp_path, "gw-1")
            await claimed(cloud, tmp_path, "gw-2")
            async with peer(BrokerSettings(port=port), "north:gw-1", ["spBv1.0/STATE/zhisan"]) as gateway:
                await until(lambda: any(b'"online":true' in p.replace(b" ", b"") for _, p in gateway.got), 20)
                first = birth("gw-1", 1)
                gateway.link.publish(first.topic, first.payload)
                await until_state(cloud, "gw-1", "online")
                before = await state_of(cloud, "gw-1")
                await revoke(cloud, "gw-1")
                await until(lambda: cloud.gateways.registry.is_refused("north", "gw-1"), 1)
                for message in (birth("gw-1", 2), birth("gw-2", 1)):
                    gateway.link.publish(message.topic, message.payload)
                await until_state(cloud, "gw-2", "online")  # what came after it is in
                assert await state_of(cloud, "gw-1") == before
    finally:
        child.stop()


async def test_only_claimed_gateways_are_taken_where_the_settings_say_so(tmp_path: Path) -> None:
    port = free_port()
    child = start_mosquitto(tmp_path / "broker", port)
    try:
        given = settings(tmp_path, {"port": port}, free_port(), reload_command=["true"], claimed_only=True)
        app = create_app(given, environ={})
        cloud: Cloud = app.state.cloud
        async with app.router.lifespan_context(app):
            await claimed(cloud, tmp_path, "gw-2")
            await until(lambda: not cloud.gateways.registry.is_refused("north", "gw-2"), 1)
            async with peer(BrokerSettings(port=port), "any", ["spBv1.0/STATE/zhisan"]) as gateway:
                await until(lambda: any(b'"online":true' in p.replace(b" ", b"") for _, p in gateway.got), 20)
                for message in (birth("gw-1", 1), birth("gw-2", 1)):
                    gateway.link.publish(message.topic, message.payload)
                await until_state(cloud, "gw-2", "online")
                assert await state_of(cloud, "gw-1") is None
    finally:
        child.stop()
