"""Active alarms as input registers of a Modbus TCP server: for the lamp, the horn and the PLC beside the presses."""

import math
from collections.abc import Callable, Sequence
from typing import Final

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.alarms.local import GATEWAY, LocalAlarms

HEARTBEAT, ACTIVE, CUT_OFF, GATEWAY_ALARMS = 0, 1, 2, 3
PRESS_ALARMS, PRESS_PROBABILITY = 100, 200
PRESSES_SHOWN_MAX: Final = 64
REGISTERS: Final = PRESS_PROBABILITY + PRESSES_SHOWN_MAX
UNKNOWN: Final = 0xFFFF
"""What a probability register holds while no head has spoken of the press."""


def image(alarms: LocalAlarms, presses: Sequence[str], now_s: float) -> list[int]:
    """All registers as they are now (docs/reference/local_alarms.md); `presses` in the order of the settings."""
    registers = [0] * REGISTERS
    registers[HEARTBEAT] = int(now_s) % 0x10000
    registers[ACTIVE] = min(len(alarms.active()), UNKNOWN)
    registers[CUT_OFF] = int(alarms.is_cut_off(now_s))
    registers[GATEWAY_ALARMS] = len(alarms.active(GATEWAY))
    for number, press_id in enumerate(presses[:PRESSES_SHOWN_MAX]):
        probability = alarms.highest_probability(press_id)
        registers[PRESS_ALARMS + number] = len(alarms.active(press_id))
        registers[PRESS_PROBABILITY + number] = UNKNOWN if math.isnan(probability) else round(1000 * probability)
    return registers


async def serve(host: str, port: int, read: Callable[[], list[int]]) -> None:
    """Answer every unit id with the registers that `read` gives; nothing can be written. Until cancelled.

    Raises:
        RuntimeError: the port cannot be opened.
    """

    async def fill(
        _function: int, start: int, _address: int, _count: int, registers: list[int], values: object
    ) -> ExcCodes | None:
        if values is not None:
            return ExcCodes.ILLEGAL_FUNCTION
        registers[:] = read()[start : start + len(registers)]
        return None

    block = SimData(0, count=REGISTERS, values=0, datatype=DataType.REGISTERS)
    server = ModbusTcpServer(SimDevice(0, [block], action=fill), address=(host, port))
    try:
        await server.serve_forever()
    finally:
        server.close()
