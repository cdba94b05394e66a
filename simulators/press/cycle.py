"""What happens in many cycles? Injection, hold, cooling beside dosing, handling: equations only, no chance."""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import pi
from typing import Final

import numpy as np

from simulators.press.barrel import ZONES, BarrelTrace, Duty
from simulators.press.clamp import Clamp, clamp_of
from simulators.press.condition import Condition, over
from simulators.press.dosing import Dosing, dose
from simulators.press.fill import Seat
from simulators.press.flow import Melt, melt_of, slab_s
from simulators.press.hydraulics import LEAK_EFFICIENCY, PUMP_LEAK_SHARE, Supply, supply
from simulators.press.injection import Injection, inject
from simulators.press.material import PA_PER_BAR, Array
from simulators.press.mould import coolant_rise_k
from simulators.press.process import Process
from simulators.press.slow import Slow

DOSING_DELAY_S: Final = 0.3
DECOMPRESSION_S: Final = 0.25
CLAMPING_J: Final = 20_000.0
"""Work of closing, locking and opening."""
ROOM_DEGC: Final = 23.0
SPREAD_1_K: Final = 0.003
"""Relative growth of the controlled length for each kelvin by which the part leaves the mould hotter: it bends open."""
WAVE_SHARES: Final = np.array([0.3, 0.5, 0.7, 0.85, 0.95])
"""Of the melt's hunting, what the zones indicate."""
COLD_MELT_K, COLD_MOULD_K, COLD_OIL_K = 3.0, 6.0, 15.0
"""What a press that is not warm (`Condition.warm_up_share` 0) lacks."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Chance of n cycles: standard normals, and how each check ring sat."""

    seat: Seat
    stick: Array
    shake: Array


@dataclass(frozen=True, slots=True, eq=False)
class Cycles:
    """n cycles as they truly ran; each array is (n,) unless its own type says more."""

    process: Process
    condition: Condition
    melt: Melt
    given: Supply
    injection: Injection
    dosing: Dosing
    clamp: Clamp
    barrel: BarrelTrace
    oil_degc: Array
    cooling_s: Array
    cycle_s: Array
    coolant_l_min: Array
    coolant_rise_k: Array
    pump_kw: Array
    energy_kwh: Array
    dimension_mm: Array

    def __len__(self) -> int:
        return len(self.cycle_s)


def run_cycles(process: Process, jobs_now: Duty, condition: Condition, slow: Slow, draws: Draws) -> Cycles:
    """Solve n cycles whose slow temperatures are known."""
    count = len(slow.mould_k)
    cold = 1 - over(condition.warm_up_share, count)
    mould_k = slow.mould_k + over(condition.mould_offset_k, count) - COLD_MOULD_K * cold
    wave_k = over(condition.barrel_wave_k, count)
    melt_k = slow.barrel.melt_k + over(condition.melt_offset_k, count) + wave_k - COLD_MELT_K * cold
    indicated = slow.barrel.indicated_degc + WAVE_SHARES * wave_k[:, None]
    oil_degc = slow.oil_degc + over(condition.oil_degc, count) - 45.0 - COLD_OIL_K * cold
    condition = replace(condition, warm_up_share=slow.warm * (1 - cold))
    melt = melt_of(process, condition, process.melt_degc + melt_k, process.mould_degc + mould_k)
    given = supply(process, condition, oil_degc, draws.stick)
    clamp = clamp_of(process, condition, given, mould_k, draws.shake)
    injection = inject(process, condition, melt, draws.seat, given, clamp.locking_kn)
    dosing = dose(process, condition, melt, injection.position_mm[:, -1])
    dosed_s = DOSING_DELAY_S + dosing.time_s + DECOMPRESSION_S
    if process.machine.can_dose_while_open:
        cooling_s, waiting_s = np.full(count, process.cool_s), dosed_s + clamp.closing_s
    else:
        cooling_s, waiting_s = np.maximum(process.cool_s, dosed_s), dosed_s
    cycle_s = injection.time_s[:, -1] + np.maximum(cooling_s + clamp.handling_s, waiting_s)
    flow, rise_k = coolant_rise_k(process, jobs_now, condition, count)
    pump_kw = _pump_kw(process, injection, dosing, given, cycle_s)
    heaters_kw = np.zeros(count)
    for zone in range(ZONES):
        share = over(condition.zone_heater_share[zone], count)
        heaters_kw = heaters_kw + slow.barrel.duty[:, zone] * share * process.machine.heater_kw[zone]
    return Cycles(
        process=process,
        condition=condition,
        melt=melt,
        given=given,
        injection=injection,
        dosing=dosing,
        clamp=clamp,
        barrel=replace(slow.barrel, indicated_degc=indicated),
        oil_degc=oil_degc,
        cooling_s=cooling_s,
        cycle_s=cycle_s,
        coolant_l_min=flow,
        coolant_rise_k=rise_k,
        pump_kw=pump_kw,
        energy_kwh=(heaters_kw + pump_kw) * cycle_s / 3600,
        dimension_mm=_dimension_mm(process, condition, melt, injection, cooling_s),
    )


