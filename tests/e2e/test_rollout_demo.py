"""Bundles in the real programs: a good one is promoted, a bad one goes back by itself, a forged one stays out."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rollout_plant import RolloutPlant, running
from tests.rollout_bundles import MODE

PRESSES = ("p-1", "p-2", "p-3")
BOUNDS = {"shots_min": 20}


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RolloutPlant]:
    with running(tmp_path_factory.mktemp("rollout")) as plant:
        for press in PRESSES:
            plant.make_shots(press, 10)
        plant.wait(plant.all_stored, "the first shots")
        yield plant


def start(plant: RolloutPlant, path: Path, **more: object) -> tuple[str, str]:
    """Upload a bundle and begin its trial; bundle id and trial id."""
    uploaded = plant.upload(path)
    assert uploaded.status_code == 201, uploaded.text
    bundle_id = uploaded.json()["bundle_id"]
    canaries = [{"plant_id": "demo", "press_id": "p-1"}]
    begun = plant.post("/rollouts", bundle_id=bundle_id, canaries=canaries, bounds=BOUNDS, why="a test", **more)
    assert begun.status_code == 201, begun.text
    return bundle_id, begun.json()["rollout_id"]


def is_followed(plant: RolloutPlant) -> bool:
    return all(one["revision"] == one["followed_revision"] > 0 for one in plant.get("/models/gateways"))


def shots_for_all(plant: RolloutPlant, count: int) -> None:
    for press in PRESSES:
        plant.make_shots(press, count)
    plant.wait(plant.all_stored, "all shots")


def advance(plant: RolloutPlant, rollout_id: str, seen: str) -> str:
    answer = plant.post(f"/rollouts/{rollout_id}/advance", stage=seen, why="looks well")
    assert answer.status_code == 200, answer.text
    plant.wait(lambda: is_followed(plant), "the gateway follows")
    return str(answer.json()["stage"])


def test_a_good_bundle_goes_from_shadow_to_champion(plant: RolloutPlant) -> None:
    bundle_id, rollout_id = start(plant, plant.bundle("good"))
    plant.wait(lambda: is_followed(plant), "the gateway follows")
    shots_for_all(plant, 30)

    def shadowed() -> bool:
        presses = plant.rollout(rollout_id)["presses"]
        return len(presses) == len(PRESSES) and all(each["new"]["shots"] == 30 for each in presses)

    plant.wait(shadowed, "the shadow's figures of every shot")
    [shot, *_] = plant.get("/plants/demo/presses/p-1/shots")["items"]
    assert shot["scores"]["values"] == {}, "a shadow scores nothing that could alarm"
    assert advance(plant, rollout_id, "shadow") == "canary"
    plant.wait(lambda: plant.running_on() == {"p-1": bundle_id, "p-2": "", "p-3": ""}, "the canary's report")
    shots_for_all(plant, 30)
    assert advance(plant, rollout_id, "canary") == "champion"
    shots_for_all(plant, 30)
    plant.wait(lambda: plant.running_on() == dict.fromkeys(PRESSES, bundle_id), "every press's report")
    assert plant.post(f"/rollouts/{rollout_id}/advance", why="won").json()["outcome"] == "promoted"
    assert plant.get(f"/models/bundles/{bundle_id}")["state"] == "champion"
    [shot, *_] = plant.get("/plants/demo/presses/p-3/shots")["items"]
    assert shot["scores"]["bundle_id"] == bundle_id
    assert 0 < shot["scores"]["values"][f"FailureProbability/{MODE}"] < 0.8
    steps = [event["state_after"] for event in plant.get(f"/models/bundles/{bundle_id}/events")["items"]]
    assert steps == ["champion", "canary", "shadow", "candidate"]


def test_a_bundle_that_alarms_on_everything_goes_back_by_itself(plant: RolloutPlant) -> None:
    good = plant.running_on()["p-1"]
    bundle_id, rollout_id = start(plant, plant.bundle("storm", "storm"))
    plant.wait(lambda: is_followed(plant), "the gateway follows")
    shots_for_all(plant, 25)
    plant.wait(lambda: plant.rollout(rollout_id)["outcome"] == "rolled_back", "the rollback")
    assert "over the threshold" in plant.rollout(rollout_id)["reason"]
    assert plant.get(f"/models/bundles/{bundle_id}")["state"] == "retired"
    assert plant.get(f"/models/bundles/{good}")["state"] == "champion"
    plant.wait(lambda: is_followed(plant), "the gateway follows")
    assert set(plant.running_on().values()) == {good}
    assert plant.get("/alarms")["items"] == [], "it was never more than a shadow"


def test_a_gateway_takes_a_bad_canary_back_by_itself_and_the_cloud_follows(plant: RolloutPlant) -> None:
    good = plant.running_on()["p-1"]
    bundle_id, rollout_id = start(plant, plant.bundle("hasty", "storm", seed=3))
    plant.wait(lambda: is_followed(plant), "the gateway follows")
    advance(plant, rollout_id, "shadow")  # nobody has waited for figures
    plant.make_shots("p-1", 30)
    plant.wait(lambda: plant.rollout(rollout_id)["outcome"] == "rolled_back", "the rollback")
    assert "its gateway took it back" in plant.rollout(rollout_id)["reason"]
    plant.wait(plant.all_stored, "all shots")
    scored_by = [shot["scores"]["bundle_id"] for shot in plant.get("/plants/demo/presses/p-1/shots?limit=30")["items"]]
    assert set(scored_by) <= {good, bundle_id}, "no shot is unscored"
    plant.wait(lambda: set(plant.running_on().values()) == {good}, "the good one scores again")


def test_a_bundle_that_is_too_slow_is_refused_at_the_gateway_and_goes_back(plant: RolloutPlant) -> None:
    good = plant.running_on()["p-1"]
    _, rollout_id = start(plant, plant.bundle("slow", "slow"))
    plant.wait(lambda: plant.rollout(rollout_id)["outcome"] == "rolled_back", "the rollback")
    assert "too slow" in plant.rollout(rollout_id)["reason"]
    shots_for_all(plant, 5)
    assert set(plant.running_on().values()) == {good}


def test_tampered_and_unsigned_bundles_stay_out(plant: RolloutPlant) -> None:
    path = plant.bundle("tampered", seed=9)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["manifest.json"] = files["manifest.json"].replace(b"a test", b"a lie!")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    refused = plant.upload(path)
    assert refused.status_code == 422
    assert "manifest.json is not what was signed" in refused.json()["detail"]
    unsigned = plant.upload(plant.bundle("unsigned", is_signed=False, seed=10))
    assert unsigned.status_code == 422
    assert "not signed" in unsigned.json()["detail"]


def test_a_gateway_refuses_by_itself_what_was_altered_behind_the_cloud_s_back(plant: RolloutPlant) -> None:
    good = plant.running_on()["p-1"]
    path = plant.bundle("swapped", seed=11)
    uploaded = plant.upload(path).json()
    stored = plant.folder / "cloud" / "bundles" / f"{uploaded['sha256']}.zip"
    changed = bytearray(stored.read_bytes())
    changed[len(changed) // 2] ^= 1
    stored.write_bytes(bytes(changed))
    begun = plant.post("/rollouts", bundle_id=uploaded["bundle_id"], bounds=BOUNDS).json()
    told = lambda: plant.get("/models/gateways")[0]["bundles"].get(uploaded["bundle_id"], {})  # noqa: E731
    plant.wait(lambda: "other content" in told().get("reason", ""), "the gateway says why")
    assert set(plant.running_on().values()) == {good}
    assert plant.post(f"/rollouts/{begun['rollout_id']}/stop", why="it is damaged").status_code == 200


def test_a_restarted_gateway_goes_on_with_the_champion(plant: RolloutPlant) -> None:
    good = plant.running_on()["p-1"]
    plant.wait(lambda: is_followed(plant), "the gateway follows")
    plant.children.pop("gateway").stop(20)
    plant.start_gateway()
    shots_for_all(plant, 5)
    [shot, *_] = plant.get("/plants/demo/presses/p-2/shots")["items"]
    assert shot["scores"]["bundle_id"] == good
