"""`zhisan up` as a new user starts it: live shots, a real file, an alarm that calls the webhook, a clean stop."""

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.local.processes import Child, ProcessError, free_port

ZHISAN = [sys.executable, "-m", "deploy.cli"]
FIRST_SHOT_S, ALARM_S = 60, 240


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[tuple[Child, str, Path]]:
    if not (root / "build/bundle/default.zip").exists():
        pytest.skip("build/bundle/default.zip is missing: `make train` builds it")
    home, port = tmp_path_factory.mktemp("home"), free_port()
    environ = {"ZHISAN_HOME": str(home), "ZHISAN_PORT": str(port), "COLUMNS": "200"}
    child = Child.start(
        "demo", [*ZHISAN, "up", "--bundle", root / "build/bundle/default.zip"], home / "up.log", environ=environ
    )
    try:
        yield child, f"http://127.0.0.1:{port}", home
    finally:
        child.stop(30)


def wait(child: Child, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        child.check()
        if time.monotonic() > deadline_s:
            raise ProcessError(f"not within {timeout_s:g} s: {what}\n{child.log_tail()}")
        time.sleep(0.25)


def access(home: Path) -> dict[str, str]:
    """The launcher's API key, from the file that only its owner can read."""
    path = home / "current.json"
    assert path.stat().st_mode & 0o077 == 0
    return {"Authorization": f"Bearer {json.loads(path.read_text(encoding='utf-8'))['api_key']}"}


def items(url: str, home: Path) -> list[dict[str, object]]:
    """All items of a list endpoint, page by page."""
    found: list[dict[str, object]] = []
    cursor = None
    for _ in range(50):
        query = {"limit": 200, **({"cursor": cursor} if cursor else {})}
        page = httpx.get(url, params=query, headers=access(home), timeout=10).json()
        found += page["items"]
        cursor = page.get("next_cursor")
        if not cursor:
            break
    return found


def test_shots_of_six_presses_are_live_within_a_minute(demo: tuple[Child, str, Path]) -> None:
    child, url, home = demo
    log = home / "up.log"
    wait(child, lambda: "is running" in log.read_text(encoding="utf-8"), FIRST_SHOT_S + 60, "the table of what runs")

    def all_live() -> bool:
        presses = items(f"{url}/api/v1/presses", home)
        return len(presses) == 6 and all(p["state"] == "online" and p["last_shot_ms"] for p in presses)

    wait(child, all_live, FIRST_SHOT_S, "six presses with shots")
    [shot, *_] = items(f"{url}/api/v1/plants/demo/presses/press-01/shots", home)
    assert shot["parameters"]["CycleTime"] > 10  # type: ignore[index]
    assert "FailureProbability/check_ring_wear" in shot["scores"]["values"]  # type: ignore[index]
    assert shot["dataset"]["name"] == "PP_cap_4cav"  # type: ignore[index]
    assert shot["dataset"]["set_points"]["HoldSpecificPressureAverage"] == 380.0  # type: ignore[index]


def test_nobody_gets_in_before_the_printed_link_has_made_the_first_account(demo: tuple[Child, str, Path]) -> None:
    _, url, home = demo
    log = (home / "up.log").read_text(encoding="utf-8")
    link = next(word for word in log.split() if "/setup?token=" in word)
    person = {"login": "li", "name": "Li Na", "password": "a calm grey press", "again": "a calm grey press"}
    with httpx.Client(base_url=url, timeout=10) as browser:
        assert browser.get("/", headers={"Accept": "text/html"}).headers["location"] == "/login"
        assert browser.get("/api/v1/presses").status_code == 401
        form = browser.get(link)
        assert form.status_code == 200
        made = browser.post("/setup", data={**person, "token": link.partition("token=")[2]})
        assert (made.status_code, made.headers["location"]) == (303, "/")
        assert "press-01" in browser.get("/").text
        assert browser.get(link).status_code == 403, "the link works once"


def test_every_program_listens_on_loopback_and_the_broker_says_so(demo: tuple[Child, str, Path]) -> None:
    child, _, home = demo
    listening: dict[str, set[tuple[str, int]]] = {}
    for program in psutil.Process(child.process.pid).children(recursive=True):
        ends = {c.laddr for c in program.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        listening.setdefault(program.name(), set()).update((end.ip, end.port) for end in ends)
    said = re.search(r"broker \(NATS.*mqtt://127\.0\.0\.1:(\d+), loopback only", (home / "up.log").read_text("utf-8"))
    assert said is not None
    assert ("127.0.0.1", int(said[1])) in listening["nats-server"], "what it says is where it listens"
    assert len(listening) >= 2
    assert {ip for ends in listening.values() for ip, _ in ends} <= {"127.0.0.1", "::1"}


def test_a_second_demo_on_the_same_port_is_refused_clearly(demo: tuple[Child, str, Path], tmp_path: Path) -> None:
    _, url, _ = demo
    environ = {"ZHISAN_HOME": str(tmp_path), "ZHISAN_PORT": url.rpartition(":")[2], "COLUMNS": "200"}
    second = Child.start("second", [*ZHISAN, "up"], tmp_path / "up.log", environ=environ)
    assert second.process.wait(30) == 1
    assert "is taken" in second.log_tail()


def test_the_real_file_is_stored_once_each_shot_with_a_quality_class(
    demo: tuple[Child, str, Path], shared_data: Path, root: Path
) -> None:
    _, url, home = demo
    command = [*ZHISAN, "replay", shared_data / "polenta/data.csv", "--mapping", root / "deploy/mappings/polenta.toml"]
    replay = Child.start("replay", command, home / "replay.log", environ={"ZHISAN_HOME": str(home), "COLUMNS": "200"})
    assert replay.process.wait(90) == 0, replay.log_tail()
    shots = items(f"{url}/api/v1/plants/demo/presses/road-lens/shots", home)
    assert len(shots) == 1_451
    assert len({shot["cycle_counter"] for shot in shots}) == 1_451
    classes = {shot["scores"]["quality_class"] for shot in shots}  # type: ignore[index]
    assert classes == {"waste", "acceptable", "target", "inefficient"}
    assert "1451 rows replayed, 1451 shots stored" in replay.log_tail()
    page = httpx.get(f"{url}/plants/demo/presses/road-lens?lang=en", headers=access(home), timeout=10)
    assert page.status_code == 200
    assert "road-lens" in page.text


def test_the_worn_check_ring_raises_one_alarm_that_names_it_and_calls_the_webhook(
    demo: tuple[Child, str, Path],
) -> None:
    child, url, home = demo
    log = home / "up.log"
    wait(child, lambda: "webhook received" in log.read_text(encoding="utf-8"), ALARM_S, "the webhook's call")
    line = next(line for line in log.read_text(encoding="utf-8").splitlines() if "webhook received" in line)
    call = json.loads(line.partition("webhook received")[2])
    assert call["type"] == "alarm.raised"
    assert (call["data"]["press_id"], call["data"]["mode"]) == ("press-03", "check_ring_wear")
    alarms = items(f"{url}/api/v1/alarms", home)
    assert [(a["press_id"], a["mode"]) for a in alarms] == [("press-03", "check_ring_wear")], "and no healthy press"


def test_ctrl_c_stops_everything_and_leaves_nothing_running(demo: tuple[Child, str, Path]) -> None:
    child, url, _ = demo
    os.kill(child.process.pid, signal.SIGINT)
    assert child.process.wait(40) == 0
    assert "stopped" in child.log_tail()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, timeout=2)
