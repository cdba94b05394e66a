"""The failure head on its way into a bundle, and out of one again to be judged."""

import numpy as np
import numpy.typing as npt

from models.evaluation.traces import Values
from models.runtime.bundle import Bundle, Head, ReliabilityBin
from models.runtime.scorer import ANY_MOULD, session_of
from models.runtime.unsettled import unsettled
from models.training.dataset import Matrix
from models.training.export import TrainedHead, trained_head
from models.training.failure_modes import ALARM_HORIZON, SPREADS, FailureModel
from models.training.rows import INPUTS
from models.training.survival import HORIZONS_H

FILE = "failure.onnx"
REQUIRED = ("CycleTime@ewma20",)
"""Without a baseline in force nothing is said; trees take any other gap."""
BATCH = 20_000


def head_of(model: FailureModel, *, trained_on: str, metrics: dict[str, float], measured_on: str) -> TrainedHead:
    """The bundle's head: probabilities of each mode within each horizon."""

    def reference(rows: Matrix) -> npt.NDArray[np.float64]:
        return model.survival.predict(rows)

    rows = model.rows.inputs
    whole = rows[~np.isnan(rows).any(axis=1)]
    judged = model.survival.predict(whole)[:, ALARM_HORIZON :: len(HORIZONS_H)].max(axis=1)
    outputs = model.survival.outputs[ALARM_HORIZON :: len(HORIZONS_H)]
    found = trained_head(
        "failure",
        FILE,
        model.survival.to_onnx(len(INPUTS)),
        reference,
        inputs=INPUTS,
        required=REQUIRED,
        classes=model.survival.outputs,
        normal_rows={ANY_MOULD: rows},
        rows=whole[np.argsort(judged, kind="stable")],
        thresholds=dict(zip(outputs, model.thresholds.values.tolist(), strict=True)),
        threshold_basis=model.thresholds.basis,
        trained_on=trained_on,
        metrics=metrics,
        measured_on=measured_on,
    )
    more = {
        "telling": dict(model.telling),
        "abstain_above": round(model.abstain_above, 6),
        "reliability": {
            name: tuple(
                ReliabilityBin(rows=each.rows, said=round(each.said, 6), came=round(each.came.value, 6))
                for each in told.bins
            )
            for name, told in model.reliability.items()
        },
    }
    return TrainedHead(found.head.model_copy(update=more), found.model, found.reference)


class BundleHead:
    """A bundle's failure head as `models.training.evaluate.FailureHead`, answered by its ONNX file."""

    def __init__(self, bundle: Bundle) -> None:
        head = failure_head_of(bundle)
        self._session = session_of(bundle.path, head, bundle.models[head.file])
        self._abstain_above = head.abstain_above
        self._modes = tuple(dict.fromkeys(name.partition("@")[0] for name in head.classes))
        longest = head.classes[len(HORIZONS_H) - 1 :: len(HORIZONS_H)]
        self._thresholds = np.array([head.thresholds.get(name, np.inf) for name in longest])

    @property
    def modes(self) -> tuple[str, ...]:
        """See `FailureHead`."""
        return self._modes

    @property
    def alarm_thresholds(self) -> Values:
        """See `FailureHead`."""
        return self._thresholds

    def probabilities(self, inputs: Matrix) -> Values:
        """See `FailureHead`."""
        parts = [
            self._session.run(["outputs"], {"inputs": inputs[start : start + BATCH]})[0]
            for start in range(0, len(inputs), BATCH)
        ]
        found = np.concatenate(parts).astype(np.float64).reshape(-1, len(self._modes), len(HORIZONS_H))
        if self._abstain_above is not None:
            found[unsettled(inputs[:, SPREADS]) > self._abstain_above] = np.nan
        return found


def failure_head_of(bundle: Bundle) -> Head:
    """The bundle's failure head over states.

    Raises:
        ValueError: it has none.
    """
    heads = [head for head in bundle.manifest.heads if head.kind == "failure" and head.inputs == INPUTS]
    if not heads:
        raise ValueError(f"bundle {bundle.bundle_id} has no failure head over states of this version")
    return heads[0]
