"""Options, what was sold of them, rules and margins as JSON."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cloud.core.numbers import Number
from cloud.core.tables import NAME_CHARACTERS_MAX
from cloud.entitlements.domain import NAMES, NUMBER_MAX, ReportDepth, Tier
from cloud.serving.options import (
    DAY_MAX,
    DESCRIPTION_CHARACTERS_MAX,
    EFFORT_H_MAX,
    PER_CUSTOMER_MAX,
    Billing,
    Need,
    Option,
)
from cloud.serving.rules import BACK_MAX, HOUR_COST_MINOR_MAX, OPEN_MAX, SHARE_MAX, SHARE_MIN, ServingRules
from cloud.serving.sales import BOOKING_H_MAX, NOTE_CHARACTERS_MAX, SCOPE_CHARACTERS_MAX, State, Step, is_over, steps_of
from cloud.serving.sales_desk import Estimate
from cloud.serving.tables import BookingRow, SoldRow, SoldStepRow
from cloud.serving.views import MarginLine
from cloud.tiering.evidence import AMOUNT_MINOR_MAX

Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]
Description = Annotated[str, Field(max_length=DESCRIPTION_CHARACTERS_MAX)]
Money = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX, description="In minor units of the currency.")]
Effort = Annotated[float, Field(ge=0, le=EFFORT_H_MAX, description="Hours, as estimated.")]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217.")]
Buyer = Literal[Tier.STRATEGIC, Tier.VALUE, Tier.LONG_TAIL]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class NeedShape(_In):
    """An entitlement that the buyer's plan must have."""

    entitlement: Literal[NAMES]  # type: ignore[valid-type]
    least: Annotated[int, Field(ge=0, le=NUMBER_MAX)] | bool | Literal["summary", "standard", "deep"] | None = Field(
        description="So much at least (`support_response_h`: at most); null: no limit."
    )

    def need(self) -> Need:
        """As the domain has it."""
        return Need(self.entitlement, ReportDepth(self.least) if isinstance(self.least, str) else self.least)


class OptionShape(_In):
    """An option without its code."""

    names: dict[Literal["zh-CN", "en"], Name] = Field(min_length=2, description="By language.")
    descriptions: dict[Literal["zh-CN", "en"], Description] = Field(min_length=2)
    billing: Billing
    price_minor: Money
    currency: Currency
    effort_h: Effort
    tiers: list[Buyer] = Field(min_length=1, max_length=3, description="Who may buy it.")
    per_customer_max: int = Field(1, ge=1, le=PER_CUSTOMER_MAX, description="Of those that are not over.")
    need: NeedShape | None = None
    retired_from: int | None = Field(
        None, ge=0, le=DAY_MAX, description="Days since 1970; nobody buys it from then on."
    )
    is_custom: bool = Field(False, description="Price and effort are estimated for each customer; strategic only.")


class OptionIn(OptionShape):
    """The next version of an option."""

    version: int = Field(ge=0, description="The newest; 0 for a new option.")

    def option(self, code: str) -> Option:
        """As the domain has it; not checked yet."""
        need = self.need.need() if self.need is not None else None
        told = self.model_dump(exclude={"version", "need", "tiers"})
        return Option(**told, code=code, need=need, tiers=tuple(Tier(each) for each in self.tiers))


class OptionOut(OptionShape):
    """One version of an option."""

    code: str
    version: int


class RulesShape(_In):
    """What an hour costs, how much may be open, which margin is too low."""

    hour_cost_minor: int = Field(ge=0, le=HOUR_COST_MINOR_MAX, description="Of one of our people, company currency.")
    open_options_max: int = Field(ge=1, le=OPEN_MAX, description="Of one customer: quoted, accepted, or in work.")
    margin_floor: float = Field(ge=SHARE_MIN, le=SHARE_MAX, description="Share of twelve months' revenue.")
    margin_back: float = Field(ge=0, le=BACK_MAX, description="So much above the floor, a low margin has recovered.")
    watched: list[Buyer] = Field(max_length=3, description="Tiers of which a low margin is told.")


class RulesIn(RulesShape):
    """Rules to be saved after `version`."""

    version: int = Field(ge=0)

    def rules(self) -> ServingRules:
        """As the domain has it; not checked yet."""
        told = self.model_dump(exclude={"version", "watched"})
        return ServingRules(**told, watched=tuple(Tier(each) for each in self.watched))


