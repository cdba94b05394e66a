"""How a script of bench/ tells what it measured: lines for people, and one JSON object as the last line."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path


def wants_json(what: str) -> bool:
    """Read the command line: `--json` adds the JSON line."""
    return bool(_parser(what).parse_args().json)


def bundle_and_json(what: str, default: Path) -> tuple[Path, bool]:
    """The same, and which bundle is to be measured."""
    parser = _parser(what)
    parser.add_argument("--bundle", type=Path, default=default, help="the bundle to measure (default: %(default)s)")
    options = parser.parse_args()
    return options.bundle, bool(options.json)


def _parser(what: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--json", action="store_true", help="end with one flat JSON object")
    return parser


def tell(figures: Mapping[str, float | int | str], *, as_json: bool) -> None:
    """Print the figures."""
    for name, value in figures.items():
        print(f"{name:28} {value:,.3f}" if isinstance(value, float) else f"{name:28} {value}")
    if as_json:
        print(json.dumps({name: round(v, 4) if isinstance(v, float) else v for name, v in figures.items()}))
