"""Orders to gateways: made when what they say changes, sent until the gateway reports that it follows them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.tenants import TenantId
from cloud.fleet import reading
from cloud.fleet.domain import Gateway
from cloud.rollouts import repository
from cloud.rollouts.domain import Plan, PressKey, assignments
from cloud.rollouts.service import plan_of
from cloud.rollouts.tables import BundleRow, OrderRow
from cloud.rollouts.tokens import LIFE_MS, Permission, token_of
from contract.model_orders import (
    PRESSES_MAX,
    BundleFile,
    Desired,
    ModelOrderError,
    Report,
    read_desired,
    report_of,
    to_metric,
)
from contract.sparkplug.codec import Metric

FILE_PATH: Final = "/api/v1/models/bundles/{bundle_id}/file"
Send = Callable[[str, str, Sequence[Metric]], bool]
"""Sends an NCMD with these metrics to (plant, gateway); False when there is no connection."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A gateway's order that is in force, and what it last reported."""

    plant_id: str
    gateway_id: str
    is_online: bool
    order: Desired
    report: Report
    reported_ms: int | None

    @property
    def is_followed(self) -> bool:
        """Whether the gateway reports that it follows the order."""
        return self.report.revision == self.order.revision


@dataclass(frozen=True, slots=True)
class _Said:
    """What the registry and the engineers say: all that orders are made from."""

    plan: Plan | None
    champion_id: str | None
    bundles: Mapping[str, BundleRow]
    repairs: Mapping[PressKey, int]
    revoked_keys: tuple[str, ...]


async def bring_up_to_date(
    session: AsyncSession, tenant_id: TenantId, revoked_keys: tuple[str, ...], *, now_ms: int
) -> tuple[Plan | None, list[Standing]]:
    """Make the orders of a tenant's gateways what the registry says; the trial under way, and how each one stands.

    A gateway that has reported gets its first order with the tenant's first trial, or the first repair told of.
    """
    running = await repository.running(session, tenant_id)
    plan = plan_of(running) if running is not None else None
    champion = await repository.champion(session, tenant_id)
    champion_id = champion.bundle_id if champion is not None else None
    rows = {(row.plant_id, row.gateway_id): row for row in await repository.orders(session, tenant_id)}
    gateways = (await reading.gateways(session, tenant_id, limit=reading.FLEET_MAX)).items
    repairs = await repository.repairs(session, tenant_id)
    ids = {champion_id, plan.bundle_id, plan.previous_id} if plan is not None else {champion_id}
    bundles = await repository.bundles_of_ids(session, tenant_id, sorted(i for i in ids if i is not None))
    said = _Said(plan, champion_id, bundles, repairs, revoked_keys)
    standings = []
    for gateway in gateways:
        key = (gateway.plant_id, gateway.gateway_id)
        row = rows.get(key)
        if row is None:
            continue  # another maker's edge node, or one that knows nothing of orders
        if plan is None and champion_id is None and not repairs and not row.revision:
            continue  # nothing was ever ordered here: the gateway's own bundle scores
        order = _order(row, gateway, said, now_ms)
        standings.append(Standing(*key, gateway.state == "online", order, report_in(row), row.reported_ms))
    return plan, standings


def _order(row: OrderRow, gateway: Gateway, said: _Said, now_ms: int) -> Desired:
    """The order in force: the row's own, or a new one under the next revision."""
    default, presses = assignments(said.plan, said.champion_id, gateway.plant_id)
    draft = Desired.model_construct(revision=1, default=default, presses=presses)
    fields = {
        "default": default,
        "presses": presses,
        "files": tuple(_file(said.bundles[name]) for name in sorted(draft.bundle_ids()) if name in said.bundles),
        "revoked_keys": said.revoked_keys,
        "relearn": _newest(said.repairs, gateway.plant_id),
        **({"bounds": said.plan.bounds} if said.plan is not None else {}),
    }
    wanted = Desired(revision=max(row.revision, 1), **fields).model_dump_json(exclude_defaults=True)
    if wanted != row.wanted:
        report = report_in(row)  # a gateway may have seen more than a cloud that was put back to an older state
        row.revision = max(row.revision, report.revision) + 1
        row.wanted = Desired(revision=row.revision, **fields).model_dump_json(exclude_defaults=True)
        row.ordered_ms = now_ms
    return read_desired(row.wanted)


def _newest(repairs: Mapping[PressKey, int], plant_id: str) -> dict[str, int]:
    """The plant's last repairs by press, as many as an order can tell."""
    own = [(at_ms, press_id) for (plant, press_id), at_ms in repairs.items() if plant == plant_id]
    return {press_id: at_ms for at_ms, press_id in sorted(sorted(own)[-PRESSES_MAX:], key=lambda each: each[1])}


def _file(row: BundleRow) -> BundleFile:
    path = FILE_PATH.format(bundle_id=row.bundle_id)
    return BundleFile(bundle_id=row.bundle_id, path=path, size_bytes=row.size_bytes, sha256=row.sha256)


def report_in(row: OrderRow) -> Report:
    """The last report of a gateway; an empty one when there is none that can be read."""
    try:
        return report_of(row.report) if row.report else Report()
    except ModelOrderError:
        return Report()  # of another version; it was logged when it came


def message_of(standing: Standing, secret: bytes, now_ms: int) -> Metric:
    """The order as it is sent, with permissions to fetch its files."""

    def permitted(file: BundleFile) -> BundleFile:
        permission = Permission(standing.plant_id, standing.gateway_id, file.bundle_id, now_ms + LIFE_MS)
        return file.model_copy(update={"token": token_of(secret, permission)})

    files = tuple(permitted(file) for file in standing.order.files)
    return to_metric(standing.order.model_copy(update={"files": files}))
