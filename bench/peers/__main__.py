"""The same faults for other ways to carry shots: each peer between a plant and a centre of ours that count, beside us.

The plant offers numbered messages with QoS 1, the peer hands them on with QoS 1. What it has acknowledged and the
centre never saw is lost. `--quick` is the look of a few minutes. What cannot be installed is told as skipped.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from bench.peers.faults import FAULTS, Figures, Plan, broken, timed
from bench.peers.install import NODE_RED, THINGSBOARD, InstallError
from bench.peers.line import Line, peer_line
from bench.peers.own import own_line
from bench.peers.programs import PEERS
from bench.report import tell
from deploy.local.processes import ProcessError

SEED = 20
OWN = "zhisan"
LINES: dict[str, Callable[[Path], AbstractContextManager[Line]]] = {
    OWN: own_line,
    **{name: partial(peer_line, name, setup) for name, setup in PEERS.items()},
}
OTHERS = {
    "emqx_edge": "no package of it is installed",
    "greengrass": "needs an account and a cloud that cannot be reached from a test",
    "azure_iot_edge": "needs an account and a cloud that cannot be reached from a test",
}
TIMED = "timed"
PER_S, PER_S_MAX = 100, 1_000
OUTAGE_S, MESSAGES, MESSAGES_TIMED = 30, 5_000, 10_000
OUTAGE_S_QUICK, MESSAGES_QUICK, MESSAGES_TIMED_QUICK = 6, 1_000, 2_000
MESSAGES_MAX = 1_000_000
COLUMNS = ("sent", "accepted", "arrived", "distinct", "lost", "doubled")


def main() -> int:
    """Run all; 1 when a fault could not be run to its end, or our own line lost something."""
    arguments = parsed()
    figures: Figures = {
        "per_s": arguments.per_s,
        "outage_s": arguments.outage_s,
        "messages": arguments.messages,
        "messages_timed": arguments.messages_timed,
        "thingsboard_package": THINGSBOARD[0],
        "nodered_package": NODE_RED,
    }
    for other, reason in OTHERS.items():
        figures[f"{other}_skipped"] = reason
        print(f"{other:20}skipped: {reason}")
    print(f"{'line':20}{'fault':22}" + "".join(f"{column:>10}" for column in COLUMNS), flush=True)
    bad = []
    for name in arguments.peers:
        for fault in arguments.only:
            told, problem = outcome(name, fault, arguments)
            figures |= {f"{name}_{fault}_{key}": value for key, value in told.items()}
            if problem:
                bad.append(f"{name} {fault}")
                figures[f"{name}_{fault}_failed"] = problem
            elif "skipped" in told:
                figures[f"{name}_skipped"] = figures.pop(f"{name}_{fault}_skipped")
                break
            if name == OWN and told.get("lost"):
                bad.append(f"{name} {fault}")
    tell(figures, as_json=arguments.json)
    if bad:
        print(f"not run to the end, or lost by us: {', '.join(bad)}", file=sys.stderr)
    return int(bool(bad))


def outcome(name: str, fault: str, arguments: argparse.Namespace) -> tuple[Figures, str]:
    """What one fault over new state brought, printed; and why it could not be run to its end."""
    plan = Plan(
        arguments.per_s,
        arguments.outage_s,
        arguments.messages,
        arguments.messages_timed,
        random.Random(f"{SEED} {fault}"),
    )
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            with LINES[name](Path(folder)) as line:
                if fault == TIMED:
                    told = timed(line, plan)
                    print(f"{name:20}{fault:22}" + ", ".join(f"{key} {value:.0f}" for key, value in told.items()))
                    return told, ""
                counted = broken(line, fault, plan)
        except InstallError as error:
            print(f"{name:20}skipped: {error}", flush=True)
            return {"skipped": str(error)}, ""
        except ProcessError as error:
            print(f"{name:20}{fault:22}failed: {error}", flush=True)
            return {}, str(error)
    told = {column: getattr(counted, column) for column in COLUMNS}
    cells = "".join(f"{value:>10}" for value in told.values())
    print(f"{name:20}{fault:22}{cells}   {time.monotonic() - began_s:.0f} s", flush=True)
    return told, ""


def parsed() -> argparse.Namespace:
    """The command line; `--quick` sets what is not given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    parser.add_argument("--quick", action="store_true", help="short outages, few messages")
    parser.add_argument(
        "--peers", nargs="+", choices=LINES, default=list(LINES), metavar="NAME", help=f"of {', '.join(LINES)}"
    )
    both = [*FAULTS, TIMED]
    parser.add_argument("--only", nargs="+", choices=both, default=both, metavar="FAULT", help=f"of {', '.join(both)}")
    parser.add_argument("--per-s", type=int, default=PER_S, help="messages a second around an outage")
    parser.add_argument("--outage-s", type=int, help="how long an outage is")
    parser.add_argument("--messages", type=int, help="of each kill")
    parser.add_argument("--messages-timed", type=int, help="of the run that is timed")
    arguments = parser.parse_args()
    usual = (
        (OUTAGE_S_QUICK, MESSAGES_QUICK, MESSAGES_TIMED_QUICK)
        if arguments.quick
        else (OUTAGE_S, MESSAGES, MESSAGES_TIMED)
    )
    for option, value in zip(("outage_s", "messages", "messages_timed"), usual, strict=True):
        if getattr(arguments, option) is None:
            setattr(arguments, option, value)
        if not 0 < getattr(arguments, option) <= MESSAGES_MAX:
            parser.error(f"--{option.replace('_', '-')} is from 1 to {MESSAGES_MAX}")
    if not 0 < arguments.per_s <= PER_S_MAX:
        parser.error(f"--per-s is from 1 to {PER_S_MAX}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
