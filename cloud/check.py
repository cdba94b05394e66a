"""`zhisan cloud check`: what is wrong, in words, before anything runs."""

import os
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Literal

import anyio
import anyio.to_thread
import httpx
from sqlalchemy.exc import SQLAlchemyError

from cloud.core import credentials
from cloud.core.database import Database
from cloud.gateways.parts import HOST_FOLDER
from cloud.migrations.upgrade import known_revisions, revision_of
from cloud.settings import DATABASE_FILE, TELEMETRY_FILE, CloudSettings, EndpointSettings, SecretError
from cloud.telemetry.duckdb_store import shots_in
from cloud.telemetry.store import TelemetryError
from cloud.webhooks import mail
from cloud.webhooks.destinations import DestinationRefusedError, resolve
from kit.mqtt import Connected, Disconnected, PahoLink, client_id
from models.runtime.keys import KeyFileError, trust_list

BROKER_TIMEOUT_S = 5.0
MAIL_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; only an `error` keeps the cloud from working."""

    level: Literal["ok", "warning", "error"]
    subject: str
    text: str


async def findings(settings: CloudSettings, environ: Mapping[str, str] = os.environ) -> AsyncIterator[Finding]:
    """Look at everything that the settings name: folder, database, telemetry, port, broker, endpoints, mail relay."""
    yield _folder(settings)
    yield await _database(settings)
    yield await anyio.to_thread.run_sync(_telemetry, settings)
    yield _port(settings)
    yield await _broker(settings)
    yield await anyio.to_thread.run_sync(_keys, settings)
    for endpoint in settings.webhooks.endpoints:
        yield await _endpoint(endpoint, environ)
    relay = settings.webhooks.mail.relay(environ)
    if relay is not None:
        fault = await mail.fault_of(relay, seconds_max=MAIL_TIMEOUT_S)
        taken = f"{relay.host} lets us in" if relay.username else f"{relay.host} answers"
        yield Finding("error" if fault else "ok", "webhooks.mail", fault or taken)


def _folder(settings: CloudSettings) -> Finding:
    folder = settings.storage.dir
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        return Finding("error", "storage.dir", f"{existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding("error", "storage.dir", f"{existing} cannot be written by this user")
    if existing != folder:
        return Finding("ok", "storage.dir", f"{folder} will be made")
    return Finding("ok", "storage.dir", f"{folder} can be written")


async def _database(settings: CloudSettings) -> Finding:
    path, url = settings.storage.dir / DATABASE_FILE, settings.storage.postgresql
    if not url and not path.exists():
        return Finding("ok", "database", f"{path} will be made")
    where = url or str(path)
    database = Database(settings.storage.database_url())
    try:
        async with database.reading() as session:
            revision = await (await session.connection()).run_sync(revision_of)
    except (SQLAlchemyError, OSError, TimeoutError) as error:  # the driver's own when no server answers
        return Finding("error", "database", f"{where} cannot be read: {error or type(error).__name__}")
    finally:
        await database.close()
    if revision is not None and revision not in known_revisions():
        return Finding("error", "database", f"{where} is at revision {revision}, made by a newer version of zhisan")
    return Finding("ok", "database", f"{where} {'is empty' if revision is None else f'is at revision {revision}'}")


def _telemetry(settings: CloudSettings) -> Finding:
    if settings.telemetry.store == "memory":
        return Finding("warning", "telemetry", "shots are kept in memory, and lost with each stop")
    path = settings.storage.dir / TELEMETRY_FILE
    if not path.exists():
        return Finding("ok", "telemetry", f"{path} will be made")
    try:
        shots = shots_in(path)
    except TelemetryError as error:
        return Finding("error", "telemetry", str(error))
    return Finding("ok", "telemetry", f"{path} holds {shots:,} shots")


def _keys(settings: CloudSettings) -> Finding:
    models = settings.models
    if not models.require_signature:
        return Finding("warning", "models.require_signature", "bundles are taken whoever made them")
    if models.trusted_keys is None:
        return Finding("warning", "models.trusted_keys", "no folder is named: no bundle can be uploaded")
    try:
        trust = trust_list(models.trusted_keys)
    except KeyFileError as error:
        return Finding("error", "models.trusted_keys", str(error))
    if not trust.good():
        return Finding("warning", "models.trusted_keys", f"{models.trusted_keys} holds no key that is good")
    return Finding("ok", "models.trusted_keys", f"{len(trust.good())} trusted, {len(trust.revoked)} revoked")


def _port(settings: CloudSettings) -> Finding:
    where = f"{settings.web.host}:{settings.web.port}"
    try:
        bind(settings).close()
    except OSError as error:
        return Finding("error", "web", f"{where} cannot be listened on: {error.strerror}")
    return Finding("ok", "web", f"{where} is free")


def bind(settings: CloudSettings) -> socket.socket:
    """A listening socket's address, taken before anything else starts.

    Raises:
        OSError: the address is not ours, or the port is taken.
    """
    host, port = settings.web.host, settings.web.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


async def _broker(settings: CloudSettings) -> Finding:
    where = f"{settings.broker.host}:{settings.broker.port}"
    if _will_be_made(settings):
        text = f"{where} cannot be tried yet: the cloud makes its certificate at its first start. Check again then"
        return Finding("warning", "broker", text)
    fault = await anyio.to_thread.run_sync(credentials.fault_of, settings.broker)
    if fault:
        return Finding("error", "broker", fault)
    link = PahoLink(settings.broker, client_id("zhisan", settings.host.id, "check"), lambda: None)
    async with link:
        with anyio.move_on_after(BROKER_TIMEOUT_S):
            while True:
                for event in await link.events():
                    if isinstance(event, Connected):
                        return Finding("ok", "broker", f"{where} accepts the connection")
                    if isinstance(event, Disconnected):
                        return Finding("error", "broker", f"{where}: {event.reason}")
    return Finding(
        "error", "broker", f"{where} does not answer within {BROKER_TIMEOUT_S:g} s: is it running, is the port open?"
    )


def _will_be_made(settings: CloudSettings) -> bool:
    """Whether files to connect with are missing that the cloud makes by itself."""
    missing = [path.absolute() for path in credentials.files_of(settings.broker) if not path.exists()]
    own = settings.storage.dir.absolute() / HOST_FOLDER
    is_ours = settings.gateways.broker_host != "" and all(path.parent == own for path in missing)
    return bool(missing) and is_ours


async def _endpoint(settings: EndpointSettings, environ: Mapping[str, str]) -> Finding:
    subject = f"webhooks.endpoints {settings.name}"
    url = httpx.URL(settings.url)
    try:
        settings.endpoint(environ)
        await resolve(url.host, url.port or 0, allow_private=settings.allow_private_addresses)
    except SecretError as error:
        return Finding("error", subject, str(error))
    except DestinationRefusedError as error:
        hint = "" if settings.allow_private_addresses else " (a private address needs allow_private_addresses = true)"
        return Finding("error", subject, f"{error}{hint}")
    if url.scheme == "http" and not settings.allow_private_addresses:
        return Finding("warning", subject, f"{url.host} is called without encryption: use https")
    return Finding("ok", subject, f"{url.host} may be called, and the secret is one")
