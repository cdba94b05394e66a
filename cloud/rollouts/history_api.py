"""A company's own months as a training set: what its presses made, and what its engineers said was wrong with them.

`zhisan models fetch-history` makes of it a folder such as `zhisan sim press-history` writes.
"""

from collections.abc import Iterable
from typing import Annotated, Final, Literal, cast

import anyio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from anyio import to_thread
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.core.problems import responses
from cloud.core.tenants import Tenant, TenantId
from cloud.entitlements import service
from cloud.entitlements.sight import Sight, hidden_before_ms
from cloud.fleet import reading
from cloud.rollouts import history, repository
from cloud.rollouts.domain import Verdict
from cloud.rollouts.history import Fault, Judged, Maintenance
from cloud.rollouts.parts import RolloutParts
from cloud.rollouts.shapes import LabelCountsOut
from cloud.rollouts.tables import LabelRow
from cloud.telemetry.store import FEATURE_ROWS_MAX, FeatureRows, FeatureSet, PressKey, Span, TelemetryStore
from models.features.schema import FEATURES, FEATURES_HASH, VALUES

PARQUET: Final = "application/vnd.apache.parquet"
READ_THREADS_MAX: Final = 2
"""One page of shots is some 20 MB while it is made."""
LABELS_AT_ONCE, LABELS_MAX = 5_000, 100_000
"""Of a company's labels the newest count; a hundred a day fill three years."""
MS_MAX: Final = (1 << 53) - 1
ROW_ID_MAX: Final = (1 << 63) - 1
OURS: Final = FeatureSet(FEATURES_HASH, len(FEATURES))
SHOTS: Final = pa.schema(
    [
        ("row_id", pa.int64()),
        ("ended_ms", pa.int64()),
        ("mould_id", pa.string()),
        *((spec.name, pa.float32()) for spec in VALUES),
    ]
)

Ms = Annotated[int, Query(ge=0, le=MS_MAX)]
Name = Annotated[str, Query(min_length=1, max_length=128)]
AfterMs = Annotated[int, Query(ge=0, le=MS_MAX, description="Only what is later than this.")]
AfterRowId = Annotated[
    int, Query(ge=0, le=ROW_ID_MAX, description="With `after_ms` of the last shot its `row_id`: the next page.")
]
Rows = Annotated[int, Query(ge=1, le=FEATURE_ROWS_MAX, description="Most shots on the page.")]


class HistoryPressOut(BaseModel):
    """A press, and its shots with this version's features."""

    plant_id: str
    press_id: str
    shots: int
    first_ms: int | None = Field(description="When the first one ended, by the press's clock; null without any.")
    last_ms: int | None


class HistoryEventOut(BaseModel):
    """What a plant notes: here a repair, after which baselines begin anew."""

    plant_id: str
    press_id: str
    at_ms: int
    kind: str
    detail: str


class HistoryEpisodeOut(BaseModel):
    """What engineers said was wrong with a press."""

    plant_id: str
    press_id: str
    mode: str
    onset_ms: int = Field(description="When its first alarm was raised.")
    failed_ms: int | None = Field(description="When the part was condemned and changed; null: not yet.")
    ended_ms: int = Field(description="The same; or until when it is known to go on.")
    kind: Literal["fault"]


class HistoryOut(BaseModel):
    """All that a training asks of a company's months but the shots themselves."""

    at_ms: int = Field(description="Until when this is known; pass as `until_ms` for shots of the same moment.")
    features_hash: str = Field(description="Shots with other features than these are left out.")
    presses: list[HistoryPressOut]
    events: list[HistoryEventOut]
    episodes: list[HistoryEpisodeOut]
    labels: LabelCountsOut
    labels_left_out: int = Field(
        description=f"Older labels of the company than the newest {LABELS_MAX:,}: not counted."
    )


