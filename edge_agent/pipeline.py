"""Shot in, durable record out: features, scores, encoding and the journal, a batch at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
import structlog
from anyio import to_thread

from contract import shot_wire
from contract.gaps import MISSED_CYCLES, REFUSED, GapLine, join
from contract.shot import ScoredShot, Scores, Shot
from contract.shot_wire import AliasOf
from contract.sparkplug.codec import encode_metrics
from edge_agent.aliases import AliasTable
from edge_agent.health import Health
from edge_agent.journal.journal import JournalFullError, NewRecord, Record
from edge_agent.journal.thread import JournalThread
from edge_agent.models.roster import Roster
from edge_agent.sources.source import Delivery
from models.features.extract import extract
from models.features.resample import resample
from models.features.schema import FEATURES_HASH

QUEUE_SHOTS_MAX = 256
PATIENT_SHOTS_MAX = QUEUE_SHOTS_MAX // 2
"""Of these, shots of sources that can wait: a file that is replayed must leave room for the presses."""
BATCH_SHOTS_MAX = 64
JOURNAL_RETRY_S = 1.0
"""How long a commit that would make room is waited for before older content is given up, and between later tries."""
VAIN_FOR_S = 10.0
"""For so long after a wait in vain the next is left out: each batch of an outage would wait, and a file for minutes."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Lost:
    """Shots of a press that are missing before its next one, and how far its source had come with them."""

    lines: tuple[GapLine, ...]
    source_id: str
    position: str


@dataclass(frozen=True, slots=True)
class _Queued:
    """A delivery, and what was lost of its press since the one before."""

    delivery: Delivery
    lost: _Lost | None
    is_patient: bool = False


