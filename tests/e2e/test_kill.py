"""kill -9 of gateway, broker and cloud at random moments of a replay: every row stored, none twice.

ZHISAN_KILLS says how many kills in all (half on each broker), ZHISAN_SEED which moments and victims.
"""

import os
import random
import time
from pathlib import Path

import pytest

from tests.e2e.fault_plant import BROKERS, Broker, Part, Plant, assert_stored_once, running, wait_until_drained

KILLS = int(os.environ.get("ZHISAN_KILLS", "30"))
SEED = int(os.environ.get("ZHISAN_SEED", "20"))
ROWS = 10_000
VICTIMS: tuple[Part, ...] = ("gateway", "broker", "cloud")
HASTE_S, PEACE_S = (0.05, 0.8), (1.0, 3.0)
"""A kill comes while the last victim is still starting, or when all are at work again."""


@pytest.mark.timeout(240 + 30 * KILLS)
@pytest.mark.parametrize("broker", BROKERS)
def test_every_record_is_stored_once_through_kills_at_random_moments(tmp_path: Path, broker: Broker) -> None:
    kills, rng = KILLS // 2, random.Random(f"{SEED} {broker}")
    print(f"ZHISAN_SEED={SEED} ZHISAN_KILLS={KILLS}: {kills} on {broker}")
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
    rng.shuffle(victims)
    with running(tmp_path, broker) as plant:
        for victim in victims:
            _keep_busy(plant)
            time.sleep(rng.uniform(*rng.choice((HASTE_S, PEACE_S))))
            plant.kill(victim)
            plant.start(victim)
        wait_until_drained(plant, timeout_s=120 + 2 * kills)
        assert_stored_once(plant, f"{kills} kills")


def _keep_busy(plant: Plant) -> None:
    """A kill must find something to break: when every file is taken, give another."""
    if plant.is_journalled:
        plant.replay(f"replayed-{len(plant.jobs)}", ROWS)
