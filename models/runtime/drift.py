"""Are the shots of a press still like those that a bundle was trained on? numpy only: training and gateway share it.

Training leaves, by mould and feature, the deciles of a press's values around that press's own median, and how often
each feature was missing. A press's first shots give its median; its later ones, in a sliding window, are counted into
the same tenths. The population stability index (PSI) sums (p - q) ln(p / q) over the tenths: below 0.1 nothing has
moved, above 0.25 something has. Levels differ from press to press and are no drift; what moves on one press is.

The slow wander of a healthy press moves features as well. Where training had long runs of a press, it leaves what is
usual: a feature has drifted when its PSI is beyond that. Apart from it, a feature is strange when most of its values
lie beyond all that training has seen: that holds without long runs, and is what a trial is judged by.

Scores are watched by their level instead: `models.runtime.score_level`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.runtime.score_level import SCORES_MAX, ScoreSummary

TENTHS: Final = 10
REFERENCE_SHOTS: Final = 50
WINDOW_SHOTS: Final = 200
JUDGED_FROM_SHOTS: Final = 100
SHOTS_TO_JUDGE: Final = REFERENCE_SHOTS + JUDGED_FROM_SHOTS
"""So many shots with a mould until anything is told."""
PSI_MOVED: Final = 0.25
SHARE_MIN: Final = 1e-3
"""An empty tenth counts as this share: its logarithm is to be finite."""
USUAL_SHARE, USUAL_RUNS_MAX, USUAL_WINDOWS_MAX = 0.99, 40, 5
"""What is usual is this quantile of the PSI over so many windows of so many presses."""
SEEN_SHARE: Final = 0.005
STRANGE_MOST: Final = 0.5
"""A feature is strange when so much of the window lies beyond the range that left SEEN_SHARE on each side."""
MISSING_MOST: Final = 0.5
ROWS_MIN: Final = 20
"""A mould with fewer rows has no summary."""

_NOT_LOW, _HIGH, _NUMBER, _ENDLESS = 16, 32, 64, 128
_WEIGHTS: Final = np.array([1] * (TENTHS - 1) + [_NOT_LOW, _HIGH, _NUMBER, _ENDLESS], np.uint8)
"""A shot's value is one byte in the window: its tenth, and these bits."""
Share = Annotated[float, Field(ge=0, le=1)]


class FeatureSummary(BaseModel):
    """One feature in training, around the median of its press."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    edges: tuple[float, ...] = Field(min_length=TENTHS - 1, max_length=TENTHS - 1, description="Between the tenths.")
    shares: tuple[Share, ...] = Field(
        min_length=TENTHS, max_length=TENTHS, description="In each; ties make them uneven."
    )
    missing: Share = Field(description="Share of rows without it.")
    low: float = Field(description="Hardly any row of any press was below.")
    high: float = Field(description="Hardly any row of any press was above.")
    usual: float | None = Field(
        None, ge=0, description="PSI that healthy presses reach by themselves; null: not known."
    )


class TrainingSummary(BaseModel):
    """What a bundle was trained on, of one mould."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(ge=ROWS_MIN)
    features: dict[str, FeatureSummary]
    scores: dict[str, ScoreSummary] = Field(
        default_factory=dict,
        max_length=SCORES_MAX,
        description="Levels of the scores that the heads give; none where healthy days were too few.",
    )

    @model_validator(mode="after")
    def _edges_rise(self) -> "TrainingSummary":
        for name, feature in self.features.items():
            if list(feature.edges) != sorted(feature.edges):
                raise ValueError(f"the edges of {name} do not rise")
        return self


def summarise(
    vectors: npt.NDArray[np.floating[Any]], moulds: Sequence[str], presses: Sequence[str], names: Sequence[str]
) -> dict[str, TrainingSummary]:
    """The summaries by mould of healthy training rows (n, F), columns in the order of `names`, each press's in time."""
    mould_of, press_of = np.asarray(moulds), np.asarray(presses)
    found: dict[str, TrainingSummary] = {}
    for mould_id in np.unique(mould_of).tolist():
        chosen = mould_of == mould_id
        if chosen.sum() >= ROWS_MIN:
            rows, own = vectors[chosen].astype(np.float64), press_of[chosen]
            found[mould_id] = _with_usual(_summary(rows, own, names), rows, own, names)
    return found


