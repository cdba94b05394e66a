"""Purchase models give back what their authors published, and refuse histories that settle nothing."""

from pathlib import Path

import numpy as np
import pytest

from bench.cdnow import DATA, judge
from cloud.tiering.pareto import ParetoNbd, fit_pareto_nbd
from cloud.tiering.purchase_log import read_purchases
from cloud.tiering.purchases import BgNbd, FitError, GammaGamma, History, fit_bg_nbd, histories

PUBLISHED = BgNbd(0.243, 4.414, 0.793, 2.426)
ONE = History(np.array([2.0]), np.array([30.43]), np.array([38.86]), np.array([0.0]))


def test_the_paper_s_customer_is_expected_to_buy_1_226_times_in_39_weeks() -> None:
    """Fader, Hardie and Lee (2005): x = 2, t_x = 30.43, T = 38.86."""
    assert PUBLISHED.expected(ONE, 39)[0] == pytest.approx(1.226, abs=0.002)


def test_who_bought_once_is_alive_and_who_was_silent_for_long_hardly() -> None:
    history = History(np.array([0.0, 5.0, 5.0]), np.array([0.0, 37, 10]), np.full(3, 38.0), np.zeros(3))
    for model in (PUBLISHED, ParetoNbd(0.553, 10.578, 0.606, 11.669)):
        alive = model.alive(history)
        assert alive[1] > 0.8 > 0.2 > alive[2]
    assert PUBLISHED.alive(history)[0] == 1


def test_mean_spend_is_drawn_to_the_population_s_as_purchases_are_few() -> None:
    model = GammaGamma(6.25, 3.74, 15.44)
    none, few, many = model.expected(History(np.array([0, 1, 50.0]), np.zeros(3), np.zeros(3), np.full(3, 100.0)))
    assert none == pytest.approx(15.44 * 6.25 / 2.74)
    assert none < few < many < 100


def test_purchases_of_one_day_are_one_and_later_ones_are_not_seen() -> None:
    customer = np.array([0, 0, 0, 0, 1])
    week = np.array([1.0, 1.0, 3.0, 9.0, 5.0])
    found = histories(customer, week, np.array([1.0, 2, 4, 8, 16]), 3, 8)
    assert found.frequency.tolist() == [1, 0, 0]
    assert found.recency.tolist() == [2, 0, 0]
    assert found.age.tolist() == [7, 3, 0]
    assert found.spend.tolist() == [4, 0, 0]


@pytest.mark.parametrize("fit", [fit_bg_nbd, fit_pareto_nbd])
def test_a_model_gives_back_the_parameters_it_was_simulated_with(fit: object) -> None:
    chance, count = np.random.default_rng(3), 4_000
    rate, gone = chance.gamma(0.8, 1 / 6, count), chance.exponential(1, count) / chance.gamma(0.9, 1 / 12, count)
    bought = [np.sort(chance.uniform(0, 52, n)) for n in chance.poisson(rate * 52)]
    kept = [each[each < end] for each, end in zip(bought, gone, strict=True)]
    frequency = np.array([len(each) for each in kept], float)
    recency = np.array([each[-1] if len(each) else 0.0 for each in kept])
    assert callable(fit)
    model = fit(History(frequency, recency, np.full(count, 52.0), np.zeros(count)))
    told = float(model.expected_of_new(np.array([52.0]))[0])
    assert told == pytest.approx(frequency.mean(), rel=0.05)
    if isinstance(model, ParetoNbd):
        assert (model.r, model.alpha) == pytest.approx((0.8, 6), rel=0.15)


def test_too_few_repeat_customers_settle_nothing() -> None:
    with pytest.raises(FitError, match="bought again"):
        fit_bg_nbd(ONE)


def test_cdnow_is_tracked_within_2_percent(shared_data: Path) -> None:
    found = judge(read_purchases(shared_data / DATA))
    assert (found["bg_r"], found["bg_alpha"]) == pytest.approx((0.243, 4.414), rel=0.02)
    assert (found["p"], found["q"], found["gamma"]) == pytest.approx((6.25, 3.74, 15.44), rel=0.02)
    assert abs(float(found["cumulative_error_end"])) < 0.02
    assert float(found["mae"]) < float(found["mae_naive_same"]) < float(found["mae_naive_mean"])


def test_a_line_that_is_no_purchase_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text(" 00004 0001 19970101  2   29.33\n 00004 0001\n", encoding="ascii")
    with pytest.raises(ValueError, match="line 2"):
        read_purchases(path)
