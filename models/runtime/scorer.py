"""The heads of a bundle at work: a batch of feature vectors and states in, scores with reasons out."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from contract.shot import FloatArray, Reason, Scores
from models.features.schema import FEATURES, index
from models.runtime.baseline_tracks import FAST_SHOTS, STATE_INPUTS, state_index
from models.runtime.bundle import Bundle, BundleError, Head
from models.runtime.novelty import reasons_of
from models.runtime.unsettled import unsettled

REASONS_MAX = 5
SIGMA_MIN = 2.0
"""A feature nearer to its normal than this is no reason."""
GOLDEN_TOLERANCE = 1e-4
THRESHOLD_MIN = 1e-9
"""A threshold that was rounded to 0 is still to be divided by."""
CONTRIBUTIONS = "contributions"
ANY_MOULD = "*"
RUNNING = f"ewma{FAST_SHOTS}"
_STATES = frozenset(STATE_INPUTS)
_SPREADS = np.array([place for place, name in enumerate(STATE_INPUTS) if name.endswith(f"@sd{FAST_SHOTS}")])
_FEATURE_NAMES = frozenset(spec.name for spec in FEATURES)
_PREFIXES = {
    "failure": "FailureProbability",
    "novelty": "Novelty",
    "quality": "QualityProbability",
    "remaining_life": "RemainingLife",
}


class Scorer:
    """All heads of one bundle, each in a session of one thread.

    Not for several threads at once. A head says nothing of a shot of a mould that it was not trained on, that lacks a
    feature which it requires, or of which its model's answer is no number.

    Raises:
        BundleError: a head is no ONNX model, or does not give its golden outputs on this machine.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle_id = bundle.bundle_id
        self._heads = [_LoadedHead(bundle.path, head, bundle.models[head.file]) for head in bundle.manifest.heads]

    def score(
        self,
        features: Sequence[FloatArray] | FloatArray,
        mould_ids: Sequence[str],
        states: FloatArray | None = None,
    ) -> list[Scores]:
        """Scores of each shot; the batch changes them by rounding at most.

        The reasons of a shot come from the first head, in the manifest's order, that spoke of it; from a novelty head
        where that finds it strange and no failure mode has reached its threshold.

        Args:
            features: (n, F), vectors of `models.features.schema.FEATURES`.
            mould_ids: of each shot.
            states: (n, S), where each shot stands beside its press's own baseline (STATE_INPUTS), NaN where no baseline
                is in force; heads that take states say nothing without.
        """
        assert len(features) == len(mould_ids)
        if not len(features):
            return []
        vectors = np.asarray(features, np.float32)
        of_features = _Given(vectors)
        of_states = None if states is None else _Given(states)
        values: list[dict[str, float]] = [{} for _ in mould_ids]
        classes: list[str | None] = [None] * len(mould_ids)
        reasons: list[tuple[Reason, ...]] = [()] * len(mould_ids)
        is_alarming = [False] * len(mould_ids)
        for head in self._heads:
            given = of_states if head.takes_states else of_features
            if given is None:
                continue
            rows = head.applicable(given, of_states, mould_ids)
            if not rows:
                continue
            inputs = (given.rows if len(rows) == len(vectors) else given.rows[rows]).take(head.columns, axis=1)
            found, contributions = head.run(inputs)
            for place, (row, columns, outputs) in enumerate(zip(rows, inputs, found, strict=True)):
                if not all(map(math.isfinite, outputs)):
                    continue
                if contributions is not None:
                    if not values[row] or (max(outputs) >= 1 and not is_alarming[row]):
                        reasons[row] = reasons_of(head.inputs, contributions[place], vectors[row], given.rows[row])
                elif not values[row]:
                    reasons[row] = (
                        head.reasons_of_state(given.rows[row], vectors[row], outputs)
                        if head.takes_states
                        else head.reasons(columns, mould_ids[row])
                    )
                is_alarming[row] |= head.is_over(outputs)
                values[row].update(zip(head.keys, outputs, strict=True))
                values[row].update(head.limits)
                if head.kind == "quality":
                    classes[row] = head.classes[outputs.index(max(outputs))]
        return [Scores(self.bundle_id, *given) for given in zip(values, classes, reasons, strict=True)]


