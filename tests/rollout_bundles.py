"""Small bundles that behave well or badly on purpose, over two parameters that every press reports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from onnx import NodeProto, TensorProto, helper

from models.features.schema import FEATURES, index
from models.runtime.bundle import Bundle, HeadKind, Manifest, manifest_of, write_bundle
from models.runtime.drift import TrainingSummary, summarise
from models.runtime.score_level import ScoreSummary
from models.runtime.scorer import ANY_MOULD
from models.training.export import TrainedHead, onnx_model, trained_head

INPUTS = ("CushionStroke", "CycleTime")
STATES = ("CushionStroke@ewma20", "CycleTime@ewma20")
MODE = "check_ring_wear"
MOULD = "M"
NORMAL = (5.0, 20.0)
SLOW_SIZE = 1_600
TABLE = 40
Kind = Literal["good", "storm", "slow", "failing"]


def shots_like_training(count: int, seed: int = 0) -> np.ndarray:
    """Inputs (count, 2) as the bundles were "trained" on."""
    return np.random.default_rng(seed).normal(NORMAL, (0.1, 0.2), (count, 2)).astype(np.float32)


def head(kind: Kind = "good", bias: float = -3.0) -> TrainedHead:
    """One failure head: the sigmoid of the cushion's distance from normal plus a bias; `storm` is always sure."""
    bias = 20.0 if kind == "storm" else bias
    weights, constants = np.array([[1.0], [0.0]], np.float32), {"bias": np.array([bias - NORMAL[0]], np.float32)}
    nodes = [
        helper.make_node("MatMul", ["inputs", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["answer"]),
    ]
    extra, more = _slow() if kind == "slow" else _failing() if kind == "failing" else ([], {})
    nodes += extra
    nodes.append(
        helper.make_node("Add" if extra else "Identity", ["answer", "nothing"] if extra else ["answer"], ["outputs"])
    )
    model = onnx_model("failure", nodes, {"weights": weights, **constants, **more}, 2, 1)
    rows = shots_like_training(40)
    return trained_head(
        "failure",
        "failure.onnx",
        model,
        lambda wanted: 1 / (1 + np.exp(-(wanted[:, :1].astype(float) - NORMAL[0] + bias))),
        inputs=INPUTS,
        required=(),
        classes=[MODE],
        normal_rows={MOULD: rows},
        rows=rows,
        thresholds={MODE: 0.8},
        threshold_basis="a test",
        trained_on="a test",
        metrics={"roc_auc": 0.9},
        measured_on="a test",
    )


def bundle_file(path: Path, kind: Kind = "good", *, bias: float = -3.0, seed: int = 1) -> Bundle:
    """Write such a bundle, unsigned; another seed makes another id."""
    made = head(kind, bias)
    return write_bundle(path, manifest_of((made.head,), seed=seed, training=training()), {made.head.file: made.model})


def training(bias: float = -3.0) -> dict[str, TrainingSummary]:
    """What the two inputs were like in training, and what the head says of them."""
    rows, inputs = np.full((400, len(FEATURES)), np.nan, np.float32), shots_like_training(400, seed=2)
    rows[:, [index(name) for name in INPUTS]] = inputs
    scores = 1 / (1 + np.exp(-(inputs[:, 0].astype(float) - NORMAL[0] + bias)))
    of_shots = [MOULD] * 400, ["p"] * 400
    usual = float(np.median(np.log(scores)))
    level = ScoreSummary(low=usual - 0.2, usual=usual, high=usual + 0.2, budget=1.0)
    summary = summarise(rows, *of_shots, [spec.name for spec in FEATURES])[MOULD]
    return {MOULD: summary.model_copy(update={"scores": {f"FailureProbability/{MODE}": level}})}


def many_heads() -> tuple[Manifest, dict[str, bytes]]:
    """Failure by states, quality and an uncapped T2 by features, for any mould: nothing is asked of a shot's inputs.

    T2 is beyond float32 for a shot far enough away, and no number for one that lacks an input.
    """
    state_rows = np.random.default_rng(3).normal(0, 1, (40, 2)).astype(np.float32)
    heads = [
        _plain_head("failure", STATES, [f"{MODE}@24h"], state_rows, "Sigmoid"),
        _plain_head("quality", INPUTS, ["ok", "waste"], shots_like_training(40), "Softmax"),
        _plain_head("novelty", INPUTS, ["T2"], shots_like_training(40), "Square"),
    ]
    return manifest_of(tuple(made.head for made in heads), seed=1), {made.head.file: made.model for made in heads}


def _plain_head(
    kind: HeadKind, inputs: Sequence[str], classes: Sequence[str], rows: np.ndarray, answer: str
) -> TrainedHead:
    weights = np.linspace(-1, 1, 2 * len(classes) + 1, dtype=np.float32)[1:].reshape(2, -1)
    ends = {
        "Sigmoid": [helper.make_node("Sigmoid", ["sum"], ["outputs"])],
        "Softmax": [helper.make_node("Softmax", ["sum"], ["outputs"], axis=1)],
        "Square": [helper.make_node("Mul", ["sum", "sum"], ["outputs"])],
    }
    formulas = {
        "Sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "Softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
        "Square": lambda z: z * z,
    }
    nodes = [helper.make_node("MatMul", ["inputs", "weights"], ["sum"]), *ends[answer]]
    return trained_head(
        kind,
        f"{kind}.onnx",
        onnx_model(kind, nodes, {"weights": weights}, 2, len(classes)),
        lambda wanted: formulas[answer](wanted.astype(float) @ weights),
        inputs=inputs,
        required=(),
        classes=classes,
        normal_rows={ANY_MOULD: rows},
        rows=rows,
        thresholds={},
        threshold_basis="a test",
        trained_on="a test",
        metrics={},
        measured_on="a test",
    )


def _slow() -> tuple[list[NodeProto], dict[str, np.ndarray]]:
    """A product of two large matrices that depend on the input, so that nothing can be computed ahead; it adds 0."""
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["large"], value=one),
        helper.make_node("ReduceMax", ["inputs"], ["number"], keepdims=0),
        helper.make_node("Mul", ["large", "number"], ["matrix"]),
        helper.make_node("MatMul", ["matrix", "matrix"], ["square"]),
        helper.make_node("ReduceMin", ["square"], ["least"], keepdims=0),
        helper.make_node("Mul", ["least", "zero"], ["nothing"]),
    ]
    return nodes, {"size": np.array([SLOW_SIZE, SLOW_SIZE], np.int64), "zero": np.array([0.0], np.float32)}


def _failing() -> tuple[list[NodeProto], dict[str, np.ndarray]]:
    """Looks the cycle time up in a table of TABLE seconds; a longer cycle makes the runtime fail."""
    nodes = [
        helper.make_node("Cast", ["inputs"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Gather", ["whole", "second"], ["seconds"], axis=1),
        helper.make_node("Gather", ["table", "seconds"], ["nothing"], axis=0),
    ]
    return nodes, {"second": np.array([1], np.int64), "table": np.zeros(TABLE, np.float32)}