def router(parts: RolloutParts, store: TelemetryStore) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["labels"], prefix="/models/history")
    threads = anyio.CapacityLimiter(READ_THREADS_MAX)

    @routes.get(
        "",
        responses=responses(422),
        summary="What there is to train on",
        description=f"Of one plant, or of all. Of labels the newest {LABELS_MAX:,} count.",
    )
    async def whole(tenant: Tenant, plant_id: Name | None = None, after_ms: AfterMs = 0) -> HistoryOut:
        now_ms = parts.clock.utc_ms()
        async with parts.database.reading() as session:
            plants = await _plants(session, tenant, plant_id, now_ms)
            newest, left_out = await _labels(session, tenant)
            labels = [label for label in newest if label.press[0] in plants]
            presses = [
                (press.plant_id, press.press_id)
                for press in (await reading.whole_fleet(session, tenant))[1]
                if press.plant_id in plants
            ]
        spans = await to_thread.run_sync(lambda: store.spans(plants, FEATURES_HASH, after_ms=after_ms), limiter=threads)
        return HistoryOut(
            at_ms=now_ms,
            features_hash=FEATURES_HASH,
            presses=[_press(*press, spans.get(PressKey(*press))) for press in presses],
            events=[_event(event) for event in history.maintenance(labels) if event.at_ms > after_ms],
            episodes=[_episode(fault) for fault in history.faults(labels, now_ms) if fault.ended_ms > after_ms],
            labels=LabelCountsOut(**history.counts(label for label in labels if label.raised_ms > after_ms)),
            labels_left_out=left_out,
        )

    @routes.get(
        "/shots",
        responses={**responses(404, 422), 200: {"content": {PARQUET: {}}}},
        response_class=Response,
        summary="Shots of a press with their features, as Parquet",
        description="The earliest first by `ended_ms` and `row_id`; an empty page is behind the last one. Columns:"
        " `row_id`, `ended_ms`, `mould_id`, and the values that a baseline follows. Residuals are not kept here: NaN.",
    )
    async def shots(
        tenant: Tenant,
        plant_id: Name,
        press_id: Name,
        after_ms: AfterMs = 0,
        after_row_id: AfterRowId = ROW_ID_MAX,
        until_ms: Ms = MS_MAX,
        limit: Rows = FEATURE_ROWS_MAX,
    ) -> Response:
        async with parts.database.reading() as session:
            await reading.press(session, tenant, plant_id, press_id)
            plants = await _plants(session, tenant, None, parts.clock.utc_ms())
        press, after = PressKey(plant_id, press_id), (after_ms, after_row_id)

        def page() -> bytes:
            return parquet(store.features(plants, press, OURS, after=after, until_ms=until_ms, limit=limit))

        return Response(await to_thread.run_sync(page, limiter=threads), media_type=PARQUET)

    return routes


def parquet(rows: FeatureRows) -> bytes:
    """A page of shots as a Parquet file; values that are no features are missing."""
    values = np.full((len(VALUES), len(rows.row_ids)), np.nan, np.float32)
    values[: rows.features.shape[1]] = rows.features.T
    columns = [rows.row_ids, rows.ended_ms, rows.mould_ids, *values]
    out = pa.BufferOutputStream()
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SHOTS, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=SHOTS), out, compression="zstd", use_dictionary=["mould_id"])
    content: bytes = out.getvalue().to_pybytes()
    return content


async def _plants(session: AsyncSession, tenant_id: TenantId, plant_id: str | None, now_ms: int) -> Sight:
    known = await reading.plant_ids(session, tenant_id)
    found = await service.in_force(session, tenant_id, now_ms)
    wanted = known if plant_id is None else known & {plant_id}
    return Sight(wanted, hidden_before_ms(found.entitlements, now_ms))


async def _labels(session: AsyncSession, tenant_id: TenantId) -> tuple[list[Judged], int]:
    """The newest labels, and how many older ones there are."""
    found: list[Judged] = []
    before = None
    while len(found) < LABELS_MAX:
        rows = await repository.labels(session, tenant_id, before=before, limit=LABELS_AT_ONCE)
        found += _judged(rows)
        session.expunge_all()
        if len(rows) < LABELS_AT_ONCE:
            return found, 0
        before = rows[-1].label_id
    assert before is not None
    return found, await repository.labels_before(session, tenant_id, before)


def _judged(rows: Iterable[LabelRow]) -> Iterable[Judged]:
    for row in rows:
        verdict = cast("Verdict", row.verdict)
        yield Judged((row.plant_id, row.press_id), row.mode, verdict, row.raised_ms, row.labelled_ms)


def _press(plant_id: str, press_id: str, span: Span | None) -> HistoryPressOut:
    return HistoryPressOut(
        plant_id=plant_id,
        press_id=press_id,
        shots=span.shots if span else 0,
        first_ms=span.first_ms if span else None,
        last_ms=span.last_ms if span else None,
    )


def _event(event: Maintenance) -> HistoryEventOut:
    plant_id, press_id = event.press
    return HistoryEventOut(
        plant_id=plant_id, press_id=press_id, at_ms=event.at_ms, kind=event.kind, detail=event.detail
    )


def _episode(fault: Fault) -> HistoryEpisodeOut:
    plant_id, press_id = fault.press
    return HistoryEpisodeOut(
        plant_id=plant_id,
        press_id=press_id,
        mode=fault.mode,
        onset_ms=fault.onset_ms,
        failed_ms=fault.failed_ms,
        ended_ms=fault.ended_ms,
        kind=fault.kind,
    )
