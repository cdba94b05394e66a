"""How a script of bench/ tells what it measured: lines for people, and one JSON object as the last line."""

import argparse
import json
from collections.abc import Mapping


def wants_json(what: str) -> bool:
    """Read the command line: `--json` adds the JSON line."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    return bool(parser.parse_args().json)


def tell(figures: Mapping[str, float | int | str], *, as_json: bool) -> None:
    """Print the figures."""
    for name, value in figures.items():
        print(f"{name:28} {value:,.3f}" if isinstance(value, float) else f"{name:28} {value}")
    if as_json:
        print(json.dumps({name: round(v, 4) if isinstance(v, float) else v for name, v in figures.items()}))
