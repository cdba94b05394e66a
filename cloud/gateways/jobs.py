"""Keeps the broker's files in line with the tables, tells the broker, and cuts off who is no longer welcome."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from tempfile import TemporaryDirectory

import anyio
import structlog
from anyio import to_thread
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.core.database import Database
from cloud.core.live import Topic, wait_for_change
from cloud.gateways import broker_files, repository
from cloud.gateways.authority import key_pem_of, write_file
from cloud.gateways.broker_files import BrokerFolders
from cloud.gateways.cutting_off import CuttingOff, GatewayName
from cloud.gateways.registry import GatewayRegistry
from cloud.gateways.service import GatewayIdentities
from contract.gateway_identity import subject_of
from kit.clock import Clock
from kit.mqtt import BrokerSettings, Connected, Disconnected, PahoLink

REGISTRY_EVERY_S = 60.0
PUBLISHED = (broker_files.CRL_FILE, broker_files.ACCESS_FILE)
AT_LEAST_EVERY_S = 24 * 3600.0
"""The revocation list lasts CRL_DAYS: a day without a change, or six without this program, do no harm."""
RELOAD_S_MAX = 10.0
EVICTION_AFTER_S, DISTANT_EVICTION_AFTER_S = 0.5, 40.0
"""When a revoked gateway is cut off: as soon as the broker was told, or when a distant one has fetched its files.

The second is longer than a round of `deploy.mosquitto.watch` at its slowest, and within the promised minute.
"""
EVICTED_WITHIN_MS = 10 * 60_000
"""What was revoked longer ago has been cut off before this program's start."""
EVICTION_S_MAX = 5.0
EVICTION_LIFE_MS = 10 * 60_000
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reload:
    """How the broker is told to read its files again: a signal to the process in `pid_file`, or a command."""

    pid_file: Path | None = None
    command: tuple[str, ...] = ()

    @property
    def is_local(self) -> bool:
        """Whether the broker is told from here; else a watcher beside it fetches the files."""
        return self.pid_file is not None or bool(self.command)

    async def tell(self) -> None:
        """Tell it; what goes wrong is logged, since the files are right and the next reload takes them."""
        if self.command:
            await self._run()
        if self.pid_file is not None:
            await to_thread.run_sync(self._signal, self.pid_file)

    async def _run(self) -> None:
        try:
            with anyio.fail_after(RELOAD_S_MAX):
                done = await anyio.run_process(self.command, check=False, stdin=DEVNULL, stdout=DEVNULL)
        except (OSError, TimeoutError) as error:
            log.error("broker_reload_failed", command=self.command[0], error=str(error) or type(error).__name__)
            return
        if done.returncode != 0:
            log.error("broker_reload_failed", command=self.command[0], code=done.returncode)

    @staticmethod
    def _signal(pid_file: Path) -> None:
        try:
            pid = int(pid_file.read_text(encoding="utf-8"))
            if pid <= 1:  # 0 and below are groups of processes, 1 is the system itself
                raise ValueError(f"{pid} is no broker's process id")
            os.kill(pid, signal.SIGHUP)
        except (OSError, ValueError) as error:
            log.error("broker_reload_failed", pid_file=str(pid_file), error=str(error))


class RegistryFollower:
    """Brings the registry up to date whenever an identity has changed."""

    def __init__(self, database: Database, registry: GatewayRegistry, changed: Topic) -> None:
        self._database = database
        self._registry = registry
        self._changed = changed

    async def load(self) -> None:
        """Read the standing of all gateways now."""
        async with self._database.reading() as session:
            self._registry.load(await repository.standing(session))

    async def run(self) -> None:
        """Follow until cancelled; nothing that is slow stands between a revocation and the refusal."""
        while True:
            version = self._changed.version
            await self.load()
            await wait_for_change(self._changed, version, at_most_s=REGISTRY_EVERY_S)


