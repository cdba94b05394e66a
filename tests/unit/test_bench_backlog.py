"""What the bench of an outage calls survived: nothing lost, nobody doubled, every press heard, and soon."""

from pathlib import Path

import duckdb
import pytest

from bench.backlog import LIVE_LAG_MS_MAX, PRESSES, Figures, failures
from bench.fault_feed import STORE_FILE, live_amid, query

GOOD: Figures = {
    **dict.fromkeys(("lost", "duplicated", "given_up", "live_lost", "live_duplicated"), 0),
    "live_presses": PRESSES,
    "live_records_during": 800,
    "live_lag_p99_ms": 700.0,
}


def test_a_day_without_loss_is_survived() -> None:
    assert failures(GOOD) == []


@pytest.mark.parametrize(
    "worse",
    [
        {"lost": 1},
        {"duplicated": 1},
        {"given_up": 1},
        {"live_lost": 1},
        {"live_duplicated": 1},
        {"live_presses": PRESSES - 1},
        {"live_lag_p99_ms": LIVE_LAG_MS_MAX},
    ],
    ids=lambda worse: next(iter(worse)),
)
def test_each_loss_and_each_delay_is_told(worse: Figures) -> None:
    assert len(failures(GOOD | worse)) == 1


def test_a_day_in_which_no_live_shot_came_says_nothing_of_their_delay() -> None:
    figures = {name: value for name, value in GOOD.items() if name != "live_lag_p99_ms"}
    assert failures(figures | {"live_records_during": 0}) != []


def test_a_live_shot_is_overtaken_by_the_history_that_comes_between_its_end_and_its_coming(tmp_path: Path) -> None:
    (tmp_path / "cloud").mkdir()
    with duckdb.connect(str(tmp_path / "cloud" / STORE_FILE)) as store:
        store.execute("CREATE TABLE shots (press_id TEXT, ended_ms BIGINT, received_ms BIGINT, is_historical BOOLEAN)")
        store.executemany("INSERT INTO shots VALUES ('away-1', 0, ?, true)", [[at_ms] for at_ms in range(100, 200, 10)])
        store.executemany(
            "INSERT INTO shots VALUES ('press-1', ?, ?, ?)",
            [[115, 141, False], [120, 121, False], [100, 150, True], [50, 60, False], [150, 260, False]],
        )
    assert sorted(query(tmp_path, live_amid("away-%"))) == [(1, 0), (26, 3)]
