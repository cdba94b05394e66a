"""A gateway behind a link that loses 5 % of the packets and takes 200 ms: all stored once, live shots keep coming."""

import time
from pathlib import Path

import pytest
import pytest_socket

from tests.e2e.fault_plant import (
    BROKERS,
    LOOPBACK,
    Broker,
    Part,
    assert_stored_once,
    query,
    running,
    wait_until,
    wait_until_drained,
)
from tests.e2e.lossy_link import LinkUnavailableError, LossyLink, lossy_link

LOSS, DELAY_S, SEED = 0.05, 0.2, 5
ROWS = 300
PRESSES, SPEED = 2, 30.0
LIVE_S = 6.0
CONNECTIONS_MAX = 3


@pytest.mark.parametrize("broker", [pytest.param("nats", marks=pytest.mark.slow), *BROKERS[1:]])
def test_all_is_stored_once_over_a_link_that_loses_a_twentieth(tmp_path: Path, broker: Broker) -> None:
    try:
        with lossy_link(tmp_path, loss=LOSS, delay_s=DELAY_S, seed=SEED) as link:
            pytest_socket.socket_allow_hosts([LOOPBACK, link.address])  # our end of a link that leads nowhere else
            _send_over(link, tmp_path, broker)
    except LinkUnavailableError as error:
        pytest.skip(f"no lossy link on this machine: {error}")
    print((tmp_path / "link.log").read_text(encoding="utf-8").strip())


def _send_over(link: LossyLink, folder: Path, broker: Broker) -> None:
    environ = {"ZHISAN_EDGE__CURVES__SAMPLES_MAX": "50"}
    parts: tuple[Part, ...] = ("broker", "cloud")
    with running(folder, broker, broker_host=link.address, prefix=link.prefix, environ=environ, parts=parts) as plant:
        plant.start_presses(PRESSES, SPEED)
        plant.start("gateway")
        plant.replay("replayed", ROWS)
        wait_until(plant, lambda: bool(plant.logged("node_born")), 60, "the gateway's birth")
        time.sleep(LIVE_S)
        plant.stop("presses")
        wait_until_drained(plant, timeout_s=120)
        connections, births = len(plant.logged("broker_connected")), len(plant.logged("node_born"))
        taken = int(plant.logged("gateway_health")[-1]["ShotsTaken"])
        assert_stored_once(plant, "5 % loss, 200 ms each way")
    sql = "SELECT count(*), quantile_cont(received_ms - ended_ms, [0.5, 0.99]) FROM shots WHERE NOT is_historical"
    [(live, (median_ms, p99_ms))] = query(folder, sql)
    print(f"connections {connections}, births {births}, live {live}, lag p50 {median_ms:.0f} ms, p99 {p99_ms:.0f} ms")
    assert query(folder, "SELECT count(*) FROM shots WHERE press_id != 'replayed'") == [(taken - ROWS,)]
    assert live >= PRESSES
    assert connections <= CONNECTIONS_MAX, "no storm of reconnections"
