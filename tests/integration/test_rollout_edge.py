"""At the gateway: every shot is scored by a whole line-up, whatever bundles come, fail, or are refused."""

import random
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import anyio
import numpy as np
import pytest

from contract.model_orders import Assignment, Bounds, BundleFile, Desired, Report, report_of, to_metric
from contract.shot import Shot
from edge_agent.identity.cloud_calls import CloudAddress
from edge_agent.models.baselines import BaselineStore
from edge_agent.models.desk import ModelDesk
from edge_agent.models.download import DownloadError
from edge_agent.models.folder import BundleFolder
from edge_agent.models.lineup import Lineup, following
from edge_agent.models.loaded import LoadedBundle, load
from edge_agent.models.press_drift import MOULDS_MAX
from edge_agent.models.roster import SHADOWS_WAITING_MAX, Roster
from models.features.extract import extract
from models.runtime.bundle import manifest_of, sign_bundle, write_bundle
from models.runtime.drift import DriftWatch, summarise
from models.runtime.keys import TrustList, key_id_of, load_private, load_public, make_key_pair
from tests import rollout_bundles
from tests.rollout_bundles import MODE, MOULD, Kind, bundle_file, shots_like_training

pytestmark = pytest.mark.anyio
KEY = f"FailureProbability/{MODE}"
SHA = "0" * 64


def shot(press: str, number: int, cycle_s: float | None = None) -> Shot:
    cushion, cycle = shots_like_training(1, seed=number)[0].tolist()
    return Shot(press, number, {"CushionStroke": cushion, "CycleTime": cycle_s or cycle}, mould_id=MOULD)


def scored(roster: Roster, *shots: Shot) -> list[str]:
    """The bundles that have scored these shots, given as one batch."""
    return [one.bundle_id if one.values else "" for one in roster.score(shots, [extract(each) for each in shots])]


def loaded(folder: Path, kind: Kind = "good", seed: int = 1) -> LoadedBundle:
    path = folder / f"{kind}{seed}.zip"
    bundle_file(path, kind, seed=seed)
    return load(path, None, slow_ms=10_000)


def order_of(revision: int, *bundles: LoadedBundle | str, default: Assignment, **more: object) -> Desired:
    ids = [one if isinstance(one, str) else one.bundle_id for one in bundles]
    files = tuple(BundleFile(bundle_id=name, path="/x", size_bytes=1, sha256=SHA) for name in ids)
    return Desired.model_validate({"revision": revision, "default": default, "files": files, **more})


def roster_of(folder: Path, *bundles: LoadedBundle, default: Assignment, **more: object) -> Roster:
    order = order_of(1, *bundles, default=default, **more)
    return Roster(Lineup(None, order, {one.bundle_id: one for one in bundles}), BaselineStore(folder / "baselines"))


def figures(roster: Roster, press: str, bundle: LoadedBundle) -> object:
    return roster.reports()[press].figures[bundle.bundle_id]


def test_no_shot_is_unscored_or_waits_while_line_ups_are_replaced(tmp_path: Path) -> None:
    first, second = loaded(tmp_path, seed=1), loaded(tmp_path, seed=2)
    both = {one.bundle_id: one for one in (first, second)}
    bundle_file(tmp_path / "third.zip", seed=3)
    roster = roster_of(tmp_path, first, default=Assignment(champion=first.bundle_id))
    is_over, seen, longest_s = threading.Event(), [], 0.0

    def presses_run() -> None:
        nonlocal longest_s
        for number in range(400):
            batch = [shot(f"p-{press}", number) for press in range(4)]
            started_s = time.perf_counter()
            seen.append(scored(roster, *batch))
            longest_s = max(longest_s, time.perf_counter() - started_s)
        is_over.set()

    presses = threading.Thread(target=presses_run)
    presses.start()
    revision = 1
    while not is_over.is_set():
        revision += 1
        champion = (first, second)[revision % 2]
        load(tmp_path / "third.zip", None, slow_ms=10_000)  # what a download brings is loaded beside running presses
        order = order_of(revision, first, second, default=Assignment(champion=champion.bundle_id))
        roster.replace(lambda _, order=order: Lineup(None, order, both))  # type: ignore[misc]
    presses.join()
    assert revision > 3, "line-ups were replaced while the presses ran"
    assert all(name in both for batch in seen for name in batch), "a shot was not scored"
    assert all(len(set(batch)) == 1 for batch in seen), "a batch was scored by half of a line-up"
    print(f"longest wait of a batch of four {1000 * longest_s:.1f} ms over {revision} line-ups")
    assert longest_s < 1.0  # bench.model_swap has the figure; this catches a load that stands in the shots' way