def _pump_kw(process: Process, injection: Injection, dosing: Dosing, given: Supply, cycle_s: Array) -> Array:
    """Idling, and the work of injection, dosing and clamp through the drive's efficiency."""
    power = injection.pressure_bar * np.maximum(injection.speed_mm_s, 0.0)
    steps = np.diff(injection.time_s, axis=1)
    work = (steps * (power[:, 1:] + power[:, :-1]) / 2).sum(axis=1)
    injection_j = work * (process.machine.screw_area_cm2 * 1e-4 * 1e-3 * PA_PER_BAR)
    dosing_j = dosing.torque_nm * (2 * pi) * dosing.turns
    efficiency = process.machine.drive_efficiency * (1 - LEAK_EFFICIENCY * (given.leak_share - PUMP_LEAK_SHARE))
    used_w = (injection_j + dosing_j + CLAMPING_J) / np.maximum(efficiency, 0.1) / cycle_s
    return np.asarray(process.machine.idle_kw + used_w * 1e-3)


def _dimension_mm(process: Process, condition: Condition, melt: Melt, injection: Injection, cooling_s: Array) -> Array:
    """Length in the mould x (v(room) / v(gate freeze))^(1/3), and what a hot part bends open afterwards."""
    mould, count = process.mould, len(melt)
    solid = process.material.pvt.specific_cm3_g(np.zeros(1), np.array([ROOM_DEGC]))[0]
    blocked = over(condition.blocked_cavity_share, count) / mould.cavities
    shrunk = np.cbrt(solid * injection.part_g / (mould.cavity_cm3 * (1 - blocked)))
    left_s = process.hold_s + cooling_s
    middle_k = 8 / pi**2 * (melt.melt_degc - melt.mould_degc) * np.exp(-left_s / slab_s(process, mould.wall_mm))
    hotter_k = melt.mould_degc - process.mould_degc + middle_k
    return np.asarray(np.maximum(process.length_mm * (shrunk + SPREAD_1_K * hotter_k), 0.0))


@lru_cache(maxsize=64)
def duty_of(process: Process) -> Duty:
    """What a job asks of barrel and mould when the press is as designed: from one cycle, solved."""
    neutral = Slow(
        BarrelTrace(np.zeros((1, ZONES)), np.full((1, ZONES), 0.3), np.zeros(1)),
        np.zeros(1),
        np.full(1, 45.0),
        np.ones(1),
    )
    draws = Draws(Seat(np.full(1, 0.015), np.full(1, 0.5)), np.zeros(1), np.zeros(1))
    cycles = run_cycles(process, Duty(1.0, 0.0, 0.0), Condition(), neutral, draws)
    cycle_s, dosing = float(cycles.cycle_s[0]), cycles.dosing
    screw_w = float(dosing.torque_nm[0] * 2 * pi * dosing.turns[0]) / cycle_s
    return Duty(cycle_s, float(cycles.injection.part_g[0]) / cycle_s, screw_w)
