"""A day without the cloud, compressed: the backlog of forty presses drains while live shots overtake it."""

from pathlib import Path

import pytest

from tests.e2e.fault_plant import BROKERS, Broker, assert_stored_once, query, running, wait_until, wait_until_drained

PRESSES, ROWS = 40, 250
LIVE_PRESSES, SPEED = 4, 60.0
FILL_S = 90.0


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
    sql = """
        WITH drain AS
            (SELECT min(received_ms) AS first, max(received_ms) AS last FROM shots WHERE press_id LIKE 'away-%')
        SELECT any_value(last - first), count(*), quantile_cont(received_ms - ended_ms, [0.5, 0.99]) FROM shots, drain
        WHERE NOT is_historical AND received_ms BETWEEN first AND last"""
    [(drain_ms, live, lag_ms)] = query(tmp_path, sql)
    print(f"{backlog} drained in {drain_ms} ms; {live} live shots meanwhile, lag p50 and p99 {lag_ms} ms")
    assert query(tmp_path, "SELECT count(*) FROM shots WHERE press_id LIKE 'press-%'") == [(taken - backlog,)]
    assert live > 0, "live shots wait for no backlog"
