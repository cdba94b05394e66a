"""`zhisan sim press-history`: months of a plant's production as Parquet, with the truth apart."""

import argparse
import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contract.vocabulary import FAILURE_MODES
from deploy.sim_progress import shown
from kit.errors import ZhisanError
from models.features.schema import VALUES_HASH
from simulators.history.files import Counts, write_plans, written
from simulators.history.plan import FAULT_EVERY_DAYS, TIME_FACTOR, PressPlan, plans
from simulators.history.record import check_space, claimed, code_hash, finish
from simulators.history.workers import Order, carry_out

PRESSES_MAX, DAYS_MAX, WORKERS_MAX = 1_000, 1_000.0, 256
CURVES_EVERY = 500
KEPT = "the presses that are done are kept, and the same command goes on"
EXIT_OPTIONS, EXIT_INTERRUPTED = 2, 130


def main(argv: Sequence[str]) -> int:
    """Make the record; the last line is one JSON object."""
    parser = _parser()
    options = parser.parse_args(argv)
    wrong = _wrong(options)
    if wrong:
        print(f"zhisan sim press-history: {wrong}", file=sys.stderr)
        return EXIT_OPTIONS
    try:
        with _told_to_stop():
            return _make(options)
    except ZhisanError as error:
        print(f"zhisan sim press-history: {error}", file=sys.stderr)
    except OSError as error:
        what = f"{options.out}: {error.strerror or error}"
        print(f"zhisan sim press-history: {what}; {KEPT}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"\nzhisan sim press-history: interrupted; {KEPT}", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zhisan sim press-history", description=__doc__)
    add = parser.add_argument
    add("--presses", type=int, default=40, help="how many (default: %(default)s)")
    add("--days", type=float, default=90.0, help="of the calendar (default: %(default)s)")
    add("--seed", type=int, default=1, help="of all that happens (default: %(default)s)")
    add("--out", type=Path, required=True, metavar="DIR", help="a new folder, or one to go on in")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)")
    add(
        "--time-factor",
        type=float,
        default=TIME_FACTOR,
        help="how much faster than in a plant faults grow (default: %(default)s)",
    )
    add(
        "--fault-every-days",
        type=float,
        default=FAULT_EVERY_DAYS,
        help="how often something begins to fail on a press (default: %(default)s)",
    )
    add(
        "--curves-every",
        type=int,
        default=CURVES_EVERY,
        metavar="K",
        help="keep the curves of each so-maniest shot (default: %(default)s)",
    )
    add("--every", type=int, default=1, metavar="K", help="keep each so-maniest shot (default: all)")
    add("--force", action="store_true", help="replace a record that was made with other options")
    return parser


def _wrong(options: argparse.Namespace) -> str | None:
    for name, value, low, high in (
        ("presses", options.presses, 1, PRESSES_MAX),
        ("days", options.days, 1, DAYS_MAX),
        ("seed", options.seed, 0, 2**63),
        ("workers", options.workers, 1, WORKERS_MAX),
        ("time-factor", options.time_factor, 0.1, 1_000),
        ("fault-every-days", options.fault_every_days, 3, 10_000),
        ("curves-every", options.curves_every, 1, 10**9),
        ("every", options.every, 1, 10**6),
    ):
        if math.isnan(value) or not low <= value <= high:
            return f"--{name} is {value:g}; it must be between {low:g} and {high:g}"
    if options.out.exists() and not options.out.is_dir():
        return f"--out {options.out} is a file; it must be a folder"
    return None


def _make(options: argparse.Namespace) -> int:
    started_s = time.monotonic()
    about = {
        "presses": options.presses,
        "days": options.days,
        "seed": options.seed,
        "time_factor": options.time_factor,
        "fault_every_days": options.fault_every_days,
        "curves_every": options.curves_every,
        "every": options.every,
        "values_hash": VALUES_HASH,
        "modes": list(FAILURE_MODES),
        "version": version("zhisan"),
        "code_hash": code_hash(),
    }
    pace = {"time_factor": options.time_factor, "fault_every_days": options.fault_every_days}
    planned = list(plans(options.presses, options.days, options.seed, **pace))
    with claimed(options.out, about, force=options.force):
        there = {plan.press_id: written(options.out, plan.press_id) for plan in planned}
        left = [plan for plan in planned if there[plan.press_id] is None]
        if len(left) < len(planned):
            print(f"{len(planned) - len(left)} of {len(planned)} presses are there already")
        check_space(options.out, left, every=options.every, curves_every=options.curves_every)
        events, episodes = write_plans(options.out, planned)
        order = Order(options.out, options.seed, options.every, options.curves_every)
        with shown(len(planned), len(planned) - len(left)) as tell:
            made = carry_out(order, left, workers=options.workers, tell=tell)
        whole = {press: counts or made[press] for press, counts in there.items()}
        finish(options.out, about, _counts(whole, events, episodes))
    _report(options, planned, whole, made, time.monotonic() - started_s, about)
    return 0


def _counts(whole: dict[str, Counts], events: int, episodes: int) -> dict[str, Any]:
    return {
        "shots": sum(counts.shots for counts in whole.values()),
        "curves": sum(counts.curves for counts in whole.values()),
        "events": events,
        "episodes": episodes,
        "shots_by_press": {press: counts.shots for press, counts in whole.items()},
    }


def _report(
    options: argparse.Namespace,
    planned: Sequence[PressPlan],
    whole: dict[str, Counts],
    made: dict[str, Counts],
    seconds: float,
    about: dict[str, Any],
) -> None:
    faults = [fault for plan in planned for fault in plan.faults]
    failures = sum(fault.failed_ms is not None for fault in faults)
    new = sum(counts.shots for counts in made.values()) * options.every
    rate = new / seconds if new else 0.0
    print(f"{options.out}: {new:,} new shots in {seconds:.0f} s, {rate:,.0f} shots/s")
    print(f"{failures} failures, {len(faults) - failures} faults that did not come to one")
    figures = {
        "shots": sum(counts.shots for counts in whole.values()),
        "new_shots": new,
        "seconds": round(seconds, 1),
        "shots_per_s": round(rate, 1),
        "failures": failures,
        "faults": len(faults),
        "bytes": sum(path.stat().st_size for path in options.out.rglob("*.parquet")),
    }
    print(json.dumps({**about, **figures}))


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """A polite end (SIGTERM) is an interruption like Ctrl-C."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