def _with_usual(
    summary: TrainingSummary, rows: npt.NDArray[np.float64], presses: npt.NDArray[np.str_], names: Sequence[str]
) -> TrainingSummary:
    """The summary with the PSI that its own long runs reach; as it is when no press ran long enough."""
    columns = {name: place for place, name in enumerate(names)}
    reached: dict[str, list[float]] = {name: [] for name in summary.features}
    ids, counts = np.unique(presses, return_counts=True)
    for press_id in ids[counts >= REFERENCE_SHOTS + WINDOW_SHOTS][:USUAL_RUNS_MAX]:
        watch = DriftWatch(summary.features, columns)
        run = rows[presses == press_id][: REFERENCE_SHOTS + USUAL_WINDOWS_MAX * WINDOW_SHOTS]
        for number, row in enumerate(run, 1):
            watch.take(row)
            if number > REFERENCE_SHOTS and (number - REFERENCE_SHOTS) % WINDOW_SHOTS == 0:
                for name, psi in watch.indices().items():
                    reached[name].append(psi)
    features = {
        name: feature.model_copy(update={"usual": round(float(np.quantile(reached[name], USUAL_SHARE)), 4)})
        if reached[name]
        else feature
        for name, feature in summary.features.items()
    }
    return TrainingSummary(rows=summary.rows, features=features)


def _summary(rows: npt.NDArray[np.float64], presses: npt.NDArray[np.str_], names: Sequence[str]) -> TrainingSummary:
    centred = rows.copy()
    for press_id in np.unique(presses):
        own = presses == press_id
        centred[own] -= _median(rows[own])
    features = {}
    for name, column, raw in zip(names, centred.T, rows.T, strict=True):
        values = column[np.isfinite(column)]
        if len(values) < ROWS_MIN:
            continue
        edges = np.quantile(values, np.arange(1, TENTHS) / TENTHS)
        low, high = np.quantile(raw[np.isfinite(raw)], [SEEN_SHARE, 1 - SEEN_SHARE])
        shares = np.bincount(np.searchsorted(edges, values, side="left"), minlength=TENTHS) / len(values)
        features[name] = FeatureSummary(
            edges=tuple(float(f"{edge:.6g}") for edge in edges),
            shares=tuple(round(float(share), 4) for share in shares),
            missing=round(float(1 - len(values) / len(column)), 4),
            low=float(f"{low:.6g}"),
            high=float(f"{high:.6g}"),
        )
    return TrainingSummary(rows=len(rows), features=features)


