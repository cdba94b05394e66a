"""`zhisan sim business`: customers with a known worth, and months of the evidence that a company would have of them."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from simulators.business.files import CUSTOMERS_MAX, FIRST, MONTHS_MAX, business, write


def main(argv: Sequence[str]) -> int:
    """Draw and write; the last line is JSON."""
    parser = argparse.ArgumentParser(prog="zhisan sim business", description=__doc__)
    parser.add_argument("--customers", type=int, default=2_000, help="how many (default: %(default)s)")
    parser.add_argument("--months", type=int, default=24, help="of evidence (default: %(default)s)")
    parser.add_argument(
        "--first-month",
        type=_month,
        default=FIRST,
        metavar="YYYY-MM",
        help=f"of evidence (default: {FIRST:%Y-%m}); for scores of today, two years ago",
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same files (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; holds no business yet")
    options = parser.parse_args(argv)
    if not 1 <= options.customers <= CUSTOMERS_MAX:
        parser.error(f"--customers must be 1 to {CUSTOMERS_MAX}")
    if not 1 <= options.months <= MONTHS_MAX:
        parser.error(f"--months must be 1 to {MONTHS_MAX}")
    try:
        counts = write(
            business(options.customers, options.months, options.seed), options.out, first=options.first_month
        )
    except OSError as error:
        print(f"cannot write: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"out": str(options.out), **counts}))
    return 0


def _month(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no month; write YYYY-MM") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
