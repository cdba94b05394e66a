"""From a fitted head to the parts of a bundle: an ONNX file and its entry in the manifest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, checker, helper, numpy_helper

from models.runtime.bundle import Golden, Head, HeadKind, Normal
from models.training.dataset import Matrix
from models.training.trees import DOMAIN, OPSET

MAIN_OPSET = 21
IR_VERSION = 10
GOLDEN_ROWS = 8
SCALE_SHARE_MIN, SCALE_MIN = 1e-3, 1e-6
"""An input that hardly moves in training gets this share of its size, or this, as its scale."""
Reference = Callable[[Matrix], npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class TrainedHead:
    """What goes into a bundle, with scikit-learn's own answer (rows, classes) as the reference for parity."""

    head: Head
    model: bytes
    reference: Reference


def onnx_model(
    name: str, nodes: Sequence[NodeProto], constants: Mapping[str, npt.NDArray], inputs: int, outputs: int
) -> bytes:
    """A graph from float32 `inputs` (n, inputs) to float32 `outputs` (n, outputs), checked and serialised."""
    graph = helper.make_graph(
        list(nodes),
        name,
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["n", inputs])],
        [helper.make_tensor_value_info("outputs", TensorProto.FLOAT, ["n", outputs])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", MAIN_OPSET), helper.make_opsetid(DOMAIN, OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="zhisan")
    checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def trained_head(
    kind: HeadKind,
    file: str,
    model: bytes,
    reference: Reference,
    *,
    inputs: Sequence[str],
    required: Sequence[str],
    classes: Sequence[str],
    normal_rows: Mapping[str, Matrix],
    rows: Matrix,
    thresholds: Mapping[str, float],
    threshold_basis: str,
    trained_on: str,
    metrics: Mapping[str, float],
    measured_on: str,
) -> TrainedHead:
    """A head and its manifest entry.

    Args:
        kind: what the head tells.
        file: its name in the bundle.
        model: the ONNX file.
        reference: scikit-learn's answer to rows of inputs.
        inputs: features in the order of the model's columns.
        required: those that a shot must have.
        classes: the names of the outputs.
        normal_rows: by mould, healthy inputs that say what is usual there.
        rows: inputs without NaN that golden rows are drawn from, evenly from first to last.
        thresholds: by class, where an alarm is worth while.
        threshold_basis: what they were chosen for, and on what.
        trained_on: the data of the model.
        metrics: figures by name.
        measured_on: the data of the figures.
    """
    golden_rows = rows[np.linspace(0, len(rows) - 1, GOLDEN_ROWS).astype(int)]
    head = Head(
        kind=kind,
        file=file,
        sha256=sha256(model).hexdigest(),
        inputs=tuple(inputs),
        required=tuple(required),
        classes=tuple(classes),
        normals={mould_id: normals_of(normal) for mould_id, normal in normal_rows.items()},
        thresholds={name: float(f"{value:.6g}") for name, value in thresholds.items()},
        threshold_basis=threshold_basis,
        golden=tuple(
            Golden(inputs=tuple(row), outputs=tuple(outputs))
            for row, outputs in zip(golden_rows.tolist(), reference(golden_rows).tolist(), strict=True)
        ),
        trained_on=trained_on,
        metrics={name: round(float(value), 6) for name, value in metrics.items()},
        measured_on=measured_on,
    )
    return TrainedHead(head, model, reference)


def normals_of(rows: Matrix) -> tuple[Normal, ...]:
    """Median and 1.4826 x median absolute deviation of each column, the latter with a floor."""
    centres = np.nanmedian(rows, axis=0).astype(np.float64)
    scales = 1.4826 * np.nanmedian(np.abs(rows - centres), axis=0)
    floors = np.maximum(SCALE_SHARE_MIN * np.abs(centres), SCALE_MIN)
    return tuple(
        Normal(centre=centre, scale=scale)
        for centre, scale in zip(centres.tolist(), np.maximum(scales, floors).tolist(), strict=True)
    )
