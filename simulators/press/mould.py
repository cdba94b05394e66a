"""How warm is the mould, and what does the cooling water tell? The balance of heat between melt, steel and coolant."""

from typing import Final

import numpy as np

from simulators.press.barrel import Duty
from simulators.press.condition import Condition, over
from simulators.press.material import Array
from simulators.press.process import Process

WATER_J_LK: Final = 4_170.0
CHANNEL_M2: Final = 0.094
"""3 m of 10 mm channel."""
FILM_W_M2K: Final = 5_000.0
"""Turbulent water at the set flow; with flow^0.8 (Dittus-Boelter)."""
SCALE_W_MK: Final = 0.6
STEEL_K_W: Final = 0.002
MOULD_J_K: Final = 96_000.0
"""200 kg of steel between cavity and channels."""
AMBIENT_SHARE: Final = 0.08
"""Of the hall's change what the coolant's supply takes over."""


def coolant_rise_k(process: Process, job: Duty, condition: Condition, count: int) -> tuple[Array, Array]:
    """Flow of the coolant, l/min, and how much warmer it leaves, K; each (n,)."""
    flow = process.coolant_l_min * np.maximum(over(condition.coolant_flow_share, count), 0.02)
    return flow, heat_w(process, job) / (flow / 60 * WATER_J_LK)


def heat_w(process: Process, job: Duty) -> float:
    """What the parts leave in the mould: melt to ejection, once a cycle."""
    material = process.material
    return job.melt_g_s * material.heat_j_kgk * 1e-3 * (process.melt_degc - material.ejection_degc + 20.0)


def mould_balance(process: Process, job: Duty, condition: Condition, count: int, design: Duty) -> tuple[Array, Array]:
    """By how much the mould's mean leaves its set temperature in the long run, K, and how fast it goes there, 1/s.

    The coolant's controller was set so that the mould is as asked at the job's `design`, with clean channels.
    """
    share = np.maximum(over(condition.coolant_flow_share, count), 0.02)
    resistance = _resistance_k_w(process, share, over(condition.scale_mm, count))
    clean = _resistance_k_w(process, np.ones(1), np.zeros(1))[0]
    off_k = heat_w(process, job) * resistance - heat_w(process, design) * clean
    off_k = off_k + AMBIENT_SHARE * (over(condition.ambient_degc, count) - 23.0)
    return off_k, 1 / (MOULD_J_K * resistance)


def _resistance_k_w(process: Process, flow_share: Array, scale_mm: Array) -> Array:
    """Cavity wall to coolant inlet: steel, scale, film, and half of what the coolant warms."""
    film = 1 / (FILM_W_M2K * flow_share**0.8 * CHANNEL_M2)
    scale = scale_mm * 1e-3 / (SCALE_W_MK * CHANNEL_M2)
    warmed = 0.5 / (process.coolant_l_min * flow_share / 60 * WATER_J_LK)
    return np.asarray(STEEL_K_W + film + scale + warmed)
