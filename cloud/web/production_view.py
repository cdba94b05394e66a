"""What a press is producing, by its own words: job, mould, counter, cycle and energy of the shots of this job. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import median

from cloud.telemetry.store import CYCLE_TIME, StoredShot

ENERGY = "EnergyPerCycle"


@dataclass(frozen=True, slots=True)
class ProductionSet:
    """The production data of the newest shot, and of the shots before it with the same job and mould.

    `is_open`: the job is longer than what was looked at. Energy is None where the press does not send it.
    """

    job_name: str
    mould_id: str
    cycle_counter: int | None
    shots: int
    since_ms: int
    is_open: bool
    cycle_s: float | None
    energy_kwh: float | None
    usual_energy_kwh: float | None


def production_of(rows: Sequence[StoredShot]) -> ProductionSet | None:
    """Of the newest of `rows`, in any order; None without shots."""
    ordered = sorted(rows, key=lambda row: (row.scored.shot.ended_ms, row.row_id), reverse=True)
    if not ordered:
        return None
    shot = ordered[0].scored.shot
    own = list(takewhile(lambda row: _job(row) == _job(ordered[0]), ordered))
    energies = _known(own, ENERGY)
    cycles = _known(own, CYCLE_TIME)
    latest = shot.parameters.get(ENERGY, math.nan)
    return ProductionSet(
        shot.job_name,
        shot.mould_id,
        shot.cycle_counter,
        len(own),
        own[-1].scored.shot.ended_ms,
        len(own) == len(ordered),
        median(cycles) if cycles else None,
        latest if math.isfinite(latest) else None,
        median(energies) if energies else None,
    )


def _job(row: StoredShot) -> tuple[str, str]:
    return row.scored.shot.job_name, row.scored.shot.mould_id


def _known(rows: Sequence[StoredShot], name: str) -> list[float]:
    values = (row.scored.shot.parameters.get(name, math.nan) for row in rows)
    return [value for value in values if math.isfinite(value)]
