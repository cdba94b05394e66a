"""What a press's page says of what may come: nearest to its threshold first, and nothing where heads say nothing."""

import math

import numpy as np
import pytest

from cloud.telemetry.store import PressKey, StoredShot
from cloud.web.outlook_view import outlook_of
from contract.model_orders import (
    JSON_CHARACTERS_MAX,
    BaselineReport,
    Figures,
    PressReport,
    Report,
    report_of,
    to_metric,
)
from contract.shot import Reason, ScoredShot, Scores, Shot

FAILURE = {"FailureProbability/a@8h": 0.1, "FailureProbability/a@72h": 0.5, "FailureThreshold/a": 0.9}
FORCE = BaselineReport(mould_id="M", stage="watching")


def row(number: int, values: dict[str, float], bundle_id: str = "b", mould_id: str = "M") -> StoredShot:
    shot = Shot("p", 1_000 * number, {}, mould_id=mould_id)
    scores = Scores(bundle_id, values, None, (Reason("CycleTime", 20.0, 3.0),) if values else ())
    scored = ScoredShot(shot, np.zeros(1, np.float32), "", scores)
    return StoredShot(number, PressKey("plant", "p"), "g", 0, False, scored)


def test_modes_stand_by_their_nearness_to_the_threshold_and_horizons_in_order() -> None:
    values = FAILURE | {"FailureProbability/b@24h": 0.3, "FailureThreshold/b": 0.2, "FailureProbability/c@72h": 0.79}
    found = outlook_of([row(1, values)], FORCE, threshold=0.8)
    assert found.state == "told"
    assert found.hours == ("8", "24", "72")
    assert [(each.mode, each.probabilities, each.threshold, each.level) for each in found.rows] == [
        ("b", (None, 0.3, None), 0.2, "alarm"),
        ("c", (None, None, 0.79), 0.8, "watch"),
        ("a", (0.1, None, 0.5), 0.9, "watch"),
    ]


def test_a_head_that_abstains_is_told_from_one_that_never_spoke_and_from_a_baseline_that_learns() -> None:
    spoken, silent = row(1, FAILURE), row(2, {"Novelty/T2": 0.3})
    learning = BaselineReport(mould_id="M", stage="learning")
    assert outlook_of([silent, spoken], FORCE, threshold=0.8).state == "abstains"
    assert outlook_of([silent, spoken], FORCE, threshold=0.8).spoke_ms == 1_000
    assert outlook_of([silent, spoken], None, threshold=0.8).state == "abstains"
    assert outlook_of([silent, row(1, FAILURE, mould_id="N")], FORCE, threshold=0.8).state == "silent"
    assert outlook_of([silent, row(1, FAILURE, bundle_id="c")], FORCE, threshold=0.8).state == "silent"
    assert outlook_of([silent, spoken], learning, threshold=0.8).state == "learning"
    assert outlook_of([row(1, {}, bundle_id="")], FORCE, threshold=0.8).state == "no_bundle"
    assert outlook_of([], None, threshold=0.8).state == "no_shot"


@pytest.mark.parametrize(
    ("hours", "is_in_sight"),
    [((61, 22, 131), (True, True)), ((120, 40, 168), (True, False)), ((168, 168, 168), (False, False))],
)
def test_remaining_life_says_where_no_end_is_in_sight(
    hours: tuple[int, int, int], is_in_sight: tuple[bool, bool]
) -> None:
    values = {f"RemainingLife/{name}": float(h) for name, h in zip(("expected", "low", "high"), hours, strict=True)}
    life = outlook_of([row(1, FAILURE | values)], FORCE, threshold=0.8).life
    assert life is not None
    assert (not life.is_long, not life.is_open) == is_in_sight
    assert 0 <= life.places[0] <= life.places[1] <= life.places[2] <= 100
    unknown = FAILURE | values | {"RemainingLife/high": math.nan}
    assert outlook_of([row(1, unknown)], FORCE, threshold=0.8).life is None


def test_reasons_make_most_of_a_novelty_only_beyond_its_limit_and_without_an_alarm() -> None:
    for values, is_beyond in (
        ({"Novelty/T2": 1.7}, True),
        ({"Novelty/T2": 0.7}, False),
        ({"Novelty/T2": 1.7, **FAILURE, "FailureProbability/a@72h": 0.95}, False),
    ):
        strange = outlook_of([row(1, values)], FORCE, threshold=0.8).strange
        assert strange is not None
        assert strange.is_beyond == is_beyond, values


def test_a_report_beyond_its_bound_leaves_out_names_and_stays_readable() -> None:
    """Two hundred presses on which all that can be told is told."""
    names = {f"Feature{number}" + "x" * 40: 1.0 for number in range(5)}
    full = Figures(
        shots=9, drifted=names, scores_moved=names, missing=tuple(f"{n:040}" for n in range(20)), drift_worst="x",
        since_ms={f"{n:040}": 1 for n in range(30)},
    )  # fmt: skip
    press = PressReport(champion="c", shadow="s", figures={"c": full, "s": full}, baseline=FORCE)
    report = Report(revision=3, presses={f"p-{number}": press for number in range(200)})
    assert len(report.model_dump_json()) > JSON_CHARACTERS_MAX
    read = report_of(to_metric(report).value)
    assert len(read.presses) == 200
    assert read.presses["p-0"].figures["c"] == Figures(shots=9, drift_worst="x")
    assert read.presses["p-0"].baseline == FORCE
