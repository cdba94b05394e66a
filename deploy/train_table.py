"""`zhisan models train`: a labelled CSV becomes a bundle with its model card; `zhisan models score` applies it."""

import argparse
import csv
import json
import math
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from kit.errors import ZhisanError
from models.runtime.bundle import read_bundle, write_bundle
from models.runtime.scorer import session_of
from models.training.export import TrainedHead
from models.training.tabular import card, export, protocol
from models.training.tabular.table import Matrix, TableError, read_inputs, read_table

REPEATS = 10
PARITY_MAX = 1e-4
"""Relative to answers above 1: both sum float32 leaves, in another order."""


def train(argv: Sequence[str]) -> int:
    """Read, judge, fit, write; the last line is one JSON object."""
    parser = argparse.ArgumentParser(
        prog="zhisan models train",
        description="Learn from a labelled CSV: judge by nested cross-validation, then fit on all rows.",
    )
    parser.add_argument("--data", type=Path, required=True, help="CSV file with a header line")
    parser.add_argument(
        "--label", required=True, metavar="COL", help="the column to predict: words, classes or numbers"
    )
    parser.add_argument("--drop", default="", metavar="COL,COL", help="columns that are not inputs")
    parser.add_argument("--group", metavar="COL", help="rows of one group (press, mould, lot) are never split")
    parser.add_argument("--time", metavar="COL", help="judge rows only by earlier ones")
    parser.add_argument("--out", type=Path, required=True, metavar="B", help="the bundle; the card lies beside it")
    parser.add_argument("--mould", metavar="ID", help="make it a gateway's quality head for this mould")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of the folds (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of folds and models (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one repeat, no tuning: a first look")
    options = parser.parse_args(argv)
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    try:
        return _train(options)
    except ZhisanError as error:
        print(f"zhisan models train: {error}", file=sys.stderr)
        return 1


def _train(options: argparse.Namespace) -> int:
    drop = [name.strip() for name in options.drop.split(",") if name.strip()]
    table = read_table(options.data, label=options.label, drop=drop, group=options.group, time=options.time)
    print(
        f"{options.data}: {len(table.labels)} rows, {len(table.inputs)} inputs, "
        + (f"classes {', '.join(table.classes)}" if table.classes else "a quantity"),
        flush=True,
    )
    if table.rows_without_label:
        print(f"{table.rows_without_label} rows have no {options.label!r} and are left out")
    repeats = 1 if options.quick else options.repeats
    with threadpool_limits(1):  # sums over threads round differently
        report = protocol.judge(table, repeats=repeats, seed=options.seed, quick=options.quick, progress=_tell)
        whole = np.arange(len(table.labels))
        choice = protocol.choose(table, whole, options.seed, quick=options.quick)
        models = protocol.fit(table, whole, choice, options.seed)
        head = export.head_of(table, models, report, mould_id=options.mould)
    manifest = export.manifest_for(head, table, seed=options.seed, mould_id=options.mould)
    try:
        bundle = write_bundle(options.out, manifest, {export.FILE: head.model})
        digest = sha256(options.data.read_bytes()).hexdigest()
        text = card.card_of(table, report, bundle, data=options.data.name, sha256=digest, seed=options.seed)
        options.out.with_suffix(".md").write_text(text, encoding="utf-8")
    except OSError as error:
        raise TableError(f"{options.out}: cannot be written: {error.strerror or error}") from error
    read_bundle(options.out, features_hash=manifest.features_hash)
    print(text)
    figures = {
        "task": table.task,
        "metric": report.metric,
        "mean": report.score.mean,
        "interval": list(report.score.interval),
        "baselines": report.baselines,
        "figures": report.more,
        "f1_by_class": report.by_class,
        "random_split": report.random_split,
        "rows": len(table.labels),
        "protocol": report.protocol,
        "parity": _parity(options.out, head, table.rows),
        "bundle": str(options.out),
        "bundle_id": bundle.bundle_id,
        "size_bytes": options.out.stat().st_size,
    }
    print(json.dumps(_without_nan(figures), ensure_ascii=False))
    return 0


def _parity(path: Path, head: TrainedHead, rows: Matrix) -> float:
    """How far the ONNX file's answers are from scikit-learn's, at most, over all rows of the table.

    Raises:
        TableError: too far; the bundle must not be used.
    """
    (found,) = session_of(path, head.head, head.model).run(["outputs"], {"inputs": rows})
    wanted = head.reference(rows)
    apart = float((np.abs(found - wanted) / np.maximum(np.abs(wanted), 1.0)).max())
    if apart > PARITY_MAX:
        raise TableError(f"{path}: the exported model answers up to {apart:.2g} away from the fitted one")
    return apart


def score(argv: Sequence[str]) -> int:
    """Apply a table's bundle to a CSV of the same columns; answers go to --out or to standard output."""
    parser = argparse.ArgumentParser(prog="zhisan models score", description=score.__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="made by `zhisan models train`")
    parser.add_argument("--data", type=Path, required=True, help="CSV file with the same columns; more do no harm")
    parser.add_argument("--out", type=Path, help="where the answers go, one line a row")
    options = parser.parse_args(argv)
    try:
        bundle = read_bundle(options.bundle, features_hash=None)
        (head,) = (head for head in bundle.manifest.heads if head.file == export.FILE)
        rows = read_inputs(options.data, head.inputs)
    except ValueError:
        print(f"zhisan models score: {options.bundle} was not made from a table", file=sys.stderr)
        return 1
    except ZhisanError as error:
        print(f"zhisan models score: {error}", file=sys.stderr)
        return 1
    (found,) = session_of(options.bundle, head, bundle.models[head.file]).run(["outputs"], {"inputs": rows})
    try:
        out = sys.stdout if options.out is None else options.out.open("w", encoding="utf-8", newline="")
    except OSError as error:
        print(f"zhisan models score: {options.out}: cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    with out if options.out is not None else _Left():
        lines = csv.writer(out)
        lines.writerow([*head.classes, *(["class"] if len(head.classes) > 1 else [])])
        for answer in found.tolist():
            named = [head.classes[answer.index(max(answer))]] if len(head.classes) > 1 else []
            lines.writerow([*(f"{value:.6g}" for value in answer), *named])
    return 0


class _Left:
    """Leaves standard output open."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def _tell(done: int, of_all: int) -> None:
    print(
        f"\rcross-validation: fold {done} of {of_all}", end="\n" if done == of_all else "", file=sys.stderr, flush=True
    )


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
