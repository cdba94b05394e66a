"""What a rule would have done with the shots of the last days: the consumer's own evaluation, and nothing written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from cloud.alarms.domain import AlarmDefaults
from cloud.alarms.rules.definition import Rule, StaleData
from cloud.alarms.rules.evaluation import OF_SHOTS, Seen, SeenKey, compiled, take
from cloud.alarms.rules.silence import silence_ms_max
from cloud.telemetry.store import PAGE_ROWS_MAX, PressKey, StoredShot, TelemetryStore

DAY_MS: Final = 24 * 60 * 60 * 1000
DAYS_MAX: Final = 7
SHOTS_MAX: Final = 200_000
"""At most so many shots of all presses are read, the newest ones: some 200 presses over 8 hours, or 7 over the week."""
SECONDS_MAX: Final = 20.0
EXAMPLES_MAX: Final = 20
GAPS_KEPT: Final = 9

Cut = Literal["shots", "time"]


@dataclass(frozen=True, slots=True)
class Firing:
    """An alarm that would have been raised; None in `cleared_ms` while it would still be there."""

    plant_id: str
    press_id: str
    subject: str
    raised_ms: int
    shot_row_id: int | None
    probability: float | None
    value: float | None
    threshold: float | None
    why: str
    cleared_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a rule would have done: times are of the shots' arrival. `cut` says what ended it too early, if anything."""

    from_ms: int
    until_ms: int
    shots: int
    shots_in_scope: int
    presses_in_scope: int
    alarms: int
    by_press: tuple[tuple[PressKey, int], ...]
    """Presses with alarms, most first."""
    examples: tuple[Firing, ...]
    """The newest EXAMPLES_MAX."""
    active: int
    cut: Cut | None


@dataclass(slots=True)
class _Press:
    seen: dict[SeenKey, Seen] = field(default_factory=dict)
    open: dict[str, Firing] = field(default_factory=dict)
    last_ms: int | None = None
    gaps_ms: list[int] = field(default_factory=list)