def test_a_champion_on_trial_is_taken_back_at_once_and_only_there(tmp_path: Path) -> None:
    old, storm = loaded(tmp_path), loaded(tmp_path, "storm")
    tried = Assignment(champion=storm.bundle_id, shadow=old.bundle_id, is_guarded=True)
    roster = roster_of(
        tmp_path,
        old,
        storm,
        default=Assignment(champion=old.bundle_id, shadow=storm.bundle_id),
        presses={"p-1": tried},
        bounds=Bounds(shots_min=20),
    )
    by = []
    for number in range(40):
        by += scored(roster, shot("p-1", number))
        roster.score_shadows()
    assert by == [storm.bundle_id] * 20 + [old.bundle_id] * 20
    report = roster.reports()["p-1"]
    assert report.champion == old.bundle_id
    assert (report.taken_back, "over the threshold" in report.taken_back_why) == (storm.bundle_id, True)
    assert scored(roster, shot("p-2", 1)) == [old.bundle_id]


def test_what_was_taken_back_stays_so_until_the_press_is_told_otherwise(tmp_path: Path) -> None:
    old, storm = loaded(tmp_path), loaded(tmp_path, "storm")
    both = {one.bundle_id: one for one in (old, storm)}
    tried = Assignment(champion=storm.bundle_id, shadow=old.bundle_id, is_guarded=True)
    roster = roster_of(tmp_path, old, storm, default=tried, bounds=Bounds(shots_min=20))
    scored(roster, *(shot("p-1", number) for number in range(25)))
    for revision, default, by in ((2, tried, old), (3, tried.model_copy(update={"is_guarded": False}), storm)):
        order = order_of(revision, old, storm, default=default, relearn={"p-2": revision})
        roster.replace(lambda before, order=order: following(before, order, both, ["p-1"]))  # type: ignore[misc]
        assert scored(roster, shot("p-1", 99)) == [by.bundle_id]


def test_figures_begin_anew_with_an_assignment_and_only_there(tmp_path: Path) -> None:
    old, new = loaded(tmp_path), loaded(tmp_path, seed=2)
    both = {one.bundle_id: one for one in (old, new)}
    beside = Assignment(champion=old.bundle_id, shadow=new.bundle_id)
    roster = roster_of(tmp_path, old, new, default=beside)
    scored(roster, *(shot(press, number) for number in range(10) for press in ("p-1", "p-2")))
    tried = Assignment(champion=new.bundle_id, shadow=old.bundle_id, is_guarded=True)
    order = order_of(2, old, new, default=beside, presses={"p-1": tried})
    roster.replace(lambda before: following(before, order, both, ["p-1", "p-2"]))
    scored(roster, shot("p-1", 10), shot("p-2", 10))
    told = roster.reports()
    assert told["p-1"].figures[new.bundle_id].shots == 1
    assert old.bundle_id not in told["p-1"].figures, "its turn as a shadow comes later"
    assert told["p-2"].figures[old.bundle_id].shots == 11


def test_a_good_champion_on_trial_stays(tmp_path: Path) -> None:
    old, new = loaded(tmp_path), loaded(tmp_path, seed=2)
    tried = Assignment(champion=new.bundle_id, shadow=old.bundle_id, is_guarded=True)
    roster = roster_of(tmp_path, old, new, default=tried, bounds=Bounds(shots_min=20, latency_p99_ms_max=1_000))
    for number in range(300):
        assert scored(roster, shot("p-1", number)) == [new.bundle_id]
        roster.score_shadows()
    told = roster.reports()["p-1"].figures
    assert (told[new.bundle_id].shots, told[old.bundle_id].shots) == (300, 300)
    assert told[new.bundle_id].drift_psi > 0, "drift is measured"
    assert told[new.bundle_id].drifted_share == 0, "and there is none"


