"""How does the screw push the melt into the mould? Fill over the stroke, then hold over time, by one mass balance."""

from dataclasses import dataclass

import numpy as np

from simulators.press.condition import Condition
from simulators.press.flow import Melt, cavity_bar, freeze_s, layers_degc, leak_cm3_s, runner_bar, skin_share
from simulators.press.material import Array
from simulators.press.process import Process

FILL_KNOTS = 80
HOLD_KNOTS = 96
PASSES = 3
"""Of the fill's fixed point: pressure compresses the melt, which moves the front, which makes the pressure."""
SENSOR_SHARE = 0.25
"""Of the flow length from the gate to the cavity pressure sensor."""
PACKING_BAR = 6_000.0
"""Pressure rise for each full cavity volume pressed into a full cavity: 1 / compressibility, about half in the path."""
SPEED_STAGES = ((0.0, 0.08, 0.85, 1.0), (0.75, 1.0, 1.0, 0.55))
"""Shares of the stroke and of the set speed: the usual slow start and slow end."""
PACK_S = 0.12
CAVITY_SHARE = 0.85
"""Mean pressure in the cavity during hold as a share of the pressure before the screw."""
BACKFLOW_S = 0.5
"""How fast the cavity empties through a gate that is still open when hold ends."""
SHRINK_S = 2.5
"""How fast cavity pressure falls once the gate is frozen."""
COLLAPSE_S = 0.3
"""How fast pressure falls once the screw stands on its front stop."""


@dataclass(frozen=True, slots=True, eq=False)
class Injection:
    """Fill and hold of one cycle on common knots; `transfer` and `end` index the switch-over and the end of hold."""

    time_s: Array
    position_mm: Array
    speed_mm_s: Array
    pressure_bar: Array
    sensor_bar: Array
    mean_cavity_bar: Array
    transfer: int
    fill_end: int
    hold_bar_set: float
    frozen_s: float
    """After the end of fill."""
    part_g: float
    """Of all cavities with the cold runner."""
    has_bottomed: bool


def inject(process: Process, condition: Condition, melt: Melt, gap_mm: float, closing_cm3: float) -> Injection:
    """Fill until the switch-over position (and the valve's delay), then hold for the set time."""
    fill = _fill(process, condition, melt, gap_mm, closing_cm3)
    return _hold(process, condition, melt, gap_mm, fill)


@dataclass(frozen=True, slots=True, eq=False)
class _Fill:
    time_s: Array
    position_mm: Array
    speed_mm_s: Array
    pressure_bar: Array
    sensor_bar: Array
    mean_cavity_bar: Array
    transfer: int
    mass_g: float
    """Before the screw at the start, less what flowed back until the ring closed."""
    leaked_g: float
    cavity_g: float


def _fill(process: Process, condition: Condition, melt: Melt, gap_mm: float, closing_cm3: float) -> _Fill:
    machine, mould, pvt = process.machine, process.mould, process.material.pvt
    area = machine.screw_area_cm2 / 10  # cm3 a mm of stroke
    start = process.dose_mm + condition.dose_offset_mm + machine.decompression_mm
    speed_set = process.speed_mm_s * condition.speed_factor
    overrun_mm = speed_set * SPEED_STAGES[1][-1] * machine.valve_delay_s
    position = np.linspace(start, process.vp_mm - overrun_mm, FILL_KNOTS)
    position[-2] = process.vp_mm
    speed = _speed(process, speed_set, start, position)
    skin = skin_share(process, melt, (start - process.vp_mm) / speed_set * 1.15)
    limit_bar = process.pressure_limit_bar

    # Until the decompressed melt is compressed again, the screw moves and nothing flows.
    volume = position * area
    mass = (volume[0] - machine.decompression_mm * area * 0.9) / float(pvt.melt_cm3_g(0.0, melt.melt_degc))
    closing_g = closing_cm3 / float(pvt.melt_cm3_g(0.0, melt.melt_degc))
    path = runner_bar(process, melt, speed * area)
    whole = cavity_bar(process, melt, speed * area, skin)
    pressure, leaked_g, filled = path + whole * np.linspace(0, 1, FILL_KNOTS), np.zeros(FILL_KNOTS), path
    for _ in range(PASSES):
        specific = pvt.melt_cm3_g(pressure, melt.melt_degc)
        leak = leak_cm3_s(process, melt, gap_mm, pressure)
        kept = np.clip(1.0 - leak / (speed * area), 0.0, 1.0) ** process.material.flow.n
        leaked_g = _integral(leak / specific, _times(position, speed))
        delivered = mass - closing_g - leaked_g - volume / specific
        filled = delivered * pvt.melt_cm3_g(pressure * 0.5, melt.melt_degc) / mould.cavity_cm3
        is_flowing = np.clip(filled * 20, 0.0, 1.0)  # the runner fills with the first twentieth
        flowing = kept * (path * is_flowing + whole * np.clip(filled, 0.0, 1.0))
        pressure = flowing + PACKING_BAR * np.maximum(filled - 1.0, 0.0)
        if pressure.max() > limit_bar:
            # At the limit the speed gives way by the power law of the flow: p ~ v^n.
            share = np.minimum(limit_bar / np.maximum(pressure, 1.0), 1.0)
            speed = speed * share ** (1 / process.material.flow.n)
            pressure = np.minimum(pressure, limit_bar)
            path, whole = runner_bar(process, melt, speed * area), cavity_bar(process, melt, speed * area, skin)
    front = np.clip(filled, 0.0, 1.0)
    return _Fill(
        time_s=_times(position, speed),
        position_mm=position,
        speed_mm_s=speed,
        pressure_bar=pressure,
        sensor_bar=np.maximum(front - SENSOR_SHARE, 0.0) * whole + np.maximum(pressure - path - whole * front, 0) * 0.9,
        mean_cavity_bar=0.5 * front * whole,
        transfer=FILL_KNOTS - 2,
        mass_g=float(mass - closing_g),
        leaked_g=float(leaked_g[-1]),
        cavity_g=float(max(mass - closing_g - leaked_g[-1] - volume[-1] / specific[-1], 0.0)),
    )


