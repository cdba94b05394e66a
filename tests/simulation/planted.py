"""Bugs planted on purpose, one of each kind that this protocol must not have: a simulation that finds none is blind."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from cloud.ingest.digest import Digest
from cloud.ingest.service import Ingest
from cloud.telemetry.store import GatewayKey, IncomingGap, IncomingShot
from contract.commit import Commit
from contract.ranges import RangeSet
from edge_agent.pipeline import Pipeline
from edge_agent.sources.source import Delivery
from edge_agent.uplink.uplink import Uplink
from edge_agent.uplink.window import Fetch, Window
from tests.simulation.laws import JudgedStore
from tests.simulation.world import Gateway, Host

ONE_EPOCH = str(UUID(int=0))


class _AcknowledgesFirst(Ingest):
    """Tells a gateway that records are durable as soon as they have come in."""

    async def _store_one(self, result: Digest) -> None:
        for record in result.records:
            claimed = self.__dict__.setdefault("claimed", {}).setdefault((record.gateway, record.epoch), RangeSet())
            claimed.add(record.record_id)
            self._commits.stored(record.gateway, record.epoch, self._clock.monotonic_s())
        await super()._store_one(result)

    async def _durable(self, gateway: GatewayKey, epoch: str) -> RangeSet:
        durable = await super()._durable(gateway, epoch)
        for first, last in self.__dict__.get("claimed", {}).get((gateway, epoch), RangeSet()):
            durable.add(first, last)
        return durable


class AcknowledgesBeforeCommit(Host):
    """Acknowledge before commit."""

    ingest_type = _AcknowledgesFirst


class _ForgetsSent(Uplink):
    """Lets a record go when the network has taken it."""

    async def _fetch(self, fetch: Fetch) -> None:
        await super()._fetch(fetch)
        sent = RangeSet([(record_id, record_id) for record_id in self._window._in_flight])
        await self._journal.forget(1, sent)


class ForgetsOnPublish(Gateway):
    """Forget on publish."""

    uplink_type = _ForgetsSent


class _OneEpochStore(JudgedStore):
    """Takes the id alone for a record's identity."""

    def write(self, records: Sequence[IncomingShot | IncomingGap]) -> list[int | None]:
        return super().write([replace(record, epoch=ONE_EPOCH) for record in records])

    def committed(self, gateway: GatewayKey, epoch: str) -> RangeSet:
        return super().committed(gateway, ONE_EPOCH)


class LosesTheEpoch(Host):
    """Lost epoch."""

    store_type = _OneEpochStore


class ForgetsWhatItHas(Host):
    """De-duplication lost with the process: the shots are kept, but not which records they were."""

    async def program(self) -> None:
        self.store._durable = {}
        await super().program()


class _TrustingWindow(Window):
    """Believes the host even about records that it never sent."""

    def _refuse_foreign(self, commit: Commit) -> None:
        del commit


class TrustsAnyCommit(Gateway):
    """Ids given twice after a backup was put back."""

    window_type = _TrustingWindow


class _BackwardsPipeline(Pipeline):
    """Takes what waits in its queue from the wrong end."""

    async def _next_batch(self) -> list[Delivery]:
        return (await super()._next_batch())[::-1]


class AppendsBackwards(Gateway):
    """Order lost before the journal."""

    pipeline_type = _BackwardsPipeline


class _BackwardsIngest(Ingest):
    """Stores what has come together from the wrong end."""

    async def _store_one(self, result: Digest) -> None:
        result.records.reverse()
        await super()._store_one(result)


class StoresBackwards(Host):
    """Order lost in the cloud."""

    ingest_type = _BackwardsIngest


class _BoundlessWindow(Window):
    """Sends as much as there is."""

    def has_room(self, lane: object) -> bool:
        del lane
        return True


class KeepsNoBound(Gateway):
    """Unbounded data in flight."""

    window_type = _BoundlessWindow
