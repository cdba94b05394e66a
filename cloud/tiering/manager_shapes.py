"""Customer-success managers and assignments as JSON."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloud.core.numbers import Number
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.tiering.assignment import ACCOUNTS_MAX, Place, Proposal
from cloud.tiering.managers import Move, Told

SECTORS_MAX = 50
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]


class PlaceIn(BaseModel):
    """Where somebody is, in degrees; both or neither."""

    model_config = ConfigDict(extra="forbid")

    latitude: float | None = Field(None, ge=-90, le=90)
    longitude: float | None = Field(None, ge=-180, le=180)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude belong together")
        return self

    def place(self) -> Place | None:
        """As the domain has it."""
        return None if self.latitude is None or self.longitude is None else (self.latitude, self.longitude)


class ManagerIn(PlaceIn):
    """What a manager is to be."""

    name: Name
    capacity: int = Field(ge=1, le=ACCOUNTS_MAX, description="Strategic customers at most.")
    sectors: list[Name] = Field([], max_length=SECTORS_MAX, description="Those it knows; none: every one.")
    reach_km: float | None = Field(None, gt=0, le=20_100, description="Customers that are further are not given to it.")
    is_active: bool = True

    def told(self) -> Told:
        """As the desk takes it."""
        return Told(self.name, self.capacity, tuple(self.sectors), self.place(), self.reach_km, self.is_active)


class ManagerOut(BaseModel):
    """A manager."""

    model_config = ConfigDict(from_attributes=True)

    manager_id: UUID
    name: str
    capacity: int
    sectors: list[str]
    latitude: Number
    longitude: Number
    reach_km: Number
    is_active: bool
    changed_ms: int


class CareOut(BaseModel):
    """Where a customer is, and who looks after it."""

    latitude: Number
    longitude: Number
    manager_id: UUID | None
    manager: str = Field(description="The name; empty while nobody does.")
    from_ms: int | None


class AssignedOut(BaseModel):
    """A customer, its manager, and what that costs in points."""

    model_config = ConfigDict(from_attributes=True)

    customer_id: UUID
    manager_id: UUID
    before: UUID | None = Field(description="Who looks after it now; pass it back when applying.")
    sector: int = Field(description="The manager does not know the sector.")
    travel: int
    moved: int = Field(description="The customer gets another manager.")


class ProposalOut(BaseModel):
    """Who should look after whom; nothing has changed yet."""

    is_feasible: bool
    why: str = Field(description="Why not everybody is placed; empty when everybody is.")
    assigned: list[AssignedOut]
    unplaced: dict[str, Literal["nobody_in_reach", "all_in_reach_full"]] = Field(description="By customer id.")
    fullest_percent: int = Field(description="Load of the fullest manager; it counts as points.")
    cost: int
    is_best: bool = Field(description="Whether it is proven that nothing is better; else the time was over.")


class MoveIn(BaseModel):
    """One customer of a proposal."""

    model_config = ConfigDict(extra="forbid")

    customer_id: UUID
    manager_id: UUID
    before: UUID | None = None


class ApplyIn(BaseModel):
    """Moves of a proposal, all of them or those that somebody agrees with."""

    model_config = ConfigDict(extra="forbid")

    moves: list[MoveIn] = Field(min_length=1, max_length=ACCOUNTS_MAX)

    def as_moves(self) -> list[Move]:
        """As the desk takes them."""
        return [Move(each.customer_id, each.manager_id, each.before) for each in self.moves]


class AppliedOut(BaseModel):
    """What was applied."""

    changed: int = Field(description="Customers that have another manager now.")


def proposal_out(found: Proposal) -> ProposalOut:
    """A proposal, with the reason where it cannot place everybody."""
    far = sum(why == "nobody_in_reach" for why in found.unplaced.values())
    full = len(found.unplaced) - far
    told = [
        f"{far} customers are in nobody's reach" if far else "",
        f"for {full} customers all managers in reach are full" if full else "",
    ]
    return ProposalOut(
        is_feasible=not found.unplaced,
        why="; ".join(each for each in told if each),
        assigned=[AssignedOut.model_validate(each) for each in found.assigned],
        unplaced=dict(found.unplaced),
        fullest_percent=found.fullest_percent,
        cost=found.cost,
        is_best=found.is_best,
    )
