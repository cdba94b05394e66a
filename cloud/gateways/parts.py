"""The parts of gateway identity, wired, so that the composition root needs one line for each of them."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path

from cloud.core.database import Database
from cloud.core.live import Live, Topic
from cloud.gateways.authority import Authority
from cloud.gateways.broker_files import BrokerFolders
from cloud.gateways.domain import GatewayRules
from cloud.gateways.jobs import BrokerKeeper, RegistryFollower, Reload
from cloud.gateways.registry import GatewayRegistry
from cloud.gateways.service import GatewayIdentities, Plants
from kit.clock import Clock

AUTHORITY_FOLDER, BROKER_FOLDER, HOST_FOLDER = "ca", "broker", "host"


class GatewayParts:
    """Service, registry and jobs over one folder; without a broker host there is no authority and no keeper."""

    def __init__(
        self,
        database: Database,
        plants: Plants,
        live: Live,
        clock: Clock,
        *,
        folder: Path,
        host_id: str,
        rules: GatewayRules,
        broker_folder: Path | None = None,
        broker_names: Sequence[str] = (),
        reload: Reload | None = None,
    ) -> None:
        @cache
        def authority() -> Authority:
            return Authority.open(folder / AUTHORITY_FOLDER, clock.utc_ms())

        changed = Topic(live.pages)
        self.registry = GatewayRegistry(claimed_only=rules.claimed_only)
        self.identities = GatewayIdentities(authority, plants, changed, rules, host_id)
        self.follower = RegistryFollower(database, self.registry, changed)
        self.keeper = BrokerKeeper(
            database,
            self.identities,
            changed,
            clock,
            folders=BrokerFolders(broker_folder or folder / BROKER_FOLDER, folder / HOST_FOLDER),
            reload=reload or Reload(),
            broker_names=list(dict.fromkeys([rules.broker_host, *broker_names])),
        )
        if self.identities.is_open:
            self.keeper.prepare()

    def jobs(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What is to be kept running."""
        jobs: dict[str, Callable[[], Awaitable[None]]] = {"gateways": self.follower.run}
        if self.identities.is_open:
            jobs["gateways.broker"] = self.keeper.run
        return jobs
