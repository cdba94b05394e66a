"""The security checklists: each file and test that a line names is there, each line has a state, the sums hold."""

import re
from collections import Counter
from pathlib import Path

import pytest

STATES = ("met", "partly", "not", "not yet", "not applicable")
ROW = re.compile(r"^\| ((?:\d+\.\d+\.\d+)|(?:(?:CR|EDR) \d\.\d+)) \| (.+?) \| (.+?) \| (.+) \|$", re.M)
NAMED = re.compile(r"`((?!/)[\w./-]+/[\w./-]+\.\w+|[\w-]+\.toml|cloud/web/static)(?:::(\w+))?`")
CHAPTERS = (2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14)
ASVS_LINES, IEC_LINES_MIN = 208, 45
"""ASVS 4.0.3 has 208 requirements of levels 1 and 2 in these chapters."""


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs/reference/security.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows(page: str) -> list[tuple[str, str, str, str]]:
    return ROW.findall(page)


def test_what_is_named_as_evidence_exists(page: str, root: Path) -> None:
    named = NAMED.findall(page)
    assert len(named) > 100
    missing = [
        f"{path}::{test}" if test else path
        for path, test in named
        if not (root / path).exists() or (test and f"def {test}(" not in (root / path).read_text(encoding="utf-8"))
    ]
    assert missing == []


def test_every_line_has_a_state_and_what_is_met_has_evidence(rows: list[tuple[str, str, str, str]]) -> None:
    assert [row for row in rows if row[2] not in STATES] == []
    assert [row for row in rows if row[2] in ("met", "partly", "not applicable") and row[3] == "–"] == []


def test_both_lists_are_whole_and_in_order(rows: list[tuple[str, str, str, str]]) -> None:
    asvs = [tuple(map(int, row[0].split("."))) for row in rows if row[0][0].isdigit()]
    assert len(asvs) == ASVS_LINES
    assert asvs == sorted(set(asvs))
    assert {chapter for chapter, _, _ in asvs} == set(CHAPTERS)
    iec = [tuple(map(int, row[0].split()[1].split("."))) for row in rows if not row[0][0].isdigit()]
    assert len(iec) >= IEC_LINES_MIN
    assert iec == sorted(set(iec))
    assert {requirement for requirement, _ in iec} == set(range(1, 8))


def test_the_sums_are_those_of_the_lines(page: str, rows: list[tuple[str, str, str, str]]) -> None:
    for is_asvs in (True, False):
        counts = Counter(row[2] for row in rows if row[0][0].isdigit() == is_asvs)
        sentence = f"{counts.total()} lines: " + ", ".join(f"{n} {state}" for state, n in counts.most_common())
        assert sentence in page
