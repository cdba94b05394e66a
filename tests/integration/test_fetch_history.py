"""The feedback loop: what engineers said of alarms, with the months around it, comes back as a training set."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import anyio
import numpy as np
import pytest
import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from structlog.testing import capture_logs

from bench.synthetic_history import values_of
from cloud.core.access import Right
from cloud.core.tenants import DEFAULT_TENANT
from cloud.fleet.domain import SeenShot
from cloud.rollouts import history_api, repository
from cloud.rollouts.tables import LabelRow
from cloud.telemetry.store import GatewayKey, IncomingShot
from deploy import fetch_history
from models.evaluation.history import open_histories, read_episodes, read_press
from models.features.schema import FEATURES, FEATURES_HASH, VALUES
from tests.access import key_headers
from tests.integration.test_cloud_api import scored
from tests.integration.test_rollout_api import World, world  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio
SHOTS, SHOT_MS = 700, 60_000
NAME = "p~m1"


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        while not server.started:
            await anyio.sleep(0.01)  # a real socket: there is nothing to wait on
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True


async def a_plant_with_a_judged_alarm(world: World) -> int:  # noqa: F811
    """When the repair was told."""
    began_ms = world.clock.utc_ms()
    values = values_of(SHOTS, 5)[:, : len(FEATURES)]
    rows = []
    for n in range(SHOTS):
        base = scored(n, began_ms)
        shot = replace(base.shot, ended_ms=began_ms + n * SHOT_MS, mould_id="M-1", curves={}, parameters={})
        given = replace(base, shot=shot, features=values[n], features_hash=FEATURES_HASH)
        rows.append(IncomingShot(GatewayKey("p", "g"), "e", n, began_ms, False, given))
    world.cloud.store.write(rows)
    world.clock.advance(SHOTS * SHOT_MS / 1000)
    now_ms = world.clock.utc_ms()
    async with world.cloud.database.transaction() as session:
        await world.cloud.fleet.shots_seen(session, [SeenShot("p", "g", "m1", now_ms, now_ms)])
    for _ in range(SHOTS):
        if not await world.cloud.alarm_consumer.consume_batch():
            break
    [alarm] = (await world.client.get("/api/v1/alarms")).json()["items"]
    world.clock.advance(1_800)
    await world.post("/labels", 200, alarm_id=alarm["alarm_id"], verdict="maintenance_done", comment="new ring")
    return world.clock.utc_ms()


async def test_a_plant_s_months_and_labels_become_a_history_that_training_reads(
    world: World,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repaired_ms = await a_plant_with_a_judged_alarm(world)
    headers = await key_headers(world.cloud, rights=[Right.READ])
    monkeypatch.setenv(fetch_history.KEY_VARIABLE, headers["Authorization"].removeprefix("Bearer "))
    out = tmp_path / "own"
    async with served(world.app) as url:
        command = ["--cloud", url, "--out", str(out)]
        assert await to_thread.run_sync(fetch_history.main, command) == 0
        figures = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (figures["presses"], figures["shots"], figures["labels"]) == (1, SHOTS, 1)
        assert await to_thread.run_sync(fetch_history.main, command) == 0, "again changes nothing"
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["new_shots"] == 0
        other = ["--cloud", url, "--out", str(out), "--plant", "q"]
        assert await to_thread.run_sync(fetch_history.main, other) == 1
        assert "holds another history" in capsys.readouterr().err
    history = read_press(out, NAME)
    assert np.array_equal(history.values[:, : len(FEATURES)], values_of(SHOTS, 5)[:, : len(FEATURES)])
    assert history.values.shape == (SHOTS, len(VALUES))
    assert history.relearn_ms == (repaired_ms,)
    assert history.standings().in_force.sum() > 100
    [fault] = read_episodes(out)
    assert (fault.press_id, fault.mode, fault.failed_ms) == (NAME, "check_ring_wear", repaired_ms)
    assert fault.onset_ms < repaired_ms
    assert open_histories([out]).labels == 1


async def test_who_may_not_see_it_gets_nothing_and_is_told_why(
    world: World,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await a_plant_with_a_judged_alarm(world)
    foreign = await key_headers(world.cloud, tenant_id="somebody-else", rights=[Right.READ])
    shots = "/api/v1/models/history/shots?plant_id=p&press_id=m1"
    assert (await world.client.get(shots, headers=foreign)).status_code == 404
    whole = (await world.client.get("/api/v1/models/history", headers=foreign)).json()
    assert (whole["presses"], whole["episodes"], whole["events"]) == ([], [], [])
    async with served(world.app) as url:
        for key, word in (("zk_wrong", "does not know this key"), (foreign["Authorization"][7:], "has no shots")):
            monkeypatch.setenv(fetch_history.KEY_VARIABLE, key)
            out = tmp_path / key[-6:]
            assert await to_thread.run_sync(fetch_history.main, ["--cloud", url, "--out", str(out)]) == 1
            assert word in capsys.readouterr().err
            assert not any(out.iterdir()), "nothing is begun: the same command may find some tomorrow"
    monkeypatch.delenv(fetch_history.KEY_VARIABLE)
    for options, word in (
        (["--cloud", "http://elsewhere.example"], "no API key"),
        (["--cloud", "https://x.example", "--key-file", str(tmp_path / "none")], "cannot be read"),
    ):
        assert fetch_history.main([*options, "--out", str(tmp_path / "never")]) == fetch_history.EXIT_OPTIONS
        assert word in capsys.readouterr().err
    monkeypatch.setenv(fetch_history.KEY_VARIABLE, "zk_x")
    assert fetch_history.main(["--cloud", "http://elsewhere.example", "--out", str(tmp_path / "never")]) == 2
    assert "must begin with https" in capsys.readouterr().err
    assert not (tmp_path / "never").exists()


async def test_a_fetch_that_was_cut_off_goes_on_where_it_was(
    world: World,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await a_plant_with_a_judged_alarm(world)
    headers = await key_headers(world.cloud, rights=[Right.READ])
    monkeypatch.setenv(fetch_history.KEY_VARIABLE, headers["Authorization"][7:])
    out, waited = tmp_path / "own", []
    async with served(world.app) as url:
        command = ["--cloud", url, "--out", str(out)]
        with monkeypatch.context() as patch, capture_logs():
            patch.setattr(world.cloud.store, "features", _cut_off)
            run = lambda: fetch_history.main(command, pause=waited.append)  # noqa: E731
            assert await to_thread.run_sync(run) == 1
        assert "given up after" in capsys.readouterr().err
        assert len(waited) == 5, "each try but the last was followed by a pause"
        assert not list(out.rglob("*.parquet")), "nothing half made"
        assert not list(out.rglob("*.draft"))
        assert await to_thread.run_sync(fetch_history.main, command) == 0
    assert len(read_press(out, NAME).ended_ms) == SHOTS


def _cut_off(*_arguments: object, **_options: object) -> None:
    raise RuntimeError("the store is away")


async def test_only_what_came_since_a_day_is_fetched(
    world: World,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await a_plant_with_a_judged_alarm(world)
    headers = await key_headers(world.cloud, rights=[Right.READ])
    monkeypatch.setenv(fetch_history.KEY_VARIABLE, headers["Authorization"][7:])
    middle_ms = world.clock.utc_ms() - 1_800_000 - SHOTS // 2 * SHOT_MS
    since = datetime.fromtimestamp(middle_ms / 1000, UTC).isoformat()
    async with served(world.app) as url:
        command = ["--cloud", url, "--out", str(tmp_path / "own"), "--since", since]
        assert await to_thread.run_sync(fetch_history.main, command) == 0
        later = ["--cloud", url, "--out", str(tmp_path / "none"), "--since", "2099-01-01"]
        assert await to_thread.run_sync(fetch_history.main, later) == 1
        assert "has no shots" in capsys.readouterr().err
    ended_ms = read_press(tmp_path / "own", NAME).ended_ms
    assert len(ended_ms) == SHOTS // 2
    assert ended_ms[0] >= middle_ms
    assert fetch_history.main(["--cloud", url, "--out", str(tmp_path / "x"), "--since", "soon"]) == 2
    assert "--since 'soon' is no date" in capsys.readouterr().err


async def test_labels_beyond_the_newest_are_told_of(
    world: World,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await a_plant_with_a_judged_alarm(world)
    monkeypatch.setattr(history_api, "LABELS_AT_ONCE", 1)
    monkeypatch.setattr(history_api, "LABELS_MAX", 1)
    headers = await key_headers(world.cloud, rights=[Right.READ])
    assert (await world.client.get("/api/v1/models/history")).json()["labels_left_out"] == 0
    async with world.cloud.database.transaction() as session:
        [row] = await repository.labels(session, DEFAULT_TENANT, before=None, limit=1)
        older = {column.key: getattr(row, column.key) for column in LabelRow.__table__.columns}
        session.add(LabelRow(**older | {"label_id": UUID(int=1), "alarm_id": UUID(int=2), "verdict": "true"}))
    monkeypatch.setenv(fetch_history.KEY_VARIABLE, headers["Authorization"][7:])
    async with served(world.app) as url:
        command = ["--cloud", url, "--out", str(tmp_path / "own")]
        assert await to_thread.run_sync(fetch_history.main, command) == 0
    told = capsys.readouterr()
    assert "1 older labels were left out" in told.err
    figures = json.loads(told.out.splitlines()[-1])
    assert (figures["labels"], figures["labels_left_out"]) == (1, 1)
