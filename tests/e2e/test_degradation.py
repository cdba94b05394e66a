"""More than the journal can hold while the cloud is away: it thins what is oldest, and every shot is accounted for."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bench.fault_feed import DOUBLED, query
from tests.e2e.fault_plant import ALL, Plant, running, wait_until, wait_until_drained

JOURNAL_MB = 1
ROWS = 3_500
"""Together half as much again as the journal holds."""
FILES = ("first", "second")
MODE = "journal_records_thinned"


def alarms(plant: Plant) -> list[tuple[str, str, int]]:
    """Kind, mode and count of the alarms that the cloud has of the gateway; none before there is a database."""
    path = plant.folder / "cloud" / "cloud.sqlite"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute("SELECT kind, mode, count FROM alarms WHERE gateway_id != ''").fetchall()


@pytest.mark.parametrize("is_restarted", [False, True], ids=["one_run", "restarted_while_away"])
def test_what_a_small_journal_gives_up_is_in_the_ledger_and_raises_an_alarm(
    tmp_path: Path, *, is_restarted: bool
) -> None:
    environ = {"ZHISAN_EDGE__JOURNAL__SIZE_MB_MAX": str(JOURNAL_MB)}
    with running(tmp_path, "nats", environ=environ, parts=("broker", "cloud", "gateway")) as plant:
        plant.replay("before", 1)
        wait_until_drained(plant)
        plant.stop("cloud")
        for press in FILES:
            plant.replay(press, ROWS)
        wait_until(plant, lambda: plant.is_journalled, 120, "every row durable at the gateway")
        assert sum(path.stat().st_size for path in (tmp_path / "gateway" / "journal").iterdir()) <= JOURNAL_MB * 2**20
        if is_restarted:  # what it gave up, it gave up in a life of which the cloud has heard nothing
            plant.kill("gateway")
            plant.start("gateway")
        assert alarms(plant) == []
        plant.start("cloud")
        wait_until_drained(plant)
        wait_until(plant, lambda: bool(alarms(plant)), 30, "the alarm")
        [(kind, mode, count)] = alarms(plant)
        plant.stop(*ALL)
    stored = dict(query(tmp_path, "SELECT press_id, count(DISTINCT cycle_counter) FROM shots GROUP BY 1"))
    given_up = dict(query(tmp_path, "SELECT press_id, sum(shots)::INT FROM gaps GROUP BY 1"))
    reasons = dict(query(tmp_path, "SELECT reason, sum(shots)::INT FROM gaps GROUP BY 1"))
    print(f"sent {ROWS} each; stored {stored}, given up {given_up}, for {reasons}; alarm {mode} of {count}")
    assert {press: stored[press] + given_up[press] for press in FILES} == dict.fromkeys(FILES, ROWS)
    assert stored["before"] == 1
    assert query(tmp_path, f"SELECT {DOUBLED} FROM shots") == [(0,)]
    assert list(reasons) == ["thinned"]
    assert (kind, mode, count) == ("gateway_trouble", MODE, reasons["thinned"])
