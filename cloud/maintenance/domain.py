"""What is to be done on which press by when, and when a mould is due for service. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from contract.alarming import risks
from contract.shot import Scores

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
UNDO_MS: Final = 15 * 60_000
"""So long something done can be taken back."""
REST_MS: Final = DAY_MS
"""So long after something done a press's scores make no work of the same mode: they have to settle first."""
LIFE_SOON_H: Final = 72.0
"""Remaining life alone makes work when its lower bound is nearer than this."""
HORIZON_H_MAX: Final = 8_760.0
DUE_DAYS_MAX: Final = 3_650
"""Further ahead nobody can say when a mould is due: it hardly runs."""
WINDOW_MS_MAX: Final = 31 * DAY_MS
FAILURE_PREFIX: Final = "FailureProbability/"
LIFE_LOW: Final = "RemainingLife/low"

Outcome = Literal["repaired", "confirmed", "nothing"]
"""It was there and is repaired; it was there and is not repaired yet; nothing was found."""
JobState = Literal["planned", "done", "cancelled"]
Place = tuple[str, str, str]
"""Plant, press, failure mode; the mode is empty where only remaining life has spoken."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest shot of a press, as far as it says what may fail."""

    plant_id: str
    press_id: str
    mould_id: str
    ended_ms: int
    scores: Scores


@dataclass(frozen=True, slots=True)
class OpenAlarm:
    """An active alarm of a press."""

    alarm_id: UUID
    plant_id: str
    press_id: str
    mode: str
    raised_ms: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a press's heads say of one mode at `told_ms`; `latest_ms` is when it may be too late."""

    mould_id: str
    told_ms: int
    latest_ms: int
    probability: float | None
    threshold: float | None
    life_low_h: float | None
    nearness: float


@dataclass(frozen=True, slots=True)
class WorkItem:
    """Work on a press: predicted, alarmed, or both; an alarm without a prediction is due since it was raised."""

    plant_id: str
    press_id: str
    mode: str
    mould_id: str
    latest_ms: int
    told_ms: int
    probability: float | None
    threshold: float | None
    life_low_h: float | None
    alarm_ids: tuple[UUID, ...]

    @property
    def place(self) -> Place:
        """Where it is to be done, and what of."""
        return self.plant_id, self.press_id, self.mode


def work_list(
    shots: Iterable[Newest], alarms: Iterable[OpenAlarm], done: Mapping[Place, int], *, threshold: float
) -> list[WorkItem]:
    """What is to be done, the most urgent first; `done` says when the same was last seen to.

    A score over its threshold, or a lower bound of remaining life within LIFE_SOON_H, makes work; so does an active
    alarm. What was said before the same was done, or within REST_MS after, makes none; an alarm raised after it does.
    `threshold` is for bundles that give none.
    """
    predicted: dict[Place, Prediction] = {}
    for shot in shots:
        for mode, prediction in predictions(shot, threshold=threshold).items():
            place = (shot.plant_id, shot.press_id, mode)
            if place not in done or prediction.told_ms > done[place] + REST_MS:
                predicted[place] = prediction
    alarmed: dict[Place, list[OpenAlarm]] = {}
    for alarm in alarms:
        place = (alarm.plant_id, alarm.press_id, alarm.mode)
        if place not in done or alarm.raised_ms > done[place]:
            alarmed.setdefault(place, []).append(alarm)
    places = sorted({*predicted, *alarmed})
    items = [_item(place, predicted.get(place), alarmed.get(place, [])) for place in places]
    nearness = {place: prediction.nearness for place, prediction in predicted.items()}
    return sorted(items, key=lambda item: (item.latest_ms, -nearness.get(item.place, 0.0), item.place))


