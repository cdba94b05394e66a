"""A broker with almost no room (ten messages, little memory): it drops or cuts the line, and still nothing is lost."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.broker import start_mosquitto, start_nats
from deploy.local.processes import Child
from tests.e2e.fault_plant import (
    BROKERS,
    Broker,
    assert_stored_once,
    running,
    wait_until,
    wait_until_drained,
)

ROWS = {"nats": 8_000, "mosquitto": 12_000}
"""Enough to fill the kernel's socket buffers and what the broker may keep."""
QUEUED_MESSAGES_MAX = 10
MEMORY_BYTES_MAX = 1_000_000
RAN_OUT = ("Slow Consumer", "being dropped")
NATS_PENDING_BYTES_MAX = 512 * 1024


def start_small_mosquitto(folder: Path, port: int) -> Child:
    """Mosquitto that keeps ten messages a client, drops the rest, and has a megabyte in all."""
    return start_mosquitto(
        folder, port, more=f"max_queued_messages {QUEUED_MESSAGES_MAX}\nmemory_limit {MEMORY_BYTES_MAX}\n"
    )


def start_small_nats(folder: Path, port: int) -> Child:
    """NATS that cuts off a client for which more than 512 kB wait."""
    return start_nats(
        folder, port, more=f"max_pending: {NATS_PENDING_BYTES_MAX}\nmax_payload: {NATS_PENDING_BYTES_MAX}\n"
    )


@contextmanager
def frozen(child: Child) -> Iterator[None]:
    """A program that does nothing for a while, its connections open: the slowest of consumers."""
    child.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        child.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("broker", [pytest.param("nats", marks=pytest.mark.slow), *BROKERS[1:]])
def test_a_broker_with_almost_no_room_loses_nothing(tmp_path: Path, broker: Broker) -> None:
    start = start_small_nats if broker == "nats" else start_small_mosquitto
    rows = ROWS[broker]
    environ = {"ZHISAN_EDGE__UPLINK__RECORDS_MAX": str(2 * rows)}  # all may be in flight at once
    with running(tmp_path, broker, start_broker=start, environ=environ) as plant:
        plant.replay("before", 1)
        wait_until_drained(plant)
        began = plant.report()["RecordsSent"]
        with frozen(plant.children["cloud"]):
            plant.replay("replayed", rows)
            wait_until(
                plant, lambda: plant.report()["RecordsSent"] >= began + rows, 60, "all sent to a cloud that sleeps"
            )
        wait_until_drained(plant)
        said = (tmp_path / "broker" / "broker.log").read_text(encoding="utf-8")
        refusals = sum(said.count(word) for word in RAN_OUT)
        print(f"births {len(plant.logged('node_born'))}, the broker ran out of room {refusals} times")
        assert_stored_once(plant, "a broker without room")
    assert refusals > 0, "the broker had room enough: this test proves nothing here"