class BrokerKeeper:
    """Writes the broker's files, tells the broker, and cuts off who holds a revoked certificate.

    Mosquitto takes new lists on SIGHUP. It refuses a revoked certificate from then on and takes the topics from a
    connection that lives, but does not end that connection. To end it, the keeper connects once under the same name
    with a certificate of ten minutes: with `use_username_as_clientid` the broker then drops the older one.
    """

    def __init__(
        self,
        database: Database,
        identities: GatewayIdentities,
        changed: Topic,
        clock: Clock,
        *,
        folders: BrokerFolders,
        reload: Reload,
        broker_names: Sequence[str],
    ) -> None:
        self._database = database
        self._identities = identities
        self._changed = changed
        self._clock = clock
        self._folders = folders
        self._reload = reload
        self._broker_names = broker_names
        self._seen: frozenset[str] = frozenset()
        self._cutting_off = CuttingOff(self._evict, clock)

    async def run(self) -> None:
        """Serve until cancelled; at once after each change, and once a day."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cutting_off.run, name="gateways.cutting_off")
            while True:
                version = self._changed.version
                await self.keep()
                await wait_for_change(self._changed, version, at_most_s=AT_LEAST_EVERY_S)

    async def keep(self) -> None:
        """Bring the broker in line with the tables once; who is to be cut off is planned, and not waited for."""
        now_ms = self._clock.utc_ms()
        async with self._database.transaction() as session:
            await self._identities.prune(session, now_ms)
        async with self._database.reading() as session:
            standing = await repository.standing(session)
            revoked = await repository.revoked(session, now_ms)
        await to_thread.run_sync(self._write, standing, revoked, now_ms)
        await self._reload.tell()
        gone = sorted(
            {
                (row.plant_id, row.gateway_id)
                for row in revoked
                if row.serial not in self._seen and now_ms - row.revoked_ms <= EVICTED_WITHIN_MS
            }
        )
        self._seen = frozenset(row.serial for row in revoked)
        if gone:
            in_s = EVICTION_AFTER_S if self._reload.is_local else DISTANT_EVICTION_AFTER_S
            self._cutting_off.plan(gone, in_s=in_s)
        log.info("broker_lists_written", gateways=len(standing), revoked=len(revoked), cut_off=len(gone))

    def prepare(self) -> None:
        """Make the files that broker and cloud need before they can start; blocking."""
        now_ms = self._clock.utc_ms()
        authority, host_id = self._identities.authority(), self._identities.host_id
        names = self._broker_names
        broker_files.prepare(self._folders, authority, host_id=host_id, broker_names=names, now_ms=now_ms)

    def published(self, name: str) -> str | None:
        """A list as the broker reads it, by its file name; None when there is no such list. Blocking."""
        path = self._folders.broker / name
        return path.read_text(encoding="utf-8") if name in PUBLISHED and path.exists() else None

    def _write(
        self, standing: Sequence[tuple[str, str, bool]], revoked: Sequence[repository.Revoked], now_ms: int
    ) -> None:
        self.prepare()
        broker_files.write_lists(
            self._folders.broker,
            self._identities.authority(),
            host_id=self._identities.host_id,
            standing=standing,
            revoked=[(row.serial, row.revoked_ms) for row in revoked],
            now_ms=now_ms,
        )

    async def _evict(self, gateway: GatewayName) -> None:
        """Connect once in the gateway's place; its own connection ends with that."""
        subject = subject_of(*gateway)
        with TemporaryDirectory(prefix=".evict-", dir=self._folders.host) as folder:
            settings = await to_thread.run_sync(self._stand_in, Path(folder), subject)
            link = PahoLink(settings, subject, lambda: None)
            outcome = "no answer"
            async with link:
                with anyio.move_on_after(EVICTION_S_MAX):
                    outcome = await _outcome(link)
        plant_id, gateway_id = gateway
        log.info("gateway_cut_off", plant=plant_id, gateway=gateway_id, outcome=outcome)

    def _stand_in(self, folder: Path, subject: str) -> BrokerSettings:
        key = ec.generate_private_key(ec.SECP256R1())
        authority, rules, now_ms = self._identities.authority(), self._identities.rules, self._clock.utc_ms()
        issued = authority.issue_client(key.public_key(), subject, now_ms=now_ms, life_ms=EVICTION_LIFE_MS)
        write_file(folder / "stand_in.pem", key_pem_of(key) + issued.certificate_pem, mode=0o600)
        return BrokerSettings(
            host=rules.broker_host,
            port=rules.broker_port,
            ca_file=self._folders.host / broker_files.CA_FILE,
            certificate_file=folder / "stand_in.pem",
        )


async def _outcome(link: PahoLink) -> str:
    for event in await link.events():
        if isinstance(event, Connected):
            return "done"
        if isinstance(event, Disconnected):
            return event.reason
    return "no answer"
