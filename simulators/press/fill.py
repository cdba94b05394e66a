"""How does the screw push the melt through the path? The fill over the stroke, up to the switch-over.

Every array is (n,) over cycles or (n, knots) along each cycle.
"""

from dataclasses import dataclass

import numpy as np

from simulators.press.flow import Melt, cavity_bar, leak_cm3_s, nozzle_leak_cm3_s, runner_bar, skin_share
from simulators.press.hydraulics import Supply, held_speed
from simulators.press.material import Array
from simulators.press.process import Process

FILL_KNOTS = 48
CLOSING_EXPONENT = -0.5
"""Of the melt's viscosity, in the volume that flows back until the check ring has closed."""
PASSES = 3
"""Of the fill's fixed point: pressure compresses the melt, which moves the front, which makes the pressure."""
SENSOR_SHARE = 0.25
"""Of the flow length from the gate to the cavity pressure sensor."""
PACKING_BAR = 6_000.0
"""Pressure rise for each full cavity volume pressed into a full cavity: 1 / compressibility, about half in the path."""
SPEED_STAGES = ((0.0, 0.08, 0.85, 1.0), (0.75, 1.0, 1.0, 0.55))
"""Shares of the stroke and of the set speed: the usual slow start and slow end."""
SPEED_MIN_MM_S = 1.0
OVERSHOOT_STROKE = 0.1

