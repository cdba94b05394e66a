"""The benches of the pages measure what they say: in small, without a clock's word."""

from pathlib import Path

import pytest

from bench import web_fleet
from bench.latency import TILE_TIME, Calls, Watcher
from cloud.core.tenants import DEFAULT_TENANT
from cloud.web.fleet_page import FleetPage
from cloud.web.fleet_view import FleetFilter
from cloud.web.live import advance
from cloud.web.shell import Shell
from kit.clock import SystemClock

pytestmark = pytest.mark.anyio
PRESSES = 60


async def test_the_fleet_s_data_is_measured_over_all_presses() -> None:
    figures = await web_fleet.measure(PRESSES, 3)
    assert figures["presses"] == PRESSES
    assert 0 < figures["fleet_cpu_p50_ms"] <= figures["fleet_cpu_p99_ms"]
    assert figures["fleet_p99_ms"] > 0
    assert figures["board_bytes_compressed"] > 1_000


async def test_each_shot_on_the_page_counts_once_and_none_of_the_warm_up(tmp_path: Path) -> None:
    hall = web_fleet.Hall(tmp_path, PRESSES)
    await hall.be_born()
    shell = Shell(hall.clock)
    page = FleetPage(shell)
    facts = await hall.facts.fleet(DEFAULT_TENANT)
    snapshot = page.snapshot(shell.catalogues["en"], facts, FleetFilter(), DEFAULT_TENANT)
    frame = advance(None, snapshot, seen=0, made_s=0)
    assert len(TILE_TIME.findall(frame.full)) == PRESSES
    times = set(TILE_TIME.findall(frame.full))
    watcher = Watcher("", "", SystemClock())
    watcher._take(frame.full, hall.clock.utc_ms())
    assert watcher.latencies_ms == [], "the warm-up is not over"
    watcher = Watcher("", "", SystemClock())
    watcher.since_ms = 0
    for _ in range(2):
        watcher._take(frame.full, hall.clock.utc_ms())
    assert len(watcher.latencies_ms) == len(times)
    await hall.database.close()
    hall.store.close()


def test_a_call_counts_from_the_shot_that_raised_the_alarm() -> None:
    clock = SystemClock()
    calls = Calls(clock)
    raised = {"type": "alarm.raised", "data": {"first_over_ms": clock.utc_ms() - 250}}
    calls.take("msg", raised)
    assert calls.latencies_ms == []
    calls.since_ms = 0
    calls.take("msg", raised)
    calls.take("msg", {**raised, "type": "alarm.cleared"})
    assert len(calls.latencies_ms) == 1
    assert calls.latencies_ms[0] >= 250
