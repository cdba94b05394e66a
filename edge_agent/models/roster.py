"""Scores every shot by the champion of its press, at once; shadows follow in their own time and delay nobody."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog

from contract.model_orders import PRESSES_MAX, REASON_CHARACTERS_MAX, PressReport
from contract.shot import FloatArray, Scores, Shot
from edge_agent.models.baselines import BaselineStore
from edge_agent.models.lineup import Lineup
from edge_agent.models.loaded import LoadedBundle
from edge_agent.models.watch import Watch
from models.registry import guards

SHADOWS_WAITING_MAX: Final = 256
SHADOW_BATCH_MAX: Final = 16
GUARD_EVERY_SHOTS: Final = 5
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """A shot as models take it in; a shadow's has no curves, which would fill the memory."""

    shot: Shot
    vector: FloatArray
    state: FloatArray


class Roster:
    """The line-up at work. `score` is called by the pipeline's thread, `score_shadows` by another.

    A line-up is replaced between two batches: every shot is scored by one whole line-up, and none waits for the next.
    """

    def __init__(self, lineup: Lineup, baselines: BaselineStore) -> None:
        self._lineup = lineup
        self._baselines = baselines
        self.version = 0
        """Counts the changes of the line-up."""
        self._watches: dict[tuple[str, str], Watch] = {}
        self._seen: set[str] = set()
        self._shadows: deque[tuple[LoadedBundle, _Row]] = deque()
        self._turn = threading.Lock()  # over the watches and the line-up's replacement, never while a model runs

    @property
    def lineup(self) -> Lineup:
        """The one at work."""
        return self._lineup

    def relearn(self, press_id: str) -> None:
        """After maintenance: what the press was like before is no measure any more."""
        self._baselines.relearn(press_id)
        with self._turn:
            for (press, _), watch in self._watches.items():
                if press == press_id:
                    watch.repaired()

    @property
    def seen(self) -> frozenset[str]:
        """The presses whose shots were scored; at most PRESSES_MAX are watched."""
        with self._turn:
            return frozenset(self._seen)

    def replace(self, change: Callable[[Lineup], Lineup]) -> None:
        """Put another line-up in place; a press with a new assignment gets new figures."""
        with self._turn:
            before, self._lineup = self._lineup, change(self._lineup)
            if before.revision != self._lineup.revision:
                self._begin_anew(before)
            self.version += 1

    def score(self, shots: Sequence[Shot], features: Sequence[FloatArray]) -> list[Scores]:
        """The champion's scores of each shot; where it fails, those of what scored before it."""
        lineup, found = self._lineup, [Scores("")] * len(shots)
        states = self._baselines.states(shots, features)
        given = [_Row(shot, vector, state) for shot, vector, state in zip(shots, features, states, strict=True)]
        groups: dict[int, tuple[LoadedBundle, list[int]]] = {}
        for row, shot in enumerate(shots):
            champion = lineup.champion(shot.press_id)
            if champion is not None:
                groups.setdefault(id(champion), (champion, []))[1].append(row)
        for champion, rows in groups.values():
            self._score_group(lineup, champion, [(row, given[row]) for row in rows], found)
        self._queue_shadows(lineup, given)
        return found

    def _score_group(
        self, lineup: Lineup, champion: LoadedBundle, rows: list[tuple[int, _Row]], found: list[Scores]
    ) -> None:
        """A batch as one; when that fails each shot alone, so that one poisonous shot costs one shot."""
        given, latency_ms = _try(champion, [each for _, each in rows])
        if given is None and len(rows) > 1:
            for one in rows:
                self._score_group(lineup, champion, [one], found)
            return
        for position, (row, each) in enumerate(rows):
            found[row] = given[position] if given is not None else _by_fallback(lineup, each)
            self._note(champion, each, found[row] if given is not None else None, latency_ms)
            self._guard(lineup, champion, each.shot.press_id)

    def _note(self, bundle: LoadedBundle, row: _Row, scores: Scores | None, latency_ms: float) -> None:
        with self._turn:
            watch = self._watch(row.shot.press_id, bundle)
            if watch is None:
                return
            if scores is None:
                watch.failed(latency_ms)
            else:
                watch.scored(row.vector, row.shot.mould_id, scores, latency_ms, ended_ms=row.shot.ended_ms)

    def _guard(self, lineup: Lineup, champion: LoadedBundle, press_id: str) -> None:
        """Take a champion on trial back, before the next shot, when its figures leave their bounds."""
        if not lineup.is_guarded(press_id) or champion.bundle_id != lineup.assignment(press_id).champion:
            return
        with self._turn:
            if self._lineup is not lineup:
                return
            watch = self._watches.get((press_id, champion.bundle_id))
            if watch is None or watch.shots % GUARD_EVERY_SHOTS:
                return
            beside = self._watches.get((press_id, lineup.assignment(press_id).shadow or ""))
            wrong = guards.breaches(watch.figures(), beside.figures() if beside else None, lineup.bounds)
            if not wrong:
                return
            self._lineup = lineup.without(press_id, "; ".join(wrong))
            self.version += 1
        log.error("bundle_taken_back", press_id=press_id, bundle_id=champion.bundle_id, reasons=wrong)

    def _queue_shadows(self, lineup: Lineup, rows: Sequence[_Row]) -> None:
        for row in rows:
            shadow = lineup.shadow(row.shot.press_id)
            if shadow is None:
                continue
            with self._turn:
                if len(self._shadows) < SHADOWS_WAITING_MAX:
                    light = Shot(row.shot.press_id, row.shot.ended_ms, {}, mould_id=row.shot.mould_id)
                    self._shadows.append((shadow, _Row(light, row.vector, row.state)))
                elif (watch := self._watch(row.shot.press_id, shadow)) is not None:
                    watch.dropped(1)

    def score_shadows(self) -> int:
        """Score what waits for shadows, at most SHADOW_BATCH_MAX; how many."""
        for count in range(SHADOW_BATCH_MAX):
            with self._turn:
                if not self._shadows:
                    return count
                shadow, row = self._shadows.popleft()
            given, latency_ms = _try(shadow, [row])
            self._note(shadow, row, given[0] if given else None, latency_ms)
        return SHADOW_BATCH_MAX

    def reports(self) -> dict[str, PressReport]:
        """What scores each press, and how well."""
        return {press_id: self._report(press_id) for press_id in sorted(self.seen)}

    def _report(self, press_id: str) -> PressReport:
        with self._turn:
            lineup = self._lineup
            champion, shadow = lineup.champion(press_id), lineup.shadow(press_id)
            bundle_id, why = lineup.taken_back.get(press_id, ("", ""))
            told = {one.bundle_id for one in (champion, shadow) if one is not None} | ({bundle_id} - {""})
            watches = {name: self._watches.get((press_id, name)) for name in sorted(told)}
            return PressReport(
                champion=champion.bundle_id if champion is not None else "",
                shadow=shadow.bundle_id if shadow is not None else "",
                figures={name: watch.figures() for name, watch in watches.items() if watch is not None},
                taken_back=bundle_id,
                taken_back_why=why[:REASON_CHARACTERS_MAX],
                baseline=self._baselines.report(press_id),
            )

    def _watch(self, press_id: str, bundle: LoadedBundle) -> Watch | None:
        if press_id not in self._seen:
            if len(self._seen) >= PRESSES_MAX:
                return None
            self._seen.add(press_id)
        key = (press_id, bundle.bundle_id)
        if key not in self._watches:
            self._watches[key] = Watch(bundle)
        return self._watches[key]

    def _begin_anew(self, before: Lineup) -> None:
        """A press with a new assignment begins with new figures: the bundles beside each other see the same shots."""
        for press_id, bundle_id in list(self._watches):
            if before.assignment(press_id) != self._lineup.assignment(press_id):
                del self._watches[press_id, bundle_id]


def _try(bundle: LoadedBundle, rows: Sequence[_Row]) -> tuple[list[Scores] | None, float]:
    """Scores, or None when the bundle fails; with the milliseconds that one shot took."""
    started_s = time.perf_counter()
    given: list[Scores] | None = None
    try:
        states = np.stack([row.state for row in rows])
        given = bundle.score([row.vector for row in rows], [row.shot.mould_id for row in rows], states)
    except Exception:  # supervision: whatever a model does, the shot goes on
        log.exception("bundle_failed", bundle_id=bundle.bundle_id, press_id=rows[0].shot.press_id)
    return given, 1000 * (time.perf_counter() - started_s) / len(rows)


def _by_fallback(lineup: Lineup, row: _Row) -> Scores:
    fallback = lineup.fallback(row.shot.press_id)
    given = _try(fallback, [row])[0] if fallback is not None else None
    return given[0] if given else Scores("")
