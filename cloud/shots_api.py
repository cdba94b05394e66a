"""A press and its shots as JSON: where the fleet and the telemetry store meet."""

from collections.abc import Callable
from typing import Annotated, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from cloud.core.database import Database
from cloud.core.numbers import Number, finite_or_none
from cloud.core.paging import LIMIT_DEFAULT, Cursor, Limit, Page, decode_cursor, page_of, slice_of
from cloud.core.problems import NotFoundError, responses
from cloud.core.tenants import Tenant, TenantId
from cloud.entitlements.gates import HIDDEN, EntitlementError
from cloud.entitlements.plans import Plans
from cloud.entitlements.sight import Sight
from cloud.fleet import reading
from cloud.fleet.api import PressOut
from cloud.fleet.domain import Press
from cloud.telemetry.store import Plants, PressKey, StoredShot, TelemetryStore
from contract.shot import FloatArray

READ_THREADS_MAX = 4
ROW_ID_MAX = (1 << 63) - 1

PlantId = Annotated[str, Path(max_length=128, description="Plant id: the Sparkplug group.")]
PressId = Annotated[str, Path(max_length=128, description="Press id: the Sparkplug device.")]
RowId = Annotated[int, Path(ge=1, le=ROW_ID_MAX, description="Row id of the shot.")]

P = ParamSpec("P")
T = TypeVar("T")


class ShotReasonOut(BaseModel):
    """A feature that moved."""

    feature: str
    value: Number
    sigma: Number = Field(description="Distance from this press's normal, in standard deviations.")


class ScoresOut(BaseModel):
    """What the models said of a shot."""

    bundle_id: str
    values: dict[str, Number] = Field(
        description="By `FailureProbability/<mode>`, `Novelty/T2`, `Novelty/SPE`, `QualityProbability/<class>`."
    )
    quality_class: str | None
    reasons: list[ShotReasonOut]


class ProductionDatasetOut(BaseModel):
    """What the press was set to; a text that it does not tell is empty."""

    name: str
    description: str
    mould_description: str
    set_points: dict[str, float] = Field(description="Set values by the names of the parameters, where they are told.")


class ShotOut(BaseModel):
    """A shot without its curves."""

    row_id: int = Field(description="Rises by arrival.")
    plant_id: str
    press_id: str
    gateway_id: str
    ended_ms: int = Field(description="By the press's clock.")
    received_ms: int = Field(description="By our clock.")
    is_historical: bool = Field(description="Sent again after an outage.")
    cycle_counter: int | None
    job_name: str
    mould_id: str
    material: str = Field(description="Empty where the press does not tell it.")
    product_name: str = Field(description="Empty where the press does not tell it.")
    cavities: int | None = Field(description="Of the mould in production; null where the press does not tell it.")
    dataset: ProductionDatasetOut
    parameters: dict[str, Number] = Field(description="By the names of OPC 40077; null is a bad reading.")
    scores: ScoresOut


class ShotDetailOut(ShotOut):
    """A shot with its features and curves."""

    features_hash: str = Field(description="Names the schema that gives the features their order.")
    features: list[Number]
    sample_interval_s: float = Field(description="Of every curve; 0 when there is none.")
    curves: dict[str, list[Number]] = Field(description="By signal, from the start of injection.")


class PressDetailOut(PressOut):
    """A press with what is stored of it."""

    shots_total: int
    last_shot: ShotOut | None = Field(description="The newest by the press's own clock.")


