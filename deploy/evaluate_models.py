"""`zhisan models evaluate`: a bundle's failure head over a history that it has not seen; a page and a JSON document."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from kit.errors import ZhisanError
from models.evaluation.history import read_meta
from models.runtime.bundle import read_bundle
from models.training import report
from models.training.bundle_head import BundleHead
from models.training.evaluate import evaluate


def main(argv: Sequence[str]) -> int:
    """Judge and write `evaluation.html` and `evaluation.json`; the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="zhisan models evaluate", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="the bundle to judge")
    parser.add_argument(
        "--history", type=Path, required=True, help="made by `zhisan sim press-history`, never learned from"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the report goes")
    parser.add_argument("--every", type=int, default=1, help="score each so-maniest shot (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="of bootstrap and isolation forest (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.every < 1:
        parser.error("--every must be at least 1")
    try:
        return _evaluate(options)
    except (ZhisanError, ValueError) as error:
        print(f"zhisan models evaluate: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"zhisan models evaluate: {options.out}: {error.strerror or error}", file=sys.stderr)
        return 1


def _evaluate(options: argparse.Namespace) -> int:
    started_s = time.monotonic()
    bundle = read_bundle(options.bundle)
    meta = read_meta(options.history)
    about: dict[str, Any] = {"bundle_id": bundle.bundle_id, "history": meta, "every": options.every}
    options.out.mkdir(parents=True, exist_ok=True)
    with threadpool_limits(1):
        found = evaluate(options.history, BundleHead(bundle), seed=options.seed, every=options.every, progress=_tell)
    document = report.as_json(found, about)
    page = report.as_html(document, found, f"Bundle {bundle.bundle_id} over months that it has not seen")
    (options.out / "evaluation.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    (options.out / "evaluation.html").write_text(page, encoding="utf-8")
    print(f"{options.out / 'evaluation.html'}: {time.monotonic() - started_s:.0f} s")
    flat = {
        f"{name}_{key}": values[0]
        for name, figures in document["methods"].items()
        for key, values in figures.items()
        if isinstance(values, list)
    }
    by_mode = {
        f"{mode}_{key}": figures[key][0]
        for mode, figures in document["by_mode"].items()
        for key in ("recall", "median_lead_h")
    }
    print(json.dumps({"bundle_id": bundle.bundle_id, "presses": len(found.presses), **flat, **by_mode}))
    return 0


def _tell(what: str, done: int, of_all: int) -> None:
    print(f"\r{what}: press {done} of {of_all}   ", end="\n" if done == of_all else "", file=sys.stderr, flush=True)
