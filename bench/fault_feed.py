"""What the fault bench and the end-to-end fault tests share: rows for the replay inbox, logs, waiting, the store."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from deploy.local.processes import Child, ProcessError
from edge_agent.sources.replay import inbox_of, submit
from kit.clock import SystemClock
from kit.ids import uuid7

STORE_FILE = "telemetry.duckdb"
FIRST_ROW_MS, ROW_MS = 1_700_000_000_000, 1_000
"""Rows ended in 2023: history, however they come."""
MAPPING = """
press = "{press}"
[time]
column = "t"
format = "unix_ms"
[columns]
"cycle" = {{ name = "CycleTime", unit = "s" }}
"cushion" = {{ name = "CushionStroke", unit = "mm" }}
"peak" = {{ name = "SpecificPressureMaximum", unit = "bar" }}
"""
DOUBLED = "count(*) - count(DISTINCT (plant_id, gateway_id, epoch, record_id))"
"""Of `shots`: how many records stand there more than once."""


def submit_rows(folder: Path, press: str, rows: int) -> Path:
    """Give the gateway of `folder` a file of so many shots of a press, counted 1..rows; the job's folder."""
    data, mapping = folder / "data.csv", folder / "mapping.toml"
    lines = (f"{FIRST_ROW_MS + ROW_MS * n},{17 + n % 3},{5 + n % 7},{700 + n % 11}\n" for n in range(rows))
    data.write_text("t,cycle,cushion,peak\n" + "".join(lines), encoding="utf-8")
    mapping.write_text(MAPPING.format(press=press), encoding="utf-8")
    return submit(inbox_of(folder / "gateway"), uuid7(SystemClock().utc_ms()), data, mapping)


def logged(log: Path, event: str) -> list[dict[str, Any]]:
    """The JSON lines of one kind; none before the log is there; what a kill has cut or is not JSON is passed over."""
    mark = f'"event": "{event}"'
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return [json.loads(line) for line in lines if mark in line and line[0] + line[-1] == "{}"]


def wait_until(
    children: Mapping[Any, Child], condition: Callable[[], bool], timeout_s: float, what: str, *, poll_s: float
) -> None:
    """Look again and again; what was started must stay alive meanwhile.

    Raises:
        ProcessError: not within the time, or a program ended by itself; with the programs' last lines.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        for child in children.values():
            child.check()
        if time.monotonic() > deadline_s:
            tails = "\n".join(f"{name}:\n{child.log_tail()}" for name, child in children.items())
            raise ProcessError(f"not within {timeout_s:g} s: {what}\n{tails}")
        time.sleep(poll_s)


def query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the stopped cloud's telemetry store."""
    with duckdb.connect(str(folder / "cloud" / STORE_FILE), read_only=True) as store:
        return store.execute(sql).fetchall()


def live_amid(history: str) -> str:
    """SQL: the live shots that came while those of presses LIKE `history` did, and how far behind each was.

    `lag_ms` is time, `overtaken_by` how many shots of history came between its end and its own coming: no busy machine
    changes that much, since both slow down.
    """
    return f"""
        WITH history AS (SELECT received_ms AS at_ms FROM shots WHERE press_id LIKE '{history}')
        SELECT received_ms - ended_ms AS lag_ms,
               (SELECT count(*) FROM history WHERE at_ms > ended_ms AND at_ms <= received_ms) AS overtaken_by
        FROM shots WHERE press_id NOT LIKE '{history}' AND NOT is_historical
                   AND received_ms BETWEEN (SELECT min(at_ms) FROM history) AND (SELECT max(at_ms) FROM history)"""


def given_up(folder: Path) -> int:
    """How many shots the stopped cloud's gap ledger accounts for."""
    return int(query(folder, "SELECT coalesce(sum(shots), 0) FROM gaps WHERE kind = 'shot'")[0][0])
