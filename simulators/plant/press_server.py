"""How does one press run as an OPC UA server? It is built once, then lives cycle after cycle."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
from asyncua import Server, ua

from kit.clock import Clock
from simulators.plant.certificates import make_certificate, press_uri
from simulators.plant.companion import Companion, Member
from simulators.plant.machine import JOB_VALUES, Machine, write_machine
from simulators.plant.nodes import NodeWriter
from simulators.plant.operator import Operator
from simulators.plant.reporting import Reporter
from simulators.plant.types import write_types
from simulators.press.press import Press


class PressServer:
    """One endpoint with one machine; `run` makes its shots until cancelled."""

    def __init__(
        self, server: Server, press: Press, reporter: Reporter, url: str, operator: Operator | None = None
    ) -> None:
        self.url = url
        self._operator = operator
        self._server = server
        self._press = press
        self._reporter = reporter

    @property
    def press_id(self) -> str:
        """Which press this is."""
        return self._press.press_id

    async def start(self) -> None:
        """Open the port.

        Raises:
            OSError: it is taken.
        """
        await self._server.start()

    async def stop(self) -> None:
        """Close the port and all sessions."""
        await self._server.stop()

    async def run(self, clock: Clock, speed: float) -> None:
        """Make shots, `speed` times as fast as a real press would; each bears the time at which it was reported."""
        due_s = clock.monotonic_s()
        while True:
            await self._operate(clock)
            due_s += self._press.cycle_time_s / speed
            wait_s = due_s - clock.monotonic_s()
            if wait_s <= 0:
                due_s -= wait_s  # late: go on from here, no burst to catch up
            await anyio.sleep(max(wait_s, 0.0))
            # A cycle's physics take 2-3 ms: less than a thread's hand-over is worth.
            await self._reporter.report(self._press.cycle(clock.utc_ms()))

    async def _operate(self, clock: Clock) -> None:
        if self._operator is None:
            return
        process = self._operator.process(clock.monotonic_s())
        if process != self._press.process:
            self._press.change(process=process)
            await self._reporter.show_set_points(process)


async def build_press_server(
    press: Press,
    companion: Companion,
    *,
    host: str,
    port: int,
    certificates: Path | None,
    namespace_shift: int,
    clock: Clock,
    operator: Operator | None = None,
) -> PressServer:
    """A server with the whole address space, not yet listening; with a folder for certificates it is Basic256Sha256."""
    server = Server()
    await server.init()
    url = f"opc.tcp://{host}:{port}/{press.press_id}"
    server.set_endpoint(url)
    server.set_server_name(f"Zhisan simulated press {press.press_id}")
    await server.set_application_uri(press_uri(press.press_id))
    if certificates is not None:
        await _secure(server, certificates, press.press_id, host, clock)
    else:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    for number in range(namespace_shift):
        await server.register_namespace(f"urn:zhisan:opcua:shift:{number}")
    indexes = {prefix: await server.register_namespace(uri) for prefix, uri in companion.namespaces.items()}
    writer = NodeWriter(companion, indexes)
    await write_types(server, companion, writer)
    machine = await write_machine(server, companion, writer, press)
    reporter = Reporter(server, companion, writer, machine, press.process.mould.cavities)
    await reporter.prepare()
    _link_methods(server, companion, machine, reporter)
    return PressServer(server, press, reporter, url, operator)


async def _secure(server: Server, folder: Path, press_id: str, host: str, clock: Clock) -> None:
    now = datetime.fromtimestamp(clock.utc_ms() / 1000, UTC)
    made = await anyio.to_thread.run_sync(
        lambda: make_certificate(folder, press_id, press_uri(press_id), now, host=host)
    )
    await server.load_certificate(made.certificate)
    await server.load_private_key(made.private_key)
    server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])


def _link_methods(server: Server, companion: Companion, machine: Machine, reporter: Reporter) -> None:
    async def refuse(_parent: ua.NodeId, *_arguments: Any) -> ua.StatusCode:
        return ua.StatusCode(ua.StatusCodes.BadNotSupported)

    async def reset_counters(_parent: ua.NodeId, *_arguments: Any) -> ua.StatusCode:
        reporter.counters.reset()
        return ua.StatusCode(ua.StatusCodes.Good)

    async def reset_average(_parent: ua.NodeId, *_arguments: Any) -> ua.StatusCode:
        reporter.counters.reset_average()
        return ua.StatusCode(ua.StatusCodes.Good)

    for path in _method_paths(companion, companion.members("imm:IMM_MES_InterfaceType"), ""):
        if machine.node(path) in server.iserver.aspace:
            server.link_method(server.get_node(machine.node(path)), refuse)
    server.link_method(server.get_node(machine.node(f"{JOB_VALUES}/ResetJobCounters")), reset_counters)
    server.link_method(server.get_node(machine.node(f"{JOB_VALUES}/ResetAverageCycleTime")), reset_average)


def _method_paths(companion: Companion, members: Mapping[str, Member], below: str) -> list[str]:
    """Where methods may stand in an instance; placeholders' types have none."""
    found = []
    for member in members.values():
        if member.kind == "M":
            found.append(below + member.name)
        elif member.kind == "O" and "<" not in member.name:
            found += _method_paths(companion, companion.children(member), f"{below}{member.name}/")
    return found
