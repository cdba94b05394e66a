"""A day without the cloud, compressed: the backlog of forty presses drains while live shots overtake it."""

from pathlib import Path

import pytest

from bench.fault_feed import live_amid, query
from edge_agent.uplink.window import HISTORY_SHARE, RECORDS_MAX
from tests.e2e.fault_plant import BROKERS, Broker, assert_stored_once, running, wait_until, wait_until_drained

PRESSES, ROWS = 40, 250
LIVE_PRESSES, SPEED = 4, 60.0
FILL_S = 90.0
LIVE = live_amid("away-%")
OVERTAKEN_BY_MAX = 2 * int(RECORDS_MAX * HISTORY_SHARE)
"""By so many shots of the backlog may a live one be overtaken between its end and its coming: those under way as it
was sent, and as many while a busy machine read it. In a queue the first would be overtaken by all."""


@pytest.mark.parametrize("broker", BROKERS)
def test_a_backlog_drains_while_live_shots_overtake_it(tmp_path: Path, broker: Broker) -> None:
    with running(tmp_path, broker, parts=("broker",)) as plant:
        plant.start_presses(LIVE_PRESSES, SPEED)
        plant.start("gateway")
        for number in range(PRESSES):
            plant.replay(f"away-{number:02d}", ROWS)
        wait_until(plant, lambda: plant.is_journalled, FILL_S, "the backlog in the journal")
        plant.start("cloud")
        backlog = PRESSES * ROWS
        wait_until(plant, lambda: plant.report()["RecordsSent"] > backlog, FILL_S, "the backlog sent")
        wait_until(plant, lambda: plant.report()["JournalRecords"] < backlog / 100, FILL_S, "the backlog committed")
        plant.stop("presses")
        wait_until_drained(plant)
        taken = int(plant.report()["ShotsTaken"])
        assert_stored_once(plant, f"a backlog of {PRESSES} presses")
    live = f"SELECT count(*), quantile_cont(overtaken_by, [0.5, 1]), quantile_cont(lag_ms, [0.5, 1]) FROM ({LIVE})"
    [(came, overtaken_by, lag_ms)] = query(tmp_path, live)
    print(f"{came} live shots while {backlog} drained; overtaken by p50 and most {overtaken_by}, lag {lag_ms} ms")
    assert query(tmp_path, "SELECT count(*) FROM shots WHERE press_id LIKE 'press-%'") == [(taken - backlog,)]
    assert came > 0, "live shots wait for no backlog"
    assert overtaken_by[1] <= OVERTAKEN_BY_MAX < backlog
