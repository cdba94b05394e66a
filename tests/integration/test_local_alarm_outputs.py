"""The gateway's local alarms over real sockets: a signed call, Modbus registers, OPC UA variables."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from asyncua import Client, ua
from pymodbus.client import AsyncModbusTcpClient
from standardwebhooks.webhooks import Webhook

from contract.shot import ScoredShot, Scores, Shot
from deploy.local.processes import free_port
from edge_agent.alarms import watch as watch_module
from edge_agent.alarms import webhook as webhook_module
from edge_agent.alarms.modbus import ACTIVE, CUT_OFF, PRESS_ALARMS, REGISTERS
from edge_agent.alarms.opcua import NAMESPACE
from edge_agent.alarms.watch import LocalAlarmWatch
from edge_agent.settings import EdgeSettings
from kit.clock import ManualClock

pytestmark = pytest.mark.anyio
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


class Receiver:
    """A plant's own receiver: answers each call with the next of `statuses`, then with 204."""

    def __init__(self, statuses: list[int]) -> None:
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(statuses.pop(0) if statuses else 204)
                self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]


@contextmanager
def receiving(statuses: list[int]) -> Iterator[Receiver]:
    receiver = Receiver(statuses)
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()


def settings(folder: Path, **alarms: object) -> EdgeSettings:
    sources = {"opcua": [{"press": press, "url": "opc.tcp://127.0.0.1:1"} for press in ("p1", "p2")]}
    return EdgeSettings.model_validate(
        {
            "gateway": {"plant": "north", "id": "gw-1", "state_dir": folder},
            "sources": sources,
            "alarms": {"cut_off_after_s": 60.0, **alarms},
        }
    )


def shots(clock: ManualClock, probability: float, count: int, press_id: str = "p2") -> list[ScoredShot]:
    scores = Scores("b", {"FailureProbability/check_ring_wear@72h": probability})
    one = ScoredShot(Shot(press_id, clock.utc_ms(), {}), np.zeros(1, np.float32), "h", scores)
    return [one] * count


async def until(condition: object) -> None:
    with anyio.fail_after(20):
        while not condition():  # type: ignore[operator]
            await anyio.sleep(0.01)


async def listens(port: int) -> None:
    with anyio.fail_after(60):  # the standard's own nodes take a busy machine seconds
        while True:
            try:
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
            except OSError:
                await anyio.sleep(0.05)
            else:
                return


async def test_a_call_is_signed_tried_again_and_follows_no_redirect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_module, "PAUSE_S_MIN", 0.01)
    monkeypatch.setattr(watch_module, "LOOK_EVERY_S", 0.01)
    clock = ManualClock()
    with receiving([500, 302]) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/alarm?line=2"
        watch = LocalAlarmWatch(settings(tmp_path, webhook={"url": url, "secret": SECRET}), clock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch.run)
            for output in watch.outputs.values():
                tasks.start_soon(output)
            watch.scored(shots(clock, 0.95, 5))
            clock.advance(61)
            await until(lambda: len(receiver.calls) == 3)
            watch.scored(shots(clock, 0.0, 20))
            await until(lambda: len(receiver.calls) == 4)
            tasks.cancel_scope.cancel()
    assert {path for path, _, _ in receiver.calls} == {"/alarm?line=2"}
    ids = [headers["webhook-id"] for _, headers, _ in receiver.calls]
    assert len(set(ids[:3])) == 1, "one call, three tries"
    assert ids[3] not in ids[:3]
    said = [verified(headers, body) for _, headers, body in receiver.calls]
    assert [one["type"] for one in said] == ["alarm.raised"] * 3 + ["alarm.cleared"]
    assert (said[2]["data"]["mode"], said[2]["data"]["press_id"]) == ("check_ring_wear", "p2")


def verified(headers: dict[str, str], body: bytes) -> Any:
    """The body, once its signature is the library's own over the headers that came with it."""
    signed_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert headers["webhook-signature"] == Webhook(SECRET).sign(headers["webhook-id"], signed_at, body.decode())
    return json.loads(body)


async def test_plc_and_control_room_read_the_same_and_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.alarms.opcua.REFRESH_S", 0.02)
    clock, modbus_port, opcua_port = ManualClock(), free_port(), free_port()
    endpoint = f"opc.tcp://127.0.0.1:{opcua_port}/zhisan"
    watch = LocalAlarmWatch(settings(tmp_path, modbus={"port": modbus_port}, opcua={"endpoint": endpoint}), clock)
    async with anyio.create_task_group() as tasks:
        for output in watch.outputs.values():
            tasks.start_soon(output)
        plc = AsyncModbusTcpClient("127.0.0.1", port=modbus_port, reconnect_delay=0.05)
        await listens(modbus_port)
        assert await plc.connect()
        before = await plc.read_input_registers(0, count=4, device_id=1)
        watch.scored(shots(clock, 0.95, 5))
        clock.advance(61)
        after = await plc.read_input_registers(0, count=4, device_id=1)
        presses = await plc.read_input_registers(PRESS_ALARMS, count=2, device_id=7)
        assert (before.registers[ACTIVE], before.registers[CUT_OFF]) == (0, 0)
        assert (after.registers[ACTIVE], after.registers[CUT_OFF]) == (1, 1)
        assert presses.registers == [0, 1]
        assert (await plc.read_input_registers(REGISTERS - 1, count=2, device_id=1)).isError()
        assert (await plc.write_register(ACTIVE, 0, device_id=1)).isError()
        plc.close()
        await listens(opcua_port)
        async with Client(endpoint) as room:
            index = await room.get_namespace_index(NAMESPACE)
            node = room.get_node(ua.NodeId("ZhisanGateway/p2/ActiveModes", index))
            with anyio.fail_after(20):
                while await node.read_value() != ["check_ring_wear"]:
                    await anyio.sleep(0.02)
            assert await room.get_node(ua.NodeId("ZhisanGateway/IsCutOff", index)).read_value() is True
            with pytest.raises(ua.UaStatusCodeError):
                await node.write_value(ua.Variant([], ua.VariantType.String, is_array=True))
        tasks.cancel_scope.cancel()
