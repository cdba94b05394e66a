"""A broker or a cloud that comes back without what it knew: the line heals, and what is gone is accounted for."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.broker import mosquitto_program
from tests.e2e.fault_plant import (
    ALL,
    BROKERS,
    Broker,
    Count,
    assert_stored_once,
    counted,
    doubled,
    given_up,
    running,
    wait_until,
    wait_until_drained,
)

ROWS = 1_000
LOST = "second"
"""The press whose shots the gateway had been told to forget before the cloud lost them."""
NEEDS_MOSQUITTO = pytest.mark.skipif(mosquitto_program() is None, reason="mosquitto is not installed")
HEALED_S = 60.0
AWAY_REPORTS = 3


@pytest.mark.parametrize("broker", BROKERS)
def test_a_broker_that_comes_back_without_its_state_is_told_again(tmp_path: Path, broker: Broker) -> None:
    """Retained STATE, sessions and subscriptions are gone: host and gateway must make them anew."""
    with running(tmp_path, broker) as plant:
        plant.replay("before", ROWS)
        wait_until_drained(plant)
        births = len(plant.logged("node_born"))
        plant.kill("broker")
        shutil.rmtree(tmp_path / "broker")
        plant.replay("meanwhile", ROWS)
        plant.start("broker")
        wait_until(plant, lambda: len(plant.logged("host_state_online", by="cloud")) > 1, HEALED_S, "STATE again")
        wait_until(plant, lambda: len(plant.logged("node_born")) > births, HEALED_S, "a birth again")
        plant.replay("after", ROWS)
        wait_until_drained(plant)
        assert_stored_once(plant, "a broker without its state")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the store of a cloud that lost an older state held in the end."""

    stored: dict[str, Count]
    doubled: int
    given_up: int
    kept: tuple[str, ...]
    """Presses whose shots no one had been told to forget when the cloud lost its state."""


def test_a_gateway_waits_quietly_for_a_cloud_that_is_away(tmp_path: Path) -> None:
    """The retained STATE says offline on every new connection; that is no reason to make another one."""
    with running(tmp_path, "nats") as plant:
        plant.replay("before", 1)
        wait_until_drained(plant)
        plant.stop("cloud")
        reports = len(plant.logged("gateway_health"))
        wait_until(plant, lambda: len(plant.logged("gateway_health")) > reports + AWAY_REPORTS, 60, "some time")
        connections = len(plant.logged("broker_connected"))
    print(f"{connections} connections, {AWAY_REPORTS} s without a cloud among them")
    assert connections <= 3, "the first, the one after the farewell, and one to spare"


CASES = [
    ("nats", "empty"),
    pytest.param(("mosquitto", "old"), marks=NEEDS_MOSQUITTO),
    pytest.param(("mosquitto", "empty"), marks=[NEEDS_MOSQUITTO, pytest.mark.slow]),
    pytest.param(("nats", "old"), marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The cloud restarts, beside a gateway that goes on, with nothing or with what it knew a while ago."""
    broker, state = request.param
    folder = tmp_path_factory.mktemp(f"{broker}-{state}")
    with running(folder, broker) as plant:
        if state == "old":
            plant.replay("first", ROWS)
            wait_until_drained(plant)
            plant.stop("cloud")
            shutil.copytree(folder / "cloud", folder / "old")
            plant.start("cloud")
        plant.replay("second", ROWS)
        wait_until_drained(plant)
        plant.stop("cloud")
        shutil.rmtree(folder / "cloud")
        if state == "old":
            shutil.copytree(folder / "old", folder / "cloud")
        plant.replay("third", ROWS)
        births = len(plant.logged("node_born"))
        plant.start("cloud")
        wait_until(plant, lambda: len(plant.logged("node_born")) > births, HEALED_S, "a birth again")
        plant.replay("fourth", ROWS)
        wait_until_drained(plant)
        plant.stop(*ALL)
        kept = tuple(press for press in plant.jobs if press != LOST)
        outcome = Outcome(counted(folder), doubled(folder), given_up(folder), kept)
    print(f"cloud with {state} state on {broker}: {outcome}")
    return outcome


def test_a_cloud_that_lost_an_older_state_gets_all_that_is_still_kept(outcome: Outcome) -> None:
    stored = {press: outcome.stored.get(press) for press in outcome.kept}
    assert stored == dict.fromkeys(outcome.kept, Count.once_each(ROWS))
    assert outcome.doubled == 0


def test_what_the_cloud_lost_and_the_gateway_forgot_is_stored_again_or_in_the_ledger(outcome: Outcome) -> None:
    stored = outcome.stored[LOST].stored if LOST in outcome.stored else 0
    assert stored + outcome.given_up == ROWS
