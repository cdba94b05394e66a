"""The Sparkplug table: every assertion once, each named test is there, no cell is empty, the sums hold."""

import ast
import hashlib
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ASSERTIONS = 299
IDS_SHA256 = "947745251309b39dcd65ba9cbe80cc59fad80366acf92a291de976fac02c9b7e"
"""Of the sorted ids (without the prefix `tck-id-`), one a line: those of the specification's chapters 1 to 6 and 10."""
PROVED, CONSTRUCTED = "proved", "by construction"
STATES = (PROVED, CONSTRUCTED, "not applicable", "deviates", "open")
WHOM = {"edge", "host", "both", "broker"}
TESTS = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PLACES = re.compile(r"`([a-z_]\w*/[\w/]+\.py):([A-Za-z_][\w.]*)`")

Row = tuple[str, str, str, str]


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs/reference/sparkplug.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows(page: str) -> list[Row]:
    """Id, what it asks, whom, and proof or reason."""
    found: list[Row] = []
    for line in page.splitlines():
        if line.startswith("|") and not line.startswith(("| id |", "|---")):
            first, second, third, fourth = (cell.strip() for cell in line.strip("|").split("|"))
            found.append((first, second, third, fourth))
    return found


def state_of(row: Row) -> str:
    """The state that a row's last cell begins with; a cell of nothing but tests is a proof."""
    named = row[3].partition(":")[0]
    if named in STATES[1:]:
        return named
    assert not TESTS.sub("", row[3]).strip(", "), f"{row[0]}: neither tests nor a state"
    return PROVED


@cache
def defined(path: Path) -> frozenset[str]:
    """The functions, classes and methods (`Class.method`) of a file."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
            names |= {part.name for part in inner} | {f"{node.name}.{part.name}" for part in inner}
    return frozenset(names)


def test_every_assertion_stands_once(rows: list[Row]) -> None:
    ids = sorted(row[0] for row in rows)
    assert len(ids) == len(set(ids)) == ASSERTIONS
    assert hashlib.sha256("\n".join(ids).encode()).hexdigest() == IDS_SHA256


def test_no_cell_is_empty_and_each_row_says_whom_it_concerns(rows: list[Row]) -> None:
    assert [row for row in rows if not all(row) or row[2] not in WHOM] == []
    assert [row[0] for row in rows if state_of(row) != PROVED and not row[3].partition(":")[2].strip()] == []


@pytest.mark.parametrize(("kind", "named_min"), [(TESTS, 300), (PLACES, 6)], ids=["tests", "places"])
def test_what_is_named_exists(kind: re.Pattern[str], named_min: int, page: str, root: Path) -> None:
    named = kind.findall(page)
    assert len(named) >= named_min
    missing = {f"{path}: {name}" for path, name in named if name not in defined(root / path)}
    assert missing == set()


def test_what_is_so_by_construction_names_the_place(rows: list[Row]) -> None:
    constructed = [row for row in rows if state_of(row) == CONSTRUCTED]
    assert [row[0] for row in constructed if not PLACES.search(row[3])] == []


def test_the_sums_are_those_of_the_rows(page: str, rows: list[Row]) -> None:
    counts = Counter(state_of(row) for row in rows)
    sums = ", ".join(f"{counts[state]} {state}" for state in STATES)
    assert f"\n{ASSERTIONS} assertions: {sums}.\n" in page
