"""Do a bundle's figures keep to the bounds of its trial? The same rule at the gateway and in the cloud. Pure."""

from collections.abc import Iterable, Sequence
from math import log

from contract.model_orders import Bounds, Figures

SOON_SHOTS = 5
"""Errors and latency are judged from here on; what needs shares waits for `shots_min`."""


def breaches(figures: Figures, other: Figures | None, bounds: Bounds) -> tuple[str, ...]:
    """What is out of bounds, in words; empty when all is well.

    Args:
        figures: of the bundle on trial, on one press or summed up.
        other: of the bundle beside it on the same shots; None: the bounds then hold by themselves.
        bounds: what was agreed on.
    """
    found: list[str] = []
    if figures.shots < SOON_SHOTS:
        return ()
    error_share = figures.errors / figures.shots
    if error_share > bounds.error_share_max:
        found.append(
            f"errors on {_percent(error_share)} of {figures.shots} shots, at most {_percent(bounds.error_share_max)}"
        )
    if figures.latency_p99_ms > bounds.latency_p99_ms_max:
        found.append(f"latency p99 {figures.latency_p99_ms:.1f} ms, at most {bounds.latency_p99_ms_max:g} ms")
    if figures.shots < bounds.shots_min:
        return tuple(found)
    for what, share, beside, more_max in (
        ("over the threshold", _share(figures, "over"), _share(other, "over"), bounds.over_share_more_max),
        ("without a score", _share(figures, "silent"), _share(other, "silent"), bounds.silent_share_more_max),
    ):
        if share > beside + more_max:
            found.append(f"{_percent(share)} of the shots {what}, beside {_percent(beside)}")
    alarms = other.alarms if other is not None else 0
    if figures.alarms > alarms + bounds.alarms_more_max:
        found.append(f"{figures.alarms} alarms, beside {alarms}")
    if figures.strange_share > bounds.strange_share_max:
        found.append(f"{_percent(figures.strange_share)} of the features beyond all that training has seen")
    return tuple(found)


def summed(parts: Sequence[Figures]) -> Figures:
    """The figures of several presses as one: counts add up, latencies and drift are the worst."""
    if not parts:
        return Figures()
    worst, moved = max(parts, key=lambda part: part.drift_psi), max(parts, key=lambda part: abs(log(part.score_times)))
    return Figures(
        shots=sum(part.shots for part in parts),
        errors=sum(part.errors for part in parts),
        silent=sum(part.silent for part in parts),
        over=sum(part.over for part in parts),
        alarms=sum(part.alarms for part in parts),
        dropped=sum(part.dropped for part in parts),
        latency_p50_ms=max(part.latency_p50_ms for part in parts),
        latency_p99_ms=max(part.latency_p99_ms for part in parts),
        drifted_share=max(part.drifted_share for part in parts),
        strange_share=max(part.strange_share for part in parts),
        drift_worst=worst.drift_worst,
        drift_psi=worst.drift_psi,
        missing=_merged(part.missing for part in parts),
        scores_drifted_share=max(part.scores_drifted_share for part in parts),
        score_worst=moved.score_worst,
        score_times=moved.score_times,
    )


def _merged(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({name for names in lists for name in names})[:20])


def _share(figures: Figures | None, count: str) -> float:
    if figures is None or not figures.shots:
        return 0.0
    return float(getattr(figures, count)) / figures.shots


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
