"""What a table has taught, as a bundle: one head of kind `table`, or a quality head that gateways take."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper

from models.features.schema import FEATURES
from models.runtime.bundle import OWN_FEATURES, Feature, Manifest, manifest_of
from models.training.export import TrainedHead, onnx_model, trained_head
from models.training.tabular.protocol import Report, predict
from models.training.tabular.table import Matrix, Table, TableError
from models.training.trees import of_forest, of_gradient_boosting

FILE = "table.onnx"
ANY_MOULD = "*"
_FEATURE_NAMES = frozenset(spec.name for spec in FEATURES)


def head_of(table: Table, models: dict[str, Any], report: Report, *, mould_id: str | None) -> TrainedHead:
    """The head of the fitted models, whose mean is the answer.

    Raises:
        TableError: with `mould_id`: a column is no feature of a shot, so that no gateway could fill it.
    """
    if mould_id is not None:
        unknown = [name for name in table.inputs if name not in _FEATURE_NAMES]
        if unknown or not table.classes:
            raise TableError(
                f"no gateway can fill {', '.join(map(repr, unknown))}: name the columns as the features of a shot "
                "(docs/reference/features.md), or leave them out with --drop"
                if unknown
                else "a gateway's quality head tells classes; the label is a quantity"
            )
    whole = np.arange(len(table.labels))

    def reference(rows: Matrix) -> npt.NDArray[np.float64]:
        return predict(_with_rows(table, rows), models, np.arange(len(rows)))

    full = table.rows[~np.isnan(table.rows).any(axis=1)]
    return trained_head(
        "table" if mould_id is None else "quality",
        FILE,
        _to_onnx(table, models),
        reference,
        inputs=table.inputs,
        required=table.inputs if mould_id is not None else (),
        classes=table.classes or ("value",),
        normal_rows={mould_id or ANY_MOULD: table.rows},
        rows=full if len(full) else np.nan_to_num(table.rows),
        thresholds={},
        threshold_basis="none: the class is the most probable one" if table.classes else "none: a quantity",
        trained_on=f"{len(whole)} rows of a labelled table",
        metrics={report.metric: report.score.mean, **report.more},
        measured_on=report.protocol,
    )


def manifest_for(head: TrainedHead, table: Table, *, seed: int, mould_id: str | None) -> Manifest:
    """The manifest of a bundle with this head alone."""
    features = OWN_FEATURES if mould_id is not None else tuple(Feature(name=name, unit="") for name in table.inputs)
    return manifest_of((head.head,), seed=seed, features=features)


def _with_rows(table: Table, rows: Matrix) -> Table:
    blank = np.zeros(len(rows))
    return Table(table.inputs, rows, blank, table.classes, None, None, table.dropped, 0)


def _to_onnx(table: Table, models: dict[str, Any]) -> bytes:
    nodes: list[NodeProto] = []
    constants: dict[str, npt.NDArray[np.float32]] = {"share": np.array([1 / len(models)], np.float32)}
    answers = []
    for name, model in models.items():
        add = _boosting if name == "gradient_boosting" else _forest
        answers.append(add(model, name, len(table.classes), nodes, constants))
    total = answers[0]
    for number, answer in enumerate(answers[1:]):
        nodes.append(helper.make_node("Add", [total, answer], [f"total_{number}"]))
        total = f"total_{number}"
    nodes.append(helper.make_node("Mul", [total, "share"], ["outputs"]))
    return onnx_model("table", nodes, constants, len(table.inputs), max(len(table.classes), 1))


def _boosting(
    model: Any, name: str, classes: int, nodes: list[NodeProto], constants: dict[str, npt.NDArray[np.float32]]
) -> str:
    baseline = np.ravel(model._baseline_prediction).astype(np.float32)
    constants[f"{name}_baseline"] = baseline
    nodes.append(of_gradient_boosting(model._predictors, len(baseline)).node("inputs", f"{name}_sum"))
    nodes.append(helper.make_node("Add", [f"{name}_sum", f"{name}_baseline"], [f"{name}_raw"]))
    if not classes:
        return f"{name}_raw"
    if classes > 2:
        nodes.append(helper.make_node("Softmax", [f"{name}_raw"], [f"{name}_answer"], axis=1))
        return f"{name}_answer"
    constants[f"{name}_one"] = np.array([1.0], np.float32)
    nodes.append(helper.make_node("Sigmoid", [f"{name}_raw"], [f"{name}_second"]))
    nodes.append(helper.make_node("Sub", [f"{name}_one", f"{name}_second"], [f"{name}_first"]))
    nodes.append(helper.make_node("Concat", [f"{name}_first", f"{name}_second"], [f"{name}_answer"], axis=1))
    return f"{name}_answer"


def _forest(
    model: Any, name: str, _classes: int, nodes: list[NodeProto], _constants: dict[str, npt.NDArray[np.float32]]
) -> str:
    trees: Sequence[Any] = model.estimators_
    nodes.append(of_forest(trees).node("inputs", f"{name}_answer"))
    return f"{name}_answer"