def _median(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """By column, over what is there; 0 where nothing is."""
    known = np.isfinite(rows).any(axis=0)
    middle = np.zeros(rows.shape[1])
    middle[known] = np.nanmedian(np.where(np.isfinite(rows[:, known]), rows[:, known], np.nan), axis=0)
    return middle


class DriftWatch:
    """What one press shows with one mould against a summary; 50 + 200 shots of memory at most."""

    def __init__(self, summaries: Mapping[str, FeatureSummary], columns: Mapping[str, int]) -> None:
        names = [name for name in summaries if name in columns]
        features = [summaries[name] for name in names]
        self._names = names
        self._columns = np.array([columns[name] for name in names], np.intp)
        self._edges = np.array([feature.edges for feature in features]).reshape(len(names), TENTHS - 1)
        shares = np.array([feature.shares for feature in features]).reshape(len(names), TENTHS)
        self._expected = np.maximum(shares, SHARE_MIN)
        self._expected_missing = np.array([feature.missing for feature in features])
        self._low, self._high = (np.array([getattr(f, side) for f in features]) for side in ("low", "high"))
        self._limits = {
            name: max(PSI_MOVED, feature.usual or 0.0) for name, feature in zip(names, features, strict=True)
        }
        self._first: list[npt.NDArray[np.float64]] = []
        self._marks: npt.NDArray[np.float64] | None = None
        self._has_centre: npt.NDArray[np.bool_] = np.zeros(len(names), np.bool_)
        self._window = np.zeros((WINDOW_SHOTS, len(names)), np.uint8)
        self._seen = 0

    def take(self, vector: npt.NDArray[np.floating[Any]]) -> None:
        """One shot's values."""
        values = vector.take(self._columns).astype(np.float64)
        if self._marks is None:
            self._first.append(values)
            if len(self._first) == REFERENCE_SHOTS:
                self._begin(np.stack(self._first))
                self._first.clear()
            return
        over = (values > self._marks).view(np.uint8)
        self._window[self._seen % WINDOW_SHOTS] = _WEIGHTS @ over
        self._seen += 1

    def _begin(self, first: npt.NDArray[np.float64]) -> None:
        """The levels that a value is told by: between the tenths around the press's own median, and what was seen."""
        self._has_centre = np.logical_or.reduce(np.isfinite(first), axis=0)
        ends = np.full((2, len(self._names)), [[-np.inf], [np.finfo(np.float64).max]])
        seen = [np.nextafter(self._low, -np.inf), self._high]
        self._marks = np.concatenate([(_median(first)[:, None] + self._edges).T, seen, ends])

    def indices(self) -> dict[str, float]:
        """PSI by name over the window; empty until JUDGED_FROM_SHOTS are in it.

        None of what is missing, or was missing in all of the first shots.
        """
        if self._seen < JUDGED_FROM_SHOTS:
            return {}
        known = self._known()
        tenths = np.where(known, self._codes() & (_NOT_LOW - 1), TENTHS)
        counts = (tenths[:, :, None] == np.arange(TENTHS)).sum(axis=0)
        shots = counts.sum(axis=1)
        shares = np.maximum(counts / np.maximum(shots, 1)[:, None], SHARE_MIN)
        found = ((shares - self._expected) * np.log(shares / self._expected)).sum(axis=1)
        return {
            name: float(psi)
            for name, psi, count, has_centre in zip(self._names, found, shots, self._has_centre, strict=True)
            if count >= JUDGED_FROM_SHOTS // 2 and has_centre
        }

    def drifted(self, indices: Mapping[str, float]) -> list[str]:
        """Those of `indices` that are beyond what is usual, worst first."""
        beyond = [name for name, psi in indices.items() if psi > self._limits[name]]
        return sorted(beyond, key=lambda name: -indices[name])

    def excess(self, indices: Mapping[str, float]) -> float:
        """How many times as far as is usual the one that is furthest beyond it has moved; 0 without any."""
        return max((psi / self._limits[name] for name, psi in indices.items()), default=0.0)

    def strange(self) -> list[str]:
        """Those of which most of the window lies beyond all that training has seen."""
        if self._seen < JUDGED_FROM_SHOTS:
            return []
        is_seen = (self._codes() & (_NOT_LOW | _HIGH)) == _NOT_LOW
        beyond = (self._known() & ~is_seen).mean(axis=0) > STRANGE_MOST
        return [name for name, is_strange in zip(self._names, beyond, strict=True) if is_strange]

    @property
    def features(self) -> int:
        """How many values of a shot are watched."""
        return len(self._names)

    @property
    def shots(self) -> int:
        """How many of SHOTS_TO_JUDGE it has, and how many after that."""
        return self._seen + (REFERENCE_SHOTS if self._marks is not None else len(self._first))

    def missing(self) -> list[str]:
        """What most of the training rows had and most shots of the window have not."""
        if self._seen < JUDGED_FROM_SHOTS:
            return []
        lost = ((~self._known()).mean(axis=0) > MISSING_MOST) & (self._expected_missing < MISSING_MOST)
        return [name for name, is_lost in zip(self._names, lost, strict=True) if is_lost]

    def _codes(self) -> npt.NDArray[np.uint8]:
        return self._window[: min(self._seen, WINDOW_SHOTS)]

    def _known(self) -> npt.NDArray[np.bool_]:
        known: npt.NDArray[np.bool_] = (self._codes() & (_NUMBER | _ENDLESS)) == _NUMBER
        return known
