"""What a press is producing, by its own words: job, mould, material, counter, cycle and energy of its shots. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from statistics import median
from typing import Final

from cloud.telemetry.store import CYCLE_TIME, StoredShot
from contract.shot import Shot

ENERGY = "EnergyPerCycle"


TOLD: Final[dict[str, Callable[[Shot], str]]] = {
    "job": lambda shot: shot.job_name,
    "product": lambda shot: shot.product_name,
    "mould": lambda shot: shot.mould_id,
    "material": lambda shot: shot.material,
    "cavities": lambda shot: "" if shot.cavities is None else str(shot.cavities),
}
"""What is shown of a shot's production dataset, in this order."""


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the production dataset of the newest shot; `since_ms` is None where its first shot was not seen.

    It is the first shot after one that told something else: one that told nothing says of no change.
    """

    name: str
    text: str
    since_ms: int | None


@dataclass(frozen=True, slots=True)
class ProductionSet:
    """The production data of the newest shot, and of the shots before it with the same job and mould.

    `dataset` has those lines that the press tells, job and mould always. `is_open`: the job is longer than what was
    looked at. Energy is None where the press does not send it; that of a part is the cycle's, shared among the
    cavities, and None where these are not told.
    """

    dataset: tuple[Told, ...]
    cycle_counter: int | None
    shots: int
    since_ms: int
    is_open: bool
    cycle_s: float | None
    energy_kwh: float | None
    usual_energy_kwh: float | None
    part_energy_kwh: float | None
    usual_part_energy_kwh: float | None


def production_of(rows: Sequence[StoredShot]) -> ProductionSet | None:
    """Of the newest of `rows`, in any order; None without shots."""
    ordered = sorted(rows, key=lambda row: (row.scored.shot.ended_ms, row.row_id), reverse=True)
    if not ordered:
        return None
    shot = ordered[0].scored.shot
    own = list(takewhile(lambda row: _job(row) == _job(ordered[0]), ordered))
    energies = _known(own, ENERGY)
    cycles = _known(own, CYCLE_TIME)
    parts = [energy for row in own if (energy := _part_energy_kwh(row.scored.shot)) is not None]
    latest = shot.parameters.get(ENERGY, math.nan)
    return ProductionSet(
        _dataset([row.scored.shot for row in ordered]),
        shot.cycle_counter,
        len(own),
        own[-1].scored.shot.ended_ms,
        len(own) == len(ordered),
        median(cycles) if cycles else None,
        latest if math.isfinite(latest) else None,
        median(energies) if energies else None,
        _part_energy_kwh(shot),
        median(parts) if parts else None,
    )


def _dataset(shots: Sequence[Shot]) -> tuple[Told, ...]:
    """Of the first of `shots`, which stand newest first."""
    lines = (Told(name, text_of(shots[0]), _since_ms(shots, text_of)) for name, text_of in TOLD.items())
    return tuple(line for line in lines if line.text or line.name in ("job", "mould"))


def _since_ms(shots: Sequence[Shot], text_of: Callable[[Shot], str]) -> int | None:
    """When the first of `shots` ended that tells, with all after it, what the newest tells and the one before did not.

    None where that one is not among them, or told nothing.
    """
    newest = text_of(shots[0])
    for later, shot in pairwise(shots):
        text = text_of(shot)
        if text != newest:
            return later.ended_ms if newest and text else None
    return None


def _part_energy_kwh(shot: Shot) -> float | None:
    energy = shot.parameters.get(ENERGY, math.nan)
    return energy / shot.cavities if shot.cavities is not None and math.isfinite(energy) else None


def _job(row: StoredShot) -> tuple[str, str]:
    return row.scored.shot.job_name, row.scored.shot.mould_id


def _known(rows: Sequence[StoredShot], name: str) -> list[float]:
    values = (row.scored.shot.parameters.get(name, math.nan) for row in rows)
    return [value for value in values if math.isfinite(value)]
