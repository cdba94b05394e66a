"""The baselines of the gateway's presses: kept beside the journal, so that a restart learns nothing anew."""

import threading
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import anyio
import numpy as np
import structlog
from anyio import to_thread

from contract.shot import FloatArray, Shot
from edge_agent.journal.disk import Disk, put_whole
from models.features.extract import curves_of
from models.runtime.baseline import STATE_INPUTS, BaselineError, Baselines

SAVE_EVERY_S = 600.0
"""What a power cut costs of a baseline: at most so much learning."""
SUFFIX = ".baseline"
log = structlog.get_logger()


class BaselineStore:
    """Where each shot stands beside its press's own baseline; a press's baselines are one file of `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._baselines = Baselines()
        self._lock = threading.Lock()
        self._changed: set[str] = set()

    def restore(self) -> None:
        """Take back what was saved; a file that does not fit is told and left behind: that press learns anew."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            try:
                self._baselines.load(path.read_bytes())
            except (BaselineError, OSError) as error:
                log.warning("baseline_not_restored", file=path.name, reason=str(error))

    def states(self, shots: Sequence[Shot], features: Sequence[FloatArray]) -> FloatArray:
        """(n, STATE_INPUTS) float32, NaN rows where no baseline is in force; shots of a press in their order."""
        found = np.full((len(shots), len(STATE_INPUTS)), np.nan, np.float32)
        with self._lock:
            for row, (shot, vector) in enumerate(zip(shots, features, strict=True)):
                standing = self._baselines.observe(shot.press_id, shot.mould_id, shot.ended_ms, vector, curves_of(shot))
                self._changed.add(shot.press_id)
                if standing.in_force[0]:
                    found[row] = standing.inputs[0]
        return found

    def relearn(self, press_id: str) -> None:
        """After maintenance: what is normal for the press is found anew."""
        with self._lock:
            self._baselines.relearn(press_id)
            self._changed.add(press_id)

    async def run(self) -> None:
        """Save now and then, and once more at the end."""
        try:
            while True:
                await anyio.sleep(SAVE_EVERY_S)
                await to_thread.run_sync(self.save)
        finally:
            self.save()

    def save(self) -> None:
        """Write the baselines that have changed; on a full disk the older ones stay."""
        with self._lock:
            changed, self._changed = self._changed, set()
            dumps = {press_id: self._baselines.dump(press_id) for press_id in changed}
        for press_id, data in dumps.items():
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                put_whole(Disk(), self._folder / (quote(press_id, safe="") + SUFFIX), data)
            except OSError as error:
                log.warning("baseline_not_saved", press_id=press_id, error=str(error))
                with self._lock:
                    self._changed.add(press_id)
