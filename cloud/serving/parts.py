"""The parts of serving, wired."""

from cloud.core.database import Database
from cloud.core.events import EventLog
from cloud.serving.accounts_desk import AccountsDesk
from cloud.serving.catalogue import CatalogueDesk
from cloud.serving.jobs import ServingJob
from cloud.serving.sales_desk import SalesDesk
from kit.clock import Clock


class ServingParts:
    """What app and pages need of it."""

    def __init__(self, database: Database, events: EventLog, clock: Clock) -> None:
        self.catalogue = CatalogueDesk(database, events, clock)
        self.sales = SalesDesk(database, events, clock)
        self.accounts = AccountsDesk(database, clock)
        self.job = ServingJob(database, events, clock)
