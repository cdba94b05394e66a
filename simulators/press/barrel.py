"""How warm is the barrel? Four zones and the nozzle, each heater under PID, conduction, and the melt that takes heat.

C dT/dt = duty share P - G_amb (T - Ta) - G_n (T - T_left) - G_n (T - T_right) - m c e (T - T_stream) + shear, by
implicit Euler once a cycle: the zones' time constants are ten minutes and more. The melt stream enters at the feed's
temperature and takes the share e of its distance to each zone's wall.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from simulators.press.condition import Condition, over
from simulators.press.material import Array
from simulators.press.process import Process

ZONES: Final = 5
HEAT_J_K: Final = np.array([10_500.0, 10_500.0, 10_500.0, 10_500.0, 1_600.0])
"""Steel of 225 mm of a 120/45 mm barrel with its share of the screw; the nozzle 3.3 kg."""
AMBIENT_W_K: Final = np.array([1.6, 1.6, 1.6, 1.6, 0.7])
NEIGHBOUR_W_K: Final = np.array([1.94, 1.94, 1.94, 1.2])
"""45 W/(m K) through the barrel's cross-section over a zone's length; the nozzle hangs on a neck."""
THROAT_W_K: Final = 3.0
THROAT_DEGC: Final = 40.0
FEED_DEGC: Final = 60.0
UPTAKE: Final = np.array([0.45, 0.5, 0.5, 0.5, 0.1])
"""Share of the distance to the wall that the melt makes good in each zone."""
SHEAR_SHARES: Final = np.array([0.3, 0.3, 0.15, 0.1, 0.0])
SHEAR_TO_WALL: Final = 0.15
"""Of the screw's work what warms the wall; the rest warms the melt."""
THERMOCOUPLE_S: Final = 40.0
GAIN_1_K: Final = 0.02
RESET_S: Final = 600.0
RATE_S: Final = 20.0
CLEARANCE_K: Final = 5.0
"""Melt temperature that a doubled clearance adds: the melt is sheared for longer."""
RESIDENCE_CYCLES: Final = 2.5
SETTLE_STEPS: Final = 300
COOLING_STEPS: Final = 64
HEATING_STEP_S: Final = 20.0
WIND_BACK: Final = 0.5
_WALL: Final = slice(0, ZONES)
_FELT: Final = slice(ZONES, 2 * ZONES)
_INTEGRAL: Final = slice(2 * ZONES, 3 * ZONES)
_MELT: Final = 3 * ZONES


@dataclass(frozen=True, slots=True)
class Duty:
    """What a job asks of the barrel: its cycle, the melt it takes and the screw's work."""

    cycle_s: float
    melt_g_s: float
    screw_w: float


@dataclass(frozen=True, slots=True, eq=False)
class BarrelState:
    """True wall temperatures, what the thermocouples feel, the controllers' integrals, the melt's deviation; (16,)."""

    values: Array

    @property
    def wall_degc(self) -> Array:
        """True temperatures, (5,)."""
        return self.values[_WALL]

    def with_melt(self, added_k: float) -> "BarrelState":
        """The same barrel, its melt counted from another set point."""
        values = self.values.copy()
        values[_MELT] += added_k
        return BarrelState(values)


@dataclass(frozen=True, slots=True, eq=False)
class BarrelTrace:
    """n cycles: what the control indicates and gives, (n, 5), and the melt against the job's design, (n,)."""

    indicated_degc: Array
    duty: Array
    melt_k: Array


def set_points(process: Process) -> Array:
    """What the zones are set to, °C, (5,)."""
    return process.melt_degc + np.array(process.machine.zone_steps_k)


def settled(process: Process, job: Duty, condition: Condition) -> BarrelState:
    """The barrel after hours in one condition (its first cycle's)."""
    wanted = set_points(process)
    state = BarrelState(np.concatenate((wanted, wanted, np.full(ZONES, 0.2), [0.0])))
    state, _ = run(process, job, state, condition, SETTLE_STEPS, step_s=60.0)
    return state


def cooled(state: BarrelState, process: Process, condition: Condition, *, off_s: float, heat_s: float) -> BarrelState:
    """After the heaters were off for a time and on again for another, without throughput."""
    still = Duty(60.0, 0.0, 0.0)
    if off_s > 0:
        dead = replace(condition, zone_heater_share=(0.0,) * ZONES)
        step_s = max(round(off_s / COOLING_STEPS), 1)
        state, _ = run(process, still, state, dead, max(round(off_s / step_s), 1), step_s=float(step_s))
        values = state.values.copy()
        values[_INTEGRAL] = 0.2  # controllers start anew
        state = BarrelState(values)
    if heat_s > 0:
        state, _ = run(process, still, state, condition, max(round(heat_s / HEATING_STEP_S), 1), step_s=HEATING_STEP_S)
    values = state.values.copy()
    values[_MELT] = (state.wall_degc - set_points(process))[1:4].mean()  # soaked
    return BarrelState(values)


