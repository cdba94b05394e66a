"""The files by which the cloud proves itself to the broker: are they usable, and are they still those in use."""

import hashlib
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import anyio
import structlog
from anyio import to_thread

from kit.mqtt import BrokerSettings

LOOK_EVERY_S: Final = 60.0
log = structlog.get_logger()


def files_of(broker: BrokerSettings) -> list[Path]:
    """All files that a connection to this broker reads; none without TLS."""
    if broker.ca_file is None:
        return []
    return [path for path in (broker.ca_file, broker.certificate_file, broker.private_key_file) if path is not None]


def fault_of(broker: BrokerSettings) -> str:
    """What keeps these files from being used, in words; empty when nothing does. Blocking."""
    for path in files_of(broker):
        try:
            path.read_bytes()
        except OSError as error:
            return f"{path}: {error.strerror}"
    try:
        context = ssl.create_default_context(cafile=broker.ca_file) if broker.ca_file is not None else None
    except ssl.SSLError:
        return f"{broker.ca_file} is not an authority's certificate (PEM)"
    try:
        if context is not None and broker.certificate_file is not None:
            context.load_cert_chain(broker.certificate_file, broker.private_key_file)
    except ssl.SSLError:
        return f"{broker.certificate_file} and its key are not a pair (PEM)"
    return ""


class CredentialsWatch:
    """Lets a connection begin anew when its files have changed, long before the old certificate ends.

    Make it before the connection, which reads the files when it is made. What is half written is waited for.
    """

    def __init__(self, broker: BrokerSettings, rejoin: Callable[[], Awaitable[None]]) -> None:
        self._broker = broker
        self._rejoin = rejoin
        self._in_use = self._digest()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Take up what is new, once."""
        found = await to_thread.run_sync(self._digest)
        if found == self._in_use:
            return
        fault = await to_thread.run_sync(fault_of, self._broker)
        if fault:
            log.warning("broker_credentials_unusable", fault=fault)
            return
        await self._rejoin()
        self._in_use = found
        log.info("broker_credentials_taken_up", certificate=str(self._broker.certificate_file))

    def _digest(self) -> str:
        """Of all the files; one that is not there counts as empty."""
        digest = hashlib.sha256()
        for path in files_of(self._broker):
            content = path.read_bytes() if path.exists() else b""
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()
