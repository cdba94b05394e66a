"""Whether the audit log is still what was written: its chain followed from the first line, again and again."""

from dataclasses import dataclass

import anyio
import structlog

from cloud.core import audit_repository
from cloud.core.audit_chain import GENESIS, Finding, Link, follow
from cloud.core.database import Database
from kit.clock import Clock

BATCH_LINES_MAX = 1_000
"""What is read in one go; between two batches others have the database."""
FOLLOW_EVERY_S = 10.0
WHOLE_EVERY_S = 3600.0
"""How often lines that were checked before are checked again."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ChainState:
    """What is known of the chain; nothing yet while `checked_ms` is None."""

    verified: Link = GENESIS
    """The last line that holds, with all before it."""
    broken_id: int | None = None
    """The first line that does not: changed, moved, or missing."""
    checked_ms: int | None = None


class AuditVerifier:
    """Follows new lines every FOLLOW_EVERY_S, and the whole chain every WHOLE_EVERY_S.

    It remembers how far the chain reached: lines cut from its end show while the program runs. Its log lines carry the
    head's hash; kept elsewhere, they show also what was done while it did not run.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._state = ChainState()
        self._reached = GENESIS

    @property
    def state(self) -> ChainState:
        """What the last check came to."""
        return self._state

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            begun_s = self._clock.monotonic_s()
            await self.verify()
            while self._clock.monotonic_s() - begun_s < WHOLE_EVERY_S:
                await anyio.sleep(FOLLOW_EVERY_S)
                await self.verify_new()

    async def verify(self) -> ChainState:
        """Follow the whole chain from its first line."""
        return self._keep(await self._cut(await self._follow(GENESIS)), is_whole=True)

    async def verify_new(self) -> ChainState:
        """Follow what came since the last check; a chain that is broken stays so until it is checked as a whole."""
        if self._state.broken_id is not None:
            return self._state
        finding = await self._cut(await self._follow(self._state.verified))
        return await self.verify() if finding.broken_id is not None else self._keep(finding, is_whole=False)

    async def _cut(self, finding: Finding) -> Finding:
        """The finding, or that the furthest line ever reached is no longer there, or is another one."""
        if finding.broken_id is not None or self._reached == GENESIS:
            return finding
        async with self._database.reading() as session:
            there = await audit_repository.entries_after(session, self._reached.audit_id - 1, limit=1)
        if there and there[0].link == self._reached:
            return finding
        if finding.head.audit_id < self._reached.audit_id:
            return Finding(finding.head, broken_id=finding.head.audit_id + 1)
        return Finding(GENESIS, broken_id=self._reached.audit_id)  # cut, and written anew: the others may be new too

    async def _follow(self, start: Link) -> Finding:
        finding = Finding(start)
        while True:
            async with self._database.reading() as session:
                entries = await audit_repository.entries_after(session, finding.head.audit_id, limit=BATCH_LINES_MAX)
            finding = follow(finding.head, entries)
            if finding.broken_id is not None or len(entries) < BATCH_LINES_MAX:
                return finding

    def _keep(self, finding: Finding, *, is_whole: bool) -> ChainState:
        self._state = ChainState(finding.head, finding.broken_id, self._clock.utc_ms())
        head = {"audit_id": finding.head.audit_id, "hash": finding.head.hash}
        if finding.broken_id is not None:
            log.error("audit_chain_broken", broken_id=finding.broken_id, **head)
            return self._state
        self._reached = finding.head
        if is_whole:
            log.info("audit_chain_verified", **head)
        return self._state
