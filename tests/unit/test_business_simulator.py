"""Simulated customers: the same from the same seed, with evidence that the cloud takes and a worth untold."""

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from bench.tiering import judge, table_of
from cloud.tiering import churn
from cloud.tiering.evidence import Kind, day_number, fault_of
from cloud.tiering.weights import DEFAULT_PAIRWISE, from_pairwise
from deploy import sim_business
from simulators.business.files import Business, business, day_of

SPLIT = day_number(day_of(24, 1)) - 1


@pytest.fixture(scope="module")
def drawn() -> Business:
    return business(1_000, 30, 5)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_writes_the_same_files_and_another_one_does_not(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        args = ["--customers", "20", "--months", "14", "--seed", str(seed), "--out", str(tmp_path / name)]
        assert sim_business.main(args) == 0
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["customers.csv", *(f"evidence-{day_of(m, 1):%Y%m}.csv" for m in range(14)), "truth.csv"]
    one, same, other = ([(tmp_path / each / n).read_bytes() for n in names] for each in ("one", "same", "other"))
    assert one == same != other


def test_every_row_is_evidence_that_the_cloud_would_take(tmp_path: Path) -> None:
    sim_business.main(["--customers", "40", "--months", "14", "--seed", "3", "--out", str(tmp_path)])
    rows = [row for path in sorted(tmp_path.glob("evidence-*.csv")) for row in read(path)]
    known = {row["customer"] for row in read(tmp_path / "customers.csv")}
    for row in rows:
        amount = round(float(row["amount"]) * 100) if row["amount"] else None
        found = fault_of(
            Kind(row["kind"]), date.fromisoformat(row["day"]), amount, float(row["quantity"]), day_of(14, 1)
        )
        assert not found, row
        assert row["customer"] in known
    assert len({row["kind"] for row in rows}) > 15


def test_another_first_month_moves_the_days_and_nothing_else(tmp_path: Path) -> None:
    for name, more in (("usual", []), ("later", ["--first-month", "2025-11"])):
        args = ["--customers", "20", "--months", "3", *more, "--out", str(tmp_path / name)]
        assert sim_business.main(args) == 0
    names = [[path.name for path in sorted((tmp_path / each).glob("evidence-*"))] for each in ("usual", "later")]
    assert names[1] == [f"evidence-{month}.csv" for month in ("202511", "202512", "202601")]
    for usual, later in zip(*names, strict=True):
        before, after = read(tmp_path / "usual" / usual), read(tmp_path / "later" / later)
        assert [{**row, "day": ""} for row in before] == [{**row, "day": ""} for row in after]
        assert {row["day"][:7].replace("-", "") for row in after} == {later[9:15]}
    with pytest.raises(SystemExit):
        sim_business.main(["--first-month", "2025-13", "--out", str(tmp_path / "none")])


def test_a_folder_that_holds_a_business_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--customers", "5", "--months", "2", "--out", str(tmp_path)]
    assert (sim_business.main(args), sim_business.main(args)) == (0, 1)
    assert "holds a business already" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        sim_business.main(["--customers", "0", "--out", str(tmp_path)])


def test_worth_follows_the_traits_and_who_is_gone_is_worth_nothing(drawn: Business) -> None:
    worth, gone = drawn.worth, drawn.lived.ends <= drawn.months
    assert 0.1 < gone.mean() < 0.5
    assert (worth[gone] == 0).all()
    size = drawn.customers.trait("size")
    assert np.median(worth[~gone & (size > 1)]) > 5 * np.median(worth[~gone & (size < 0)])


def test_the_score_finds_the_worth_better_than_revenue_and_rfm_do() -> None:
    weights, _ = from_pairwise(DEFAULT_PAIRWISE)
    found = judge(business(800, 24, 11), weights)
    assert found["rank_correlation_weighted"] > 0.85
    assert found["rank_correlation_weighted"] > found["rank_correlation_revenue"] + 0.03
    assert found["rank_correlation_weighted"] > found["rank_correlation_rfm"] + 0.03
    assert found["tier_stability_quarter"] > found["tier_stability_quarter_without_rules"]


def test_churn_comes_true_as_often_as_told_in_the_half_year_after_the_fit(drawn: Business) -> None:
    table = table_of(drawn)
    model = churn.fit(table.until(SPLIT), SPLIT)
    found = churn.judge(model, table, SPLIT + churn.AHEAD_DAYS)
    assert found.left > 30
    assert found.brier < 0.8 * found.brier_base
    assert found.gap < 0.05
    parts = model.parts(table.until(SPLIT), SPLIT)
    odds = np.log(1 / model.probability(table.until(SPLIT), SPLIT) - 1)
    assert parts.sum(axis=1) + model.base == pytest.approx(-odds)


def test_where_too_few_have_left_there_is_no_churn_model() -> None:
    with pytest.raises(churn.ChurnError, match="both groups need"):
        churn.fit(table_of(business(30, 24, 1)), SPLIT)