_SHARES = np.linspace(0.0, 1.0, FILL_KNOTS - 1)
_PROFILE = np.append(np.interp(_SHARES, *SPEED_STAGES), SPEED_STAGES[1][-1])
_BREAKAWAY = np.append(np.exp(-_SHARES / OVERSHOOT_STROKE), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Seat:
    """How the check ring sat in each cycle, (n,)."""

    gap_mm: Array
    closing_cm3: Array


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What one block's cycles inject with; all (n,)."""

    process: Process
    melt: Melt
    seat: Seat
    given: Supply
    start_mm: Array
    speed_mm_s: Array
    vp_mm: Array
    hold_bar: Array
    nozzle_leak: Array
    nozzle_open: Array
    open_cavities: Array
    cavity_cm3: Array
    density: Array
    parting_mm: Array
    locking_kn: Array


@dataclass(frozen=True, slots=True, eq=False)
class Fill:
    """From injection start to the valve's answer, (n, knots); the masses are (n,)."""

    time_s: Array
    position_mm: Array
    speed_mm_s: Array
    pressure_bar: Array
    sensor_bar: Array
    mean_cavity_bar: Array
    mass_g: Array
    """Before the screw at the start, less what flowed back until the ring closed, (n,)."""
    leaked_g: Array
    cavity_g: Array
    short_cm3: Array
    """What the cavities lack at the switch-over, (n,)."""


def fill_of(setting: Setting) -> Fill:
    """Follow the speed profile until the switch-over, by a fixed point of pressure, compression and leak."""
    process, melt, given = setting.process, setting.melt, setting.given
    machine, pvt, n = process.machine, process.material.pvt, process.material.flow.n
    area = machine.screw_area_cm2 / 10  # cm3 a mm of stroke
    degc = melt.melt_degc[:, None]
    stroke = setting.start_mm - setting.vp_mm
    position = np.empty((len(melt), FILL_KNOTS))
    position[:, :-1] = setting.start_mm[:, None] - stroke[:, None] * _SHARES
    position[:, -1] = setting.vp_mm - setting.speed_mm_s * _PROFILE[-1] * given.delay_s
    wanted = setting.speed_mm_s[:, None] * (_PROFILE * (1 + given.overshoot[:, None] * _BREAKAWAY))
    travelled = setting.start_mm[:, None] - position
    wanted = np.minimum(wanted, np.sqrt(2 * machine.acceleration_mm_s2 * (travelled + 0.02)))
    skin = skin_share(process, melt, stroke / setting.speed_mm_s * 1.15)

    # Until the decompressed melt is compressed again, the screw moves and nothing flows.
    volume = position * area + machine.dead_cm3
    unloaded = pvt.melt_cm3_g(np.zeros_like(melt.melt_degc), melt.melt_degc)
    mass = (volume[:, 0] - machine.decompression_mm * area * 0.9) / unloaded
    # A thicker melt drags the ring shut sooner.
    thickness = melt.zero_shear_pa_s / process.material.flow.zero_shear_pa_s(process.material.dosing_reference_degc)
    mass = mass - setting.seat.closing_cm3 * thickness**CLOSING_EXPONENT / unloaded
    flow = wanted * area
    path = runner_bar(process, melt, flow, setting.nozzle_open)
    whole = cavity_bar(process, melt, flow, skin, setting.open_cavities)
    pressure, speed, slowed = path + whole * np.linspace(0, 1, FILL_KNOTS), wanted, np.ones_like(wanted)
    for _ in range(PASSES):
        specific = pvt.melt_cm3_g(pressure, degc)
        leak = leak_cm3_s(process, melt, setting.seat.gap_mm, pressure)
        leak += nozzle_leak_cm3_s(process, melt, setting.nozzle_leak, pressure)
        kept = np.clip(1.0 - leak / (speed * area), 0.0, 1.0) ** n
        leaked_g = running(leak / specific, times(position, speed))
        delivered = mass[:, None] - leaked_g - volume / specific
        filled = delivered * pvt.melt_cm3_g(pressure * 0.5, degc) / setting.cavity_cm3[:, None]
        is_flowing = np.clip(filled * 20, 0.0, 1.0)  # the runner fills with the first twentieth
        flowing = kept * (path * is_flowing + whole * np.clip(filled, 0.0, 1.0))
        pressure = flowing + PACKING_BAR * np.maximum(filled - 1.0, 0.0)
        # At the limit the speed gives way by the power law of the flow: p ~ v^n.
        slowed = slowed * np.minimum(process.pressure_limit_bar / np.maximum(pressure, 1.0), 1.0) ** (1 / n)
        pressure = np.minimum(pressure, process.pressure_limit_bar)
        speed = np.maximum(held_speed(process, given, wanted, pressure) * slowed, SPEED_MIN_MM_S)
        flow = speed * area
        path = runner_bar(process, melt, flow, setting.nozzle_open)
        whole = cavity_bar(process, melt, flow, skin, setting.open_cavities)
    front = np.clip(filled, 0.0, 1.0)
    beyond = np.maximum(pressure - path - whole * front, 0.0)
    return Fill(
        time_s=times(position, speed),
        position_mm=position,
        speed_mm_s=speed,
        pressure_bar=pressure,
        sensor_bar=np.maximum(front - SENSOR_SHARE, 0.0) * whole + beyond * 0.9,
        mean_cavity_bar=0.5 * front * whole,
        mass_g=mass,
        leaked_g=leaked_g[:, -1],
        cavity_g=np.maximum(mass - leaked_g[:, -1] - volume[:, -1] / specific[:, -1], 0.0),
        short_cm3=np.maximum(1.0 - filled[:, -1], 0.0) * setting.cavity_cm3,
    )


def position_at(fill: Fill, time_s: float) -> Array:
    """Where the screw is at a time of the fill, (n,)."""
    after = np.clip((fill.time_s <= time_s).sum(axis=1), 1, FILL_KNOTS - 1)
    rows = np.arange(len(after))
    before_s, after_s = fill.time_s[rows, after - 1], fill.time_s[rows, after]
    share = np.clip((time_s - before_s) / np.maximum(after_s - before_s, 1e-9), 0.0, 1.0)
    before_mm = fill.position_mm[rows, after - 1]
    return np.asarray(before_mm + share * (fill.position_mm[rows, after] - before_mm))


def times(position: Array, speed: Array) -> Array:
    """When the screw reaches each position, from 0."""
    time = np.zeros_like(position)
    steps = 2 * (position[:, :-1] - position[:, 1:]) / (speed[:, :-1] + speed[:, 1:])
    np.cumsum(steps, axis=1, out=time[:, 1:])
    return time


def running(rate: Array, time_s: Array) -> Array:
    """Running trapezoids; hold's first knot stands a little after its start."""
    found = np.empty_like(rate)
    found[:, 0] = rate[:, 0] * time_s[:, 0]
    np.cumsum(np.diff(time_s, axis=1) * (rate[:, :-1] + rate[:, 1:]) / 2, axis=1, out=found[:, 1:])
    found[:, 1:] += found[:, :1]
    return found
