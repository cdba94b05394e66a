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
from edge_agent.journal.journal import REFUSED, JournalFullError, NewRecord
from edge_agent.journal.thread import JournalThread
from edge_agent.models.roster import Roster
from edge_agent.sources.source import Delivery
from models.features.extract import extract
from models.features.resample import resample
from models.features.schema import FEATURES_HASH

QUEUE_SHOTS_MAX = 256
BATCH_SHOTS_MAX = 64
JOURNAL_RETRY_S = 1.0
"""How long a commit that would make room is waited for before older content is given up, and between later tries."""
REFUSED_NOTED_MAX = 100_000
"""Refused shots that wait for their line in the gap ledger; 40 presses need hours without any room to fill this."""
log = structlog.get_logger()


class Pipeline:
    """Sources deliver into a bounded queue; one task empties it, so that one fsync serves all that waited.

    At the bound a file waits and a press's shot is refused and counted: the press itself is never blocked.
    """

    def __init__(
        self,
        journal: JournalThread,
        aliases: AliasTable,
        roster: Roster | None,
        health: Health,
        on_appended: Callable[[int], None],
        *,
        curve_interval_s: float,
        curve_samples_max: int,
    ) -> None:
        self._journal = journal
        self._aliases = aliases
        self._roster = roster
        self._health = health
        self._on_appended = on_appended
        self._curve_interval_s = curve_interval_s
        self._curve_samples_max = curve_samples_max
        self._refused: list[tuple[str, int]] = []  # press and end of shots that found the queue full
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
                self._refuse(delivery.shot)
                return False
        self._health.shots_taken += 1
        return True

    def _refuse(self, shot: Shot) -> None:
        self._health.shots_refused += 1
        log.error("shot_refused", press_id=shot.press_id, waiting=QUEUE_SHOTS_MAX)
        if len(self._refused) < REFUSED_NOTED_MAX:
            self._refused.append((shot.press_id, shot.ended_ms))

    async def run(self) -> None:
        """Empty the queue until cancelled; behind each batch, the ledger's lines of the shots refused meanwhile."""
        async with self._send, self._receive:
            while True:
                batch = await self._next_batch()
                await self._append(await to_thread.run_sync(self._records, batch, limiter=self._work))
                while self._refused:
                    refused, self._refused = self._refused[:BATCH_SHOTS_MAX], self._refused[BATCH_SHOTS_MAX:]
                    await self._append([self._gap(press_id, ended_ms) for press_id, ended_ms in refused])

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
        may_give_up = False
        while True:
            try:
                if aliases:
                    await self._journal.save_aliases(aliases)
                    aliases = []
                first = await self._journal.append(records, may_give_up=may_give_up)
            except JournalFullError as error:
                self._health.journal_errors += may_give_up  # the first time may be a commit that is a moment late
                log.error("journal_full", error=str(error), waiting_records=len(records), retry_in_s=JOURNAL_RETRY_S)
                may_give_up = True
                await anyio.sleep(JOURNAL_RETRY_S)
                continue
            self._on_appended(first + len(records))
            return

    def _records(self, batch: Sequence[Delivery]) -> list[NewRecord]:
        shots = [resample(d.shot, self._curve_interval_s, self._curve_samples_max) for d in batch]
        scored = score(shots, self._roster)
        self._health.shots_scored += sum(bool(one.scores.bundle_id) for one in scored)
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

    def _gap(self, press_id: str, ended_ms: int) -> NewRecord:
        self._aliases.add_press(press_id)
        body = encode_metrics(shot_wire.gap_metrics(ended_ms, REFUSED, self._aliases.of(press_id)))
        return NewRecord(press_id, ended_ms, body, is_gap=True)


def score(shots: Sequence[Shot], roster: Roster | None) -> list[ScoredShot]:
    """The shots with their features and, with a roster, the scores that it gives the shots of each press."""
    features = [extract(shot) for shot in shots]
    scores = roster.score(shots, features) if roster is not None else [Scores("")] * len(shots)
    rows = zip(shots, features, scores, strict=True)
    return [ScoredShot(shot, vector, FEATURES_HASH, given) for shot, vector, given in rows]