def test_a_shot_on_which_the_model_fails_is_scored_by_what_stands_beside_it(tmp_path: Path) -> None:
    old, failing = loaded(tmp_path), loaded(tmp_path, "failing")
    default = Assignment(champion=failing.bundle_id, shadow=old.bundle_id)
    roster = roster_of(tmp_path, old, failing, default=default)
    batch = [shot("p-1", 1), shot("p-1", 2, cycle_s=1_000.0), shot("p-1", 3)]
    assert scored(roster, *batch) == [failing.bundle_id, old.bundle_id, failing.bundle_id]
    told = figures(roster, "p-1", failing)
    assert (told.shots, told.errors) == (3, 1)  # type: ignore[attr-defined]


def test_a_slow_shadow_delays_nobody_and_its_lost_shots_are_counted(tmp_path: Path) -> None:
    old, slow = loaded(tmp_path), loaded(tmp_path, "slow")
    default = Assignment(champion=old.bundle_id, shadow=slow.bundle_id)
    roster = roster_of(tmp_path, old, slow, default=default)
    count = SHADOWS_WAITING_MAX + 10
    for number in range(count):
        assert scored(roster, shot("p-1", number)) == [old.bundle_id]
    assert roster.reports()["p-1"].figures[slow.bundle_id].dropped == 10
    roster.score_shadows()
    assert roster.reports()["p-1"].figures[slow.bundle_id].latency_p50_ms > 5


def test_a_shadow_s_scores_are_nowhere_but_in_its_figures(tmp_path: Path) -> None:
    storm = loaded(tmp_path, "storm")
    roster = roster_of(tmp_path, storm, default=Assignment(shadow=storm.bundle_id))
    assert scored(roster, shot("p-1", 1)) == [""]
    roster.score_shadows()
    assert figures(roster, "p-1", storm).over == 1  # type: ignore[attr-defined]


def test_drift_of_one_feature_is_seen_and_named(tmp_path: Path) -> None:
    good = loaded(tmp_path)
    roster = roster_of(tmp_path, good, default=Assignment(champion=good.bundle_id))
    for number in range(300):
        each = shot("p-1", number)
        drifted = {**each.parameters, "CycleTime": each.parameters["CycleTime"] + (0.5 if number > 100 else 0.0)}
        scored(roster, Shot("p-1", number, drifted, mould_id=MOULD))
    told = figures(roster, "p-1", good)
    assert told.drift_worst == "CycleTime"  # type: ignore[attr-defined]
    assert told.drifted_share == 0.5  # type: ignore[attr-defined]


def test_a_press_unlike_all_of_training_is_strange_and_one_that_wanders_is_not(tmp_path: Path) -> None:
    good = loaded(tmp_path)
    roster = roster_of(tmp_path, good, default=Assignment(champion=good.bundle_id))
    for number in range(200):
        each = shot("p-1", number)
        wander = {**each.parameters, "CycleTime": each.parameters["CycleTime"] + 0.15 * np.sin(number / 30)}
        scored(roster, Shot("p-1", number, wander, mould_id=MOULD))
        scored(roster, Shot("p-2", number, {**each.parameters, "CycleTime": 31.0 + number % 2}, mould_id=MOULD))
    reports = roster.reports()
    assert reports["p-1"].figures[good.bundle_id].strange_share == 0
    assert reports["p-2"].figures[good.bundle_id].strange_share == 0.5


def test_what_long_healthy_runs_reach_is_no_drift(tmp_path: Path) -> None:
    def run(seed: int) -> np.ndarray:
        """One feature of 650 shots that wanders slowly, as presses do."""
        rng, level, values = np.random.default_rng(seed), 0.0, []
        for _ in range(650):
            level = 0.98 * level + rng.normal(0, 0.2)
            values.append(level + rng.normal(0, 0.3))
        return np.array(values, np.float32)[:, None]

    runs = [run(seed) for seed in range(12)]
    presses = [str(number) for number in range(12) for _ in range(650)]
    short = summarise(np.concatenate([each[:20] for each in runs]), [MOULD] * 240, presses[::32][:240], ["x"])
    long = summarise(np.concatenate(runs), [MOULD] * len(presses), presses, ["x"])
    assert short[MOULD].features["x"].usual is None
    drifted = {"short": 0, "long": 0}
    for seed in range(100, 110):
        for name, summary in (("short", short), ("long", long)):
            watch = DriftWatch(summary[MOULD].features, {"x": 0})
            for row in run(seed)[:300]:
                watch.take(row)
            drifted[name] += len(watch.drifted(watch.indices()))
    assert drifted["long"] <= 2, "healthy presses stay within what is usual"
    assert drifted["short"] >= 5, "which short runs cannot know"


