"""`zhisan models ...`: what can be done with models."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Final

COMMANDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "build": ("deploy.build_bundle", "main", "train and write the default bundle"),
    "train": ("deploy.train_table", "train", "a labelled CSV becomes a bundle with its model card"),
    "score": ("deploy.train_table", "score", "apply such a bundle to a CSV"),
    "fetch-history": ("deploy.fetch_history", "main", "bring a company's own months here, to learn from"),
    "evaluate": ("deploy.evaluate_models", "main", "judge a bundle over months that it has not seen"),
    "keygen": ("deploy.bundle_cli", "keygen", "make a key that signs bundles"),
    "sign": ("deploy.bundle_cli", "sign", "sign a bundle"),
    "verify": ("deploy.bundle_cli", "verify", "check a bundle as a gateway does"),
    "inspect": ("deploy.bundle_cli", "inspect", "say what is in a bundle"),
}
"""Module, function, help: a command imports what it alone needs."""


def main(argv: Sequence[str]) -> int:
    """Hand over to the command that the first argument names."""
    if argv and argv[0] in COMMANDS:
        module, function, _ = COMMANDS[argv[0]]
        status: int = getattr(importlib.import_module(module), function)(argv[1:])
        return status
    print("usage: zhisan models COMMAND ...   (each has --help)\n")
    for name, (_, _, what) in COMMANDS.items():
        print(f"  {name:13} {what}")
    return 0 if argv and argv[0] in ("-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
