"""`zhisan sim ...`: the simulated plant; `press-history` and `business` write months of production or of customers."""

import importlib
import sys
from collections.abc import Sequence

FILES = {"press-history": "deploy.sim_history", "business": "deploy.sim_business"}


def main(argv: Sequence[str]) -> int:
    """Hand over; without a name of FILES all arguments are the plant's."""
    if argv and argv[0] in FILES:
        status: int = importlib.import_module(FILES[argv[0]]).main(argv[1:])
        return status
    if argv and argv[0] in ("-h", "--help"):
        print("`zhisan sim press-history --help`: months of production as Parquet.")
        print("`zhisan sim business --help`: months of evidence of customers as CSV. Without either, the plant:\n")
    return int(importlib.import_module("simulators.plant.__main__").main(argv) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
