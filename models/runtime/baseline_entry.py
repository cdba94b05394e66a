"""One press with one mould: which stage is its baseline in, and what does a shot do to it?"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from contract.shot import FloatArray
from models.features.schema import FEATURES, VALUES, index
from models.runtime.baseline_curves import REFERENCE_SHOTS, CurveReference
from models.runtime.baseline_normal import (
    ODD_LEVEL_Z,
    MouldNormal,
    Normal,
    Note,
    compared,
    names_of,
    restless_names,
    ripened,
    robust,
)
from models.runtime.baseline_standing import IN_FORCE, IntArray, Options, Stage, Standings
from models.runtime.baseline_steps import Steps
from models.runtime.baseline_tracks import BLOCK, Tracks, short_sd

NOTES_MAX = 8
RESTLESS_MAX = 2
"""So often learning goes on because the press was restless."""
RECENTRE_Z_MIN = 1.0
"""A smaller jump is within what a level is known by."""
_INJECTION, _HOLD = index("InjectionTime"), index("HoldTime")


@dataclass(slots=True, eq=False)
class Entry:
    """The baseline of one press with one mould."""

    options: Options
    doing: Stage = Stage.LEARNING
    """What it does as soon as the press has settled."""
    settle_left: int = -1
    """Shots until the press has settled; -1 is before the first."""
    count: int = 0
    """Shots since it does that."""
    shots: int = 0
    """Since it came into force."""
    learnt_ms: int = 0
    last_ms: int | None = None
    extended: int = 0
    """How often learning went on because the press was restless."""
    is_ripe: bool = False
    normal: Normal | None = None
    before: Normal | None = None
    """What was in force before it learns anew."""
    tracks: Tracks = field(default_factory=Tracks.empty)
    reference: CurveReference = field(default_factory=CurveReference)
    coming: CurveReference | None = None
    """The reference that is learnt while the level is found anew."""
    rows: list[FloatArray] = field(default_factory=list)
    """Values that it learns from, each (V,)."""
    steps: Steps = field(default_factory=Steps)
    stepped: tuple[str, ...] = ()
    """The set values that made a step with the last shot."""
    held: Tracks = field(default_factory=Tracks.empty)
    """The running means before a jump that may be a step."""
    notes: deque[Note] = field(default_factory=lambda: deque(maxlen=NOTES_MAX))

    def __post_init__(self) -> None:
        if self.settle_left < 0:
            self.settle_left = self.options.settle_shots

    @property
    def stage(self) -> Stage:
        """The stage of the next shot."""
        return Stage.SETTLING if self.settle_left else self.doing

    @property
    def progress(self) -> tuple[int, int]:
        """How many shots the stage has, and how many it takes; (0, 0) for one that has no end of its own."""
        options = self.options
        whole = {
            Stage.SETTLING: (options.settle_shots - self.settle_left, options.settle_shots),
            Stage.LEARNING: (len(self.rows), options.learn_shots),
            Stage.RECENTRING: (len(self.rows), options.recentre_shots),
            Stage.RIPENING: (self.count, options.ripen_shots),
        }
        return whole.get(self.stage, (0, 0))

    def relearn(self) -> None:
        """Everything is learnt anew from the next shots; the present normal is kept to compare with."""
        self.before, self.normal = self.normal or self.before, None
        self.tracks, self.reference, self.coming = Tracks.empty(), CurveReference(), None
        self.shots, self.extended, self.is_ripe = 0, 0, False
        self._begin(Stage.LEARNING)

    def come_back(self) -> None:
        """The mould is in again, or set points were changed: find the level anew, or start learning again."""
        if self.normal is None:
            self.relearn()
            return
        self.coming = CurveReference()
        self._begin(Stage.RECENTRING)

    def observe(
        self, ended_ms: IntArray, values: FloatArray, curves: FloatArray | None, mould: Callable[[], MouldNormal | None]
    ) -> Standings:
        """Take in the next n shots; `values` (n, V) get their residuals here where there are curves."""
        found = Standings.empty(values)
        raised: list[Note] = []
        place = 0
        starts = self._starts(ended_ms)
        while place < len(values):
            if starts and place == starts[0]:
                self.settle_left = self.options.settle_shots
                starts.pop(0)
            end = min(place + self._room(), starts[0] if starts else len(values), len(values))
            part = slice(place, end)
            found.stages[part] = self.stage
            self._fill_in(values[part], None if curves is None else curves[part])
            if self.normal is not None:
                end = place + self._stand(self.normal, values[part], found.z[part], found.inputs[part])
                part = slice(place, end)
            raised += self._take(values[part], int(ended_ms[end - 1]), mould) + self._stepped(int(ended_ms[end - 1]))
            place = end
        self.notes.extend(raised)
        return replace(found, notes=tuple(raised))

    def _starts(self, ended_ms: IntArray) -> list[int]:
        """The shots before which the press stood still."""
        if not len(ended_ms):
            return []
        last_ms = int(ended_ms[0]) if self.last_ms is None else self.last_ms
        self.last_ms = int(ended_ms[-1])
        before_ms = np.empty_like(ended_ms)
        before_ms[0], before_ms[1:] = last_ms, ended_ms[:-1]
        return np.flatnonzero(ended_ms - before_ms > self.options.pause_s * 1000).tolist()

    def _room(self) -> int:
        """So many shots go in before something changes."""
        whole = {
            Stage.SETTLING: self.settle_left,
            Stage.LEARNING: self.options.learn_shots - len(self.rows),
            Stage.RECENTRING: self.options.recentre_shots - len(self.rows),
            Stage.RIPENING: self.options.ripen_shots - self.count,
            Stage.WATCHING: BLOCK,
        }
        return max(1, min(whole[self.stage], BLOCK))

    def _begin(self, doing: Stage) -> None:
        self.doing, self.count, self.rows = doing, 0, []
        self.settle_left = self.options.settle_shots

    def _fill_in(self, values: FloatArray, curves: FloatArray | None) -> None:
        if curves is None:
            return
        known = 0
        if self.stage is Stage.LEARNING:
            known = _learnt(self.reference, values, curves)
        elif self.stage is Stage.RECENTRING and self.coming is not None:
            _learnt(self.coming, values, curves)
        values[known:, len(FEATURES) :] = self.reference.residuals(curves[known:])

    def _stand(self, normal: Normal, values: FloatArray, z_of: FloatArray, inputs: FloatArray) -> int:
        """How many of the shots have been told where they stand: all, or those before one that needs a look."""
        z = normal.z(values)
        z_of[...] = z
        if self.stage not in IN_FORCE:
            inputs[...] = self.tracks.standstill(z, normal.typical_sd)
            return len(z)
        shots = self.steps.quiet(z)
        if not self.steps.shots:
            self.held = Tracks(self.tracks.fast, self.tracks.slow)
        inputs[:shots] = self.tracks.follow(z[:shots], normal.typical_sd)
        self.stepped = self.steps.take(z[:shots])
        return shots

    def _stepped(self, at_ms: int) -> list[Note]:
        """After a change of set points: what the running means took in of it is taken back."""
        if not self.stepped:
            return []
        names, self.stepped, self.tracks = self.stepped, (), self.held
        self.come_back()
        return [Note(at_ms, "set_points", names)]

    def _take(self, values: FloatArray, at_ms: int, mould: Callable[[], MouldNormal | None]) -> list[Note]:
        """Count the shots, learn from them, and go on to what comes next."""
        if self.settle_left:
            self.settle_left -= len(values)
            return []
        first, self.count = self.count, self.count + len(values)
        if self.doing in IN_FORCE:
            self.shots += len(values)
        if self.doing is Stage.RIPENING:
            every = self.options.ripen_every
            self.rows += list(values[every - 1 - first % every :: every].copy())
            return self._ripen(at_ms) if self.count >= self.options.ripen_shots else []
        if self.doing is Stage.WATCHING:
            return []
        self.rows += list(values.copy())
        if self.doing is Stage.LEARNING:
            return self._learn(at_ms, mould) if len(self.rows) >= self.options.learn_shots else []
        return self._recentre(at_ms) if len(self.rows) >= self.options.recentre_shots else []

    def _learn(self, at_ms: int, mould: Callable[[], MouldNormal | None]) -> list[Note]:
        rows = np.stack(self.rows)
        centre, scale = robust(rows)
        restless = restless_names(rows, scale)
        if restless and self.extended < RESTLESS_MAX:
            self.extended += 1
            self.rows = self.rows[len(self.rows) // 2 :]
            return []
        normal = Normal(centre, scale, np.ones(len(VALUES)))
        z = normal.z(rows)
        self.normal = replace(normal, typical_sd=short_sd(z))
        for start in range(0, len(z), BLOCK):
            self.tracks.follow(z[start : start + BLOCK], self.normal.typical_sd)
        self.learnt_ms, self.shots = at_ms, 0
        self._in_force()
        notes = [Note(at_ms, "restless", restless)] if restless else []
        return notes + compared(at_ms, self.normal, self.before, mould())

    def _recentre(self, at_ms: int) -> list[Note]:
        """Only the jump since the mould left is taken out: what it had moved by then stays to be seen."""
        assert self.normal is not None and self.coming is not None, "a level is found anew of a normal only"  # noqa: PT018
        level, _ = robust(np.stack(self.rows))
        jump = (level - self.normal.centre) / self.normal.scale - self.tracks.slow_level()
        jump = np.where(np.abs(jump) > RECENTRE_Z_MIN, jump, 0.0)
        large = np.abs(jump) > ODD_LEVEL_Z
        if large.any() and self.coming.curves is not None:
            self.reference = self.coming
            jump[len(FEATURES) :] = 0.0
        self.coming = None
        self.normal = replace(self.normal, centre=self.normal.centre + jump * self.normal.scale)
        self._in_force()
        return [Note(at_ms, "recentred", names_of(large, np.abs(jump)))] if large.any() else []

    def _ripen(self, at_ms: int) -> list[Note]:
        assert self.normal is not None, "only what is in force ripens"
        first = self.normal
        after, refused = ripened(first, np.stack(self.rows))
        self.tracks = self.tracks.to(first, after)
        self.normal, self.is_ripe = after, True
        self._in_force()
        return [Note(at_ms, "moved", refused)] if refused else []

    def _in_force(self) -> None:
        self.steps = Steps()
        is_done = self.is_ripe or not self.options.ripen_every
        self.doing, self.count, self.rows = (Stage.WATCHING if is_done else Stage.RIPENING), 0, []


def _learnt(reference: CurveReference, values: FloatArray, curves: FloatArray) -> int:
    """How many of these shots the reference has learnt from; it takes no more than it needs."""
    wanted = min(len(values), REFERENCE_SHOTS - reference.shots)
    for row in range(wanted):
        reference.learn(curves[row], float(values[row, _INJECTION]), float(values[row, _HOLD]))
    return wanted
