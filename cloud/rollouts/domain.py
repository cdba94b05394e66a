"""The rules of a bundle's life: who scores what in which stage, and when a trial ends. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from uuid import UUID

from contract.model_orders import Assignment, Bounds, Figures, PressReport, Report
from kit.errors import ZhisanError
from models.registry import guards

BundleState = Literal["candidate", "shadow", "canary", "champion", "retired"]
Stage = Literal["shadow", "canary", "champion"]
STAGES: Final[tuple[Stage, ...]] = ("shadow", "canary", "champion")
Outcome = Literal["running", "promoted", "rolled_back", "stopped"]
Verdict = Literal["true", "false", "maintenance_done"]
WHY_CHARACTERS_MAX: Final = 500
CANARIES_MAX: Final = 200

PressKey = tuple[str, str]
"""Plant and press."""


class RolloutError(ZhisanError):
    """What was asked does not fit the state that bundles and trials are in: 409."""


class BundleRefusedError(ZhisanError):
    """An upload that is no bundle which may run; the message says why: 422."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A trial: `bundle_id` is to take the place of `previous_id` (None: of each gateway's own bundle)."""

    rollout_id: UUID
    bundle_id: str
    previous_id: str | None
    stage: Stage
    canaries: frozenset[PressKey] = frozenset()
    bounds: Bounds = field(default_factory=Bounds)
    is_automatic: bool = False
    stage_shots: int = 200
    """Shots of the new bundle in a stage after which an automatic trial goes on."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What the reports say of a plan's present stage: the new bundle's figures and those beside it, by press."""

    new: Mapping[PressKey, Figures] = field(default_factory=dict)
    beside: Mapping[PressKey, Figures] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()
    """What is out of bounds, in words; the trial ends when there is anything."""


def assignments(plan: Plan | None, champion_id: str | None, plant_id: str) -> tuple[Assignment, dict[str, Assignment]]:
    """What scores the presses of a plant: by default, and on single presses.

    In the shadow stage the new bundle runs beside everywhere; in the canary stage it scores some presses, and what it
    is to replace runs beside it there, so that both see the same shots; in the champion stage so everywhere.
    """
    if plan is None:
        return Assignment(champion=champion_id), {}
    tried = Assignment(champion=plan.bundle_id, shadow=plan.previous_id, is_guarded=True)
    watched = Assignment(champion=plan.previous_id, shadow=plan.bundle_id)
    if plan.stage == "champion":
        return tried, {}
    canaries = sorted(press_id for plant, press_id in plan.canaries if plant == plant_id)
    return watched, dict.fromkeys(canaries, tried) if plan.stage == "canary" else {}


def trial_of(plan: Plan, reports: Iterable[tuple[str, str, Report]]) -> Trial:
    """Judge the stage by what (plant, gateway, report) say; each must be of the order that is in force."""
    new: dict[PressKey, Figures] = {}
    beside: dict[PressKey, Figures] = {}
    wrong: list[str] = []
    for plant_id, gateway_id, report in reports:
        told = report.bundles.get(plan.bundle_id)
        if told is not None and told.state == "refused":
            wrong.append(f"gateway {plant_id}/{gateway_id} refuses it: {told.reason}")
        for press_id, press in report.presses.items():
            wrong += _judge_press(plan, (plant_id, press_id), press, new, beside)
    return Trial(new, beside, tuple(wrong))


def _judge_press(
    plan: Plan,
    key: PressKey,
    press: PressReport,
    new: dict[PressKey, Figures],
    beside: dict[PressKey, Figures],
) -> list[str]:
    where = f"press {key[0]}/{key[1]}"
    if press.taken_back == plan.bundle_id:
        return [f"{where}: its gateway took it back: {press.taken_back_why}"]
    is_tried = plan.stage == "champion" or (plan.stage == "canary" and key in plan.canaries)
    if plan.stage == "canary" and not is_tried:
        return []
    figures = press.figures.get(plan.bundle_id)
    if figures is None:
        return []
    other = press.figures.get(press.shadow if press.champion == plan.bundle_id else press.champion)
    new[key] = figures
    if other is not None:
        beside[key] = other
    return [f"{where}: {what}" for what in guards.breaches(figures, other, plan.bounds)]


def next_stage(stage: Stage) -> Stage | None:
    """The stage behind this one; None behind the last, where the trial is won."""
    position = STAGES.index(stage) + 1
    return STAGES[position] if position < len(STAGES) else None


def may_go_on(plan: Plan, trial: Trial) -> bool:
    """Whether an automatic trial has seen enough of this stage, and nothing wrong."""
    shots = sum(figures.shots for figures in trial.new.values())
    return plan.is_automatic and not trial.wrong and shots >= plan.stage_shots


def chosen_canaries(asked: Sequence[PressKey], presses: Sequence[PressKey], *, share: float = 0.1) -> list[PressKey]:
    """The canary presses: those asked for, else a tenth of all, one at least, spread over the list.

    Raises:
        RolloutError: there is no press, or one that was asked for is unknown.
    """
    known = set(presses)
    if unknown := sorted(set(asked) - known):
        raise RolloutError(f"press {unknown[0][0]}/{unknown[0][1]} is not known here")
    if asked:
        return sorted(set(asked))[:CANARIES_MAX]
    if not presses:
        raise RolloutError("there is no press yet to try a bundle on")
    count = min(CANARIES_MAX, max(1, round(share * len(presses))))
    return sorted(presses)[:: max(1, len(presses) // count)][:count]
