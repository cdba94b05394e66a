"""A gateway whose clock is off says so on the page, since the times of its shots mislead; a small offset is nothing."""

from dataclasses import fields

import pytest

from cloud.fleet.domain import Gateway
from cloud.web.fleet_index import CLOCK_OFF_S_MAX, gateway_line


def gateway(offset_s: float | None) -> Gateway:
    told = {"health": {}, "state": "online", "clock_offset_s": offset_s, "plant_id": "p", "gateway_id": "g"}
    rest = {field.name: 0 for field in fields(Gateway) if field.name not in told}
    return Gateway(**rest, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize("offset_s", [86_400.0, -86_400.0, CLOCK_OFF_S_MAX + 1])
def test_a_clock_that_is_off_is_shown(offset_s: float) -> None:
    assert gateway_line(gateway(offset_s)).clock_off_s == offset_s


@pytest.mark.parametrize("offset_s", [None, 0.0, CLOCK_OFF_S_MAX, -CLOCK_OFF_S_MAX])
def test_a_small_offset_or_none_is_not(offset_s: float | None) -> None:
    assert gateway_line(gateway(offset_s)).clock_off_s is None
