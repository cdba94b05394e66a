"""The journal that was not chosen, as far as its speed goes: one SQLite file in WAL mode, synchronous FULL."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from contract.ranges import RangeSet
from edge_agent.journal.journal import NewRecord, Record

PRAGMAS = (
    "PRAGMA page_size = 4096",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA auto_vacuum = NONE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -2000",
    "PRAGMA wal_autocheckpoint = 1000",
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS records(
  id INTEGER PRIMARY KEY, press_id TEXT NOT NULL, ended_ms INTEGER NOT NULL, body BLOB NOT NULL, curves BLOB NOT NULL)
"""


class SqliteProbe:
    """Appends, reads and forgets as a journal must; opens with the check that finds damaged pages."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path.with_suffix(".sqlite"), isolation_level=None)
        for pragma in PRAGMAS:
            self._db.execute(pragma)
        self._db.execute(SCHEMA)
        assert self._db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        self._next_id = int(self._db.execute("SELECT coalesce(max(id), 0) + 1 FROM records").fetchone()[0])
        self._db.execute("SELECT count(*), sum(length(body) + length(curves)) FROM records").fetchone()

    def append(self, records: Sequence[NewRecord]) -> int:
        """One transaction, one sync."""
        first = self._next_id
        rows = [(first + i, r.press_id, r.ended_ms, r.body, r.curves) for i, r in enumerate(records)]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)
        self._db.execute("COMMIT")
        self._next_id += len(rows)
        return first

    def read(self, first: int, last: int, *, limit: int) -> list[Record]:
        """By id."""
        sql = "SELECT * FROM records WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
        return [Record(*row) for row in self._db.execute(sql, (first, last, limit))]

    def forget(self, below: int, ranges: RangeSet) -> None:
        """One transaction for the prefix; ranges are not measured."""
        assert not ranges
        self._db.execute("DELETE FROM records WHERE id < ?", (below,))

    def close(self) -> None:
        """Fold the log into the file."""
        self._db.close()
