"""The journal in one SQLite file: WAL, synchronous FULL, one connection, bounded by pages."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from contract.ranges import RangeSet
from edge_agent.journal.journal import Alias, JournalCounts, JournalError, JournalFullError, NewRecord, Record

PAGE_BYTES = 4096
PAGES_MIN = 128
PAGES_RESERVED = 32
CURVES_DROPPED_A_STEP = 500
RECORDS_THINNED_A_STEP = 500
STEPS_MAX = 10_000

# A second connection would meet the WAL-reset bug of SQLite up to 3.51.2, and a second program the same journal:
# the exclusive lock keeps both out.
PRAGMAS = (
    f"PRAGMA page_size = {PAGE_BYTES}",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA auto_vacuum = NONE",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -2000",
    "PRAGMA wal_autocheckpoint = 1000",
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records(
  id INTEGER PRIMARY KEY, press_id TEXT NOT NULL, ended_ms INTEGER NOT NULL, body BLOB NOT NULL, curves BLOB NOT NULL,
  is_gap INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS positions(source_id TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aliases(
  alias INTEGER PRIMARY KEY, press_id TEXT NOT NULL, metric TEXT NOT NULL, datatype INTEGER NOT NULL,
  UNIQUE(press_id, metric));
"""
MEASURE = "SELECT count(*), coalesce(sum(length(body) + length(curves)), 0) FROM records"
MakeGap = Callable[[Record], bytes]
_T = TypeVar("_T")