class _Given:
    """What heads may take in; what several of them ask of it is found out once."""

    def __init__(self, rows: FloatArray) -> None:
        self.rows = rows
        self._there: dict[tuple[tuple[int, ...], bool], list[bool]] = {}
        self._spread: list[float] | None = None

    def has(self, columns: tuple[int, ...], *, any_of: bool = False) -> list[bool]:
        """Of each row whether all of the columns, or any, are there."""
        if (columns, any_of) not in self._there:
            there = ~np.isnan(self.rows[:, columns])
            found = np.logical_or.reduce(there, axis=1) if any_of else np.logical_and.reduce(there, axis=1)
            self._there[columns, any_of] = found.tolist()
        return self._there[columns, any_of]

    def spread(self) -> list[float]:
        """Of each row how unsettled it is; of states only."""
        if self._spread is None:
            self._spread = unsettled(self.rows.take(_SPREADS, axis=1)).tolist()
        return self._spread


class _LoadedHead:
    """One head with its session and the arrays that it needs for every batch."""

    def __init__(self, path: Path, head: Head, model: bytes) -> None:
        self.kind = head.kind
        self.classes = head.classes
        self.keys = [f"{_PREFIXES[head.kind]}/{name}" for name in head.classes]
        self.takes_states = head.inputs[0] in _STATES
        place = state_index if self.takes_states else index
        self.columns = np.array([place(name) for name in head.inputs])
        self.inputs = head.inputs
        self._required = tuple(place(name) for name in head.required)
        self._abstain_above = head.abstain_above
        self._thresholds = [
            (number, max(head.thresholds[name], THRESHOLD_MIN))
            for number, name in enumerate(head.classes)
            if name in head.thresholds
        ]
        self.limits = _limits(head)
        values = tuple(dict.fromkeys(name.partition("@")[0] for name in head.inputs)) if self.takes_states else ()
        self._telling = [_Telling(head.telling.get(name.partition("@")[0]) or values) for name in head.classes]
        self._normals = {
            mould_id: (np.array([normal.centre for normal in normals]), np.array([normal.scale for normal in normals]))
            for mould_id, normals in head.normals.items()
        }
        self._session = session_of(path, head, model)
        self._outputs = [node.name for node in self._session.get_outputs()]
        self._check_golden(path, head)

    def applicable(self, given: "_Given", states: "_Given | None", mould_ids: Sequence[str]) -> list[int]:
        """The rows that this head has a word on; without a baseline in force nothing tells how neighbours spread."""
        knows_all = ANY_MOULD in self._normals
        rows = [row for row, mould_id in enumerate(mould_ids) if knows_all or mould_id in self._normals]
        if not rows:
            return rows
        if self._required or not self.takes_states:
            there = given.has(self._required)
        else:  # where no baseline is in force there is nothing to go by
            there = given.has(tuple(self.columns.tolist()), any_of=True)
        rows = [row for row in rows if there[row]]
        if self._abstain_above is None or states is None or not rows:
            return rows
        spread, limit = states.spread(), self._abstain_above
        if self.takes_states:
            return [row for row in rows if spread[row] <= limit]
        return [row for row in rows if spread[row] <= limit or spread[row] == math.inf]

    def run(self, inputs: FloatArray) -> tuple[list[list[float]], FloatArray | None]:
        """Outputs of each row, in the order of `classes`; what each input adds to a novelty, where the head tells."""
        outputs, *more = self._session.run(self._outputs, {"inputs": inputs})
        return outputs.tolist(), more[0] if more else None

    def is_over(self, outputs: Sequence[float]) -> bool:
        """Whether a failure mode has reached its threshold."""
        return self.kind == "failure" and any(outputs[number] >= limit for number, limit in self._thresholds)

    def reasons(self, inputs: FloatArray, mould_id: str) -> tuple[Reason, ...]:
        """The inputs of a row that are furthest from the mould's normal, furthest first."""
        centres, scales = self._normals[mould_id if mould_id in self._normals else ANY_MOULD]
        sigmas = (inputs - centres) / scales
        distances = np.fmax(np.abs(sigmas), 0)  # what is missing is not far
        furthest = (-distances).argsort(kind="stable")[:REASONS_MAX]
        values, moved = inputs[furthest].tolist(), sigmas[furthest].tolist()
        return tuple(
            Reason(self.inputs[column], value, sigma)
            for column, value, sigma in zip(furthest.tolist(), values, moved, strict=True)
            if abs(sigma) >= SIGMA_MIN
        )

    def reasons_of_state(self, state: FloatArray, features: FloatArray, outputs: Sequence[float]) -> tuple[Reason, ...]:
        """What has moved beside the press's own baseline, furthest first: running means, with this shot's values.

        Looked for among what tells most of the mode that is nearest to its threshold, or among all.
        """
        nearest = max(self._thresholds, key=lambda told: outputs[told[0]] / told[1])[0] if self._thresholds else 0
        telling = self._telling[nearest]
        moved = [
            (name, place, sigma)
            for name, place, sigma in zip(telling.names, telling.features, state[telling.columns].tolist(), strict=True)
            if abs(sigma) >= SIGMA_MIN
        ]
        moved.sort(key=lambda told: -abs(told[2]))
        return tuple(Reason(name, float(features[place]), sigma) for name, place, sigma in moved[:REASONS_MAX])

    def _check_golden(self, path: Path, head: Head) -> None:
        inputs = np.array([golden.inputs for golden in head.golden], np.float32)
        wanted = np.array([golden.outputs for golden in head.golden], np.float32)
        found = np.array(self.run(inputs)[0], np.float32)
        if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE):
            raise BundleError(path, f"holds {head.file}, which does not give its golden outputs on this machine")


