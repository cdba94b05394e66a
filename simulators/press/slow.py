"""What is slow in a press? Barrel, mould, oil and platens, carried from cycle to cycle and through standstills."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from simulators.press.barrel import BarrelState, BarrelTrace, Duty, cooled, run, settled
from simulators.press.condition import Condition, over
from simulators.press.hydraulics import OIL_HEAT_J_K, TANK_W_K, oil_balance
from simulators.press.material import Array
from simulators.press.mould import MOULD_J_K, mould_balance
from simulators.press.process import Process

PLATEN_S: Final = 2_400.0
"""How fast platens, tie bars and the mould's frame warm in production."""
PLATEN_COOLING_S: Final = 7_200.0
HEATERS_STAY_S: Final = 3_600.0
"""After a longer standstill the heaters are found off."""
HEAT_UP_S: Final = 4_500.0
"""Before a start the heaters are on again for so long at the least."""
MOULD_LOSS_W_K: Final = 40.0
IDLE_MOULD_K: Final = -8.0
"""A mould through which only its own coolant runs, against production."""


@dataclass(frozen=True, slots=True, eq=False)
class SlowState:
    """Between two cycles; `others` is the mould's deviation, K, the oil's temperature, °C, and how warm platens are."""

    barrel: BarrelState
    others: Array


@dataclass(frozen=True, slots=True, eq=False)
class Slow:
    """In n cycles; (n,) but for the barrel's zones."""

    barrel: BarrelTrace
    mould_k: Array
    oil_degc: Array
    warm: Array


@dataclass(frozen=True, slots=True)
class Jobs:
    """What the running job asks of the press, and what it asked when the coolant was set."""

    now: Duty
    design: Duty


def steady(process: Process, jobs: Jobs, condition: Condition) -> SlowState:
    """After hours of production in a condition (its first cycle's)."""
    off_k, _ = mould_balance(process, jobs.now, condition, 1, jobs.design)
    oil, _ = oil_balance(condition, 1)
    return SlowState(settled(process, jobs.now, condition), np.array([off_k[0], oil[0], 1.0]))


def advance(process: Process, jobs: Jobs, state: SlowState, condition: Condition, count: int) -> tuple[SlowState, Slow]:
    """`count` cycles on."""
    barrel, trace = run(process, jobs.now, state.barrel, condition, count)
    off_k, mould_1_s = mould_balance(process, jobs.now, condition, count, jobs.design)
    oil, oil_1_s = oil_balance(condition, count)
    towards = np.stack((off_k, oil, np.ones(count)), axis=1)
    rates = np.stack((mould_1_s, oil_1_s, np.full(count, 1 / PLATEN_S)), axis=1)
    keep = np.exp(-rates * jobs.now.cycle_s)
    found = carry(state.others, keep, (1 - keep) * towards)
    return SlowState(barrel, found[-1].copy()), Slow(trace, found[:, 0], found[:, 1], found[:, 2])


def stand(process: Process, state: SlowState, condition: Condition, standstill_s: float) -> SlowState:
    """A standstill without throughput: each body cools by its own time constant; long ones end with a heat-up."""
    is_off = standstill_s > HEATERS_STAY_S
    heat_s = min(standstill_s, HEAT_UP_S)
    barrel = cooled(
        state.barrel, process, condition, off_s=max(standstill_s - HEAT_UP_S, 0.0) if is_off else 0.0, heat_s=heat_s
    )
    mould_k, oil, warm = state.others
    ambient = float(over(condition.ambient_degc, 1)[0])
    mould_k = IDLE_MOULD_K + (mould_k - IDLE_MOULD_K) * np.exp(-standstill_s * MOULD_LOSS_W_K / MOULD_J_K)
    oil = ambient + (oil - ambient) * np.exp(-standstill_s * TANK_W_K / OIL_HEAT_J_K)
    return replace(
        state, barrel=barrel, others=np.array([mould_k, oil, warm * np.exp(-standstill_s / PLATEN_COOLING_S)])
    )


def carry(start: Array, keep: Array, drive: Array) -> Array:
    """X' = keep x + drive, step by step; start (m,), the others and what comes back (n, m)."""
    found = np.empty_like(drive)
    at = start
    for step in range(len(drive)):
        at = np.multiply(at, keep[step], out=found[step])
        at += drive[step]
    return found