class RulesOut(RulesShape):
    """The rules that hold."""

    version: int = Field(description="0 are the standard ones; pass it back when saving.")


class EstimateIn(_In):
    """Of a custom option."""

    scope: str = Field(min_length=1, max_length=SCOPE_CHARACTERS_MAX)
    price_minor: Money
    effort_h: Effort

    def estimate(self) -> Estimate:
        """As the desk takes it."""
        return Estimate(self.scope, self.price_minor, self.effort_h)


class OfferIn(_In):
    """An option to be quoted."""

    code: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    estimate: EstimateIn | None = Field(None, description="Of a custom option, and of no other.")


class StepIn(_In):
    """A step further."""

    step: Step
    note: str = Field("", max_length=NOTE_CHARACTERS_MAX, description="Needed to decline and to end.")


class HoursIn(_In):
    """Hours of one person on one day."""

    hours: float = Field(gt=0, le=BOOKING_H_MAX)
    day: int = Field(ge=0, le=DAY_MAX, description="Days since 1970; one of the last 90.")
    note: str = Field("", max_length=NOTE_CHARACTERS_MAX)


class SoldStepOut(_Out):
    """What happened to a sold option."""

    state: State
    at_ms: int
    by: str
    note: str


class BookingOut(_Out):
    """Hours that were booked."""

    booking_id: UUID
    day: int
    hours: float
    note: str
    made_ms: int
    made_by: str


class SoldOut(_Out):
    """An option of a customer, at the price and effort of when it was quoted."""

    sold_id: UUID
    customer_id: UUID
    code: str
    version: int
    is_custom: bool
    scope: str
    billing: Billing
    price_minor: int
    currency: str
    effort_h: float
    booked_h: float
    is_over: bool = Field(description="More hours were booked than estimated.")
    state: State
    next_steps: list[Step]
    quoted_ms: int
    quoted_by: str
    changed_ms: int
    delivered_ms: int | None
    next_charge_ms: int | None
    charges: int = Field(description="How often it was charged.")
    steps: list[SoldStepOut]


class SoldWithHoursOut(SoldOut):
    """The same with its hours."""

    bookings: list[BookingOut] = Field(description="The last booked first.")


class MarginOut(BaseModel):
    """A customer's last twelve months."""

    customer_id: UUID
    code: str
    name: str
    tier: Tier
    revenue_minor: int
    cost_minor: int
    margin_minor: int
    share: Number = Field(description="Of the revenue; null without revenue.")
    is_low: bool
    low_since_ms: int | None = Field(description="Where it was told.")


class MarginsOut(BaseModel):
    """Customers by margin, the lowest share first."""

    currency: str
    margin_floor: float
    items: list[MarginOut]


def sold_out(row: SoldRow, steps: Sequence[SoldStepRow]) -> SoldOut:
    """A sold option with its steps."""
    return SoldOut(**_sold(row, steps))


def sold_with_hours(row: SoldRow, steps: Sequence[SoldStepRow], bookings: Sequence[BookingRow]) -> SoldWithHoursOut:
    """A sold option with its steps and hours."""
    return SoldWithHoursOut(**_sold(row, steps), bookings=[BookingOut.model_validate(each) for each in bookings])


def _sold(row: SoldRow, steps: Sequence[SoldStepRow]) -> dict[str, Any]:
    columns = {
        column.key: getattr(row, column.key) for column in SoldRow.__table__.columns if column.key != "tenant_id"
    }
    return {
        **columns,
        "is_over": is_over(row.effort_h, row.booked_h),
        "next_steps": steps_of(State(row.state), is_custom=row.is_custom),
        "steps": [SoldStepOut.model_validate(each) for each in steps],
    }


def margin_out(line: MarginLine) -> MarginOut:
    """A line of the list by margin."""
    row, margin = line.customer, line.margin
    return MarginOut(
        customer_id=row.customer_id,
        code=row.code,
        name=row.name,
        tier=Tier(row.served_as),
        revenue_minor=margin.revenue_minor,
        cost_minor=margin.cost_minor,
        margin_minor=margin.margin_minor,
        share=margin.share,
        is_low=line.is_low,
        low_since_ms=line.since_ms,
    )
