"""The baselines of the gateway's presses: kept beside the journal, so that a restart learns nothing anew."""

import threading
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import anyio
import numpy as np
import structlog
from anyio import to_thread

from contract.model_orders import BaselineReport, Noted
from contract.shot import FloatArray, Shot
from edge_agent.health import Health
from edge_agent.journal.disk import Disk, put_whole
from models.features.extract import curves_of
from models.features.resample import resample
from models.runtime.baseline import STATE_INPUTS, BaselineError, Baselines, Stage, Standings

SAVE_EVERY_S = 600.0
"""What a power cut costs of a baseline: at most so much learning."""
SUFFIX = ".baseline"
NOTES_TOLD_MAX = 3
FILE_BYTES_MAX = 256 * 2**20
"""Twice what a press can have with as many moulds as are kept, all of them being learnt."""
log = structlog.get_logger()


class BaselineStore:
    """Where each shot stands beside its press's own baseline; a press's baselines are one file of `folder`."""

    def __init__(self, folder: Path, baselines: Baselines | None = None, health: Health | None = None) -> None:
        self._folder = folder
        self._baselines = baselines or Baselines()
        self._health = health or Health()
        self._lock = threading.Lock()
        self._changed: set[str] = set()
        self._failing: dict[str, str] = {}  # by press whose last shot failed: its mould

    @property
    def failures(self) -> int:
        """Shots that a baseline failed on, since the program started."""
        return self._health.baseline_failures

    def restore(self) -> None:
        """Take back what was saved; a file that does not fit is told and left behind: that press learns anew."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            try:
                if path.stat().st_size > FILE_BYTES_MAX:
                    raise BaselineError(f"is larger than {FILE_BYTES_MAX} bytes")
                self._baselines.load(path.read_bytes())
            except (BaselineError, OSError) as error:
                log.warning("baseline_not_restored", file=path.name, reason=str(error))

    def states(self, shots: Sequence[Shot], features: Sequence[FloatArray]) -> FloatArray:
        """(n, STATE_INPUTS) float32, NaN rows where no baseline is in force or one failed; a press's shots in order."""
        found = np.full((len(shots), len(STATE_INPUTS)), np.nan, np.float32)
        with self._lock:
            for row, (shot, vector) in enumerate(zip(shots, features, strict=True)):
                self._changed.add(shot.press_id)
                standing = self._observed(shot, vector)
                if standing is not None and standing.in_force[0]:
                    found[row] = standing.inputs[0]
        return found

    def _observed(self, shot: Shot, vector: FloatArray) -> Standings | None:
        """Where the shot stands; None when its baseline fails. One that fails twice in a row is broken: it goes.

        Once may be the shot's own fault, and a press that is worn by now should not learn that as its normal.
        """
        press_id, mould_id = shot.press_id, shot.mould_id
        failed_with = self._failing.pop(press_id, None)
        try:
            curves = curves_of(resample(shot))  # a gateway may keep its curves on another grid than references do
            return self._baselines.observe(press_id, mould_id, shot.ended_ms, vector, curves)
        except Exception:  # supervision: whatever a baseline does, the shot goes on
            is_broken = failed_with == mould_id
            self._health.baseline_failures += 1
            log.exception("baseline_failed", press_id=press_id, mould_id=mould_id, begins_anew=is_broken)
        if is_broken:
            self._baselines.forget(press_id, mould_id)
        else:
            self._failing[press_id] = mould_id
        return None

    def relearn(self, press_id: str) -> None:
        """After maintenance: what is normal for the press is found anew."""
        with self._lock:
            self._baselines.relearn(press_id)
            self._changed.add(press_id)

    def report(self, press_id: str) -> BaselineReport | None:
        """How the baseline of the press and its present mould is; None before its first shot."""
        with self._lock:
            state = self._baselines.state(press_id)
        if state is None:
            return None
        shots, needed = state.progress
        return BaselineReport(
            mould_id=state.mould_id,
            stage=state.stage.value,
            then=state.doing.value if state.stage is Stage.SETTLING else "",
            shots=shots,
            shots_needed=needed,
            learnt_ms=state.learnt_ms,
            is_again=state.is_again,
            notes=tuple(
                Noted(at_ms=note.at_ms, kind=note.kind, values=note.values) for note in state.notes[-NOTES_TOLD_MAX:]
            ),
        )

    async def run(self) -> None:
        """Save now and then, and once more at the end."""
        try:
            while True:
                await anyio.sleep(SAVE_EVERY_S)
                await to_thread.run_sync(self.save)
        finally:
            self.save()

    def save(self) -> None:
        """Write the baselines that have changed; where one cannot be written the older one stays."""
        with self._lock:
            changed, self._changed = self._changed, set()
        for press_id in changed:
            try:
                with self._lock:
                    data = self._baselines.dump(press_id)
                self._folder.mkdir(parents=True, exist_ok=True)
                put_whole(Disk(), self._folder / (quote(press_id, safe="") + SUFFIX), data)
            except (OSError, TypeError, ValueError) as error:  # the disk, or a state or a name that cannot be written
                log.warning("baseline_not_saved", press_id=press_id, error=str(error))
                with self._lock:
                    self._changed.add(press_id)