def router(database: Database, store: TelemetryStore, plans: Plans) -> APIRouter:
    """The routes, reading from `database` and, in a few threads, from `store`."""
    routes = APIRouter(tags=["shots"])
    threads = anyio.CapacityLimiter(READ_THREADS_MAX)

    async def blocking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(lambda: function(*args, **kwargs), limiter=threads)

    async def known_press(tenant: TenantId, plant_id: str, press_id: str) -> Press:
        async with database.reading() as session:
            return await reading.press(session, tenant, plant_id, press_id)

    async def plants_of(tenant: TenantId) -> Plants:
        from_ms = await plans.hidden_before_ms(tenant)
        async with database.reading() as session:
            return Sight(await reading.plant_ids(session, tenant), from_ms)

    @routes.get("/plants/{plant_id}/presses/{press_id}", responses=responses(404, 422), summary="One press")
    async def press(tenant: Tenant, plant_id: PlantId, press_id: PressId) -> PressDetailOut:
        found = await known_press(tenant, plant_id, press_id)
        key = PressKey(plant_id, press_id)
        plants = await plants_of(tenant)
        counts, latest = await blocking(store.counts, plants), await blocking(store.latest, plants)
        known = PressOut.model_validate(found).model_dump()
        last_shot = shot_out(latest[key]) if key in latest else None
        return PressDetailOut(**known, shots_total=counts.get(key, 0), last_shot=last_shot)

    @routes.get(
        "/plants/{plant_id}/presses/{press_id}/shots",
        responses=responses(404, 422),
        summary="Shots of a press, the last arrived first",
    )
    async def shots(
        tenant: Tenant, plant_id: PlantId, press_id: PressId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[ShotOut]:
        await known_press(tenant, plant_id, press_id)
        parts = decode_cursor(cursor, int)
        before = int(parts[0]) if parts else None
        press = PressKey(plant_id, press_id)
        rows = await blocking(store.recent, await plants_of(tenant), press, limit=limit + 1, before=before)
        return page_of(slice_of(rows, limit), shot_out, lambda row: (row.row_id,))

    @routes.get(
        "/plants/{plant_id}/presses/{press_id}/shots/{row_id}",
        responses=responses(404, 422),
        summary="One shot with features and curves",
    )
    async def shot(tenant: Tenant, plant_id: PlantId, press_id: PressId, row_id: RowId) -> ShotDetailOut:
        await known_press(tenant, plant_id, press_id)
        plants = await plants_of(tenant)
        row = await blocking(store.shot, plants, row_id)
        if row is None:
            hidden = await blocking(store.shot, frozenset(plants), row_id)
            if hidden is not None and hidden.press == PressKey(plant_id, press_id):
                effective = (await plans.of(tenant)).effective
                raise EntitlementError(HIDDEN, effective.entitlements.retention_days, tier=effective.tier)
        if row is None or row.press != PressKey(plant_id, press_id):
            raise NotFoundError("shot", f"{plant_id}/{press_id}/{row_id}")
        return shot_detail_out(row)

    return routes


def shot_out(row: StoredShot) -> ShotOut:
    """A stored shot as an answer."""
    return ShotOut(**_fields(row))


def shot_detail_out(row: StoredShot) -> ShotDetailOut:
    """A stored shot with features and curves as an answer."""
    scored = row.scored
    return ShotDetailOut(
        **_fields(row),
        features_hash=scored.features_hash,
        features=_numbers(scored.features),
        sample_interval_s=scored.shot.sample_interval_s,
        curves={name: _numbers(curve) for name, curve in scored.shot.curves.items()},
    )


def _numbers(values: FloatArray) -> list[float | None]:
    """Numbers for JSON; seven digits are all that a float32 has."""
    return [finite_or_none(float(f"{value:.7g}")) for value in values.tolist()]


def _fields(row: StoredShot) -> dict[str, object]:
    shot, scores = row.scored.shot, row.scored.scores
    reasons = [{"feature": r.feature, "value": r.value, "sigma": r.sigma} for r in scores.reasons]
    return {
        "row_id": row.row_id,
        "plant_id": row.press.plant_id,
        "press_id": row.press.press_id,
        "gateway_id": row.gateway_id,
        "ended_ms": shot.ended_ms,
        "received_ms": row.received_ms,
        "is_historical": row.is_historical,
        "cycle_counter": shot.cycle_counter,
        "job_name": shot.job_name,
        "mould_id": shot.mould_id,
        "material": shot.material,
        "product_name": shot.product_name,
        "cavities": shot.cavities,
        "dataset": {
            "name": shot.dataset.name,
            "description": shot.dataset.description,
            "mould_description": shot.dataset.mould_description,
            "set_points": dict(shot.dataset.set_points),
        },
        "parameters": dict(shot.parameters),
        "scores": {
            "bundle_id": scores.bundle_id,
            "values": dict(scores.values),
            "quality_class": scores.quality_class,
            "reasons": reasons,
        },
    }
