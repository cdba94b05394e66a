"""The trees of a HistGradientBoosting or a forest as one `TreeEnsemble` node of ai.onnx.ml version 5, same answers.

skl2onnx writes the older operators (453 kB where this writes 152 kB) and is the oracle of the tests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper, numpy_helper

BRANCH_LEQ = 0
SUM = 1
DOMAIN = "ai.onnx.ml"
OPSET = 5


@dataclass(slots=True)
class Ensemble:
    """The attributes of the node, tree after tree."""

    targets: int
    features: list[int] = field(default_factory=list)
    splits: list[np.float32] = field(default_factory=list)
    missing_true: list[int] = field(default_factory=list)
    true_ids: list[int] = field(default_factory=list)
    true_leafs: list[int] = field(default_factory=list)
    false_ids: list[int] = field(default_factory=list)
    false_leafs: list[int] = field(default_factory=list)
    leaf_targets: list[int] = field(default_factory=list)
    leaf_weights: list[np.float32] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)

    def node(self, inputs: str, outputs: str) -> NodeProto:
        """The graph node: float32 `inputs` (n, features) to `outputs` (n, targets), leaf weights summed."""
        return helper.make_node(
            "TreeEnsemble",
            [inputs],
            [outputs],
            domain=DOMAIN,
            n_targets=self.targets,
            aggregate_function=SUM,
            post_transform=0,
            tree_roots=self.roots,
            nodes_featureids=self.features,
            nodes_modes=numpy_helper.from_array(np.full(len(self.features), BRANCH_LEQ, np.uint8)),
            nodes_splits=numpy_helper.from_array(np.array(self.splits, np.float32)),
            nodes_missing_value_tracks_true=self.missing_true,
            nodes_truenodeids=self.true_ids,
            nodes_trueleafs=self.true_leafs,
            nodes_falsenodeids=self.false_ids,
            nodes_falseleafs=self.false_leafs,
            leaf_targetids=self.leaf_targets,
            leaf_weights=numpy_helper.from_array(np.array(self.leaf_weights, np.float32)),
        )

    def add_leaf(self, target: int, weight: float) -> int:
        """A leaf; its number."""
        self.leaf_targets.append(target)
        self.leaf_weights.append(np.float32(weight))
        return len(self.leaf_targets) - 1

    def add_branch(self, feature: int, split: np.float32, *, is_missing_left: bool) -> int:
        """A branch whose children are set later; its number."""
        self.features.append(feature)
        self.splits.append(split)
        self.missing_true.append(int(is_missing_left))
        for column in (self.true_ids, self.true_leafs, self.false_ids, self.false_leafs):
            column.append(0)
        return len(self.features) - 1

    def set_children(self, branch: int, left: tuple[int, bool], right: tuple[int, bool]) -> None:
        """Each child is (number, is it a leaf); the left one is where `feature <= split` holds."""
        self.true_ids[branch], self.true_leafs[branch] = left[0], int(left[1])
        self.false_ids[branch], self.false_leafs[branch] = right[0], int(right[1])


@dataclass(frozen=True, slots=True)
class _Node:
    is_leaf: bool
    feature: int
    split: np.float32
    is_missing_left: bool
    left: int
    right: int
    weight: float


def of_gradient_boosting(predictors: Iterable[Iterable[Any]], targets: int) -> Ensemble:
    """The raw sum of a fitted HistGradientBoosting's trees, without its baseline; `predictors`: its `_predictors`."""
    ensemble = Ensemble(targets)
    for iteration in predictors:
        for target, tree in enumerate(iteration):
            nodes = _boosted_nodes(tree.nodes)
            _add_tree(ensemble, nodes, [target] * len(nodes))
    return ensemble


def of_forest(estimators: Sequence[Any]) -> Ensemble:
    """The mean answer of a fitted forest's trees: probabilities by class, or one quantity; `estimators`: its trees.

    A leaf of the operator speaks of one target. A leaf that speaks of several classes is written once for each, in
    further copies of its tree that hold nothing else and shrink to the way to such leaves.
    """
    ensemble = Ensemble(estimators[0].tree_.value.shape[2])
    for estimator in estimators:
        tree = estimator.tree_
        weights = tree.value[:, 0, :] / len(estimators)
        is_leaf = tree.children_left < 0
        while (weights[is_leaf] != 0).any():
            target = weights.argmax(axis=1) if ensemble.targets > 1 else np.zeros(len(weights), int)
            spoken = np.where(is_leaf, weights[np.arange(len(weights)), target], 0.0)
            _add_tree(ensemble, *_forest_nodes(tree, spoken, target))
            weights[np.arange(len(weights)), target] = 0.0
    return ensemble


def _forest_nodes(
    tree: Any, spoken: npt.NDArray[np.float64], targets: npt.NDArray[np.intp]
) -> tuple[list[_Node], list[int]]:
    """The tree with these leaf weights, without the branches below which all weights are zero; targets by node."""
    is_silent = spoken == 0
    for number in range(len(spoken) - 1, -1, -1):  # children come after their parent
        if tree.children_left[number] >= 0:
            is_silent[number] = is_silent[tree.children_left[number]] and is_silent[tree.children_right[number]]
    nodes: list[_Node] = []
    found_targets: list[int] = []
    waiting = [(0, -1, False)]
    while waiting:
        number, parent, is_left = waiting.pop()
        place = len(nodes)
        is_leaf = bool(is_silent[number]) or tree.children_left[number] < 0
        weight = 0.0 if is_silent[number] else float(spoken[number])
        missing_left = bool(tree.missing_go_to_left[number])
        split = _split(float(tree.threshold[number]))
        nodes.append(_Node(is_leaf, int(tree.feature[number]), split, missing_left, -1, -1, weight))
        found_targets.append(int(targets[number]))
        if parent >= 0:
            nodes[parent] = replace(nodes[parent], left=place) if is_left else replace(nodes[parent], right=place)
        if not is_leaf:
            waiting += [(tree.children_right[number], place, False), (tree.children_left[number], place, True)]
    return nodes, found_targets


def _boosted_nodes(nodes: Any) -> list[_Node]:
    return [
        _Node(
            is_leaf=bool(node["is_leaf"]),
            feature=int(node["feature_idx"]),
            split=_split(float(node["num_threshold"])),
            is_missing_left=bool(node["missing_go_to_left"]),
            left=int(node["left"]),
            right=int(node["right"]),
            weight=float(node["value"]),
        )
        for node in nodes
    ]


def _split(threshold: float) -> np.float32:
    """The largest float32 not above the threshold: `x <= threshold` is then the same for every float32 x."""
    rounded = np.float32(threshold)
    return np.nextafter(rounded, np.float32(-np.inf)) if float(rounded) > threshold else rounded


def _add_tree(ensemble: Ensemble, nodes: list[_Node], targets: list[int]) -> None:
    places: list[tuple[int, bool]] = []
    for node, target in zip(nodes, targets, strict=True):
        if node.is_leaf:
            places.append((ensemble.add_leaf(target, node.weight), True))
        else:
            branch = ensemble.add_branch(node.feature, node.split, is_missing_left=node.is_missing_left)
            places.append((branch, False))
    for node, (place, is_leaf) in zip(nodes, places, strict=True):
        if not is_leaf:
            ensemble.set_children(place, places[node.left], places[node.right])
    root, is_leaf = places[0]
    if is_leaf:  # the operator wants a branch at the root, even where both ways lead to the same leaf
        branch = ensemble.add_branch(0, np.float32(0), is_missing_left=True)
        ensemble.set_children(branch, (root, True), (root, True))
        root = branch
    ensemble.roots.append(root)
