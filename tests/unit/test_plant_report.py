"""A report of a plant's own data: each depth has all that the one before it has, and no figure is made up."""

import csv
from dataclasses import asdict
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cloud.entitlements.domain import DEPTHS, ReportDepth
from cloud.production.oee import Account, Oee
from cloud.production.reading import Figures, Report
from cloud.production.windows import Window
from cloud.serving.report import AlarmFact, Found, build
from cloud.telemetry.store import Missing, PressKey
from cloud.tiering.quality import whole_share
from cloud.web.report_page import csv_lines

PRESS = PressKey("p1", "=1+1")


def found(shots: int, *alarms: AlarmFact, missing: tuple[Missing, ...] = ()) -> Found:
    """A plant of two presses, one of which made shots."""
    window = Window("week", 0, 1)
    busy = Figures(Account(planned_ms=100, produced_ms=50, shots=shots, graded=4, good=3), Oee(0.5, None, 0.75))
    idle = Figures(Account(), Oee(None, None, None))
    presses = {("p1", "=1+1"): busy, ("p1", "press-2"): idle}
    return Found(Report(window, presses, {}, {}, {}), alarms, missing)


def alarm(waited_s: int | None, mode: str = "worn", kind: str = "failure_probability") -> AlarmFact:
    told = None if waited_s is None else 1_000 + waited_s * 1_000
    return AlarmFact(("p1", "=1+1"), kind, mode, 1_000, told)


NOW = found(
    90,
    alarm(60),
    alarm(120),
    alarm(None),
    alarm(30, kind="limit"),
    missing=(Missing(PRESS, "shot", "full", 10), Missing(PRESS, "curves", "thinned", 20)),
)
THEN = found(50, alarm(600))


def test_each_depth_keeps_what_the_one_before_it_tells() -> None:
    reports = [asdict(build(NOW, THEN, depth, days=7, from_ms=0, until_ms=1)) for depth in DEPTHS]
    for less, more in pairwise(reports):
        told = {name: value for name, value in less["now"].items() if value is not None}
        assert told.items() <= more["now"].items()
    assert [(len(each["presses"]), len(each["modes"]), len(each["missing"])) for each in reports] == [
        (0, 0, 0),
        (2, 0, 0),
        (2, 1, 2),
    ]
    assert [each["before"] is not None for each in reports] == [False, True, True]


def test_a_deep_report_counts_what_there_is() -> None:
    deep = build(NOW, THEN, ReportDepth.DEEP, days=7, from_ms=0, until_ms=1)
    now = deep.now
    assert (now.presses, now.shots, now.alarms, now.acted, now.foreseen) == (1, 90, 4, 3, 3)
    assert (now.acknowledge_s, now.lost, now.bare, now.whole) == (60.0, 10, 20, 0.7)
    assert (now.availability, now.effectiveness, now.quality, now.oee) == (0.5, None, 0.75, None)
    [mode] = deep.modes
    assert (mode.mode, mode.count, mode.count_before, mode.acted) == ("worn", 3, 1, 2)
    assert [(each.press_id, each.shots, each.shots_before, each.whole) for each in deep.presses] == [
        ("=1+1", 90, 50, 0.7),
        ("press-2", 0, 0, None),
    ]
    assert build(NOW, None, ReportDepth.DEEP, days=7, from_ms=0, until_ms=1).before is None


def test_the_file_has_every_figure_and_no_formula() -> None:
    rows = list(
        csv.reader("".join(csv_lines(build(NOW, THEN, ReportDepth.DEEP, days=7, from_ms=0, until_ms=1))).splitlines())
    )
    assert {len(row) for row in rows} == {6}
    assert ["totals", "", "", "shots", "90", "50"] in rows
    assert ["missing_shot", "p1", "'=1+1", "full", "10", ""] in rows
    assert ["press", "p1", "press-2", "oee", "", ""] in rows


@given(stored=st.integers(0, 10**6), lost=st.integers(0, 10**6), bare=st.integers(0, 10**6))
def test_a_share_of_whole_shots_is_one(stored: int, lost: int, bare: int) -> None:
    share = whole_share(stored, lost, bare)
    assert (share is None) == (stored + lost == 0)
    assert share is None or 0 <= share <= 1
