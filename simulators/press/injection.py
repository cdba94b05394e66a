"""How much melt goes into the mould? Fill to the switch-over, then hold over time, by one mass balance.

Every array is (n,) over cycles or (n, knots) along each cycle.
"""

from dataclasses import dataclass, replace

import numpy as np

from simulators.press.block import BoolArray
from simulators.press.condition import Condition, over
from simulators.press.fill import FILL_KNOTS, Fill, Seat, Setting, fill_of, position_at, running
from simulators.press.flow import Melt, freeze_s, layers_degc, leak_cm3_s, nozzle_leak_cm3_s
from simulators.press.hydraulics import Supply
from simulators.press.material import Array
from simulators.press.process import Process

HOLD_KNOTS = 36
PACK_S = 0.12
CAVITY_SHARE = 0.85
"""Mean pressure in the cavity during hold as a share of the pressure before the screw."""
NOZZLE_HOLD_LOSS = 0.5
"""Of the cavity's hold pressure, lost for a leak of the nozzle's whole bore."""
CLOG_HOLD_LOSS = 0.15
"""Of the cavity's hold pressure, lost in a nozzle clogged to nothing."""
BACKFLOW_S = 0.5
"""How fast the cavity empties through a gate that is still open when hold ends."""
SHRINK_S = 2.5
"""How fast cavity pressure falls once the gate is frozen."""
COLLAPSE_S = 0.3
"""How fast pressure falls once the screw stands on its front stop."""
SKIN_PRESSURE_SHARE = 1.0
"""Of the fill's mean cavity pressure, what the layer that froze in the fill keeps above the hold's."""
FLASH_DEPTH = 100.0
"""How far flash runs before it freezes, in thicknesses of its gap."""
FLASH_RELIEF = 3.0
"""Fall of the cavity's pressure for each share of its volume that became flash."""
MOULD_KN_MM = 2_600.0
"""Stiffness with which the mould resists opening once the parting line's preload is gone."""
PRELOAD_SHARE = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Injection:
    """Fill and hold on common knots (n, knots); `transfer`, `fill_end`: the switch-over and the valve's answer."""

    time_s: Array
    position_mm: Array
    speed_mm_s: Array
    pressure_bar: Array
    sensor_bar: Array
    mean_cavity_bar: Array
    vp_mm: Array
    """Where the press switched over, (n,)."""
    frozen_s: Array
    """After the end of fill, (n,)."""
    part_g: Array
    """Of all cavities with the cold runner, flash included, (n,)."""
    gate_bar: Array
    """Cavity pressure when the gate froze, (n,)."""
    has_bottomed: BoolArray
    transfer: int = FILL_KNOTS - 2
    fill_end: int = FILL_KNOTS - 1


def inject(
    process: Process, condition: Condition, melt: Melt, seat: Seat, given: Supply, locking_kn: Array
) -> Injection:
    """Fill until the switch-over position or the latest time (and the valve's delay), then hold for the set time."""
    count, mould = len(melt), process.mould
    blocked = over(condition.blocked_cavity_share, count)
    setting = Setting(
        process=process,
        melt=melt,
        seat=seat,
        given=given,
        start_mm=process.dose_mm + over(condition.dose_offset_mm, count) + process.machine.decompression_mm,
        speed_mm_s=process.speed_mm_s * over(condition.speed_factor, count) * given.speed_factor,
        vp_mm=np.full(count, process.vp_mm),
        hold_bar=process.hold_bar * over(condition.hold_factor, count),
        nozzle_leak=over(condition.nozzle_leak_share, count),
        nozzle_open=over(condition.nozzle_open_share, count),
        open_cavities=mould.cavities - blocked,
        cavity_cm3=mould.cavity_cm3 * (1 - blocked / mould.cavities),
        density=over(condition.density_factor, count),
        parting_mm=over(condition.parting_gap_mm, count),
        locking_kn=locking_kn,
    )
    fill = fill_of(setting)
    late = fill.time_s[:, -2] > process.injection_s_max
    if late.any():
        setting = replace(setting, vp_mm=np.where(late, position_at(fill, process.injection_s_max), setting.vp_mm))
        fill = fill_of(setting)
    return _hold(setting, fill)


