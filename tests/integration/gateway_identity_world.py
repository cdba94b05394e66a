"""What the tests of gateway identity share: the parts over a real database, an API with a principal, real mosquitto."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.core import problems
from cloud.core.access import RIGHTS, SCOPE_KEY, Principal, Role
from cloud.core.database import Database, sqlite_url
from cloud.core.events import EventLog
from cloud.core.live import Live
from cloud.core.tenants import DEFAULT_TENANT
from cloud.fleet.domain import FleetRules
from cloud.fleet.service import FleetService
from cloud.gateways import api as gateways_api
from cloud.gateways.domain import GatewayRules
from cloud.gateways.jobs import Reload
from cloud.gateways.parts import GatewayParts
from cloud.migrations.upgrade import upgrade
from deploy.local.broker import start_mosquitto_with_certificates
from deploy.local.processes import Child, free_port
from kit.clock import ManualClock, SystemClock
from kit.mqtt import BrokerSettings, Connected, Disconnected, PahoLink, Received, Will

Condition = Callable[[], bool]


def principal(role: Role = Role.PLANT_MANAGER, tenant_id: str = DEFAULT_TENANT) -> Principal:
    return Principal("user", "u1", "Li Na", tenant_id, RIGHTS[role], "csrf-of-this-session")


class AsPrincipal:
    """Lets every request be somebody's."""

    def __init__(self, app: ASGIApp, who: Principal | None) -> None:
        self._app = app
        self.who = who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[SCOPE_KEY] = self.who
        await self._app(scope, receive, send)


@dataclass
class World:
    """The cloud's half without its ingest."""

    database: Database
    parts: GatewayParts
    fleet: FleetService
    live: Live
    app: FastAPI
    who: AsPrincipal
    folder: Path
    clock: SystemClock | ManualClock
    client: httpx.AsyncClient = field(init=False)

    async def token(self, plant: str = "north", gateway: str = "gw-1") -> str:
        answer = await self.client.post("/api/v1/gateways/claims", json={"plant": plant, "gateway": gateway})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    async def claimed(self, plant: str = "north", gateway: str = "gw-1") -> tuple[Path, dict[str, Any]]:
        """Claim a gateway as its program would; where its key and certificate lie, and the cloud's answer."""
        token, key = await self.token(plant, gateway), new_key()
        answer = await self.client.post("/api/v1/gateways/claim", json={"token": token, "csr": csr_of(key)})
        assert answer.status_code == 200, answer.text
        return self.kept(answer.json()["certificate_pem"], key), answer.json()

    def kept(self, certificate_pem: str, key: ec.EllipticCurvePrivateKey) -> Path:
        path = self.folder / f"{x509.load_pem_x509_certificate(certificate_pem.encode()).serial_number:x}.pem"
        path.write_text(key_pem(key) + certificate_pem, encoding="utf-8")
        return path


@asynccontextmanager
async def world(folder: Path, rules: GatewayRules, *, clock: SystemClock | ManualClock | None = None,
                reload: Reload | None = None, who: Principal | None = None) -> AsyncIterator[World]:  # fmt: skip
    clock = clock or SystemClock()
    database, live = Database(sqlite_url(folder / "cloud.sqlite")), Live()
    await upgrade(database)
    fleet = FleetService(EventLog(live), live, FleetRules())
    parts = GatewayParts(
        database, fleet, live, clock, folder=folder / "cloud", host_id="zhisan", rules=rules, reload=reload
    )
    app = FastAPI()
    problems.install(app)
    app.include_router(gateways_api.router(database, parts.identities, parts.keeper, clock), prefix="/api/v1")
    wrapper = AsPrincipal(app, who or principal())
    made = World(database, parts, fleet, live, app, wrapper, folder, clock)
    transport = httpx.ASGITransport(wrapper, raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
            made.client = client
            yield made
    finally:
        await database.close()


@dataclass
class Broker:
    """Mosquitto as for a plant."""

    child: Child
    port: int
    host_port: int


@asynccontextmanager
async def broker_world(folder: Path, **rules: Any) -> AsyncIterator[tuple[World, Broker]]:
    """The cloud's half with its jobs, and mosquitto reading its files."""
    port, host_port = free_port(), free_port()
    reload = Reload(folder / "mosquitto" / "mosquitto.pid")
    given = GatewayRules(broker_host="127.0.0.1", broker_port=port, **rules)
    async with world(folder, given, reload=reload) as made:
        (folder / "mosquitto").mkdir()
        await made.parts.follower.load()
        await made.parts.keeper.keep()
        child = start_mosquitto_with_certificates(folder / "mosquitto", folder / "cloud" / "broker", port, host_port)
        try:
            async with anyio.create_task_group() as tasks:
                for job in made.parts.jobs().values():
                    tasks.start_soon(job)
                yield made, Broker(child, port, host_port)
                tasks.cancel_scope.cancel()
        finally:
            child.stop()


class Peer:
    """One MQTT connection and what came of it."""

    def __init__(self, settings: BrokerSettings, name: str, topics: list[str], will: Will | None = None) -> None:
        self.link = PahoLink(settings, name, lambda: will)
        self.topics = topics
        self.connected = 0
        self.faults: list[str] = []
        self.got: list[tuple[str, bytes]] = []

    async def run(self) -> None:
        while True:
            for event in await self.link.events():
                match event:
                    case Connected():
                        self.connected += 1
                        if self.topics:
                            self.link.subscribe([(topic, 0) for topic in self.topics])
                    case Disconnected(reason):
                        self.faults.append(reason)
                    case Received(topic, payload):
                        self.got.append((topic, payload))


@asynccontextmanager
async def peer(
    settings: BrokerSettings, name: str, topics: list[str] | None = None, *, will: Will | None = None
) -> AsyncIterator[Peer]:
    made = Peer(settings, name, topics or [], will)
    async with made.link, anyio.create_task_group() as tasks:
        tasks.start_soon(made.run)
        yield made
        tasks.cancel_scope.cancel()


def host_settings(made: World, broker: Broker) -> BrokerSettings:
    own = made.folder / "cloud" / "host"
    return BrokerSettings(
        port=broker.host_port, ca_file=own / "ca.pem", certificate_file=own / "host.pem",
        private_key_file=own / "host.key",
    )  # fmt: skip


def gateway_settings(made: World, broker: Broker, file: Path | None) -> BrokerSettings:
    return BrokerSettings(port=broker.port, ca_file=made.folder / "cloud" / "host" / "ca.pem", certificate_file=file)


async def until(condition: Condition, timeout_s: float = 10.0) -> None:
    with anyio.fail_after(timeout_s):
        while not condition():
            await anyio.sleep(0.02)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


def csr_of(key: Any, subject: str = "whoever") -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def common_name(certificate_pem: str) -> str:
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def tls_context(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))
