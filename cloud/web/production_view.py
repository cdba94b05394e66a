"""What a press is producing, by its own words: job, mould, material, set points, cycle and energy. Pure."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, pairwise, takewhile
from statistics import median
from typing import Final

from cloud.telemetry.store import CYCLE_TIME, StoredChange, StoredShot, change_between
from cloud.web.happenings import Happening, happenings_of
from contract.shot import Shot
from contract.vocabulary import SET_POINTS

ENERGY = "EnergyPerCycle"
CHANGES_SHOWN: Final = 6

TOLD: Final[dict[str, Callable[[Shot], str]]] = {
    "dataset": lambda shot: shot.dataset.name,
    "dataset_description": lambda shot: shot.dataset.description,
    "job": lambda shot: shot.job_name,
    "product": lambda shot: shot.product_name,
    "mould": lambda shot: shot.mould_id,
    "mould_description": lambda shot: shot.dataset.mould_description,
    "material": lambda shot: shot.material,
    "cavities": lambda shot: "" if shot.cavities is None else str(shot.cavities),
}
"""What is shown of a shot's production dataset, in this order."""
TURNS: Final[dict[str, Callable[[StoredChange], tuple[str, str]]]] = {
    "dataset": lambda change: (change.dataset_before.name, change.dataset.name),
    "job": lambda change: (change.job_before, change.job_name),
    "mould": lambda change: (change.mould_before, change.mould_id),
    "material": lambda change: (change.material_before, change.material),
}
"""What a change says of them: before, and now."""


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the production dataset of the newest shot; `since_ms` is None where its first shot was not seen.

    It is the first shot after one that told something else: one that told nothing says of no change.
    """

    name: str
    text: str
    since_ms: int | None


@dataclass(frozen=True, slots=True)
class SetPoint:
    """What a parameter is set to, and what it was in the newest shot; None where that does not tell it.

    `since_ms` is when the first shot with this set value ended, None where it was not seen.
    """

    name: str
    value: float
    actual: float | None
    since_ms: int | None


@dataclass(frozen=True, slots=True)
class ProductionSet:
    """The production data of the newest shot, and of the shots before it with the same job and mould.

    `dataset` has those lines that the press tells, job and mould always; `changes` are what changed in it and in the
    set points, the newest first. `is_open`: the job is longer than what was looked at. Energy is None where the press
    does not send it; that of a part is the cycle's, shared among the
    cavities, and None where these are not told.
    """

    dataset: tuple[Told, ...]
    set_points: tuple[SetPoint, ...]
    changes: tuple[Happening, ...]
    cycle_counter: int | None
    shots: int
    since_ms: int
    is_open: bool
    cycle_s: float | None
    energy_kwh: float | None
    usual_energy_kwh: float | None
    part_energy_kwh: float | None
    usual_part_energy_kwh: float | None


def production_of(rows: Sequence[StoredShot], changes: Sequence[StoredChange] = ()) -> ProductionSet | None:
    """Of the newest of `rows`, in any order; None without shots.

    `changes` of the press, newest first, say what came before these rows; newer ones are seen in the rows themselves.
    """
    ordered = sorted(rows, key=lambda row: (row.scored.shot.ended_ms, row.row_id), reverse=True)
    if not ordered:
        return None
    shot = ordered[0].scored.shot
    own = list(takewhile(lambda row: _job(row) == _job(ordered[0]), ordered))
    energies = _known(own, ENERGY)
    cycles = _known(own, CYCLE_TIME)
    earlier = [change for change in changes if change.ended_ms <= ordered[-1].scored.shot.ended_ms]
    shots = [row.scored.shot for row in ordered]
    parts = [energy for row in own if (energy := _part_energy_kwh(row.scored.shot)) is not None]
    return ProductionSet(
        _dataset(shots, earlier),
        _set_points(shots, earlier),
        tuple(islice(_changes(ordered, earlier), CHANGES_SHOWN)),
        shot.cycle_counter,
        len(own),
        own[-1].scored.shot.ended_ms,
        len(own) == len(ordered),
        median(cycles) if cycles else None,
        _reading(shot, ENERGY),
        median(energies) if energies else None,
        _part_energy_kwh(shot),
        median(parts) if parts else None,
    )


def _dataset(shots: Sequence[Shot], earlier: Sequence[StoredChange]) -> tuple[Told, ...]:
    """Of the first of `shots`, which stand newest first as what came before them does."""
    lines = []
    for name, text_of in TOLD.items():
        text, turn_of = text_of(shots[0]), TURNS.get(name)
        is_as_ever = all(text_of(shot) == text for shot in shots)
        if is_as_ever and turn_of is not None:
            since_ms = _turned_ms(((change.ended_ms, *turn_of(change)) for change in earlier), text)
        else:
            since_ms = _since_ms(shots, text_of)
        lines.append(Told(name, text, since_ms))
    return tuple(line for line in lines if line.text or line.name in ("job", "mould"))


def _turned_ms(turns: Iterable[tuple[int, str, str]], text: str) -> int | None:
    """When the newest of `turns` from something that was told led to `text`."""
    for ended_ms, before, now in turns:
        if before != now:
            return ended_ms if before and now == text else None
    return None


def _set_points(shots: Sequence[Shot], earlier: Sequence[StoredChange]) -> tuple[SetPoint, ...]:
    """Of the first of `shots`, which stand newest first; in the vocabulary's order."""
    runs: list[tuple[dict[str, float], int | None]] = []
    for dataset, run in groupby(shots, key=lambda shot: shot.dataset):
        *_, first = run
        runs.append((dict(dataset.set_points), first.ended_ms))
    for change in earlier:
        if change.dataset_before.set_points != change.dataset.set_points:
            runs += [(dict(change.dataset.set_points), change.ended_ms), (dict(change.dataset_before.set_points), None)]
    told = runs[0][0]
    return tuple(
        SetPoint(name, told[name], _reading(shots[0], name), _set_since_ms(runs, name))
        for name in SET_POINTS
        if name in told
    )


def _set_since_ms(runs: Sequence[tuple[dict[str, float], int | None]], name: str) -> int | None:
    """When a set point got the value of the first of `runs`, the newest first; None where that was not seen.

    A run says what was set, and when its first shot ended, where that is known.
    """
    value = runs[0][0][name]
    for (_, first_ms), (before, _) in pairwise(runs):
        if before.get(name) != value:
            return first_ms if name in before else None
    return None


def _changes(rows: Sequence[StoredShot], earlier: Sequence[StoredChange]) -> Iterator[Happening]:
    for now, before in pairwise(rows):
        yield from happenings_of(change_between(before, now))
    for change in earlier:
        yield from happenings_of(change)


def _reading(shot: Shot, name: str) -> float | None:
    value = shot.parameters.get(name, math.nan)
    return value if math.isfinite(value) else None


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