def _hold(setting: Setting, fill: Fill) -> Injection:
    process, melt, given = setting.process, setting.melt, setting.given
    machine, pvt = process.machine, process.material.pvt
    area, degc = machine.screw_area_cm2 / 10, melt.melt_degc[:, None]
    after = process.hold_s * np.linspace(0, 1, HOLD_KNOTS + 1)[1:] ** 2
    from_bar = fill.pressure_bar[:, -1:]
    pressure = setting.hold_bar[:, None] + (from_bar - setting.hold_bar[:, None]) * np.exp(
        -after / given.lag_s[:, None]
    )
    frozen_s = freeze_s(process, melt)
    open_s = np.minimum(after, frozen_s[:, None])

    flash_cm3 = _flash_cm3(setting, pressure[:, -1] * CAVITY_SHARE)
    reached = CAVITY_SHARE * (1 - NOZZLE_HOLD_LOSS * setting.nozzle_leak - CLOG_HOLD_LOSS * (1 - setting.nozzle_open))
    reached = (reached * (1 - FLASH_RELIEF * flash_cm3 / setting.cavity_cm3))[:, None]
    # What the fill left empty flows at the pressure of the hold.
    rest_s = fill.short_cm3 / np.maximum(_flow_at(setting, fill, setting.hold_bar), 1.0)
    pack_s = (PACK_S + rest_s)[:, None]
    # Packing alone is an exponential; a rest of filling runs at its own rate first, and then it is full.
    power = 1 + rest_s[:, None] / pack_s
    settled = np.exp(-((open_s / pack_s) ** power))
    behind = np.exp(-((after / pack_s) ** power))
    filled_bar = fill.mean_cavity_bar[:, -1:]
    cavity_mean = pressure * reached * (1 - settled) + filled_bar * settled
    skin_bar = SKIN_PRESSURE_SHARE * filled_bar
    packed_g = _packed_g(setting, cavity_mean, open_s, skin_bar)
    packed_g = np.maximum.accumulate(packed_g - (packed_g[:, :1] - fill.cavity_g[:, None]) * settled, axis=1)
    specific = pvt.melt_cm3_g(pressure, degc)
    leak_cm3 = leak_cm3_s(process, melt, setting.seat.gap_mm, pressure)
    leak_cm3 += nozzle_leak_cm3_s(process, melt, setting.nozzle_leak, pressure)
    flash_g = (flash_cm3 / specific[:, -1])[:, None] * (1 - settled)
    leaked_g = fill.leaked_g[:, None] + running(leak_cm3 / specific, after[None, :]) + flash_g
    position = ((fill.mass_g[:, None] - leaked_g - packed_g) * specific - machine.dead_cm3) / area
    # The two parts agree at the switch-over but for the step of the fixed point, which decays with the packing.
    position += (fill.position_mm[:, -1:] - position[:, :1]) * behind

    bottomed = position <= 0.0
    since = np.maximum(after - after[np.argmax(bottomed, axis=1)][:, None], 0.0)
    has_bottomed = bottomed.any(axis=1)
    collapse = np.where(has_bottomed[:, None], np.exp(-since / COLLAPSE_S), 1.0)
    position, pressure = np.maximum(position, 0.0), pressure * collapse
    cavity = pressure * reached * (1 - behind) + filled_bar * behind
    at_freeze = _at(cavity, after, frozen_s)
    decayed = at_freeze[:, None] * np.exp(-np.maximum(after - frozen_s[:, None], 0.0) / SHRINK_S)
    cavity = np.where(after > frozen_s[:, None], decayed, cavity)
    gate_bar = at_freeze * np.exp(-np.maximum(frozen_s - process.hold_s, 0.0) / BACKFLOW_S)
    part_g = _packed_g(setting, gate_bar[:, None], frozen_s[:, None], skin_bar)[:, 0]
    unfilled = np.exp(-((np.minimum(frozen_s, process.hold_s) / pack_s[:, 0]) ** power[:, 0]))
    part_g = part_g - unfilled * np.maximum(part_g - fill.cavity_g, 0.0) + flash_g[:, -1]
    time = np.concatenate((fill.time_s, fill.time_s[:, -1:] + after), axis=1)
    position = np.concatenate((fill.position_mm, position), axis=1)
    return Injection(
        time_s=time,
        position_mm=position,
        speed_mm_s=np.concatenate((fill.speed_mm_s, _slopes(position, time)), axis=1),
        pressure_bar=np.concatenate((fill.pressure_bar, pressure), axis=1),
        sensor_bar=np.concatenate((fill.sensor_bar, cavity * 1.04), axis=1),
        mean_cavity_bar=np.concatenate((fill.mean_cavity_bar, cavity), axis=1),
        vp_mm=setting.vp_mm,
        frozen_s=frozen_s,
        part_g=part_g * setting.density,
        gate_bar=gate_bar,
        has_bottomed=has_bottomed,
    )


