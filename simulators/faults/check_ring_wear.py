"""How does a worn check ring act? A leak gap, a late and scattered closing, and shots in which it does not close."""

from dataclasses import dataclass, replace
from typing import Final

from simulators.faults.fault import Constant, Progression
from simulators.press.condition import Condition
from simulators.press.process import Process

GAP_SHARE_SUDDEN: Final = 0.35
"""Share of the critical gap that the first wear opens: below it the leak is nothing that a gauge can see."""
CLOSING_SD_GROWTH: Final = 1.5
CLOSING_GROWTH_CM3: Final = 1.5
GAP_SPREAD_GROWTH: Final = 0.015
NON_CLOSING_GROWTH: Final = 0.01


@dataclass(frozen=True, slots=True)
class CheckRingWear:
    """The ring's seat wears: gap = critical gap x severity^(1/2), so that the leak (about gap^3) starts gently."""

    progression: Progression | Constant

    @property
    def mode(self) -> str:
        """The id of the failure mode."""
        return "check_ring_wear"

    def severity(self, utc_ms: int) -> float:
        """0 is healthy, 1 is condemned."""
        return self.progression.at(utc_ms)

    def apply(self, condition: Condition, severity: float, process: Process) -> Condition:
        """The condition with the gap opened and the closing disturbed."""
        if severity <= 0:
            return condition
        share = GAP_SHARE_SUDDEN + (1 - GAP_SHARE_SUDDEN) * severity**0.5
        return replace(
            condition,
            check_ring_gap_mm=max(condition.check_ring_gap_mm, process.critical_gap_mm * share),
            closing_cm3=condition.closing_cm3 + CLOSING_GROWTH_CM3 * severity,
            closing_sd_cm3=condition.closing_sd_cm3 * (1 + CLOSING_SD_GROWTH * severity),
            gap_spread=condition.gap_spread + GAP_SPREAD_GROWTH * severity,
            non_closing_probability=condition.non_closing_probability + NON_CLOSING_GROWTH * severity,
        )