class Pipeline:
    """Sources deliver into a bounded queue; one task empties it, so that one fsync serves all that waited.

    A file waits at half the bound; at the bound a press's shot is refused and counted: the press itself never waits.
    What a press lost, here or before, goes into the journal in the order of its cycles: before its next shot, in the
    same append, or when the queue is empty. So a restart, which counts from the last position in the journal, counts
    nothing twice.
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
        on_scored: Callable[[Sequence[ScoredShot]], None] = lambda _: None,
    ) -> None:
        self._journal = journal
        self._aliases = aliases
        self._roster = roster
        self._health = health
        self._on_appended = on_appended
        self._on_scored = on_scored
        self._curve_interval_s = curve_interval_s
        self._curve_samples_max = curve_samples_max
        self._vain_until_s = 0.0
        self._lost: dict[str, _Lost] = {}  # by press, what waits for its next shot: two lines at most
        self._send, self._receive = anyio.create_memory_object_stream[_Queued](QUEUE_SHOTS_MAX)
        self._patient = anyio.Semaphore(PATIENT_SHOTS_MAX)
        self._work = anyio.CapacityLimiter(1)

    async def deliver(self, delivery: Delivery, *, can_wait: bool) -> bool:
        """Take a shot from a source; see `Deliver`."""
        press_id = delivery.shot.press_id
        if can_wait:
            await self._patient.acquire()
            try:
                await self._send.send(_Queued(delivery, _after(None, delivery), is_patient=True))
            except BaseException:
                self._patient.release()
                raise
        else:
            queued = _Queued(delivery, _after(self._lost.get(press_id), delivery))
            try:
                self._send.send_nowait(queued)
            except anyio.WouldBlock:
                self._refuse(queued)
                return False
            self._lost.pop(press_id, None)
        self._health.shots_taken += 1
        return True

    def _refuse(self, queued: _Queued) -> None:
        delivery, shot = queued.delivery, queued.delivery.shot
        self._health.shots_refused += 1
        log.error("shot_refused", press_id=shot.press_id, waiting=QUEUE_SHOTS_MAX)
        before = () if queued.lost is None else queued.lost.lines
        line = GapLine(shot.press_id, REFUSED, 1, shot.ended_ms, shot.ended_ms)
        self._lost[shot.press_id] = _Lost(join((*before, line)), delivery.source_id, delivery.position)

    async def run(self) -> None:
        """Empty the queue until cancelled."""
        async with self._send, self._receive:
            while True:
                batch = await self._next_batch()
                scored, records = await to_thread.run_sync(self._records, batch, limiter=self._work)
                await self._append(records)
                self._on_scored(scored)
                if self._lost and not self._receive.statistics().current_buffer_used:
                    lost, self._lost = list(self._lost.values()), {}
                    await self._append([self._gap(each) for each in lost])

    async def _next_batch(self) -> list[_Queued]:
        batch = [await self._receive.receive()]
        while len(batch) < BATCH_SHOTS_MAX:
            try:
                batch.append(self._receive.receive_nowait())
            except anyio.WouldBlock:
                break
        for queued in batch:
            if queued.is_patient:
                self._patient.release()
        return batch

    async def _append(self, records: Sequence[NewRecord]) -> None:
        """Make the records durable, however long the disk takes to have room for them."""
        aliases = self._aliases.take_unsaved()
        may_give_up = has_waited = False
        while True:
            try:
                if aliases:
                    await self._journal.save_aliases(aliases)
                    aliases = []
                first = await self._journal.append(records, may_give_up=may_give_up)
            except JournalFullError as error:
                if has_waited and not may_give_up:
                    self._vain_until_s = anyio.current_time() + VAIN_FOR_S
                if not may_give_up and anyio.current_time() < self._vain_until_s:
                    may_give_up = True
                    continue
                self._health.journal_errors += may_give_up  # the first time may be a commit that is a moment late
                log.error("journal_full", error=str(error), waiting_records=len(records), retry_in_s=JOURNAL_RETRY_S)
                await anyio.sleep(JOURNAL_RETRY_S)
                has_waited = True
                continue
            self._on_appended(first + len(records))
            return

    def _records(self, batch: Sequence[_Queued]) -> tuple[list[ScoredShot], list[NewRecord]]:
        shots = [resample(q.delivery.shot, self._curve_interval_s, self._curve_samples_max) for q in batch]
        scored = score(shots, self._roster)
        self._health.shots_scored += sum(bool(one.scores.bundle_id) for one in scored)
        records: list[NewRecord] = []
        for item, queued in zip(scored, batch, strict=True):
            if queued.lost is not None:
                records.append(self._gap(queued.lost))
            records.append(self._record(item, queued.delivery))
        return scored, records

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

    def _gap(self, lost: _Lost) -> NewRecord:
        press_id = lost.lines[0].press_id
        self._aliases.add_press(press_id)
        ended_ms = min(line.from_ms for line in lost.lines)
        return NewRecord(press_id, ended_ms, b"", source_id=lost.source_id, position=lost.position, gap=lost.lines)


def _after(before: _Lost | None, delivery: Delivery) -> _Lost | None:
    """What was lost before this delivery, with what its source says that it missed."""
    missed = delivery.missed
    if missed is None:
        return before
    line = GapLine(delivery.shot.press_id, MISSED_CYCLES, missed.count, missed.from_ms, missed.to_ms)
    lines = join((*(() if before is None else before.lines), line))
    return _Lost(lines, delivery.source_id, missed.position)


def gap_body(record: Record, reason: str, alias_of: AliasOf) -> bytes:
    """What a gap record says on the wire, but its head; one shot of one press needs no lines."""
    is_plain = len(record.gap) == 1 and record.gap[0].count == 1 and record.last_id == record.record_id
    if is_plain:
        return encode_metrics(shot_wire.gap_metrics(record.ended_ms, reason, alias_of))
    lines, last_id = record.gap, record.last_id
    return encode_metrics(shot_wire.gap_metrics(record.ended_ms, reason, alias_of, lines=lines, last_id=last_id))


def score(shots: Sequence[Shot], roster: Roster | None) -> list[ScoredShot]:
    """The shots with their features and, with a roster, the scores that it gives the shots of each press."""
    features = [extract(shot) for shot in shots]
    scores = roster.score(shots, features) if roster is not None else [Scores("")] * len(shots)
    rows = zip(shots, features, scores, strict=True)
    return [ScoredShot(shot, vector, FEATURES_HASH, given) for shot, vector, given in rows]
