"""`zhisan sim ...`: the simulated plant, or with `press-history` months of production on disk."""

import importlib
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Hand over; without `press-history` all arguments are the plant's."""
    if argv and argv[0] == "press-history":
        status: int = importlib.import_module("deploy.sim_history").main(argv[1:])
        return status
    if argv and argv[0] in ("-h", "--help"):
        print("`zhisan sim press-history --help`: months of production as Parquet. Without it, the plant:\n")
    return int(importlib.import_module("simulators.plant.__main__").main(argv) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