def _flow_at(setting: Setting, fill: Fill, pressure_bar: Array) -> Array:
    """What the whole path lets through at a pressure, cm³/s: from the fill's end by Q ~ p^(1/n), (n,)."""
    area = setting.process.machine.screw_area_cm2 / 10
    share = pressure_bar / np.maximum(fill.pressure_bar[:, -1], 1.0)
    flow: Array = fill.speed_mm_s[:, -1] * area * share ** (1 / setting.process.material.flow.n)
    return flow


def _flash_cm3(setting: Setting, cavity_mean_bar: Array) -> Array:
    """Melt between the parting surfaces: their wear, and what the melt's force opens beyond the preload; (n,)."""
    mould = setting.process.mould
    force_kn = cavity_mean_bar * mould.projected_cm2 / 100
    forced = np.maximum(force_kn - PRELOAD_SHARE * setting.locking_kn, 0.0) / MOULD_KN_MM
    gap = setting.parting_mm + forced
    around_mm = mould.cavities * 2 * (mould.flow_length_mm + mould.flow_width_mm)
    return np.minimum(around_mm * FLASH_DEPTH * gap**2 * 1e-3, 0.2 * mould.cavity_cm3)


def _packed_g(setting: Setting, cavity_mean_bar: Array, after_s: Array, skin_bar: Array) -> Array:
    """What the full cavity holds at a pressure, a time after the fill: the mean density of its layers; (n, times).

    The outermost layer froze in the fill and keeps some of its pressure.
    """
    layers = np.repeat(cavity_mean_bar[:, None, :], 5, axis=1)
    layers[:, 0, :] += skin_bar
    specific = setting.process.material.pvt.specific_cm3_g(layers, layers_degc(setting.process, setting.melt, after_s))
    return np.asarray(setting.cavity_cm3[:, None] * (1.0 / specific).mean(axis=1))


def _at(values: Array, grid: Array, at: Array) -> Array:
    """Each row of values (n, knots), given on one grid, at its own place (n,); the ends hold beyond."""
    after = np.clip(np.searchsorted(grid, at), 1, len(grid) - 1)
    rows = np.arange(len(at))
    share = np.clip((at - grid[after - 1]) / (grid[after] - grid[after - 1]), 0.0, 1.0)
    return np.asarray(values[rows, after - 1] + share * (values[rows, after] - values[rows, after - 1]))


def _slopes(position: Array, time: Array) -> Array:
    """Forward speed at the hold's knots: central differences, one-sided at the end."""
    steps = -np.diff(position[:, FILL_KNOTS - 1 :], axis=1) / np.diff(time[:, FILL_KNOTS - 1 :], axis=1)
    return np.concatenate(((steps[:, :-1] + steps[:, 1:]) / 2, steps[:, -1:]), axis=1)
