"""What is normal for one press and mould, value by value; learnt robustly, and compared with other normals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.shot import FloatArray
from models.features.resample import INTERVAL_S
from models.features.schema import VALUES, FeatureSpec

Wide = npt.NDArray[np.float64]
Z_MAX: Final = 50.0
"""z is held here: what is fifty deviations away is no stranger for being a thousand away."""
SCALE_SHARE_MIN: Final = 1e-4
"""A value that hardly moves while it is learnt gets this share of its size as its scale."""
LARGEST_SHARE_MIN: Final = 1.0
"""The largest residual of a healthy shot is noise: it may as well be as large with the other sign ..."""
LARGEST_TIME_SCALE_MIN_S: Final = 1.0
"""... and elsewhere."""
KNOWN_SHARE_MIN: Final = 0.5
"""A value that more shots lack is not followed."""
ODD_LEVEL_Z, ODD_SCALE_RATIO = 6.0, 2.5
"""A normal so far from another one, or so much wider, is worth a note."""
RIPEN_RATIO_MAX, RIPEN_Z_MAX = 8.0, 8.0
"""A value that spreads so much more over the day than over the first shots, or has moved so far, keeps its first
normal."""
RESTLESS_RATIO, RESTLESS_SHARE = 1.5, 1 / 3
"""So many values whose first and last third are so many scales apart, and the press has not settled."""
TRIMMED_SHARE, TRIMMED_TO_SIGMA = 0.9, 1.522
"""The mean of the smaller 90 % of distances from the centre, to the standard deviation of a normal distribution."""


def _scale_min(spec: FeatureSpec) -> float:
    """Times on a curve come in steps of its grid."""
    if spec.name.endswith(".LargestResidualTime"):
        return LARGEST_TIME_SCALE_MIN_S
    return INTERVAL_S / 2 if "." in spec.name and spec.unit == "s" else 0.0


_SCALE_MIN: Final = np.array([_scale_min(spec) for spec in VALUES])
_SHARE_MIN: Final = np.array(
    [LARGEST_SHARE_MIN if spec.name.endswith(".LargestResidual") else SCALE_SHARE_MIN for spec in VALUES]
)


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """Centre and scale of each of `VALUES`, (V,); NaN for a value that is not followed.

    `typical_sd` is what the standard deviation of about 20 shots in a row usually is, in scales.
    """

    centre: Wide
    scale: Wide
    typical_sd: Wide

    def z(self, values: npt.NDArray[np.floating]) -> Wide:
        """How far values (n, V) are from the centre, in scales, held at Z_MAX."""
        found: Wide = values - self.centre
        found /= self.scale
        return np.clip(found, -Z_MAX, Z_MAX, out=found)


@dataclass(frozen=True, slots=True)
class Note:
    """Something that an engineer should know of a baseline.

    Kinds: `level_odd` and `scale_odd` (unlike the same mould on other presses), `changed` (unlike this press before
    maintenance), `restless` (learnt although the press had not settled), `moved` (the first day spread beyond reason;
    those values keep their first normal), `set_points` (a step of these makes the level be found anew), `recentred` (it
    was found far away).
    """

    at_ms: int
    kind: str
    values: tuple[str, ...] = ()
    """The worst of them, worst first."""


@dataclass(frozen=True, slots=True, eq=False)
class MouldNormal:
    """What baselines of one mould usually look like, over presses: their centres and scales, each (V,)."""

    centre: Wide
    spread: Wide
    """Of the centres, from press to press."""
    scale: Wide
    """That a press usually has."""


def robust(rows: FloatArray) -> tuple[Wide, Wide]:
    """Centre and scale of each column, (V,) both: median and 1.4826 times the median absolute deviation.

    Where more than half of the readings are the same number, the scale comes from the mean distance of the nearer
    90 %. A column that is constant and zero has no scale, hence no z.
    """
    wide = np.sort(rows.astype(np.float64), axis=0)  # NaN last
    known = np.isfinite(wide).sum(axis=0)
    centre = _quantile(wide, known)
    distance = np.sort(np.abs(rows - centre), axis=0)
    scale = 1.4826 * _quantile(distance, known)
    inner = np.arange(len(rows))[:, None] < np.ceil(TRIMMED_SHARE * known)
    trimmed = np.where(inner, distance, 0.0).sum(axis=0) / np.maximum(inner.sum(axis=0), 1)
    scale = np.where(scale > 0, scale, TRIMMED_TO_SIGMA * trimmed)
    scale = np.maximum(scale, np.fmax(_SHARE_MIN * np.abs(centre), _SCALE_MIN))
    is_followed = (known >= KNOWN_SHARE_MIN * len(rows)) & (scale > 0)
    return np.where(is_followed, centre, np.nan), np.where(is_followed, scale, np.nan)


def mould_normal(normals: Sequence[Normal]) -> MouldNormal:
    """What these baselines of one mould have in common."""
    centres = np.stack([normal.centre for normal in normals])
    scales = np.stack([normal.scale for normal in normals])
    centre, spread = robust(centres.astype(np.float32))
    _, known = np.sort(scales, axis=0), np.isfinite(scales).sum(axis=0)
    scale = _quantile(np.sort(scales, axis=0), known)
    return MouldNormal(centre, np.fmax(spread, scale), scale)


def restless_names(rows: FloatArray, scale: Wide) -> tuple[str, ...]:
    """The values that moved most while they were learnt; empty when no more did than in production."""
    third = len(rows) // 3
    apart = np.abs(robust(rows[:third])[0] - robust(rows[-third:])[0]) / scale
    is_moving = apart > RESTLESS_RATIO
    followed = int(np.isfinite(apart).sum())
    return names_of(is_moving, apart) if is_moving.sum() > RESTLESS_SHARE * followed else ()


def compared(at_ms: int, normal: Normal, before: Normal | None, mould: MouldNormal | None) -> list[Note]:
    """What is odd about a new normal beside that before maintenance and that of other presses with the mould."""
    found = []
    if before is not None:
        moved = np.abs(normal.centre - before.centre) / np.fmax(before.scale, normal.scale)
        found.append(Note(at_ms, "changed", names_of(moved > ODD_LEVEL_Z, moved)))
    if mould is not None:
        moved = np.abs(normal.centre - mould.centre) / np.fmax(mould.spread, normal.scale)
        found.append(Note(at_ms, "level_odd", names_of(moved > ODD_LEVEL_Z, moved)))
        wider = normal.scale / mould.scale
        found.append(Note(at_ms, "scale_odd", names_of(wider > ODD_SCALE_RATIO, wider)))
    return [note for note in found if note.values]


def ripened(first: Normal, rows: FloatArray) -> tuple[Normal, tuple[str, ...]]:
    """The normal that a day's rows (n, V) give, and the values that keep their first one because they went too far."""
    centre, scale = robust(rows)
    scale = np.maximum(scale, first.scale / 2)
    ratio, moved = scale / first.scale, np.abs(centre - first.centre) / first.scale
    is_refused = (ratio > RIPEN_RATIO_MAX) | (moved > RIPEN_Z_MAX)
    is_new = np.isnan(first.scale)
    is_kept = is_refused | (np.isnan(scale) & ~is_new)
    centre, scale = np.where(is_new, robust(rows)[0], centre), np.where(is_new, robust(rows)[1], scale)
    typical = np.where(is_new | is_kept, first.typical_sd, first.typical_sd / ratio)
    after = Normal(np.where(is_kept, first.centre, centre), np.where(is_kept, first.scale, scale), typical)
    return after, names_of(is_refused, np.fmax(ratio, moved))


def names_of(is_meant: npt.NDArray[np.bool_], size: Wide, *, names_max: int = 5) -> tuple[str, ...]:
    """The values that are meant, the largest first."""
    order = np.argsort(-np.where(is_meant, size, -np.inf), kind="stable")[:names_max]
    return tuple(VALUES[place].name for place in order if is_meant[place])


def _quantile(ordered: Wide, known: npt.NDArray[np.intp]) -> Wide:
    """The median of the known ones, which stand first; NaN of none."""
    low, high = np.maximum(known - 1, 0) // 2, known // 2
    pair = np.take_along_axis(ordered, np.stack([low, np.minimum(high, len(ordered) - 1)]), axis=0)
    return np.asarray(np.where(known > 0, pair.mean(axis=0), np.nan))
