"""Bundles, trials and gateways as the API and the pages show them."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.problems import NotFoundError
from cloud.core.tenants import TenantId
from cloud.rollouts import repository
from cloud.rollouts.domain import trial_of
from cloud.rollouts.orders import report_in
from cloud.rollouts.service import plan_of
from cloud.rollouts.shapes import (
    BundleOut,
    CardOut,
    GatewayModelsOut,
    LabelCountsOut,
    PointOut,
    PressFiguresOut,
    RolloutDetailOut,
    RolloutOut,
)
from cloud.rollouts.tables import OrderRow


async def card(session: AsyncSession, tenant_id: TenantId, bundle_id: str) -> CardOut:
    """A bundle's model card.

    Raises:
        NotFoundError: the tenant has no such bundle.
    """
    row = await repository.bundle(session, tenant_id, bundle_id)
    if row is None:
        raise NotFoundError("bundle", bundle_id)
    counts = await repository.label_counts(session, tenant_id, bundle_id)
    fields = BundleOut.model_validate(row).model_dump()
    return CardOut(**fields, card=row.card, labels_since=LabelCountsOut(**counts))


async def rollout(session: AsyncSession, tenant_id: TenantId, rollout_id: UUID) -> RolloutDetailOut:
    """A trial with all its figures.

    Raises:
        NotFoundError: the tenant has no such trial.
    """
    row = await repository.rollout(session, tenant_id, rollout_id)
    if row is None:
        raise NotFoundError("trial", str(rollout_id))
    points = [PointOut.model_validate(point) for point in await repository.points(session, rollout_id)]
    shown = RolloutOut.model_validate(row).model_dump()
    if row.ended_ms is not None:
        return RolloutDetailOut(**shown, points=points, presses=[], wrong=[])
    orders = await repository.orders(session, tenant_id)
    followed = [
        (order.plant_id, order.gateway_id, report)
        for order in orders
        if (report := report_in(order)).revision == order.revision
    ]
    trial = trial_of(plan_of(row), followed)
    presses = [
        PressFiguresOut(
            plant_id=plant_id, press_id=press_id, new=figures, beside=trial.beside.get((plant_id, press_id))
        )
        for (plant_id, press_id), figures in sorted(trial.new.items())
    ]
    return RolloutDetailOut(**shown, points=points, presses=presses, wrong=list(trial.wrong))


async def gateways(session: AsyncSession, tenant_id: TenantId) -> list[GatewayModelsOut]:
    """What each gateway was told, and what it says; by plant and id."""
    return [_gateway(row) for row in await repository.orders(session, tenant_id)]


async def gateway(
    session: AsyncSession, tenant_id: TenantId, plant_id: str, gateway_id: str
) -> GatewayModelsOut | None:
    """The same of one gateway; None when it was told nothing and has said nothing."""
    row = await repository.order(session, plant_id, gateway_id)
    return _gateway(row) if row is not None and row.tenant_id == tenant_id else None


def _gateway(row: OrderRow) -> GatewayModelsOut:
    report = report_in(row)
    return GatewayModelsOut(
        plant_id=row.plant_id,
        gateway_id=row.gateway_id,
        revision=row.revision,
        followed_revision=report.revision,
        own_bundle=report.own_bundle,
        reported_ms=row.reported_ms,
        bundles={name: told.model_dump() for name, told in report.bundles.items()},
        presses={name: told.model_dump() for name, told in report.presses.items()},
    )
