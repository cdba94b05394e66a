"""What drifts on one press under one bundle: features and scores of each mould, what is missing, and since when."""

from collections import OrderedDict
from typing import Any, Final

from contract.shot import FloatArray, Scores
from edge_agent.models.loaded import LoadedBundle

MOULDS_MAX: Final = 4
"""A press that goes to and fro between so many moulds is watched on each; then the one longest away goes."""
DRIFTED_TOLD_MAX: Final = 5
MISSING_TOLD_MAX: Final = 20


class PressDrift:
    """Not for several threads at once. 70 kB a mould with 96 features and 45 scores, 110 kB in its first 50 shots."""

    def __init__(self, bundle: LoadedBundle) -> None:
        self._bundle = bundle
        self._moulds: OrderedDict[str, _MouldDrift] = OrderedDict()

    def take(self, vector: FloatArray, mould_id: str, scores: Scores, ended_ms: int) -> None:
        """One shot."""
        own = self._moulds.get(mould_id)
        if own is None:
            own = self._moulds[mould_id] = _MouldDrift(self._bundle, mould_id)
        if next(reversed(self._moulds)) != mould_id:
            self._moulds.move_to_end(mould_id)
        if len(self._moulds) > MOULDS_MAX:
            self._moulds.popitem(last=False)
        own.take(vector, scores, ended_ms)

    def begin_anew(self) -> None:
        """After maintenance: what the press was like before is no measure of drift."""
        self._moulds.clear()

    def figures(self) -> dict[str, Any]:
        """The fields of `Figures` that tell of drift, of the mould of the newest shot."""
        if not self._moulds:
            return {}
        mould_id, own = next(reversed(self._moulds.items()))
        return {"mould_id": mould_id, **own.figures()}


class _MouldDrift:
    def __init__(self, bundle: LoadedBundle, mould_id: str) -> None:
        self._features, self._scores = bundle.drift_watches(mould_id)
        self._ended_ms = 0
        self._since_ms: dict[str, int] = {}

    def take(self, vector: FloatArray, scores: Scores, ended_ms: int) -> None:
        self._ended_ms = ended_ms
        self._features.take(vector)
        self._scores.take(scores.values)

    def figures(self) -> dict[str, Any]:
        indices, times = self._features.indices(), self._scores.times()
        drifted, scores_drifted = self._features.drifted(indices), self._scores.drifted(times)
        missing = self._features.missing()[:MISSING_TOLD_MAX]
        told, scores_told = drifted[:DRIFTED_TOLD_MAX], scores_drifted[:DRIFTED_TOLD_MAX]
        since_ms = {name: self._since_ms.get(name, self._ended_ms) for name in (*drifted, *missing, *scores_drifted)}
        self._since_ms = since_ms
        worst = max(indices, key=lambda name: indices[name], default="")
        score_worst = max(times, key=lambda name: self._scores.excess(name, times[name]), default="")
        return {
            "watched": self._features.features,
            "watched_shots": self._features.shots,
            "drifted_share": _share(drifted, len(indices)),
            "strange_share": _share(self._features.strange(), self._features.features),
            "drift_worst": worst,
            "drift_psi": round(indices.get(worst, 0.0), 4),
            "drift_excess": round(self._features.excess(indices), 2),
            "drifted": {name: round(indices[name], 4) for name in told},
            "missing": tuple(missing),
            "scores_watched": self._scores.scores,
            "score_shots": self._scores.shots,
            "scores_drifted_share": _share(scores_drifted, len(times)),
            "score_worst": score_worst,
            "score_times": round(times.get(score_worst, 1.0), 4),
            "scores_moved": {name: round(times[name], 4) for name in scores_told},
            "since_ms": {name: since_ms[name] for name in (*told, *missing, *scores_told)},
        }


def _share(names: list[str], among: int) -> float:
    return round(len(names) / max(among, 1), 4)
