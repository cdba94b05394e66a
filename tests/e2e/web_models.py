"""What the models of the small plant say: scores of a bundle that looks ahead, and the gateway's report."""

from collections.abc import Sequence
from dataclasses import replace

from cloud.core.tenants import DEFAULT_TENANT
from cloud.rollouts.tables import OrderRow
from contract.model_orders import BaselineReport, Figures, Noted, PressReport, Report
from contract.shot import Reason, ScoredShot
from contract.vocabulary import FAILURE_MODES

BUNDLE = "0123456789ab"
MOULD = "M-208"
HOURS = (8, 24, 72)


def foreseen(ripple: float) -> dict[str, float]:
    """All modes within all horizons, one near its threshold, with an end in sight and a strange shot."""
    values = {"RemainingLife/expected": 61.0, "RemainingLife/low": 22.4, "RemainingLife/high": 131.0}
    values |= {"Novelty/T2": 1.74, "Novelty/SPE": 0.62}
    for number, mode in enumerate(FAILURE_MODES):
        values[f"FailureThreshold/{mode}"] = 0.4
        for hours in HOURS:
            own = 0.34 if mode == "screw_barrel_wear" else 0.004 * number + 0.002 * ripple
            values[f"FailureProbability/{mode}@{hours}h"] = own * hours / HOURS[-1]
    return values


def reasons(parameters: dict[str, float]) -> tuple[Reason, ...]:
    """What stands out of a worn or strange shot."""
    return (
        Reason("CushionStroke", parameters["CushionStroke"], -6.2),
        Reason("DosingTime", parameters["DosingTime"], 3.1),
    )


def without_failures(shot: ScoredShot) -> ScoredShot:
    """The same shot where the failure head has abstained."""
    values = {key: value for key, value in shot.scores.values.items() if not key.startswith("Failure")}
    return replace(shot, scores=replace(shot.scores, values=values))


def order_of(plant_id: str, gateway_id: str, presses: Sequence[str], now_ms: int) -> OrderRow:
    """The gateway's row: one press watches, one learns after maintenance and drifts, one ripens, one has no bundle."""
    day_ms = 86_400_000
    baselines = (
        BaselineReport(
            mould_id=MOULD, stage="watching", learnt_ms=now_ms - 9 * day_ms,
            notes=(Noted(at_ms=now_ms - day_ms, kind="recentred", values=("MeltTemperature", "HoldTime")),),
        ),
        BaselineReport(
            mould_id=MOULD, stage="learning", shots=84, shots_needed=200, learnt_ms=now_ms - 40 * day_ms, is_again=True
        ),
        BaselineReport(mould_id=MOULD, stage="ripening", shots=1_210, shots_needed=5_000, learnt_ms=now_ms - day_ms),
        BaselineReport(mould_id=MOULD, stage="settling", then="learning", shots=12, shots_needed=40),
    )  # fmt: skip
    watched = {"mould_id": MOULD, "watched": 96, "scores_watched": 45}
    failing = "FailureProbability/check_ring_wear@72h"
    figures = (
        Figures(shots=900, watched_shots=900, drifted={"OilTemperature": 0.41}, drifted_share=0.01, **watched),
        Figures(
            shots=5_000,
            watched_shots=5_000,
            drifted={"CushionStroke": 3.42, "InjectionPressure.HoldSlope": 0.61},
            drift_worst="CushionStroke",
            drift_excess=6.1,
            drift_psi=3.42,
            missing=("OilTemperature",),
            scores_moved={failing: 23.4},
            since_ms={"CushionStroke": now_ms - 3_600_000, "OilTemperature": now_ms - day_ms, failing: now_ms - 60_000},
            **watched,
        ),
        Figures(shots=88, watched_shots=88, **watched),
        Figures(),
    )
    report = Report(
        presses={
            press: PressReport(champion=champion, figures={champion: told} if champion else {}, baseline=baseline)
            for press, champion, told, baseline in zip(
                presses, (BUNDLE, BUNDLE, BUNDLE, ""), figures, baselines, strict=True
            )
        }
    )
    return OrderRow(
        plant_id=plant_id,
        gateway_id=gateway_id,
        tenant_id=DEFAULT_TENANT,
        revision=0,
        wanted="",
        ordered_ms=now_ms,
        report=report.model_dump_json(exclude_defaults=True),
        reported_ms=now_ms,
    )
