"""The parts of bundle life, wired, so that the composition root needs one line for each of them."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.core.live import Live, Topic
from cloud.fleet.service import FleetService
from cloud.ingest.registry import FleetRegistry
from cloud.rollouts.files import BundleFiles
from cloud.rollouts.jobs import RolloutKeeper
from cloud.rollouts.orders import Send
from cloud.rollouts.reports import ReportingRegistry
from cloud.rollouts.service import Rollouts
from kit.clock import Clock

IsBarred = Callable[[str, str], bool]
"""Whether (plant, gateway) is shut out."""


class RolloutParts:
    """Service, files and job over one storage folder."""

    def __init__(
        self,
        database: Database,
        events: EventLog,
        live: Live,
        clock: Clock,
        send: Send,
        is_barred: IsBarred,
        *,
        folder: Path,
        require_signature: bool,
        trusted_keys: Path | None,
    ) -> None:
        changed = Topic(live.pages)
        self.database = database
        self._live = live
        self.events = events
        self.clock = clock
        self.is_barred = is_barred
        self.files = BundleFiles(folder, require_signature=require_signature, trusted_keys=trusted_keys)
        self.service = Rollouts(events, changed)
        self.keeper = RolloutKeeper(database, self.service, self.files, send, clock)

    def registry(self, fleet: FleetService) -> FleetRegistry:
        """The ingest's registry, with an ear for the gateways' reports."""
        return ReportingRegistry(self.database, fleet, self._live, self.service.changed)

    def jobs(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What is to be kept running."""
        return {"rollouts": self.keeper.run}