def test_a_feature_that_stays_away_is_named(tmp_path: Path) -> None:
    good = loaded(tmp_path)
    roster = roster_of(tmp_path, good, default=Assignment(champion=good.bundle_id))
    for number in range(300):
        parameters = {"CushionStroke": 5.0} if number > 60 else {"CushionStroke": 5.0, "CycleTime": 20.0}
        scored(roster, Shot("p-1", number, parameters, mould_id=MOULD))
    assert figures(roster, "p-1", good).missing == ("CycleTime",)  # type: ignore[attr-defined]


def test_a_channel_that_froze_is_told_as_drift_and_named(tmp_path: Path) -> None:
    good = loaded(tmp_path)
    roster = roster_of(tmp_path, good, default=Assignment(champion=good.bundle_id))
    for number in range(300):
        frozen = {**shot("p-1", number).parameters} | ({"CushionStroke": 5.0} if number > 60 else {})
        scored(roster, Shot("p-1", number, frozen, mould_id=MOULD))
    told = figures(roster, "p-1", good)
    assert (told.drift_worst, told.drifted_share, told.strange_share) == ("CushionStroke", 0.5, 0)  # type: ignore[attr-defined]
    assert told.drift_excess > 10  # type: ignore[attr-defined]
    assert told.missing == ()  # type: ignore[attr-defined]


def test_scores_that_move_are_told_as_drift_with_the_shot_that_showed_it(tmp_path: Path) -> None:
    good = loaded(tmp_path)
    roster = roster_of(tmp_path, good, default=Assignment(champion=good.bundle_id))
    for number in range(300):
        each = shot("p-1", number)
        moved = each.parameters["CushionStroke"] + (0.5 if number >= 150 else 0.0)
        scored(roster, Shot("p-1", number, {**each.parameters, "CushionStroke": moved}, mould_id=MOULD))
        scored(roster, Shot("p-2", number, each.parameters, mould_id=MOULD))
        if number in (149, 220):
            assert (figures(roster, "p-1", good).scores_moved == {}) == (number == 149)  # type: ignore[attr-defined]
    told, calm = figures(roster, "p-1", good), figures(roster, "p-2", good)
    assert list(told.scores_moved) == [told.score_worst] == [KEY]  # type: ignore[attr-defined]
    assert 1.2 < told.scores_moved[KEY] == told.score_times < 1.7  # type: ignore[attr-defined]
    assert told.scores_drifted_share == 1.0  # type: ignore[attr-defined]
    assert told.since_ms[KEY] == 220  # type: ignore[attr-defined]
    assert (told.watched, told.scores_watched, told.score_shots) == (2, 1, 300)  # type: ignore[attr-defined]
    assert (calm.scores_moved, calm.drifted, calm.since_ms) == ({}, {}, {})  # type: ignore[attr-defined]


