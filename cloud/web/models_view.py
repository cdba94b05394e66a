"""What the pages of bundles show: model cards as bars and strips, guard figures as a chart. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cloud.rollouts.domain import Verdict
from cloud.rollouts.shapes import RolloutDetailOut
from cloud.web.charts import Chart, Limit, Panel, Value, chart_of, line_of, panel_of, styled
from cloud.web.translation import Catalogue
from contract.model_orders import Figures
from contract.vocabulary import FAILURE_MODES

VERDICTS: Final[Mapping[str, Verdict]] = {
    "true": "true",
    "false": "false",
    "maintenance_done": "maintenance_done",
}
STRIP_WIDTH: Final = 100.0
AXIS: Final = 100.0
COUNTED: Final = (("over", "over"), ("silent", "silent"), ("errors", "errors"))


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure; `share` is how long its bar is, None where it is no share of one.

    `mode` is the failure mode that it is of, empty where it is of all.
    """

    mode: str
    name: str
    value: float
    share: float | None


@dataclass(frozen=True, slots=True)
class Dot:
    """A bin of the reliability plot: what was said, what came, both as shares, and where it lies, 0 to 100."""

    rows: int
    said: float
    came: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """The bins of one output; `mode` is empty for all modes together."""

    mode: str
    within: str
    dots: tuple[Dot, ...]

    @property
    def line(self) -> str:
        """The points of an SVG polyline."""
        return " ".join(f"{dot.x},{dot.y}" for dot in self.dots)


@dataclass(frozen=True, slots=True)
class Strip:
    """The deciles of a feature around a press's median, as places on a strip of width 100."""

    name: str
    low: float
    high: float
    places: tuple[float, ...]


def card_view(card: Mapping[str, Any]) -> dict[str, Any]:
    """A model card with its plots."""
    heads = [
        {
            "abstain_above": None,
            **head,
            "metrics": [_metric(*item) for item in head["metrics"].items()],
            "reliability": [_reliability(*item) for item in head.get("reliability", {}).items()],
        }
        for head in card["heads"]
    ]
    training = {
        mould_id: {"rows": told["rows"], "strips": [_strip(*item) for item in told["deciles"].items()]}
        for mould_id, told in card["training"].items()
    }
    return {**card, "heads": heads, "training": training}


def _metric(name: str, value: float) -> Metric:
    mode, _, measure = name.partition(".")
    share = value if 0 <= value <= 1 else None
    return Metric(mode, measure, value, share) if mode in FAILURE_MODES else Metric("", name, value, share)


def _reliability(name: str, bins: Sequence[tuple[int, float, float]]) -> Reliability:
    """Both axes by the root: failures are rare, and what matters lies near nought."""
    mode, _, within = name.partition("@")
    dots = [
        Dot(rows, said, came, round(AXIS * said**0.5, 1), round(AXIS - AXIS * came**0.5, 1))
        for rows, said, came in bins
    ]
    return Reliability("" if mode == "all" else mode, within, tuple(dots))


def _strip(name: str, edges: list[float]) -> Strip:
    low, high = edges[0], edges[-1]
    span = max(high - low, 1e-12)
    return Strip(name, low, high, tuple(round(STRIP_WIDTH * (edge - low) / span, 2) for edge in edges))


def press_rows(trial: RolloutDetailOut) -> list[dict[str, Any]]:
    """Each press of a trial with the shares of its shots, the new bundle's and those beside it."""
    return [
        {
            "plant_id": press.plant_id,
            "press_id": press.press_id,
            "new": _shares(press.new),
            "beside": _shares(press.beside) if press.beside is not None else None,
        }
        for press in trial.presses
    ]


def _shares(figures: Figures) -> dict[str, Any]:
    shots = max(figures.shots, 1)
    shares = {name: getattr(figures, field) / shots for name, field in COUNTED}
    return {**figures.model_dump(), **{f"{name}_share": share for name, share in shares.items()}}


def guards_chart(t: Catalogue, trial: RolloutDetailOut) -> Chart:
    """Shares and latency over the time of a trial; no panel before its first figures."""
    points, bounds = trial.points, trial.bounds
    times = [point.at_ms / 1000 for point in points]
    panels: list[Panel] = []
    if points:
        shares = [
            line_of(
                f"{t(f'models.figures.{name}')} · {t(f'models.{who}')}",
                "%",
                [_percent(getattr(p, who), field) for p in points],
            )
            for name, field in COUNTED[:2]
            for who in ("new", "beside")
        ]
        latency: Limit = {"label": t("models.bound"), "unit": "ms", "value": bounds.latency_p99_ms_max}
        latencies = [
            line_of(t(f"models.{who}"), "ms", [getattr(p, who).latency_p99_ms for p in points])
            for who in ("new", "beside")
        ]
        drift: Limit = {"label": t("models.bound"), "unit": "%", "value": 100 * bounds.strange_share_max}
        drifts = [
            line_of(t("models.figures.strange"), "%", [100 * p.new.strange_share for p in points]),
            line_of(t("models.figures.drift"), "%", [100 * p.new.drifted_share for p in points]),
            line_of(t("models.figures.scores"), "%", [100 * p.new.scores_drifted_share for p in points]),
        ]
        panels = [
            panel_of(t("models.panel.shares"), styled(shares), extent=(0.0, 100.0)),
            panel_of(t("models.panel.latency"), styled(latencies), limits=[latency]),
            panel_of(t("models.panel.drift"), styled(drifts), limits=[drift], extent=(0.0, 100.0)),
        ]
    version = f"{len(points)}-{points[-1].at_ms}" if points else "none"
    return chart_of(version, t("models.when"), times, panels, is_time=True)


def _percent(figures: Figures, field: str) -> Value:
    return 100 * float(getattr(figures, field)) / figures.shots if figures.shots else None
