"""Active alarms as variables of an OPC UA server: for the control room that reads no Sparkplug."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import anyio
from asyncua import Node, Server, ua

from edge_agent.alarms.local import LocalAlarms
from kit.clock import Clock

NAMESPACE: Final = "urn:zhisan:gateway:alarms"
REFRESH_S: Final = 1.0
Values = dict[str, ua.Variant]


def values_of(alarms: LocalAlarms, presses: Sequence[str], now_s: float) -> dict[str, Values]:
    """What each object's variables hold: the gateway's own under an empty name, and each press's under its id."""
    found = {
        "": {
            "Heartbeat": ua.Variant(int(now_s) % 2**32, ua.VariantType.UInt32),
            "ActiveAlarms": ua.Variant(len(alarms.active()), ua.VariantType.UInt32),
            "IsCutOff": ua.Variant(alarms.is_cut_off(now_s), ua.VariantType.Boolean),
            "ActiveModes": _modes(alarms, ""),
        }
    }
    for press_id in presses:
        found[press_id] = {
            "IsInAlarm": ua.Variant(bool(alarms.active(press_id)), ua.VariantType.Boolean),
            "ActiveModes": _modes(alarms, press_id),
            "HighestProbability": ua.Variant(alarms.highest_probability(press_id), ua.VariantType.Double),
        }
    return found


async def serve(endpoint: str, read: Callable[[], dict[str, Values]], clock: Clock) -> None:
    """Keep the variables up to date until cancelled; clients can read and subscribe, and write nothing.

    Raises:
        OSError: the port cannot be opened.
    """
    server = Server()
    await server.init()
    server.set_endpoint(endpoint)
    server.set_server_name("Zhisan gateway: local alarms")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace(NAMESPACE)
    shown = read()
    nodes = await _nodes(server, index, shown)
    async with server:
        while True:
            now = datetime.fromtimestamp(clock.utc_ms() / 1000, UTC)
            fresh = read()
            for (press_id, name), node in nodes.items():
                value = fresh[press_id][name]
                if value != shown[press_id][name]:
                    await node.write_value(ua.DataValue(value, SourceTimestamp=now))
            shown = fresh
            await anyio.sleep(REFRESH_S)


def _modes(alarms: LocalAlarms, press_id: str) -> ua.Variant:
    modes = [alarm.mode for alarm in alarms.active(press_id)]
    return ua.Variant(modes, ua.VariantType.String, is_array=True)


async def _nodes(server: Server, index: int, values: dict[str, Values]) -> dict[tuple[str, str], Node]:
    root = await server.nodes.objects.add_object(ua.NodeId("ZhisanGateway", index), f"{index}:ZhisanGateway")
    found = {}
    for press_id, variables in values.items():
        path = f"ZhisanGateway/{press_id}" if press_id else "ZhisanGateway"
        parent = await root.add_object(ua.NodeId(path, index), f"{index}:{press_id}") if press_id else root
        for name, value in variables.items():
            found[press_id, name] = await parent.add_variable(
                ua.NodeId(f"{path}/{name}", index), f"{index}:{name}", value
            )
    return found