def _hold(process: Process, condition: Condition, melt: Melt, gap_mm: float, fill: _Fill) -> Injection:
    machine, pvt = process.machine, process.material.pvt
    area = machine.screw_area_cm2 / 10
    after = process.hold_s * np.linspace(0, 1, HOLD_KNOTS + 1)[1:] ** 2
    hold_bar = process.hold_bar * condition.hold_factor
    pressure = hold_bar + (fill.pressure_bar[-1] - hold_bar) * np.exp(-after / machine.valve_lag_s)
    frozen_s = freeze_s(process, melt)
    open_s = np.minimum(after, frozen_s)

    settled = np.exp(-open_s / PACK_S)
    cavity_bar_mean = pressure * CAVITY_SHARE * (1 - settled) + fill.mean_cavity_bar[-1] * settled
    packed_g = _packed_g(process, melt, cavity_bar_mean, open_s)
    packed_g = np.maximum.accumulate(packed_g - (packed_g[0] - fill.cavity_g) * settled)
    leak_g_s = leak_cm3_s(process, melt, gap_mm, pressure) / pvt.melt_cm3_g(pressure, melt.melt_degc)
    leaked_g = fill.leaked_g + _integral(leak_g_s, after)
    position = (fill.mass_g - leaked_g - packed_g) * pvt.melt_cm3_g(pressure, melt.melt_degc) / area
    # The two parts agree at the switch-over but for the step of the fixed point, which decays with the packing.
    position += (fill.position_mm[-1] - position[0]) * np.exp(-after / PACK_S)

    bottomed = position <= 0.0
    has_bottomed = bool(bottomed.any())
    if has_bottomed:
        since = np.maximum(after - after[int(np.argmax(bottomed))], 0.0)
        position, pressure = np.maximum(position, 0.0), pressure * np.exp(-since / COLLAPSE_S)
    cavity = _cavity_in_hold(fill, pressure, after, frozen_s)
    time = np.concatenate((fill.time_s, fill.time_s[-1] + after))
    position = np.concatenate((fill.position_mm, position))
    hold_speed = -np.gradient(position[FILL_KNOTS - 1 :], time[FILL_KNOTS - 1 :])[1:]
    return Injection(
        time_s=time,
        position_mm=position,
        speed_mm_s=np.concatenate((fill.speed_mm_s, hold_speed)),
        pressure_bar=np.concatenate((fill.pressure_bar, pressure)),
        sensor_bar=np.concatenate((fill.sensor_bar, cavity * 1.04)),
        mean_cavity_bar=np.concatenate((fill.mean_cavity_bar, cavity)),
        transfer=fill.transfer,
        fill_end=FILL_KNOTS - 1,
        hold_bar_set=hold_bar,
        frozen_s=frozen_s,
        part_g=_part_g(process, melt, frozen_s, float(np.interp(frozen_s, after, cavity))),
        has_bottomed=has_bottomed,
    )


def _cavity_in_hold(fill: _Fill, pressure: Array, after: Array, frozen_s: float) -> Array:
    """Mean cavity pressure: follows the screw until the gate freezes, then falls as the part shrinks."""
    settled = np.exp(-after / PACK_S)
    cavity = pressure * CAVITY_SHARE * (1 - settled) + fill.mean_cavity_bar[-1] * settled
    if frozen_s < after[-1]:
        at_freeze = float(np.interp(frozen_s, after, cavity))
        decay = at_freeze * np.exp(-(after - frozen_s) / SHRINK_S)
        cavity = np.where(after > frozen_s, decay, cavity)
    return np.asarray(cavity)


def _part_g(process: Process, melt: Melt, frozen_s: float, cavity_bar_mean: float) -> float:
    """Weight = cavity volume / v(p, T) when the gate freezes; an open gate after hold lets melt and pressure out."""
    if process.hold_s < frozen_s:
        cavity_bar_mean *= float(np.exp(-(frozen_s - process.hold_s) / BACKFLOW_S))
    return float(_packed_g(process, melt, np.array([cavity_bar_mean]), np.array([frozen_s]))[0])


def _packed_g(process: Process, melt: Melt, cavity_bar_mean: Array, after_s: Array) -> Array:
    """What the full cavity holds at a pressure, a time after the fill: the mean density of its layers."""
    specific = process.material.pvt.specific_cm3_g(cavity_bar_mean, layers_degc(process, melt, after_s))
    return np.asarray(process.mould.cavity_cm3 * (1.0 / specific).mean(axis=0))


def _speed(process: Process, speed_set: float, start: float, position: Array) -> Array:
    """The set profile, behind a start of constant acceleration."""
    stroke = start - process.vp_mm
    travelled = start - position
    profile = speed_set * np.interp(travelled / stroke, *SPEED_STAGES)
    return np.minimum(profile, np.sqrt(2 * process.machine.acceleration_mm_s2 * (travelled + 0.02)))


def _times(position: Array, speed: Array) -> Array:
    steps = 2 * (position[:-1] - position[1:]) / (speed[:-1] + speed[1:])
    return np.concatenate(([0.0], np.cumsum(steps)))


def _integral(rate: Array, time_s: Array) -> Array:
    steps = np.diff(time_s) * (rate[:-1] + rate[1:]) / 2
    first = rate[0] * time_s[0]  # hold's first knot stands a little after its start
    return np.concatenate(([first], first + np.cumsum(steps)))
