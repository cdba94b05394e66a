"""A crashed job is reported and started again, with growing pauses, and stops no other."""

import anyio
import pytest
import structlog

from cloud.core import supervision
from cloud.core.live import Topic, wait_for_change
from cloud.core.supervision import Supervisor
from kit.clock import ManualClock

pytestmark = pytest.mark.anyio


async def test_a_job_that_crashes_is_started_again_while_others_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "RESTART_S_MIN", 0.001)
    supervisor, starts, recovered = Supervisor(ManualClock()), 0, anyio.Event()

    async def fragile() -> None:
        nonlocal starts
        starts += 1
        if starts < 4:
            raise RuntimeError("broken")
        recovered.set()
        await anyio.sleep_forever()

    with structlog.testing.capture_logs() as logs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(supervisor.keep, "fragile", fragile)
            tasks.start_soon(supervisor.keep, "steady", anyio.sleep_forever)
            with anyio.fail_after(10):
                await recovered.wait()
            assert supervisor.faults == {"fragile": None, "steady": None}
            tasks.cancel_scope.cancel()
    pauses = [entry["restart_in_s"] for entry in logs]
    assert pauses == [0.001, 0.002, 0.004]


async def test_a_job_is_shown_as_crashed_until_it_runs_again() -> None:
    supervisor = Supervisor(ManualClock())

    async def broken() -> None:
        raise RuntimeError("broken")

    async with anyio.create_task_group() as tasks:
        with structlog.testing.capture_logs():
            tasks.start_soon(supervisor.keep, "broken", broken)
            await anyio.wait_all_tasks_blocked()
        assert supervisor.faults == {"broken": "RuntimeError"}
        tasks.cancel_scope.cancel()


async def test_a_waiter_never_misses_a_change_between_two_looks() -> None:
    parent = Topic()
    topic = Topic(parent)
    version = topic.version
    topic.publish()
    topic.publish()
    with anyio.fail_after(1):
        await topic.wait_beyond(version)
        await parent.wait_beyond(version)
    assert (topic.version, parent.version) == (2, 2)


async def test_one_change_wakes_every_waiter() -> None:
    topic, woken = Topic(), []

    async def wait(name: str) -> None:
        await topic.wait_beyond(0)
        woken.append(name)

    async with anyio.create_task_group() as tasks:
        for name in ("a", "b", "c"):
            tasks.start_soon(wait, name)
        await anyio.wait_all_tasks_blocked()
        topic.publish()
    assert sorted(woken) == ["a", "b", "c"]


async def test_waiting_ends_without_a_change_too() -> None:
    topic = Topic()
    await wait_for_change(topic, topic.version, at_most_s=0.001)
    assert topic.version == 0
