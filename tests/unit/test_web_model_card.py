"""The model card's plots: a bin lies where what was said and what came say, and a figure is told in words."""

import pytest

from cloud.alarms.naming import mode_name
from cloud.web.models_view import card_view
from cloud.web.translation import load_catalogues
from cloud.web.wording import measure_name

CARD = {
    "heads": [
        {
            "kind": "failure",
            "metrics": {"check_ring_wear.brier": 0.01, "roc_auc": 0.9, "novel.thing": 3.0},
            "reliability": {"all@72h": [[900, 0.01, 0.0], [10, 0.25, 1.0]], "check_ring_wear@8h": [[5, 1.0, 0.5]]},
        },
        {"kind": "novelty", "metrics": {}},
    ],
    "training": {},
}


def test_bins_lie_on_axes_by_the_root_and_a_card_without_them_has_none() -> None:
    failure, novelty = card_view(CARD)["heads"]
    together, own = failure["reliability"]
    assert (together.mode, together.within, together.line) == ("", "72h", "10.0,100.0 50.0,0.0")
    assert (own.mode, own.dots[0].x) == ("check_ring_wear", 100.0)
    assert novelty["reliability"] == []
    assert [(metric.mode, metric.name) for metric in failure["metrics"]] == [
        ("check_ring_wear", "brier"),
        ("", "roc_auc"),
        ("", "novel.thing"),
    ]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_modes_with_a_horizon_and_measures_have_names(language: str) -> None:
    t = load_catalogues()[language]
    assert "72" in mode_name(t, "check_ring_wear@72h")
    assert "@" not in mode_name(t, "check_ring_wear@72h")
    assert measure_name(t, "rmse_h.last_week") != "Rmse h last week"
    assert measure_name(t, "of_a_customer") == "Of a customer"
