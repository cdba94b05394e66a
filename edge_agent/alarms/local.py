"""Which alarms the gateway sees by itself, and which of them it must tell because the cloud cannot. Pure but for state.

Every shot that the cloud's rule would look at is looked at here by the same rule. While the cloud takes what is sent,
the alarms are only kept (for the lamp and the control room's OPC UA); once it has been out of reach for
`cut_off_after_s`, those that it cannot know of are told to the local webhook, and later that they are over.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from contract import trouble
from contract.alarming import AlarmRules, Risk, Tracker, risks, step
from contract.shot import Reason, ScoredShot
from contract.trouble import TroubleTracker, counts_of

PRESSES_MAX: Final = 256
"""Presses that are looked at; the one that was silent longest makes room (its alarm is over without a word)."""
GATEWAY: Final = ""
"""The press id of an alarm that is the gateway's own."""
Kind = Literal["alarm.raised", "alarm.cleared"]
HISTORY_S_MAX: Final = 900.0
"""Older shots, of a file that is replayed say, tell nothing of now."""


@dataclass(frozen=True, slots=True)
class LocalAlarm:
    """An alarm that is active here; the gateway's own has a `count` in place of probability and threshold."""

    press_id: str
    mode: str
    raised_ms: int
    probability: float | None = None
    threshold: float | None = None
    count: int | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is to be told to the local webhook."""

    kind: Kind
    alarm: LocalAlarm
    at_ms: int


@dataclass(slots=True)
class _Active:
    alarm: LocalAlarm
    raised_s: float
    is_told: bool = False


@dataclass(slots=True)
class _Press:
    trackers: dict[str, Tracker] = field(default_factory=dict)
    risks: Mapping[str, Risk] = field(default_factory=dict)


class LocalAlarms:
    """The alarms of one gateway. Times: `now_s` is monotonic, `now_ms` the wall clock's."""

    def __init__(self, rules: AlarmRules, *, cut_off_after_s: float) -> None:
        self._rules = rules
        self._cut_off_after_s = cut_off_after_s
        self._presses: OrderedDict[str, _Press] = OrderedDict()
        self._active: dict[tuple[str, str], _Active] = {}
        self._over: list[Announcement] = []
        self._waiting_s: float | None = None
        self._heard_s = float("-inf")
        self._troubles: dict[str, TroubleTracker] = {}

    def take(self, scored: Sequence[ScoredShot], now_s: float, now_ms: int) -> None:
        """Look at shots that were just put into the journal, and from now on wait for the cloud's word of them."""
        if scored and self._waiting_s is None:
            self._waiting_s = now_s
        for one in scored:
            if now_ms - one.shot.ended_ms <= HISTORY_S_MAX * 1000:  # a replayed file says nothing of today
                self._look(one, now_s, now_ms)

    def heard(self, now_s: float) -> None:
        """The cloud has given its word of something: it is in reach."""
        self._waiting_s, self._heard_s = None, now_s

    def count(self, health: Mapping[str, float], now_s: float, now_ms: int) -> None:
        """Look at the gateway's own counters: trouble whose counter rises is an alarm until it has rested."""
        for mode, counted in counts_of(health).items():
            # What was counted before this program looked was told of when it was counted, or is told by the cloud.
            before = self._troubles.get(mode, TroubleTracker(counted=counted))
            self._troubles[mode], happened = trouble.step(before, counted, now_ms)
            if happened == "raise":
                self._raise(LocalAlarm(GATEWAY, mode, now_ms, count=counted), now_s)
            elif happened == "clear":
                self._clear(GATEWAY, mode, now_ms)

    def is_cut_off(self, now_s: float) -> bool:
        """Whether shots have waited for the cloud's word for longer than they may."""
        return self._waiting_s is not None and now_s - self._waiting_s >= self._cut_off_after_s

    def due(self, now_s: float) -> list[Announcement]:
        """What is to be told now, each once: alarms that the cloud cannot know of, and that those told are over."""
        found, self._over = self._over, []
        if not self.is_cut_off(now_s):
            return found
        for active in self._active.values():
            if not active.is_told and active.raised_s > self._heard_s:
                active.is_told = True
                found.append(Announcement("alarm.raised", active.alarm, active.alarm.raised_ms))
        return found

    def active(self, press_id: str | None = None) -> list[LocalAlarm]:
        """The active alarms, of one press or of all; by press and mode."""
        keys = sorted(key for key in self._active if press_id is None or key[0] == press_id)
        return [self._active[key].alarm for key in keys]

    def highest_probability(self, press_id: str) -> float:
        """Of the press's last shot, over all failure modes; NaN when no head spoke of it."""
        press = self._presses.get(press_id)
        spoken = [risk.probability for risk in press.risks.values()] if press is not None else []
        return max(spoken, default=float("nan"))

    def _look(self, scored: ScoredShot, now_s: float, now_ms: int) -> None:
        shot = scored.shot
        press = self._press(shot.press_id, now_ms)
        press.risks = risks(scored.scores)
        for mode, risk in press.risks.items():
            rules = self._rules.at(risk.threshold)
            tracker, happened = step(press.trackers.get(mode, Tracker()), risk.probability, shot.ended_ms, rules)
            press.trackers[mode] = tracker
            if happened == "raise":
                self._raise(
                    LocalAlarm(
                        shot.press_id,
                        mode,
                        now_ms,
                        probability=risk.probability,
                        threshold=rules.threshold,
                        reasons=scored.scores.reasons,
                    ),
                    now_s,
                )
            elif happened == "clear":
                self._clear(shot.press_id, mode, now_ms)

    def _press(self, press_id: str, now_ms: int) -> _Press:
        if press_id not in self._presses and len(self._presses) >= PRESSES_MAX:
            silent, _ = self._presses.popitem(last=False)
            for alarm in self.active(silent):
                self._clear(silent, alarm.mode, now_ms)
        press = self._presses.setdefault(press_id, _Press())
        self._presses.move_to_end(press_id)
        return press

    def _raise(self, alarm: LocalAlarm, now_s: float) -> None:
        self._active[alarm.press_id, alarm.mode] = _Active(alarm, now_s)

    def _clear(self, press_id: str, mode: str, now_ms: int) -> None:
        ended = self._active.pop((press_id, mode), None)
        if ended is not None and ended.is_told:
            self._over.append(Announcement("alarm.cleared", ended.alarm, now_ms))


def told(announcement: Announcement, plant_id: str, gateway_id: str) -> Iterator[tuple[str, object]]:
    """The data of a call, in the words of the cloud's own webhooks."""
    alarm = announcement.alarm
    yield from (("plant_id", plant_id), ("gateway_id", gateway_id), ("press_id", alarm.press_id))
    yield "kind", "failure_probability" if alarm.press_id != GATEWAY else "gateway_trouble"
    yield from (("mode", alarm.mode), ("raised_ms", alarm.raised_ms), ("at_ms", announcement.at_ms))
    yield from (("probability", alarm.probability), ("threshold", alarm.threshold), ("count", alarm.count))
    reasons = [{"feature": each.feature, "value": each.value, "sigma": each.sigma} for each in alarm.reasons]
    yield from (("reasons", reasons), ("source", "gateway"))
