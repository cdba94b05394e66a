"""`zhisan models ...`: what can be done with models."""

import sys
from collections.abc import Sequence

from deploy import build_bundle


def main(argv: Sequence[str]) -> int:
    """Hand over to the command that the first argument names."""
    if argv and argv[0] == "build":
        return build_bundle.main(argv[1:])
    print(
        "usage: zhisan models build [--out FILE] [--seed N] [--quick]\n\n  build   train and write the default bundle"
    )
    return 0 if argv and argv[0] in ("-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
