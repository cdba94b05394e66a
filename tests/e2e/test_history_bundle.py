"""From a plant's history to an alarm, through the programs: build, keys, signature, gateway, broker, cloud, API.

The history has no physics; what is proved is that nothing is lost or renamed between training and an engineer's screen.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import synthetic_history
from bench.synthetic_history import GROWS_H, HOUR_MS, MOULDS, SHOT_MS, SIGNAL
from contract.vocabulary import PARAMETERS
from deploy.local import signing
from edge_agent.sources.replay import inbox_of, submit
from kit.clock import SystemClock
from kit.ids import uuid7
from models.features.schema import FEATURES, index
from models.runtime.bundle import read_bundle
from tests.e2e.rollout_plant import ZHISAN, RolloutPlant, running

MODE, STRANGE = "pump_leakage", "MouldClosingTime"
WORN, ODD = "p-worn", "p-odd"
HEALTHY_SHOTS = 700
"""More than the 240 in which a baseline is learnt."""
NAMES = tuple(spec.name for spec in FEATURES if spec.name in PARAMETERS)


@dataclass(frozen=True)
class Built:
    """A signed bundle in the folder of a plant that trusts its key."""

    folder: Path
    bundle: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """By the command line alone, as an engineer would."""
    folder = tmp_path_factory.mktemp("plant")
    history = synthetic_history.write(folder / "history", presses=14, days=9, seed=1)
    bundle, key = folder / "own.zip", folder / "keys" / signing.KEY_FILE
    zhisan("models", "build", "--history", history, "--out", bundle, without_data=folder)
    zhisan("models", "keygen", "--out", key)
    (folder / "trusted_keys").mkdir()
    [public] = key.parent.glob("*.pub")
    (folder / "trusted_keys" / public.name).write_bytes(public.read_bytes())
    zhisan("models", "sign", bundle, "--key", key)
    zhisan("models", "verify", bundle, "--trusted", folder / "trusted_keys")
    return Built(folder, bundle)


def zhisan(*arguments: object, without_data: Path | None = None) -> None:
    environ = {"ZHISAN_DATA": str(without_data)} if without_data else {}
    command = ["env", *(f"{name}={value}" for name, value in environ.items()), *ZHISAN, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr


def replay(plant: RolloutPlant, press: str, values: np.ndarray, ended_ms: np.ndarray) -> None:
    """Give the gateway a file of a press's parameters; what comes of curves it has not."""
    columns = [index(name) for name in NAMES]
    lines = [
        ",".join([str(at), *(f"{value:.5f}" for value in row)])
        for at, row in zip(ended_ms.tolist(), values[:, columns].tolist(), strict=True)
    ]
    data, mapping = plant.folder / f"{press}.csv", plant.folder / f"{press}.toml"
    data.write_text("\n".join([",".join(["ended", *NAMES]), *lines]) + "\n", encoding="utf-8")
    about = [f'press = "{press}"', f'mould = "{MOULDS[1]}"', "[time]", 'column = "ended"', 'format = "unix_ms"']
    about += ["[columns]", *(f'{name} = {{ name = "{name}", unit = "{PARAMETERS[name].unit}" }}' for name in NAMES)]
    mapping.write_text("\n".join(about) + "\n", encoding="utf-8")
    submit(inbox_of(plant.folder / "gateway"), uuid7(SystemClock().utc_ms()), data, mapping)
    plant.sent[press] = len(values)


def shots_of(plant: RolloutPlant, press: str) -> list[dict[str, Any]]:
    """The newest ones, the newest first."""
    found: list[dict[str, Any]] = plant.get(f"/plants/demo/presses/{press}/shots?limit=50")["items"]
    return found


def test_a_press_that_fails_is_named_by_the_bundles_own_threshold_and_a_strange_one_is_explained(built: Built) -> None:
    """The worn press is followed until shortly before its failure; the odd one shows what no mode was learned from."""
    grow_shots = GROWS_H * HOUR_MS // SHOT_MS
    now_ms = SystemClock().utc_ms() // SHOT_MS * SHOT_MS
    ended_ms = now_ms - SHOT_MS * np.arange(HEALTHY_SHOTS + grow_shots, dtype=np.int64)[::-1]
    worn = synthetic_history.values_of(len(ended_ms), 77)
    onset_ms = int(ended_ms[HEALTHY_SHOTS])
    synthetic_history.worn(worn, ended_ms, MODE, onset_ms, onset_ms + GROWS_H * HOUR_MS)
    odd = synthetic_history.values_of(HEALTHY_SHOTS, 78)
    odd[-60:, index(STRANGE)] += 20.0
    manifest = read_bundle(built.bundle).manifest
    failure = next(head for head in manifest.heads if head.kind == "failure")
    limit = failure.thresholds[f"{MODE}@72h"]
    with running(built.folder, bundle=built.bundle) as plant:
        replay(plant, WORN, worn, ended_ms)
        replay(plant, ODD, odd, ended_ms[-HEALTHY_SHOTS:])
        plant.wait(plant.all_stored, "all shots", timeout_s=120)
        plant.wait(lambda: any(alarm["mode"] == MODE for alarm in plant.get("/alarms")["items"]), "the alarm")
        alarms = [alarm for alarm in plant.get("/alarms")["items"] if alarm["mode"] == MODE]
        [newest, *_], strange = shots_of(plant, WORN), shots_of(plant, ODD)[0]
    [alarm] = [alarm for alarm in alarms if alarm["press_id"] == WORN]
    assert alarm["threshold"] == pytest.approx(limit)
    assert alarm["probability"] >= limit
    assert alarm["threshold"] != pytest.approx(0.8), "not what the cloud has for bundles that say nothing"
    assert alarm["reasons"][0]["feature"] == SIGNAL[MODE]
    assert onset_ms < alarm["first_over_ms"] < onset_ms + GROWS_H * HOUR_MS
    assert newest["scores"]["bundle_id"] == read_bundle(built.bundle).bundle_id
    said = newest["scores"]["values"]
    by_horizon = [said[f"FailureProbability/{MODE}@{hours}h"] for hours in (8, 24, 72)]
    assert 0 < by_horizon[0] <= by_horizon[1] <= by_horizon[2] < 1
    assert said[f"FailureThreshold/{MODE}"] == pytest.approx(limit)
    assert by_horizon[2] > said["FailureProbability/check_ring_wear@72h"]
    assert 0 <= said["RemainingLife/low"] <= said["RemainingLife/expected"] <= said["RemainingLife/high"] <= 168
    told = strange["scores"]
    assert max(told["values"]["Novelty/T2"], told["values"]["Novelty/SPE"]) > 1
    assert told["reasons"][0]["feature"] == STRANGE
    assert told["reasons"][0]["sigma"] > 10