class SqliteJournal:
    """`Journal` in the SQLite file `path`, bounded to `size_bytes_max` (without its write-ahead log, about 4 MB more).

    At the bound it gives up, in this order and counted: the curves of the oldest records, then every second of the
    oldest records, of which `make_gap` leaves the id and the reason. Damage to the file is reported, never repaired
    by guessing.

    Raises:
        JournalError: the file cannot be opened, is not a journal, is damaged, or another program has it.
    """

    def __init__(self, path: Path, *, size_bytes_max: int, new_epoch: UUID, make_gap: MakeGap) -> None:
        self._path = path
        self._make_gap = make_gap
        self._curves_dropped = self._records_thinned = 0
        self._curves_given_up_below = self._thinned_below = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
            for pragma in PRAGMAS:
                self._db.execute(pragma)
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute("COMMIT")
            self._db.executescript(SCHEMA)
            self._pages_max = max(PAGES_MIN, size_bytes_max // PAGE_BYTES)
            self._limit_pages(self._pages_max)
            self._check()
            self.epoch = self._meta("epoch", str(new_epoch))
            self._bd_seq = int(self._meta("bd_seq", "255"))
            self._next_id = int(self._meta("next_id", "1"))
            self._records, self._size_bytes = self._measure()
        except (sqlite3.Error, OSError, ValueError) as error:
            raise JournalError(f"journal {path}: {_reason(error)}") from error

    def _check(self) -> None:
        """Find damage now rather than in the middle of a night: SQLite's quick check of every page."""
        [(verdict,)] = self._db.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise ValueError(f"damaged: {verdict}; move the file away to start a new journal")

    def _meta(self, key: str, default: str) -> str:
        self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, default))
        return str(self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])

    def _measure(self) -> tuple[int, int]:
        count, size_bytes = self._db.execute(MEASURE).fetchone()
        return int(count), int(size_bytes)

    def append(self, records: Sequence[NewRecord]) -> int:
        """Store the records with one fsync; see the port."""
        first = self._next_id
        rows = [(first + i, r.press_id, r.ended_ms, r.body, r.curves) for i, r in enumerate(records)]
        positions = [(r.source_id, r.position) for r in records if r.source_id]

        def write() -> None:
            self._db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, 0)", rows)
            self._db.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", positions)
            self._db.execute("UPDATE meta SET value = ? WHERE key = 'next_id'", (str(first + len(rows)),))

        for _ in range(STEPS_MAX):
            try:
                self._limit_pages(self._pages_max - PAGES_RESERVED)
                self._transaction(write)
            except JournalFullError:
                self._limit_pages(self._pages_max)
                if not self._give_something_up():
                    raise
            else:
                self._limit_pages(self._pages_max)
                self._next_id = first + len(rows)
                self._records += len(rows)
                self._size_bytes += sum(len(r.body) + len(r.curves) for r in records)
                return first
        raise JournalFullError(f"journal {self._path}: no space found in {STEPS_MAX} steps")

    def read(self, first: int, last: int, *, limit: int) -> list[Record]:
        """The kept records of `first`..`last`; see the port."""
        sql = "SELECT * FROM records WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
        return [Record(i, p, t, b, c, bool(g)) for i, p, t, b, c, g in self._db.execute(sql, (first, last, limit))]

    def forget(self, below: int, ranges: RangeSet) -> None:
        """Delete what the cloud has; see the port."""
        spans = [(0, below - 1), *ranges]
        freed = 0, 0

        def write() -> None:
            nonlocal freed
            count = size_bytes = 0
            for first, last in spans:
                span_count, span_bytes = self._db.execute(
                    f"{MEASURE} WHERE id BETWEEN ? AND ?", (first, last)
                ).fetchone()
                if span_count:
                    self._db.execute("DELETE FROM records WHERE id BETWEEN ? AND ?", (first, last))
                    count, size_bytes = count + span_count, size_bytes + span_bytes
            freed = count, size_bytes

        self._transaction(write)
        self._records -= freed[0]
        self._size_bytes -= freed[1]

    def bounds(self) -> tuple[int, int]:
        """The lowest kept id and the next one; see the port."""
        (first,) = self._db.execute("SELECT min(id) FROM records").fetchone()
        return (self._next_id if first is None else int(first)), self._next_id

    def positions(self) -> Mapping[str, str]:
        """How far each source has come."""
        return dict(self._db.execute("SELECT source_id, position FROM positions"))

    def aliases(self) -> list[Alias]:
        """All aliases, in order."""
        sql = "SELECT press_id, metric, alias, datatype FROM aliases ORDER BY alias"
        return [Alias(*row) for row in self._db.execute(sql)]

    def save_aliases(self, given: Sequence[Alias]) -> None:
        """Make new aliases durable; see the port."""
        rows = [(a.alias, a.press_id, a.metric, a.datatype) for a in given]
        self._transaction(lambda: self._db.executemany("INSERT INTO aliases VALUES (?, ?, ?, ?)", rows))

    def next_bd_seq(self) -> int:
        """The next birth-death sequence number; see the port."""
        following = (self._bd_seq + 1) % 256
        self._transaction(lambda: self._db.execute("UPDATE meta SET value = ? WHERE key = 'bd_seq'", (str(following),)))
        self._bd_seq = following
        return following

    def counts(self) -> JournalCounts:
        """How full it is."""
        return JournalCounts(self._records, self._size_bytes, self._curves_dropped, self._records_thinned)

    def close(self) -> None:
        """Fold the log into the file and let go of it."""
        self._db.close()

    def _limit_pages(self, pages_max: int) -> None:
        """Appends stop short of the bound: giving up and forgetting need a few pages to move rows about."""
        self._db.execute(f"PRAGMA max_page_count = {pages_max}")

    def _transaction(self, work: Callable[[], object]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            work()
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and _is_space(error):
                raise JournalFullError(f"journal {self._path}: {error}") from error
            raise JournalError(f"journal {self._path}: {_reason(error)}") from error

    def _give_something_up(self) -> bool:
        """One step of the degradation order; False when there is nothing left to give up."""
        return self._drop_curves() or self._thin()

    def _drop_curves(self) -> bool:
        sql = "SELECT id, length(curves) FROM records WHERE id >= ? AND length(curves) > 0 ORDER BY id LIMIT ?"
        oldest = self._db.execute(sql, (self._curves_given_up_below, CURVES_DROPPED_A_STEP)).fetchall()
        if not oldest:
            return False
        first, last = oldest[0][0], oldest[-1][0]
        self._transaction(
            lambda: self._db.execute("UPDATE records SET curves = x'' WHERE id BETWEEN ? AND ?", (first, last))
        )
        self._curves_given_up_below = last + 1
        self._curves_dropped += len(oldest)
        self._size_bytes -= sum(length for _, length in oldest)
        return True

    def _thin(self) -> bool:
        sql = "SELECT * FROM records WHERE id >= ? AND is_gap = 0 ORDER BY id LIMIT ?"
        found = self._db.execute(sql, (self._thinned_below, 2 * RECORDS_THINNED_A_STEP)).fetchall()
        if len(found) < 2:
            if not self._thinned_below:
                return False
            self._thinned_below = 0  # every second one is gone: go round again
            return True
        given_up = [Record(i, p, t, b, c) for i, p, t, b, c, _ in found[::2]]
        bodies = [self._make_gap(record) for record in given_up]
        rows = [(r.record_id, r.press_id, r.ended_ms, body) for r, body in zip(given_up, bodies, strict=True)]

        def write() -> None:
            # Not an UPDATE: SQLite joins half-empty pages only when rows are deleted.
            self._db.executemany("DELETE FROM records WHERE id = ?", [(r.record_id,) for r in given_up])
            self._db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, x'', 1)", rows)

        self._transaction(write)
        self._thinned_below = int(found[-1][0]) + 1
        self._records_thinned += len(given_up)
        self._size_bytes -= sum(r.size_bytes for r in given_up) - sum(map(len, bodies))
        return True


def _is_space(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC)


def _reason(error: Exception) -> str:
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
        return "another program has it open"
    return str(error)
