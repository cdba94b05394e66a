"""A host that knows Sparkplug and not our commit: store and forward by its STATE, as the specification has it."""

import random

import pytest

from cloud.ingest.commits import CommitSchedule, Epoch
from cloud.ingest.service import Ingest
from cloud.telemetry.store import GatewayKey
from contract.standing import Standing
from tests.simulation.faults import Fault
from tests.simulation.run import FAULTS_S, run_seed
from tests.simulation.world import Gateway, Host

SEEDS = 8


class _NoCommits(CommitSchedule):
    def take_due(self, now_s: float) -> list[Epoch]:
        return []


class _PlainIngest(Ingest):
    """Follows births, sequence numbers and STATE; never says what it has and never asks for what it lost."""

    async def _stand(self, gateway: GatewayKey, stands: Standing) -> None:
        self._commits = _NoCommits()


class PlainHost(Host):
    ingest_type = _PlainIngest


class PlainGateway(Gateway):
    confirmation = "state"


@pytest.mark.parametrize(
    "kind", ["cut", "broker_restart", "broker_loss", "gateway_crash", "host_crash", "partition", "delay", "slow_disk"]
)
def test_outages_that_a_state_or_a_connection_can_tell_of_lose_nothing(kind: str) -> None:
    for seed in range(SEEDS):
        rng = random.Random(seed)
        faults = [Fault(kind, rng.uniform(2, 40), rng.uniform(1, 0.3 * FAULTS_S), rng.random()) for _ in range(2)]
        outcome = run_seed(seed, faults=faults, host=PlainHost, gateway=PlainGateway)
        assert not outcome.violation, (kind, seed, outcome.faults)
        assert outcome.stored == outcome.accepted > 0


def test_what_a_broker_drops_half_of_is_lost_on_a_plain_host_and_not_on_ours() -> None:
    """The limit of the specification's own way (docs/guide/guarantee.md): a rebirth brings most of it back, not all."""
    faults = [Fault("loss", 5.0, 40.0, 1.0)]
    plain = [run_seed(seed, faults=faults, host=PlainHost, gateway=PlainGateway).violation for seed in range(3)]
    assert all("was forgotten, and the host does not have it" in violation for violation in plain)
    assert not any(run_seed(seed, faults=faults).violation for seed in range(3))