class _Replay:
    """The presses as the rule would have seen them."""

    def __init__(self, rule: Rule, defaults: AlarmDefaults) -> None:
        self._rule = rule
        self._rules = (compiled("dry-run", 0, rule.model_copy(update={"is_enabled": True}), defaults),)
        self._presses: dict[PressKey, _Press] = {}
        self.counts: dict[PressKey, int] = {}
        self.closed: list[Firing] = []
        self.shots_in_scope = 0

    def take(self, row: StoredShot) -> None:
        """One shot, in the order of arrival."""
        scope = self._rule.scope
        if not scope.has_place(row.press.plant_id, row.press.press_id):
            return
        press = self._presses.setdefault(row.press, _Press())
        self.shots_in_scope += scope.has_mould(row.scored.shot.mould_id)
        if isinstance(self._rule.condition, StaleData):
            self._silence(press, row.press, row.received_ms, self._rule.condition)
            return
        for outcome in take(self._rules, row, press.seen):
            look = outcome.look
            if outcome.step == "clear":
                self._clear(press, look.subject, row.received_ms)
                continue
            self._raise(
                press,
                Firing(
                    row.press.plant_id,
                    row.press.press_id,
                    look.subject,
                    row.received_ms,
                    row.row_id,
                    look.probability,
                    look.value,
                    look.threshold,
                    look.why,
                ),
            )

    def end(self, until_ms: int) -> None:
        """Until now there were no more shots."""
        if isinstance(self._rule.condition, StaleData):
            for key, press in self._presses.items():
                self._silent(press, key, until_ms, self._rule.condition)

    @property
    def presses(self) -> int:
        """How many it holds for that gave a shot."""
        return len(self._presses)

    def examples(self) -> tuple[Sequence[Firing], int]:
        """The newest alarms, and how many would be there now."""
        still = [firing for press in self._presses.values() for firing in press.open.values()]
        newest = sorted([*self.closed, *still], key=lambda firing: -firing.raised_ms)
        return newest[:EXAMPLES_MAX], len(still)

    def _silence(self, press: _Press, key: PressKey, at_ms: int, condition: StaleData) -> None:
        self._silent(press, key, at_ms, condition)
        self._clear(press, "silent", at_ms)
        if press.last_ms is not None and at_ms > press.last_ms:
            press.gaps_ms = [*press.gaps_ms, at_ms - press.last_ms][-GAPS_KEPT:]
        press.last_ms = at_ms

    def _silent(self, press: _Press, key: PressKey, now_ms: int, condition: StaleData) -> None:
        typical_ms = sorted(press.gaps_ms)[len(press.gaps_ms) // 2] if press.gaps_ms else None
        limit_ms = silence_ms_max(condition, typical_ms)
        if press.last_ms is not None and limit_ms is not None and now_ms - press.last_ms >= limit_ms:
            at_ms = press.last_ms + limit_ms
            self._raise(press, Firing(key.plant_id, key.press_id, "silent", at_ms, None, None, None, None, ""))

    def _raise(self, press: _Press, firing: Firing) -> None:
        press.open[firing.subject] = firing
        key = PressKey(firing.plant_id, firing.press_id)
        self.counts[key] = self.counts.get(key, 0) + 1

    def _clear(self, press: _Press, subject: str, at_ms: int) -> None:
        firing = press.open.pop(subject, None)
        if firing is not None:
            self.closed = [*self.closed, replace(firing, cleared_ms=at_ms)][-EXAMPLES_MAX:]


def can_replay(rule: Rule) -> bool:
    """Whether stored shots tell what the rule would have done; what gateways counted is not kept over time."""
    return rule.condition.kind in (*OF_SHOTS, "stale_data")


def replay(
    store: TelemetryStore,
    plants: frozenset[str],
    rule: Rule,
    defaults: AlarmDefaults,
    *,
    now_ms: int,
    days: int = DAYS_MAX,
    seconds: Callable[[], float],
) -> DryRun:
    """Let the rule go over the shots of a tenant's `plants` that arrived in the last `days`. Blocking, bounded.

    `seconds` is a clock that only rises. A rule that is disabled is run as if it were not.
    """
    assert can_replay(rule)
    assert 1 <= days <= DAYS_MAX
    began_s, since_ms, last = seconds(), now_ms - days * DAY_MS, store.total()
    row_id = _first_since(store, since_ms, last)
    cut: Cut | None = None
    if last - row_id > SHOTS_MAX:
        row_id, cut = last - SHOTS_MAX, "shots"
    run, shots, from_ms, until_ms = _Replay(rule, defaults), 0, None, now_ms
    while page := store.after(row_id, limit=PAGE_ROWS_MAX):
        for row in page:
            if row.press.plant_id in plants:
                run.take(row)
                shots += 1
        from_ms = page[0].received_ms if from_ms is None else from_ms
        row_id = page[-1].row_id
        if row_id >= last:
            break
        if seconds() - began_s > SECONDS_MAX:
            cut, until_ms = "time", page[-1].received_ms
            break
    run.end(until_ms)
    examples, active = run.examples()
    return DryRun(
        from_ms=since_ms if cut != "shots" or from_ms is None else from_ms,
        until_ms=until_ms,
        shots=shots,
        shots_in_scope=run.shots_in_scope,
        presses_in_scope=run.presses,
        alarms=sum(run.counts.values()),
        by_press=tuple(sorted(run.counts.items(), key=lambda each: (-each[1], each[0]))),
        examples=tuple(examples),
        active=active,
        cut=cut,
    )


def _first_since(store: TelemetryStore, since_ms: int, last: int) -> int:
    """The row id behind which all shots arrived since then: row ids rise by arrival, so that halving finds it."""
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        found = store.after(middle, limit=1)
        if found and found[0].received_ms < since_ms:
            low = middle + 1
        else:
            high = middle
    return low
