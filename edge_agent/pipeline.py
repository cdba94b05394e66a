"""Shot in, durable record out: features, scores, encoding and the journal, a batch at a time."""

from collections.abc import Callable, Sequence

import anyio
import structlog
from anyio import to_thread

from contract import shot_wire
from contract.shot import ScoredShot, Scores, Shot
from contract.sparkplug.codec import encode_metrics
from edge_agent.aliases import AliasTable
from edge_agent.health import Health
from edge_agent.journal.journal import JournalFullError, NewRecord
from edge_agent.journal.thread import JournalThread
from edge_agent.sources.source import Delivery
from models.features.extract import extract
from models.features.resample import resample
from models.features.schema import FEATURES_HASH
from models.runtime.scorer import Scorer

QUEUE_SHOTS_MAX = 256
BATCH_SHOTS_MAX = 64
JOURNAL_RETRY_S = 1.0
log = structlog.get_logger()


class Pipeline:
    """Sources deliver into a bounded queue; one task empties it, so that one fsync serves all that waited.

    At the bound a file waits and a press's shot is refused and counted: the press itself is never blocked.
    """

    def __init__(
        self,
        journal: JournalThread,
        aliases: AliasTable,
        scorer: Scorer | None,
        health: Health,
        on_appended: Callable[[int], None],
        *,
        curve_interval_s: float,
        curve_samples_max: int,
    ) -> None:
        self._journal = journal
        self._aliases = aliases
        self._scorer = scorer
        self._health = health
        self._on_appended = on_appended
        self._curve_interval_s = curve_interval_s
        self._curve_samples_max = curve_samples_max
        self._send, self._receive = anyio.create_memory_object_stream[Delivery](QUEUE_SHOTS_MAX)
        self._work = anyio.CapacityLimiter(1)

    async def deliver(self, delivery: Delivery, *, can_wait: bool) -> bool:
        """Take a shot from a source; see `Deliver`."""
        if can_wait:
            await self._send.send(delivery)
        else:
            try:
                self._send.send_nowait(delivery)
            except anyio.WouldBlock:
                self._health.shots_refused += 1
                log.error("shot_refused", press_id=delivery.shot.press_id, waiting=QUEUE_SHOTS_MAX)
                return False
        self._health.shots_taken += 1
        return True

    async def run(self) -> None:
        """Empty the queue until cancelled."""
        async with self._send, self._receive:
            while True:
                batch = await self._next_batch()
                records = await to_thread.run_sync(self._records, batch, limiter=self._work)
                await self._append(records)

    async def _next_batch(self) -> list[Delivery]:
        batch = [await self._receive.receive()]
        while len(batch) < BATCH_SHOTS_MAX:
            try:
                batch.append(self._receive.receive_nowait())
            except anyio.WouldBlock:
                break
        return batch

    async def _append(self, records: Sequence[NewRecord]) -> None:
        """Make the records durable, however long the disk takes to have room for them."""
        aliases = self._aliases.take_unsaved()
        while True:
            try:
                if aliases:
                    await self._journal.save_aliases(aliases)
                    aliases = []
                first = await self._journal.append(records)
            except JournalFullError as error:
                self._health.journal_errors += 1
                log.error("journal_full", error=str(error), waiting_records=len(records), retry_in_s=JOURNAL_RETRY_S)
                await anyio.sleep(JOURNAL_RETRY_S)
                continue
            self._on_appended(first + len(records))
            return

    def _records(self, batch: Sequence[Delivery]) -> list[NewRecord]:
        shots = [resample(d.shot, self._curve_interval_s, self._curve_samples_max) for d in batch]
        scored = score(shots, self._scorer)
        self._health.shots_scored += len(scored) if self._scorer is not None else 0
        return [self._record(item, delivery) for item, delivery in zip(scored, batch, strict=True)]

    def _record(self, scored: ScoredShot, delivery: Delivery) -> NewRecord:
        shot = scored.shot
        self._aliases.add_press(shot.press_id)
        alias_of = self._aliases.of(shot.press_id)
        return NewRecord(
            press_id=shot.press_id,
            ended_ms=shot.ended_ms,
            body=encode_metrics(shot_wire.body_metrics(scored, alias_of)),
            curves=encode_metrics(shot_wire.curve_metrics(shot, alias_of)) if shot.curves else b"",
            source_id=delivery.source_id,
            position=delivery.position,
        )


def score(shots: Sequence[Shot], scorer: Scorer | None) -> list[ScoredShot]:
    """The shots with their features and, when there are models, their scores."""
    features = [extract(shot) for shot in shots]
    scores = [Scores("")] * len(shots) if scorer is None else scorer.score(features, [shot.mould_id for shot in shots])
    rows = zip(shots, features, scores, strict=True)
    return [ScoredShot(shot, vector, FEATURES_HASH, given) for shot, vector, given in rows]
