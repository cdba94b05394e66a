"""What playbooks would have done in the last days, from evidence as it was known then. Pure.

Each day is looked at as an evaluation would have; tasks are taken as closed at once, so that the limit of open tasks
holds nothing back. Scores are known of the last two runs alone: a fall of health is looked at on the last day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from cloud.entitlements.domain import DAY_MS, Tier
from cloud.tiering.evaluation import Scores, gather
from cloud.tiering.evidence import EvidenceTable
from cloud.tiering.playbook_repository import Served
from cloud.tiering.playbooks import Shelf, due

DAYS: Final = 30
DAILY_MAX: Final = 5_000
"""With more customers only every STEP_DAYS-th day is looked at."""
STEP_DAYS: Final = 5


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a playbook would have done: for how many customers, with how many tasks."""

    customers: int
    tasks: int


def rehearse(
    shelf: Shelf,
    customers: Sequence[Served],
    table: EvidenceTable,
    changes: Sequence[Sequence[Any]],
    scores: Scores,
    today: int,
) -> dict[str, Rehearsed]:
    """By the code of each playbook that is on."""
    started: dict[UUID, dict[str, int]] = {}
    tasks = dict.fromkeys((playbook.code for playbook in shelf.playbooks if playbook.is_on), 0)
    step = 1 if len(customers) <= DAILY_MAX else STEP_DAYS
    for day in range(today - DAYS + step, today + 1, step):
        known = [change for change in changes if int(change[1]) // DAY_MS <= day]
        facts = gather(customers, table.until(day), known, scores if day == today else (), day)
        for customer in customers:
            mine = started.setdefault(customer.customer_id, {})
            told = facts.get(customer.customer_id, {})
            tier, unread = Tier(customer.served_as), 0 if customer.linked_tenant_id else None
            for playbook in due(shelf, tier, told, open_tasks=0, started=mine, today=day, unread=unread):
                mine[playbook.code] = day
                tasks[playbook.code] += len(playbook.steps)
    return {code: Rehearsed(sum(code in mine for mine in started.values()), count) for code, count in tasks.items()}
