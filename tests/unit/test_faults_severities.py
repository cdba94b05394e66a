"""Every failure mode moves its signals the right way, as far as is known, early and late; a healthy press does not."""

import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from bench.press_signatures import (
    BEGIN,
    END,
    PAGE,
    SEVERITIES,
    is_hidden,
    moved,
    off_by,
    shift,
    tables,
    wander,
)
from bench.signature_rows import ROWS, UPSET_ROWS, Row
from cloud.web.translation import load_catalogues
from contract.vocabulary import FAILURE_MODES
from simulators.faults.catalogue import MODES
from simulators.faults.upsets import UPSETS
from simulators.press.process import PROCESSES

WEAK_END_IS_HEALTHY = {("cooling_fouling", "mould_temp")}
"""1 K, where the range begins, is what a mould wanders by from day to night."""
BOTH = pytest.mark.parametrize("process", list(PROCESSES))


def named(rows: tuple[Row, ...]) -> list[object]:
    return [pytest.param(row, id=f"{row.mode}-{row.signal}") for row in rows]


def test_every_mode_has_signals() -> None:
    assert tuple(dict.fromkeys(row.mode for row in ROWS)) == tuple(MODES) == FAILURE_MODES
    assert {row.mode for row in UPSET_ROWS} <= set(UPSETS)


@BOTH
@pytest.mark.parametrize("row", named(ROWS + UPSET_ROWS))
def test_what_is_condemned_moves_its_signals_as_far_as_is_known(row: Row, process: str) -> None:
    assert off_by(row, process) <= row.factor


@BOTH
@pytest.mark.parametrize("row", named(tuple(row for row in ROWS if row.kind != "% a K" and row.at == 1.0)))
def test_less_severe_is_the_same_way_and_less_far(row: Row, process: str) -> None:
    severities = [severity for severity in SEVERITIES if severity >= row.since]
    gone = [shift(row, process, severity) for severity in severities]
    if row.stays:
        assert row.high is not None
        assert max(map(abs, gone)) <= row.high
        return
    sign = 1 if row.rises else -1
    if row.kind == "level" and row.high is not None:
        sign = 1 if row.high >= moved(row, process, 0.0) else -1
    assert all(sign * each > 0 for each in gone)
    assert all(abs(less) <= abs(more) for less, more in pairwise(gone)), "it grows"


@BOTH
@pytest.mark.parametrize("row", named(tuple(row for row in ROWS + UPSET_ROWS if not row.stays and row.kind != "% a K")))
def test_a_healthy_press_does_not_move_like_that(row: Row, process: str) -> None:
    """But for what the table calls hidden: such a signal alone tells nothing of the mode."""
    assert row.is_hidden or not is_hidden(row, process)
    weak = np.log(row.low) if row.kind == "x" else abs(row.low)
    has_weak_end = row.high is not None and row.kind != "level" and row.low != 0
    if has_weak_end and not row.is_hidden and (row.mode, row.signal) not in WEAK_END_IS_HEALTHY:
        assert wander(row, process) < weak, "what a healthy press does would pass for the mode"


def test_the_page_has_the_tables_as_they_are_measured() -> None:
    """Words to the letter, figures to a sixth: another machine rounds otherwise."""
    page = PAGE.read_text(encoding="utf-8")
    shown = list(_lines(page.split(BEGIN)[1].split(END)[0]))
    found = list(_lines(tables()))
    assert len(shown) == len(found), "run python -m bench.press_signatures --write"
    for stands, is_so in zip(shown, found, strict=True):
        assert _words(stands) == _words(is_so), "run python -m bench.press_signatures --write"
        assert _figures(stands) == pytest.approx(_figures(is_so), rel=0.17, abs=0.1)


@pytest.mark.parametrize("mode", FAILURE_MODES)
def test_the_page_says_of_each_mode_what_the_code_and_the_pages_say(mode: str) -> None:
    section = _section(PAGE.read_text(encoding="utf-8"), mode)
    info = MODES[mode]
    assert info.shape in section
    assert f"{info.growth_days:g} days" in section
    assert f"spread {info.spread:g}" in section
    assert info.failed in section
    for t in load_catalogues().values():
        assert t(f"mode.{mode}.name") in section
        assert t(f"mode.{mode}.advice") in section


@pytest.mark.parametrize("upset", UPSETS)
def test_the_page_tells_of_each_upset(upset: str) -> None:
    assert f"| `{upset}` |" in PAGE.read_text(encoding="utf-8")


def _section(page: str, mode: str) -> str:
    assert f"\n### {mode}\n" in page
    return re.split(r"\n##", page.split(f"\n### {mode}\n")[1])[0]


def _lines(text: str) -> Iterator[list[str]]:
    """Cells of the tables' rows."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| mode "):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def _words(cells: list[str]) -> list[str]:
    return [*cells[:3], cells[-1]]


def _figures(cells: list[str]) -> list[float]:
    return [float(each) for cell in (cells[3], cells[4], cells[6]) for each in re.findall(r"-?[\d.]+", cell)]
