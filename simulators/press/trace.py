"""How do the signals run through a cycle? Knots of all eight, and the noisy, quantised samples between them."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.shot import FloatArray
from contract.vocabulary import SIGNALS
from simulators.press.cycle import DECOMPRESSION_S, DOSING_DELAY_S, Cycles
from simulators.press.flow import slab_s
from simulators.press.material import PA_PER_BAR, Array
from simulators.press.process import Process

RELIEF_S: Final = 0.06
"""How fast the pressure before the screw falls after hold."""
OPENING_S: Final = 0.6
BREATHING: Final = 0.12
"""Share of the mould's opening force that adds to the tonnage: the toggle's stiffness against the mould's."""
SHEAR_HEAT: Final = 0.25
"""Share of p / (rho c) that the melt keeps as shear heat in the nozzle."""
MOULD_RISE_K: Final = 4.0
SPEED_LOSS_BAR_S_MM: Final = 0.06
"""Hydraulic pressure lost in valves and hoses for each mm/s of screw speed."""
RIPPLE_HZ: Final = 3.5
LATER_KNOTS: Final = 24
ROWS_AT_ONCE: Final = 32
"""Cycles whose samples are placed together: as many as the processor's cache holds."""

# Standard deviation of a sensor's white noise and step of its converter, in the signal's unit.
SENSORS: Final[Mapping[str, tuple[float, float]]] = {
    "InjectionPressure": (1.5, 0.1),
    "CavityPressure": (1.0, 0.1),
    "ScrewPosition": (0.01, 0.002),
    "ScrewVelocity": (0.15, 0.02),
    "HydraulicPressure": (0.25, 0.02),
    "MeltTemperature": (0.1, 0.02),
    "ClampForce": (1.2, 0.1),
    "MouldTemperature": (0.05, 0.01),
}
_SD: Final = np.array([[SENSORS[name][0]] for name in SIGNALS], dtype=np.float32)
_STEP: Final = np.array([[SENSORS[name][1]] for name in SIGNALS], dtype=np.float32)


def hydraulic_bar(process: Process, pressure_bar: Array, speed_mm_s: Array) -> Array:
    """Pressure behind the injection piston."""
    load = pressure_bar / process.machine.intensification
    return np.asarray(load + SPEED_LOSS_BAR_S_MM * np.maximum(speed_mm_s, 0.0) + 2.0)


def clamp_kn(process: Process, locking_kn: Array, mean_cavity_bar: Array) -> Array:
    """Tonnage while melt pushes the mould open."""
    return locking_kn + BREATHING * process.mould.projected_cm2 / 100 * mean_cavity_bar


def knots(cycles: Cycles) -> tuple[Array, FloatArray]:
    """Times (n, K) from injection start, and the signals (n, signals, K) in the order of the vocabulary."""
    process, injection, dosing = cycles.process, cycles.injection, cycles.dosing
    end = injection.time_s[:, -1:]
    begin_dosing = end + DOSING_DELAY_S
    end_dosing = begin_dosing + dosing.time_s[:, None]
    pulled = end_dosing + DECOMPRESSION_S
    cycle_s = cycles.cycle_s[:, None]
    opening = end + cycles.cooling_s[:, None]
    opened = np.minimum(opening + OPENING_S, cycle_s)
    corners = (begin_dosing, begin_dosing + 0.05, end_dosing, end_dosing + 0.05, pulled, pulled + 0.02, opening, opened)
    spaced = end + 2 * RELIEF_S + (cycle_s - end - 2 * RELIEF_S) * np.linspace(0, 1, LATER_KNOTS)
    later = np.concatenate((end + RELIEF_S / 2, end + RELIEF_S, *corners, spaced), axis=1)
    later = np.minimum(np.sort(later, axis=1), cycle_s)
    time = np.concatenate((injection.time_s, later), axis=1)

    cushion, pull_mm = injection.position_mm[:, -1:], process.machine.decompression_mm
    dosed_share = np.clip((later - begin_dosing) / (end_dosing - begin_dosing), 0.0, 1.0)
    pulled_share = np.clip((later - end_dosing) / DECOMPRESSION_S, 0.0, 1.0)
    is_dosing = (later > begin_dosing) & (later <= end_dosing)
    position = cushion + dosing.stroke_mm[:, None] * dosed_share + pull_mm * pulled_share
    speed = np.where(is_dosing, -(dosing.stroke_mm / dosing.time_s)[:, None], 0.0)
    speed = np.where((later > end_dosing) & (later <= pulled), -pull_mm / DECOMPRESSION_S, speed)
    pressure = injection.pressure_bar[:, -1:] * np.exp(-(later - end) / (RELIEF_S / 2))
    pressure = np.where(is_dosing, dosing.back_bar[:, None], pressure)
    shrunk = np.exp(-(later - end) / 2.5) * (later < opening)
    cavity = np.concatenate((injection.mean_cavity_bar, injection.mean_cavity_bar[:, -1:] * shrunk), axis=1)
    position = np.concatenate((injection.position_mm, position), axis=1)
    speed = np.concatenate((injection.speed_mm_s, speed), axis=1)
    pressure = np.concatenate((injection.pressure_bar, pressure), axis=1)

    locked = 1 - np.clip((time - opening) / np.maximum(opened - opening, 1e-3), 0.0, 1.0)
    # Closed and locked again for the next shot.
    relocked = np.clip((time - cycle_s + OPENING_S) / OPENING_S, 0.0, 1.0)
    locked = np.where(opened < cycle_s - OPENING_S, np.maximum(locked, relocked), locked)
    since_fill = np.maximum(time - injection.time_s[:, injection.fill_end, None], 0.0)
    heat_k = pressure * (SHEAR_HEAT * PA_PER_BAR / (process.material.heat_j_kgk * 800.0))
    melt = cycles.melt
    rise = (MOULD_RISE_K / 195.0 * (melt.melt_degc - melt.mould_degc))[:, None] * (1.0 - np.exp(-time / 0.6))
    signals = {
        "InjectionPressure": pressure,
        "CavityPressure": np.concatenate((injection.sensor_bar, injection.sensor_bar[:, -1:] * shrunk), axis=1),
        "ScrewPosition": position,
        "ScrewVelocity": speed,
        "HydraulicPressure": hydraulic_bar(process, pressure, speed),
        "MeltTemperature": melt.melt_degc[:, None] + heat_k,
        "ClampForce": clamp_kn(process, cycles.clamp.locking_kn[:, None], cavity) * locked,
        "MouldTemperature": melt.mould_degc[:, None] + rise * np.exp(-since_fill / (2 * slab_s(process, 2.0))),
    }
    return time, np.stack([signals[name].astype(np.float32) for name in SIGNALS], axis=1)