def run(
    process: Process, job: Duty, state: BarrelState, condition: Condition, count: int, *, step_s: float | None = None
) -> tuple[BarrelState, BarrelTrace]:
    """`count` cycles on: each zone's PID sees its thermocouple, which reads the truth and its offset, late."""
    step_s = job.cycle_s if step_s is None else step_s
    law = _law(process, job, step_s)
    offset = np.stack([over(value, count) for value in condition.zone_sensor_offset_k], axis=1)
    power = np.stack([over(share, count) for share in condition.zone_heater_share], axis=1)
    power = power * (np.array(process.machine.heater_kw) * 1e3)
    torque = over(condition.torque_factor, count) - 1
    worn = over(condition.screw_clearance_factor, count) - 1
    watts = AMBIENT_W_K * over(condition.ambient_degc, count)[:, None]
    watts = watts + (job.screw_w * SHEAR_TO_WALL) * (torque[:, None] * SHEAR_SHARES)
    melt_rise = CLEARANCE_K * worn * (1.0 if job.screw_w else 0.0)
    pushed = law.constant + watts @ law.by_watts.T - offset @ law.by_wanted.T
    pushed[:, _MELT] += law.melt_share * melt_rise
    asked_from = GAIN_1_K * (law.wanted - offset)

    values, duty = np.empty((count + 1, len(state.values))), np.empty((count, ZONES))
    values[0] = at = state.values
    acting = np.empty(2 * ZONES)
    for step in range(count):
        asked = law.asked @ at
        asked += asked_from[step]
        given = np.minimum(np.maximum(asked, 0.0, out=asked), 1.0, out=duty[step])
        acting[:ZONES] = given
        np.multiply(given, power[step], out=acting[ZONES:])
        at = np.matmul(law.keep, at, out=values[step + 1])
        at += law.by_acting @ acting
        at += pushed[step]
    trace = BarrelTrace(values[1:, _FELT] + offset, duty, values[1:, _MELT])
    return BarrelState(values[-1].copy()), trace


@dataclass(frozen=True, slots=True, eq=False)
class _Law:
    """One step as matrices: asked = `asked` x + ..., x' = `keep` x + `by_acting` (duty, watts) + the rest."""

    wanted: Array
    asked: Array
    keep: Array
    by_acting: Array
    by_watts: Array
    by_wanted: Array
    constant: Array
    melt_share: float


@lru_cache(maxsize=64)
def _law(process: Process, job: Duty, step_s: float) -> _Law:
    """The PID with its thermocouple and the zones' balance, written out for one length of step."""
    step, watts, weights = _balance(process, job, step_s)
    wanted, one = set_points(process), np.eye(ZONES)
    size = 3 * ZONES + 1
    feel, reset = 1 - np.exp(-step_s / THERMOCOUPLE_S), GAIN_1_K * step_s / RESET_S
    damp, lag = GAIN_1_K * RATE_S / step_s, 1 - np.exp(-1 / RESIDENCE_CYCLES)
    warmed = step * (step_s / HEAT_J_K)  # of a watt in each zone

    felt = np.zeros((ZONES, size))
    felt[:, _WALL], felt[:, _FELT] = feel * one, (1 - feel) * one
    moved = np.zeros((ZONES, size))
    moved[:, _WALL], moved[:, _FELT] = feel * one, -feel * one
    asked = -GAIN_1_K * felt - damp * moved
    asked[:, _INTEGRAL] += one

    keep, by_acting, by_watts = np.zeros((size, size)), np.zeros((size, 2 * ZONES)), np.zeros((size, ZONES))
    keep[_WALL, _WALL], keep[_FELT] = step, felt
    by_acting[_WALL, ZONES:] = by_watts[_WALL] = warmed
    # What was asked beyond 0..1 flows back out of the integral; inside, the two halves cancel.
    keep[_INTEGRAL] = -reset * felt - WIND_BACK * asked
    keep[_INTEGRAL, _INTEGRAL] += one
    by_acting[_INTEGRAL, :ZONES] = WIND_BACK * one
    by_wanted = np.zeros((size, ZONES))
    by_wanted[_INTEGRAL] = (reset - WIND_BACK * GAIN_1_K) * one
    for matrix in (keep, by_acting, by_watts):
        matrix[_MELT] = lag * weights @ matrix[_WALL]
    keep[_MELT, _MELT] = 1 - lag
    constant = by_watts @ watts + by_wanted @ wanted
    constant[_MELT] -= lag * float(weights @ wanted)
    return _Law(wanted, asked, keep, by_acting, by_watts, by_wanted, constant, lag)


def _balance(process: Process, job: Duty, step_s: float) -> tuple[Array, Array, Array]:
    """The zones' implicit Euler step, T' = step (T + dt / C watts), the constant watts, the melt's weights of T."""
    capacity = job.melt_g_s * process.material.heat_j_kgk * 1e-3  # W/K of the melt stream
    conductance = np.diag(AMBIENT_W_K)
    watts = np.zeros(ZONES)
    for left, through in enumerate(NEIGHBOUR_W_K):
        conductance[left, left] += through
        conductance[left + 1, left + 1] += through
        conductance[left, left + 1] -= through
        conductance[left + 1, left] -= through
    conductance[0, 0] += THROAT_W_K
    watts[0] += THROAT_W_K * THROAT_DEGC
    # The stream before each zone as a row of wall temperatures and a constant; zones take from it what it lacks.
    row, constant = np.zeros(ZONES), FEED_DEGC
    for zone in range(ZONES):
        taken = capacity * UPTAKE[zone]
        conductance[zone] -= taken * row
        conductance[zone, zone] += taken
        watts[zone] += taken * constant
        row = row * (1 - UPTAKE[zone])
        row[zone] += UPTAKE[zone]
        constant *= 1 - UPTAKE[zone]
        if capacity > 0:
            constant += job.screw_w * (1 - SHEAR_TO_WALL) * SHEAR_SHARES[zone] / capacity
        watts[zone] += job.screw_w * SHEAR_TO_WALL * SHEAR_SHARES[zone]
    step = np.linalg.inv(np.eye(ZONES) + step_s / HEAT_J_K[:, None] * conductance)
    return np.asarray(step, np.float64), watts, row