def predictions(shot: Newest, *, threshold: float) -> dict[str, Prediction]:
    """By mode what a shot's scores make work of; remaining life belongs to the mode nearest to its threshold."""
    found = {mode: risk for mode, risk in risks(shot.scores).items() if math.isfinite(risk.probability)}
    limits = {mode: risk.limit(threshold) for mode, risk in found.items()}
    nearness = {mode: risk.probability / max(limits[mode], 1e-9) for mode, risk in found.items()}
    foremost = max(nearness, key=lambda mode: (nearness[mode], mode), default="")
    low_h = shot.scores.values.get(LIFE_LOW, math.nan)
    by_mode: dict[str, Prediction] = {}
    for mode in {*found, foremost}:
        life_h = low_h if mode == foremost and math.isfinite(low_h) else None
        hours = [h for h, value in _horizons(shot.scores, mode) if mode in limits and value >= limits[mode]]
        ends_h = hours + ([max(0.0, life_h)] if life_h is not None and life_h < LIFE_SOON_H else [])
        if ends_h:
            latest_ms = shot.ended_ms + round(min(ends_h) * HOUR_MS)
            probability = found[mode].probability if mode in found else None
            by_mode[mode] = Prediction(
                shot.mould_id,
                shot.ended_ms,
                latest_ms,
                probability,
                limits.get(mode),
                life_h,
                nearness.get(mode, 0.0),
            )
    return by_mode


def _horizons(scores: Scores, mode: str) -> list[tuple[float, float]]:
    """(hours, probability) of a mode; a score without a horizon speaks of now."""
    found = []
    for key, value in scores.values.items():
        name, _, horizon = key.removeprefix(FAILURE_PREFIX).partition("@")
        if key.startswith(FAILURE_PREFIX) and name == mode and math.isfinite(value):
            digits = horizon.removesuffix("h")
            hours = float(digits) if digits.replace(".", "", 1).isdecimal() else 0.0
            found.append((min(hours, HORIZON_H_MAX), value))
    return found


def _item(place: Place, told: Prediction | None, alarms: list[OpenAlarm]) -> WorkItem:
    raised_ms = min((alarm.raised_ms for alarm in alarms), default=0)
    return WorkItem(
        *place,
        mould_id=told.mould_id if told else "",
        latest_ms=told.latest_ms if told else raised_ms,
        told_ms=told.told_ms if told else raised_ms,
        probability=told.probability if told else None,
        threshold=told.threshold if told else None,
        life_low_h=told.life_low_h if told else None,
        alarm_ids=tuple(sorted(alarm.alarm_id for alarm in alarms)),
    )


def can_be_undone(done_ms: int | None, now_ms: int) -> bool:
    """Whether something done at `done_ms` can still be taken back."""
    return done_ms is not None and now_ms - done_ms <= UNDO_MS


@dataclass(frozen=True, slots=True)
class MouldLife:
    """How far a mould is from its service: shots over all presses, since the last service and in the last days."""

    mould_id: str
    shots: int
    since_service: int
    interval_shots: int | None
    shots_per_day: float
    serviced_ms: int | None

    @property
    def left(self) -> int | None:
        """Shots until the service is due, below zero when it is overdue; None without an interval."""
        return None if self.interval_shots is None else self.interval_shots - self.since_service

    def due_ms(self, now_ms: int) -> int | None:
        """When it is due at the pace of the last days: now when it already is, None beyond DUE_DAYS_MAX."""
        if self.left is None:
            return None
        if self.left <= 0:
            return now_ms
        if self.left > self.shots_per_day * DUE_DAYS_MAX:
            return None
        return now_ms + round(self.left / self.shots_per_day * DAY_MS)


def most_due_first(moulds: Iterable[MouldLife]) -> list[MouldLife]:
    """Those with an interval by the share of it that is left, then the others by their shots."""
    return sorted(
        moulds,
        key=lambda mould: (
            mould.interval_shots is None,
            (mould.left or 0) / (mould.interval_shots or 1),
            -mould.shots,
            mould.mould_id,
        ),
    )
