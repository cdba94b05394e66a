"""The security checklists: each file and test that a line names is there, each line has a state, the sums hold."""

import re
from collections import Counter
from pathlib import Path

import pytest

from cloud.settings import GatewaySettings

STATES = ("met", "partly", "not", "not yet", "not applicable")
ROW = re.compile(r"^\| ((?:\d+\.\d+\.\d+)|(?:(?:CR|EDR) \d\.\d+(?: RE \(\d\))?)) \| (.+?) \| (.+?) \| (.+) \|$", re.M)
NAMED = re.compile(r"`((?!/)[\w./-]+/[\w./-]+\.\w+|[\w-]+\.toml|cloud/web/static)(?:::(\w+))?`")
CHAPTERS = range(2, 15)
ASVS_LINES, IEC_LINES, IEC_ENHANCEMENTS = 221, 61, 11
"""ASVS 4.0.3 has 221 requirements of levels 1 and 2 in these chapters."""


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
    assert [row for row in rows if not row[3].strip("–- ")] == [], "not met: why"
    assert [row for row in rows if row[2] == "met" and not NAMED.search(row[3])] == []


def test_both_lists_are_whole_and_in_order(rows: list[tuple[str, str, str, str]]) -> None:
    asvs = [tuple(map(int, row[0].split("."))) for row in rows if row[0][0].isdigit()]
    assert len(asvs) == ASVS_LINES
    assert asvs == sorted(set(asvs))
    assert {chapter for chapter, _, _ in asvs} == set(CHAPTERS)
    iec = [tuple(map(int, re.findall(r"\d+", row[0]))) for row in rows if not row[0][0].isdigit()]
    assert len(iec) == IEC_LINES
    assert iec == sorted(set(iec))
    assert {number[0] for number in iec} == set(range(1, 8))
    assert sum(len(number) == 3 for number in iec) == IEC_ENHANCEMENTS


def test_the_sums_are_those_of_the_lines(page: str, rows: list[tuple[str, str, str, str]]) -> None:
    for is_asvs in (True, False):
        counts = Counter(row[2] for row in rows if row[0][0].isdigit() == is_asvs)
        sentence = f"{counts.total()} lines: " + ", ".join(f"{n} {state}" for state, n in counts.most_common())
        assert sentence in page


def test_the_cloud_starts_no_program_but_the_operator_s_own_words(root: Path) -> None:
    """Lines 5.3.8 and 12.3.5: no name or text that came in becomes a command; `reload_command` is words, not a line."""
    starts = re.compile(
        r"\b(create_subprocess\w*|run_process|open_process|subprocess\.\w+|os\.(system|popen|exec|spawn)\w*)\(.*"
    )
    files = list((root / "cloud").rglob("*.py"))
    assert len(files) > 100
    found = [hit[0] for path in files for hit in starts.finditer(path.read_text(encoding="utf-8"))]
    assert found == ["run_process(self.command, check=False, stdin=DEVNULL, stdout=DEVNULL)"]
    assert GatewaySettings.model_fields["reload_command"].annotation == tuple[str, ...]
