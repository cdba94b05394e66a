"""Which healthy shots the heads are asked about: none of a mould that left before its baseline was in force."""

from dataclasses import replace

import numpy as np

from models.evaluation.history import PressHistory
from models.features.schema import VALUES
from models.training.healthy import _runs


def test_a_mould_that_left_before_its_baseline_was_in_force_is_no_run() -> None:
    shots = 900
    moulds = np.array(["M"] * (shots - 20) + ["short"] * 20)
    values = np.random.default_rng(1).normal(10, 1, (shots, len(VALUES))).astype(np.float32)
    history = PressHistory("p", np.arange(shots) * 20_000, moulds, values, ())
    chosen = np.arange(shots)
    standings = history.standings(chosen)
    own = {mould: np.flatnonzero(moulds == mould) for mould in ("M", "short")}
    assert not standings.in_force[own["short"]].any()
    [run] = _runs(history, chosen, standings, own)
    assert (run.mould_id, len(run.ended_ms)) == ("M", standings.in_force.sum())
    assert _runs(replace(history, press_id="q"), chosen, standings, {"short": own["short"]}) == []