def test_a_press_that_goes_to_and_fro_between_moulds_is_watched_on_each(tmp_path: Path) -> None:
    both = rollout_bundles.training()[MOULD]
    made = rollout_bundles.head()
    summaries = dict.fromkeys((MOULD, *(f"M-{n}" for n in range(MOULDS_MAX))), both)
    write_bundle(
        tmp_path / "b.zip", manifest_of((made.head,), seed=1, training=summaries), {made.head.file: made.model}
    )
    bundle = load(tmp_path / "b.zip", None, slow_ms=10_000)
    roster = roster_of(tmp_path, bundle, default=Assignment(champion=bundle.bundle_id))
    for number in range(600):  # 20 shots of each in turn
        each = shot("p-1", number)
        frozen = {"CycleTime": 20.0} if number > 200 else {}
        mould = (MOULD, "M-0")[number // 20 % 2]
        scored(roster, Shot("p-1", number, {**each.parameters, **frozen}, mould_id=mould))
    told = figures(roster, "p-1", bundle)
    assert (told.mould_id, list(told.drifted)) == ("M-0", ["CycleTime"])  # type: ignore[attr-defined]
    for number, mould in enumerate(("M-1", "M-2", MOULD), 600):
        scored(roster, Shot("p-1", number, {}, mould_id=mould))
    assert figures(roster, "p-1", bundle).watched_shots == 301  # type: ignore[attr-defined]
    for number, mould in enumerate(("M-3", "M-0"), 700):
        scored(roster, Shot("p-1", number, {}, mould_id=mould))
    assert figures(roster, "p-1", bundle).watched_shots == 1, "the one longest away went"  # type: ignore[attr-defined]


def test_after_maintenance_nothing_is_told_to_have_drifted_from_before(tmp_path: Path) -> None:
    good = loaded(tmp_path)
    roster = roster_of(tmp_path, good, default=Assignment(champion=good.bundle_id))
    for number in range(300):
        scored(roster, Shot("p-1", number, {"CushionStroke": 5.0, "CycleTime": 20.0}, mould_id=MOULD))
    assert figures(roster, "p-1", good).drifted  # type: ignore[attr-defined]
    before = roster.reports()["p-1"].baseline
    roster.relearn("p-1")
    after = roster.reports()["p-1"].baseline
    told = figures(roster, "p-1", good)
    assert (told.drifted, told.watched_shots, told.shots) == ({}, 0, 300)  # type: ignore[attr-defined]
    assert before is not None
    assert after is not None
    assert (before.stage, before.shots, before.shots_needed) == ("ripening", 60, 5_000)
    assert (before.learnt_ms, before.is_again) == (239, False)
    assert (after.stage, after.then, after.shots, after.shots_needed) == ("settling", "learning", 0, 40)
    assert after.is_again


def test_scores_that_wander_over_their_threshold_and_scores_that_stay_away_are_counted(tmp_path: Path) -> None:
    good = loaded(tmp_path)
    roster = roster_of(tmp_path, good, default=Assignment(champion=good.bundle_id))
    for number in range(100):
        moved = {"CushionStroke": 5.0 + 0.1 * number, "CycleTime": 20.0}
        scored(roster, Shot("p-1", number, moved, mould_id=MOULD if number % 4 else "unknown"))
    told = figures(roster, "p-1", good)
    assert (told.shots, told.silent) == (100, 25)  # type: ignore[attr-defined]
    assert told.over > 30  # type: ignore[attr-defined]


class World:
    """A desk over real folders; the cloud is a dictionary of files."""

    def __init__(self, folder: Path, own: LoadedBundle | None = None) -> None:
        self.folder = folder
        if not (folder / "key.pem").exists():
            make_key_pair(folder / "key.pem")
        public = load_public(folder / "key.pub")
        self.key_id = key_id_of(public)
        self.trust = TrustList({self.key_id: public})
        self.files: dict[str, bytes] = {}
        self.broken = 0
        self.fetched: list[str] = []
        self.roster = Roster(Lineup(own=own), BaselineStore(folder / "baselines"))
        self.store = BundleFolder(folder)
        self.told = 0
        self.desk = ModelDesk(
            self.roster,
            self.store,
            lambda: self.trust,
            lambda: CloudAddress("https://cloud"),
            self._tell,
            random.Random(1),
            fetch=self._fetch,
        )

    def _tell(self) -> None:
        self.told += 1

    def _fetch(self, _cloud: CloudAddress, file: BundleFile, folder: BundleFolder) -> int:
        self.fetched.append(file.bundle_id)
        if self.broken:
            self.broken -= 1
            raise DownloadError("the line broke")
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.file_of(file.bundle_id).write_bytes(self.files[file.bundle_id])
        return file.size_bytes

    def bundle(self, seed: int, change: Callable[[Path], None] = lambda _: None, *, is_signed: bool = True) -> str:
        path = self.folder / f"b{seed}.zip"
        made = bundle_file(path, seed=seed)
        if is_signed:
            sign_bundle(path, path, load_private(self.folder / "key.pem"))
        change(path)
        self.files[made.bundle_id] = path.read_bytes()
        return made.bundle_id

    def report(self) -> Report:
        return report_of(self.desk.metrics()[-1].value)

    async def follow(self, order: Desired) -> Report:
        """Give the order and run until it is followed, or nothing more can be done."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.desk.run)
            self.desk.ordered([to_metric(order)])
            with anyio.fail_after(20):
                while self.report().revision != order.revision:
                    await anyio.sleep(0.02)
            await anyio.sleep(0.1)
            tasks.cancel_scope.cancel()
        return self.report()


async def test_an_order_is_followed_and_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    name = world.bundle(1)
    assert scored(world.roster, shot("p-1", 1)) == [""]
    order = order_of(1, name, default=Assignment(champion=name))
    born = {(metric.name, metric.datatype) for metric in world.desk.metrics()}
    assert (to_metric(order).name, to_metric(order).datatype) in born, "what a host may write is in the birth"
    report = await world.follow(order)
    assert report.bundles[name].state == "loaded"
    assert world.told
    assert scored(world.roster, shot("p-1", 2)) == [name]


async def test_what_is_no_longer_needed_is_deleted_and_what_ran_before_is_kept_for_need(tmp_path: Path) -> None:
    world = World(tmp_path)
    names = [world.bundle(seed) for seed in (1, 2, 3)]
    for revision, name in enumerate(names, 1):
        await world.follow(order_of(revision, name, default=Assignment(champion=name)))
    left = {path.stem for path in (tmp_path / "models").glob("*.zip")}
    assert left == set(names[1:])


def _alter(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["manifest.json"] = files["manifest.json"].replace(b"a test", b"a lie!")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def _rewritten(change: Callable[[dict[str, object]], None]) -> Callable[[Path], None]:
    """Another manifest, signed again: what a newer or foreign but honest trainer would have made."""

    def apply(path: Path) -> None:
        import json

        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        manifest = json.loads(files["manifest.json"])
        change(manifest)
        files["manifest.json"] = json.dumps(manifest).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        sign_bundle(path, path, load_private(path.parent / "key.pem"))

    return apply


def _other_key(path: Path) -> None:
    make_key_pair(path.parent / "stranger.pem")
    sign_bundle(path, path, load_private(path.parent / "stranger.pem"))


def _failing(path: Path) -> None:
    """An honest bundle whose model the runtime fails on, with its own golden rows."""
    made = rollout_bundles.head("failing")
    long = made.head.golden[0].model_copy(update={"inputs": (5.0, 1_000.0)})
    write_bundle(
        path,
        manifest_of((made.head.model_copy(update={"golden": (long,)}),), seed=2, training=rollout_bundles.training()),
        {made.head.file: made.model},
    )
    sign_bundle(path, path, load_private(path.parent / "key.pem"))


def _golden(manifest: dict[str, object]) -> None:
    manifest["heads"][0]["golden"][0]["outputs"] = [0.5]  # type: ignore[index]


REFUSALS: dict[str, tuple[Callable[[Path], None], bool, str]] = {
    "unsigned": (lambda _: None, False, "is not signed"),
    "altered": (_alter, True, "manifest.json is not what was signed"),
    "of a stranger": (_other_key, True, "not trusted here"),
    "too new": (_rewritten(lambda m: m.update(schema_version=99)), True, "is too new: schema 99"),
    "other features": (_rewritten(lambda m: m.update(features_hash="0" * 16)), True, "is for other features"),
    "wrong answers": (_rewritten(_golden), True, "does not give its golden outputs"),
    "failing": (_failing, True, "fails when it is tried"),
    "no zip": (lambda path: path.write_bytes(b"x" * 50), True, "no whole zip file"),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_refused_bundle_leaves_the_old_one_running_and_the_reason_is_told(tmp_path: Path, case: str) -> None:
    change, is_signed, said = REFUSALS[case]
    world = World(tmp_path)
    good = world.bundle(1)
    await world.follow(order_of(1, good, default=Assignment(champion=good)))
    assert scored(world.roster, shot("p-1", 1)) == [good]
    bad = world.bundle(2, change, is_signed=is_signed)
    report = await world.follow(order_of(2, bad, default=Assignment(champion=bad, shadow=None)))
    assert (report.bundles[bad].state, said in report.bundles[bad].reason) == ("refused", True), report.bundles
    assert scored(world.roster, shot("p-1", 2), shot("p-new", 2)) == [good, good]


async def test_a_broken_line_is_tried_again_and_the_old_bundle_runs_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.models.desk.RETRY_S_MIN", 0.01)
    world = World(tmp_path)
    good, new = world.bundle(1), world.bundle(2)
    await world.follow(order_of(1, good, default=Assignment(champion=good)))
    world.broken = 3
    report = await world.follow(order_of(2, new, default=Assignment(champion=new)))
    assert world.fetched == [good, new, new, new, new]
    assert report.presses == {} or report.bundles[new].state == "loaded"


async def test_a_restart_goes_on_where_it_was_and_asks_nobody(tmp_path: Path) -> None:
    world = World(tmp_path)
    name = world.bundle(1)
    await world.follow(order_of(7, name, default=Assignment(champion=name)))
    again = World(tmp_path)
    again.desk.restore()
    assert scored(again.roster, shot("p-1", 1)) == [name]
    assert again.report().revision == 7
    assert again.fetched == []


async def test_after_a_restart_a_bundle_that_was_altered_on_disk_does_not_run(tmp_path: Path) -> None:
    own = loaded(tmp_path, seed=50)
    world = World(tmp_path, own)
    name = world.bundle(1)
    await world.follow(order_of(1, name, default=Assignment(champion=name)))
    _alter(world.store.file_of(name))
    again = World(tmp_path, own)
    again.desk.restore()
    assert again.report().bundles[name].state == "refused"
    assert scored(again.roster, shot("p-1", 1)) == [own.bundle_id]


async def test_a_revoked_key_stops_a_bundle_that_runs(tmp_path: Path) -> None:
    own = loaded(tmp_path, seed=50)
    world = World(tmp_path, own)
    name = world.bundle(1)
    await world.follow(order_of(1, name, default=Assignment(champion=name)))
    assert scored(world.roster, shot("p-1", 1)) == [name]
    order = order_of(2, name, default=Assignment(champion=name), revoked_keys=[world.key_id])
    report = await world.follow(order)
    assert "revoked" in report.bundles[name].reason
    assert scored(world.roster, shot("p-1", 2)) == [own.bundle_id]


async def test_an_older_order_and_garbage_change_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    name = world.bundle(1)
    await world.follow(order_of(5, name, default=Assignment(champion=name)))
    metric = to_metric(order_of(6, default=Assignment()))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.desk.run)
        world.desk.ordered([to_metric(order_of(4, default=Assignment()))])
        world.desk.ordered([metric._replace(value="{")])
        world.desk.ordered([metric._replace(value='{"revision": 9, "default": {"champion": "0123456789ab"}}')])
        await anyio.sleep(0.3)
        tasks.cancel_scope.cancel()
    assert world.report().revision == 5
    assert scored(world.roster, shot("p-1", 1)) == [name]


async def test_a_repair_is_told_to_the_baselines_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    begun: list[str] = []
    monkeypatch.setattr(world.roster, "relearn", begun.append)
    await world.follow(order_of(1, default=Assignment(), relearn={"p-1": 1_000}))
    await world.follow(order_of(2, default=Assignment(), relearn={"p-1": 1_000, "p-2": 5}))
    await world.follow(order_of(3, default=Assignment(), relearn={"p-1": 2_000, "p-2": 5}))
    assert begun == ["p-1", "p-2", "p-1"]


async def test_a_repair_that_the_cloud_tells_of_lets_the_press_learn_anew(tmp_path: Path) -> None:
    world = World(tmp_path, own=loaded(tmp_path))
    for number in range(250):
        scored(world.roster, shot("p-1", number), shot("p-2", number))
    report = await world.follow(order_of(1, default=Assignment(), relearn={"p-1": 1_000}))
    stages = {press: told.baseline.stage for press, told in report.presses.items() if told.baseline is not None}
    assert stages == {"p-1": "settling", "p-2": "ripening"}
    repaired = report.presses["p-1"].baseline
    assert repaired is not None
    assert (repaired.then, repaired.is_again, repaired.learnt_ms) == ("learning", True, 239)


def test_drift_watch_keeps_to_its_memory(tmp_path: Path) -> None:
    watch, _ = loaded(tmp_path).drift_watches(MOULD)
    vector = np.zeros(1_000, np.float32)
    before = watch._window.nbytes
    for _ in range(1_000):
        watch.take(vector)
    assert watch._window.nbytes == before
    assert watch._first == []


def test_a_bundle_without_a_summary_tells_no_drift(tmp_path: Path) -> None:
    made = rollout_bundles.head()
    write_bundle(tmp_path / "b.zip", manifest_of((made.head,), seed=1), {made.head.file: made.model})
    features, scores = load(tmp_path / "b.zip", None).drift_watches(MOULD)
    assert (features.features, scores.scores) == (0, 0)
