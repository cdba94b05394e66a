"""What a press's page shows beside its charts: quality, table of shots, one shot's values."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cloud.telemetry.store import StoredShot
from contract.vocabulary import PARAMETERS

SHOTS_SHOWN = 20
QUALITY_STRIP_SHOTS = 60
COLUMNS_MAX = 8

COLUMNS: tuple[str, ...] = (
    "CycleTime",
    "InjectionTime",
    "DosingTime",
    "CushionStroke",
    "SpecificPressureMaximum",
    "TransferSpecificPressure",
    "MeltTemperature",
    "MouldTemperature",
    "ClampForceMaximum",
    "ShotVolume",
    "HydraulicPressureMaximum",
    "ScrewTorqueAverage",
)
"""What a setter looks at first, in that order; the table takes those that the press sends."""

POOR_CLASSES = frozenset({"waste", "reject", "bad"})
"""Quality classes that are marked; any other is drawn as normal."""


@dataclass(frozen=True, slots=True)
class QualityShare:
    """One quality class among the last shots."""

    name: str
    count: int
    share: float
    is_poor: bool


@dataclass(frozen=True, slots=True)
class Quality:
    """The predicted quality of the last shots: the shares, and the newest ones one by one, oldest first."""

    shots: int
    shares: tuple[QualityShare, ...]
    strip: tuple[tuple[int, str, bool], ...]


@dataclass(frozen=True, slots=True)
class ShotTable:
    """The last shots as rows of the columns that this press sends."""

    columns: tuple[str, ...]
    rows: tuple[tuple[StoredShot, tuple[float | None, ...]], ...]


def quality_of(rows: Sequence[StoredShot], *, strip: int = QUALITY_STRIP_SHOTS) -> Quality | None:
    """The distribution over `rows` (newest first); None for a press whose shots carry no quality class."""
    judged = [(row.row_id, row.scored.scores.quality_class) for row in rows if row.scored.scores.quality_class]
    if not judged:
        return None
    counts = Counter(name for _, name in judged if name)
    shares = tuple(
        QualityShare(name, count, count / len(judged), is_poor(name))
        for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    )
    newest = tuple((row_id, name, is_poor(name)) for row_id, name in reversed(judged[:strip]) if name)
    return Quality(len(judged), shares, newest)


def shot_table(rows: Sequence[StoredShot], *, limit: int = SHOTS_SHOWN) -> ShotTable:
    """The newest `limit` rows; a parameter that a shot lacks is None."""
    shown = rows[:limit]
    columns = columns_of(row.scored.shot.parameters for row in shown)
    return ShotTable(
        columns, tuple((row, tuple(row.scored.shot.parameters.get(name) for name in columns)) for row in shown)
    )


def columns_of(parameters: Iterable[Mapping[str, float]], *, columns_max: int = COLUMNS_MAX) -> tuple[str, ...]:
    """The columns of a shot table: the usual ones that are there, then others in the vocabulary's order."""
    present = {name for values in parameters for name in values}
    ordered = [*COLUMNS, *(name for name in PARAMETERS if name not in COLUMNS), *sorted(present - PARAMETERS.keys())]
    return tuple(name for name in ordered if name in present)[:columns_max]


def parameters_of(row: StoredShot) -> tuple[tuple[str, float], ...]:
    """All parameters of one shot in the vocabulary's order, then unknown ones by name."""
    values = row.scored.shot.parameters
    order = {name: at for at, name in enumerate(PARAMETERS)}
    return tuple(sorted(values.items(), key=lambda pair: (order.get(pair[0], len(order)), pair[0])))


def is_poor(quality_class: str) -> bool:
    """Whether a quality class is marked as abnormal."""
    return quality_class.casefold() in POOR_CLASSES
