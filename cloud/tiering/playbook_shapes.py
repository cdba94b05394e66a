"""Playbooks and their tasks as JSON."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.entitlements.domain import Tier
from cloud.tiering.playbooks import (
    CODE_CHARACTERS_MAX,
    DAYS_MAX,
    MESSAGE_CHARACTERS_MAX,
    OPEN_TASKS_MAX,
    PLAYBOOKS_MAX,
    STEPS_MAX,
    TITLE_CHARACTERS_MAX,
    OwnerRole,
    Shelf,
    Trigger,
    from_json,
)
from cloud.tiering.tasks import REASON_CHARACTERS_MAX


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StepShape(_In):
    """A task of a playbook."""

    title: str = Field(min_length=1, max_length=TITLE_CHARACTERS_MAX)
    owner_role: OwnerRole
    due_days: int = Field(ge=0, le=DAYS_MAX, description="After the day on which it is opened.")


class MessageShape(_In):
    """What the company is told, where it is on the platform."""

    zh: str = Field(min_length=1, max_length=MESSAGE_CHARACTERS_MAX)
    en: str = Field(min_length=1, max_length=MESSAGE_CHARACTERS_MAX)


class PlaybookShape(_In):
    """What follows on a trigger."""

    code: str = Field(min_length=1, max_length=CODE_CHARACTERS_MAX)
    trigger: Trigger
    threshold: float = Field(
        ge=0,
        le=10_000,
        description="health_drop: fall of the score between two runs; unpaid_invoice, unused_feature: days at least; "
        "renewal_near: days left at most; tier_changed: days since at most; margin_low: per cent of revenue at most.",
    )
    tiers: list[Tier] = Field(max_length=len(Tier))
    again_days: int = Field(ge=1, le=DAYS_MAX, description="For one customer not again within so many days.")
    steps: list[StepShape] = Field(max_length=STEPS_MAX, description="None at all only where there is a message.")
    is_on: bool = True
    message: MessageShape | None = None


class ShelfShape(_In):
    """The playbooks of a company, the first first."""

    open_tasks_max: int = Field(ge=1, le=OPEN_TASKS_MAX, description="Of one customer.")
    playbooks: list[PlaybookShape] = Field(max_length=PLAYBOOKS_MAX)

    def shelf(self) -> Shelf:
        """As the domain has it; not checked yet."""
        return from_json(self.model_dump(include={"open_tasks_max", "playbooks"}))


class ShelfOut(ShelfShape):
    """The playbooks that hold."""

    version: int = Field(description="0 are the standard ones; pass it back when saving.")


class ShelfIn(ShelfShape):
    """Playbooks to be saved after `version`."""

    version: int = Field(ge=0)


class CloseIn(_In):
    """How a task ended."""

    state: Literal["done", "dismissed"]
    reason: str = Field("", max_length=REASON_CHARACTERS_MAX, description="Needed when it is dismissed.")


class GiveIn(_In):
    """Whose a task is to be."""

    manager_id: UUID | None = Field(description="null: back to the queue of its role.")


class TaskOut(BaseModel):
    """A task for a customer."""

    model_config = ConfigDict(from_attributes=True)

    task_id: UUID
    customer_id: UUID
    playbook: str
    trigger: Trigger
    figure: float = Field(description="What started it.")
    title: str
    owner_role: OwnerRole
    opened_day: int
    due_day: int
    state: Literal["open", "done", "dismissed"]
    manager_id: UUID | None = Field(description="Whose it is; null: anybody's of its role.")
    reason: str
    closed_ms: int | None
    closed_by: str
