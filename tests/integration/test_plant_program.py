"""Does `python -m simulators.plant` start, say where it listens, refuse clearly and stop cleanly?"""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from asyncua import Client

from simulators.plant.__main__ import main
from simulators.plant.plant import PlantError, PlantOptions, make_presses, running_plant

START_S_MAX = 60.0
STOP_S_MAX = 20.0


@pytest.mark.anyio
async def test_the_program_says_when_it_is_ready_and_stops_on_sigterm(tmp_path: Path, root: Path) -> None:
    status = tmp_path / "status.json"
    command = [sys.executable, "-m", "simulators.plant", "--presses", "2", "--base-port", "0", "--speed", "20"]
    command += ["--status-file", str(status), "--fault-press", "1"]
    # Popen itself does not wait; reading its answer goes through a thread.
    with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        try:
            with anyio.fail_after(START_S_MAX):
                while not status.exists():
                    assert process.poll() is None, "it ended by itself"
                    await anyio.sleep(0.1)
            presses = json.loads(status.read_text(encoding="utf-8"))
            assert [press["press_id"] for press in presses] == ["press-01", "press-02"]
            async with Client(presses[1]["url"]) as client:
                assert "urn:zhisan:opcua:press" in await client.get_namespace_array()
            process.send_signal(signal.SIGTERM)
            _, said = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=STOP_S_MAX))
        finally:
            if process.poll() is None:
                process.kill()
    assert process.returncode == 0
    assert "plant_stopping" in said
    assert "Traceback" not in said


@pytest.mark.anyio
async def test_a_taken_port_is_refused_by_its_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PlantError, match=f"opc.tcp://127.0.0.1:{port}/press-01"):
            async with running_plant(PlantOptions(presses=1, base_port=port)):
                pytest.fail("two servers on one port")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (PlantOptions(presses=0), "0 presses"),
        (PlantOptions(presses=101), "101 presses"),
        (PlantOptions(speed=0), "speed 0"),
        (PlantOptions(presses=2, fault_press=3), "fault press 3"),
        (PlantOptions(presses=2, operator_press=3), "operator press 3"),
        (PlantOptions(operator_every_s=0), "operator every 0 s"),
    ],
)
async def test_an_option_out_of_range_is_refused_by_name(options: PlantOptions, named: str) -> None:
    with pytest.raises(PlantError, match=named):
        async with running_plant(options):
            pytest.fail("it started")


def test_security_without_a_place_for_certificates_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--security", "basic256sha256"]) == 2
    assert "--certificates" in capsys.readouterr().err


def test_half_the_presses_mould_each_process_and_one_may_wear() -> None:
    presses = make_presses(PlantOptions(presses=6, fault_press=2, fault_onset_s=60, fault_growth_s=120), 1_000_000)
    assert [press.process.name for press in presses] == ["PP_cap_4cav", "ABS_housing_2cav"] * 3
    for press in presses:
        press.cycle(1_000_000 + 180_000)
        press.cycle(1_000_000 + 181_000)
    severities = [dict(press.truth().severities) for press in presses]
    assert severities == [{}, {"check_ring_wear": 1.0}, {}, {}, {}, {}]
