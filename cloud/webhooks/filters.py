"""Which events an endpoint is told: by kind, priority, plant, press and failure mode. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from cloud.core.tenants import DEFAULT_TENANT, TenantId

Priority = Literal["low", "medium", "high", "critical"]
PRIORITIES: Final[tuple[Priority, ...]] = ("low", "medium", "high", "critical")
DEFAULT_KINDS: Final = ("alarm.raised", "alarm.acknowledged", "alarm.cleared", "alarm.escalated")
ALL_ALARMS: Final = "alarm.*"
ALL_MAINTENANCE: Final = "maintenance.*"
ALL_ENTITLEMENTS: Final = "entitlements.*"
ALL_PROVIDER: Final = "provider.*"
KNOWN_KINDS: Final = (
    *DEFAULT_KINDS,
    *(
        f"alarm.{name}"
        for name in (
            "realarmed",
            "reset",
            "shelved",
            "unshelved",
            "suppressed",
            "unsuppressed",
            "out_of_service",
            "in_service",
            "commented",
            "assigned",
            "flood_began",
            "flood_ended",
        )
    ),
    *(f"maintenance.{name}" for name in ("planned", "changed", "done", "reopened", "cancelled")),
    *(f"entitlements.{name}" for name in ("tier_changed", "override_set", "override_ended")),
    "provider.message",
)
"""What a form offers; `alarm.*` and `maintenance.*` take also those that are not known here."""
ALL_SERVING: Final = "serving.*"
ALL_TIERING: Final = "tiering.*"
PLATFORM_KINDS: Final = (
    *(f"serving.{name}" for name in ("margin_low", "margin_recovered", "hours_over", "option_changed")),
    *(
        f"tiering.{name}"
        for name in (
            "task_opened",
            "task_closed",
            "tier_changed",
            "plan_changed",
            "manager_assigned",
            "run_done",
            "run_failed",
        )
    ),
)
"""What a form offers beside them to the company that runs the platform: events of its customers, which no other has."""
WITHHELD: Final = frozenset({"reason", "by", "owner", "note"})
"""What a customer is not told of its entitlements: who of the platform's people has decided, and why."""


def told_to(tenant_id: TenantId, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an endpoint of this company is told of an event."""
    if tenant_id == DEFAULT_TENANT or not kind.startswith("entitlements."):
        return payload
    return {name: value for name, value in payload.items() if name not in WITHHELD}


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What is let through; no kinds are all of alarms, else an empty part lets everything through.

    A press is named `plant/press`, or by id alone.
    """

    kinds: tuple[str, ...] = DEFAULT_KINDS
    priority_min: Priority | None = None
    plants: tuple[str, ...] = ()
    presses: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()

    def lets_through(self, kind: str, payload: Mapping[str, Any]) -> bool:
        """Whether the endpoint is told of an event with this payload."""
        plant_id, press_id = payload.get("plant_id", ""), payload.get("press_id", "")
        return (
            not {kind, f"{kind.partition('.')[0]}.*"}.isdisjoint(self.kinds or (ALL_ALARMS,))
            and self._is_grave(payload.get("priority"))
            and (not self.plants or plant_id in self.plants)
            and (not self.presses or press_id in self.presses or f"{plant_id}/{press_id}" in self.presses)
            and (not self.modes or payload.get("mode") in self.modes)
        )

    def _is_grave(self, priority: object) -> bool:
        """An event without a priority that we know is not held back: better one call too many than one too few."""
        if self.priority_min is None or priority not in PRIORITIES:
            return True
        return PRIORITIES.index(priority) >= PRIORITIES.index(self.priority_min)
