"""What the page of drift shows: of each press, what its standing champion sees move or stay away, worst first. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, Literal

from cloud.rollouts.shapes import GatewayModelsOut
from contract.model_orders import Figures, PressReport
from models.runtime.drift import SHOTS_TO_JUDGE

State = Literal["moved", "few", "waiting", "unknown", "no_model", "normal"]
STATES: Final[tuple[State, ...]] = ("moved", "few", "waiting", "unknown", "no_model", "normal")
"""What wants a look comes first. `unknown`: the bundle does not tell what it was trained on with the mould."""
CHANCE_SHARE: Final = 0.15
"""So many features are beyond what is usual on healthy presses: it is known from few windows of each."""
EXCESS_MAX: Final = 5.0
"""One feature so many times beyond what is usual wants a look by itself: a channel that froze."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What has moved and since when: by a feature's PSI, a score's times of its usual level; None: it is missing."""

    name: str
    index: float | None
    since_ms: int | None


@dataclass(frozen=True, slots=True)
class PressDrift:
    """One press under the bundle that scores it."""

    plant_id: str
    press_id: str
    champion: str
    mould_id: str
    state: State
    shots: int
    features: tuple[Moved, ...]
    missing: tuple[Moved, ...]
    scores: tuple[Moved, ...]
    watches_scores: bool
    reported_ms: int | None

    @property
    def shots_needed(self) -> int:
        """From so many shots on something is told."""
        return SHOTS_TO_JUDGE


def drift_rows(gateways: Iterable[GatewayModelsOut]) -> list[PressDrift]:
    """Every press of the gateways' reports."""
    found = [
        press_drift(gateway.plant_id, press_id, PressReport.model_validate(told), gateway.reported_ms)
        for gateway in gateways
        for press_id, told in gateway.presses.items()
    ]
    return sorted(found, key=_rank)


def press_drift(plant_id: str, press_id: str, report: PressReport, reported_ms: int | None) -> PressDrift:
    """One press by its gateway's last report."""
    figures = report.figures.get(report.champion, Figures())
    since = figures.since_ms
    features, scores = (
        tuple(Moved(name, index, since.get(name)) for name, index in worst_first(moved.items()))
        for moved, worst_first in ((figures.drifted, _greatest_first), (figures.scores_moved, _furthest_first))
    )
    missing = tuple(Moved(name, None, since.get(name)) for name in figures.missing)
    return PressDrift(
        plant_id,
        press_id,
        report.champion,
        figures.mould_id,
        _state(report, figures),
        figures.watched_shots,
        features,
        missing,
        scores,
        watches_scores=figures.scores_watched > 0,
        reported_ms=reported_ms,
    )


def _state(report: PressReport, figures: Figures) -> State:
    is_many = figures.drifted_share > CHANCE_SHARE or figures.drift_excess >= EXCESS_MAX
    if figures.missing or is_many or figures.scores_moved:
        return "moved"
    if figures.drifted:
        return "few"
    if not report.champion:
        return "no_model"
    if not figures.watched:
        return "unknown" if figures.mould_id or figures.shots else "waiting"
    return "waiting" if figures.watched_shots < SHOTS_TO_JUDGE else "normal"


def _greatest_first(items: Iterable[tuple[str, float]]) -> Sequence[tuple[str, float]]:
    return sorted(items, key=lambda item: (-item[1], item[0]))


def _furthest_first(items: Iterable[tuple[str, float]]) -> Sequence[tuple[str, float]]:
    """A score at half of its usual level is as far from it as one at twice."""
    return sorted(items, key=lambda item: (-max(item[1], 1 / item[1]) if item[1] > 0 else -inf, item[0]))


def _rank(press: PressDrift) -> tuple[int, int, int, float, str, str]:
    worst = max((each.index or 0.0 for each in press.features), default=0.0)
    return STATES.index(press.state), -len(press.missing), -len(press.scores), -worst, press.plant_id, press.press_id