class _Telling:
    """Values that reasons are looked for among: names, places among features, and of the running means in a state."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = [name for name in names if name in _FEATURE_NAMES]
        self.features = [index(name) for name in self.names]
        self.columns = np.array([state_index(f"{name}@{RUNNING}") for name in self.names], np.intp)


def _limits(head: Head) -> dict[str, float]:
    """From where a failure mode is worth an alarm, for who raises it: `FailureThreshold/<mode>`."""
    if head.kind != "failure":
        return {}
    return {f"FailureThreshold/{name.partition('@')[0]}": value for name, value in head.thresholds.items()}


def session_of(path: Path, head: Head, model: bytes) -> onnxruntime.InferenceSession:
    """A session of one thread for a head.

    Raises:
        BundleError: it is no ONNX model, or one of another shape.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise BundleError(path, f"holds {head.file}, which is no model that can be run: {error}") from error
    found = [(node.name, node.type, len(node.shape)) for node in (*session.get_inputs(), *session.get_outputs())]
    wanted = [(name, "tensor(float)", 2) for name in ("inputs", "outputs", CONTRIBUTIONS)]
    if found != wanted[:2] and not (found == wanted and head.kind == "novelty" and head.inputs[0] in _STATES):
        raise BundleError(path, f"holds {head.file} with {found}, want float matrices inputs -> outputs")
    if session.get_inputs()[0].shape[1] != len(head.inputs):
        raise BundleError(path, f"holds {head.file} for another number of inputs than its manifest says")
    if found == wanted and session.get_outputs()[1].shape[1] != len(head.classes) * len(head.inputs):
        raise BundleError(path, f"holds {head.file} with contributions that are not one an input and output")
    return session
