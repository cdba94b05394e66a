"""A bundle that is ready to score: verified, loaded, tried and timed on this machine. Blocking."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from contract.shot import FloatArray, Scores
from models.features.schema import FEATURES, VALUES, index
from models.runtime.baseline import STATE_INPUTS, state_index
from models.runtime.bundle import Bundle, BundleError, Manifest, read_bundle
from models.runtime.drift import DriftWatch
from models.runtime.keys import TrustList
from models.runtime.score_level import ScoreWatch
from models.runtime.scorer import Scorer

FAILURE_PREFIX: Final = "FailureProbability/"
TRIALS: Final = 30
SLOW_MS: Final = 20.0
"""A bundle that needs longer for one shot, in the middle of its trials, is not let near the presses."""

_STATES = frozenset(STATE_INPUTS)


class LoadedBundle:
    """A scorer with what its figures need; several threads may ask it, one at a time is served."""

    def __init__(self, bundle: Bundle, scorer: Scorer) -> None:
        self.bundle_id = bundle.bundle_id
        self.signed_by = bundle.signed_by
        self.manifest: Manifest = bundle.manifest
        self._scorer = scorer
        self._turn = threading.Lock()
        self._thresholds = {name: limit for head in bundle.manifest.heads for name, limit in head.thresholds.items()}
        self._threshold_of_key: dict[str, float | None] = {}

    def score(self, features: Sequence[FloatArray], mould_ids: Sequence[str], states: FloatArray) -> list[Scores]:
        """Scores of a batch; see `Scorer`."""
        with self._turn:
            return self._scorer.score(features, mould_ids, states)

    def is_over(self, scores: Scores) -> bool:
        """Whether a failure's probability has reached the threshold that the bundle gives for it."""
        for key, value in scores.values.items():
            if not key.startswith(FAILURE_PREFIX):
                continue
            if key not in self._threshold_of_key:
                self._threshold_of_key[key] = self._thresholds.get(key.partition("/")[2])
            limit = self._threshold_of_key[key]
            if limit is not None and value >= limit:
                return True
        return False

    def drift_watches(self, mould_id: str) -> tuple[DriftWatch, ScoreWatch]:
        """Watches on features and on scores of shots of this mould.

        They watch nothing where the bundle does not tell what it was trained on.
        """
        summary = self.manifest.training.get(mould_id)
        features, scores = (summary.features, summary.scores) if summary is not None else ({}, {})
        columns = {name: index(name) for name in features if _is_known(name)}
        return DriftWatch(features, columns), ScoreWatch(scores)


def load(path: Path, trust: TrustList | None, *, slow_ms: float = SLOW_MS) -> LoadedBundle:
    """Verify, load, try and time a bundle.

    Raises:
        BundleError: it is refused; the reason is for people.
    """
    bundle = read_bundle(path, trust=trust)
    try:
        loaded = LoadedBundle(bundle, Scorer(bundle))
        needed_ms = _needed_ms(loaded)
    except BundleError:
        raise
    except Exception as error:  # supervision: whatever a model does when it is tried, the one that runs stays
        raise BundleError(path, f"fails when it is tried: {error}") from error
    if needed_ms > slow_ms:
        raise BundleError(path, f"is too slow: it needs {needed_ms:.0f} ms a shot on this machine, at most {slow_ms:g}")
    return loaded


def _needed_ms(loaded: LoadedBundle) -> float:
    """The middle of some trials, one shot at a time, every head with a golden row of its own."""
    spent: list[float] = []
    moulds = sorted({mould_id for head in loaded.manifest.heads for mould_id in head.normals})
    for number in range(TRIALS):
        vector, state = np.full(len(VALUES), np.nan, np.float32), np.full(len(STATE_INPUTS), np.nan, np.float32)
        for head in loaded.manifest.heads:
            golden = head.golden[number % len(head.golden)].inputs
            if head.inputs[0] in _STATES:
                state[[state_index(name) for name in head.inputs]] = golden
            else:
                vector[[index(name) for name in head.inputs]] = golden
        started_s = time.perf_counter()
        loaded.score([vector], [moulds[number % len(moulds)]], state[None])
        spent.append(1000 * (time.perf_counter() - started_s))
        if sum(spent) > 50 * SLOW_MS:
            break
    return float(np.median(spent))


def _is_known(name: str) -> bool:
    try:
        return index(name) < len(FEATURES)
    except KeyError:
        return False