def sample(cycles: Cycles, interval_s: float, found: FloatArray) -> None:
    """Write the signals every `interval_s` from injection start, without noise, into (n, signals, samples).

    Past a cycle's end it is NaN.
    """
    time, signals = knots(cycles)
    samples = found.shape[2]
    for begin in range(0, len(time), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        after, weight = _places(time[rows], interval_s, samples)
        for row in range(len(after)):
            taken = signals[begin + row].take(after[row], axis=1, out=found[begin + row], mode="clip")
            before = signals[begin + row].take(after[row] - 1, axis=1, mode="clip")
            taken -= before
            taken *= weight[row]
            taken += before
    _add_ripple(cycles, found, interval_s)
    ends = np.floor(cycles.cycle_s / interval_s).astype(np.intp)
    for row in np.flatnonzero(ends < samples).tolist():
        found[row, :, ends[row] :] = np.nan


def _places(time: Array, interval_s: float, samples: int) -> tuple[npt.NDArray[np.intp], FloatArray]:
    """For each sample the knot after it, and the share of the way to it from the knot before; (rows, samples)."""
    count, last = time.shape[0], time.shape[1] - 1
    first = np.minimum(np.ceil(time / interval_s).astype(np.intp), samples)
    offset = np.arange(count)[:, None]
    marks = np.bincount((first + offset * (samples + 1)).ravel(), minlength=count * (samples + 1))
    after = np.cumsum(marks.reshape(count, samples + 1)[:, :samples], axis=1)
    np.minimum(np.maximum(after, 1, out=after), last, out=after)
    before = after - 1 + offset * (last + 1)
    pace = 1 / np.maximum(np.diff(time, axis=1, append=np.inf), 1e-9)
    weight = np.arange(samples) * interval_s - time.take(before)
    weight *= pace.take(before)
    return after, np.minimum(weight, 1.0, out=weight).astype(np.float32)


def _add_ripple(cycles: Cycles, found: FloatArray, interval_s: float) -> None:
    """The limit cycle of a sticking valve rides on both pressures in hold."""
    injection, ripple = cycles.injection, cycles.given.ripple
    rows = {name: at for at, name in enumerate(SIGNALS)}
    for row in np.flatnonzero(ripple > 0).tolist():
        begin = int(injection.time_s[row, injection.fill_end] / interval_s) + 1
        end = min(int(injection.time_s[row, -1] / interval_s), found.shape[2])
        if begin >= end:
            continue
        since = np.arange(end - begin) * interval_s
        wave = ripple[row] * np.sin(2 * np.pi * RIPPLE_HZ * since) * (1 - np.exp(-since / 0.3))
        bar = wave * injection.pressure_bar[row, -1]
        found[row, rows["InjectionPressure"], begin:end] += bar.astype(np.float32)
        hydraulic = bar / cycles.process.machine.intensification
        found[row, rows["HydraulicPressure"], begin:end] += hydraulic.astype(np.float32)


def measure(found: FloatArray, noise: FloatArray) -> None:
    """What the sensors make of it, in place: noise, then the converter's steps."""
    noise *= _SD
    found += noise
    found /= _STEP
    np.rint(found, out=found)
    found *= _STEP
