"""The URLs of what a press's page loads after itself: the data of its charts, as JSON."""

from collections.abc import Sequence
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from cloud.core.tenants import Tenant, TenantId
from cloud.telemetry.store import PressKey, StoredShot
from cloud.web.charts import Chart, trend_chart
from cloud.web.curve_charts import curves_chart
from cloud.web.facts import PageFacts
from cloud.web.feature_charts import features_chart, features_of, marks_of, shown_features
from cloud.web.press_query import query_of
from cloud.web.shell import Shell
from cloud.web.shots_csv import attachment, csv_lines

RowId = Annotated[int | None, Query(ge=0, lt=1 << 63)]
PRESS_PATH = "/plants/{plant_id}/presses/{press_id}"


def include(router: APIRouter, shell: Shell, facts: PageFacts) -> None:
    """Add the routes to `router`."""
    data = PressData(shell, facts)
    facts.press_log(shell).include(router)
    router.add_api_route(f"{PRESS_PATH}/shots.csv", data.shots, methods=["GET"])
    for name, handler in (("curves", data.curves), ("trend", data.trend), ("features", data.features)):
        router.add_api_route(f"{PRESS_PATH}/{name}.json", handler, methods=["GET"])


class PressData:
    """The handlers; a press that the tenant does not have answers 404."""

    def __init__(self, shell: Shell, facts: PageFacts) -> None:
        self._shell = shell
        self._facts = facts

    async def curves(
        self, request: Request, tenant: Tenant, plant_id: str, press_id: str, shot: RowId = None
    ) -> Response:
        """The curves of one shot, the newest unless `shot` names a row, over the usual ones."""
        press = PressKey(plant_id, press_id)
        if not await self._facts.knows(tenant, press):
            return self._unknown(request, press)
        query, history = query_of(request.query_params), self._facts.history
        row = await self._facts.shot(tenant, press, shot)
        others, envelope = [], None
        if row is not None and row.scored.shot.curves:
            others = await history.with_curves(tenant, press, [each for each in query.compare if each != row.row_id])
            envelope = (await history.reference(tenant, press, row, is_latest=shot is None)).envelope
        t = self._shell.catalogue(request)
        return _json(
            await anyio.to_thread.run_sync(
                lambda: curves_chart(
                    t, row, others=others, letters=query.letters, envelope=envelope, wanted=query.signals
                )
            )
        )

    async def trend(self, request: Request, tenant: Tenant, plant_id: str, press_id: str) -> Response:
        """The scores of a span of shots."""
        press = PressKey(plant_id, press_id)
        if not await self._facts.knows(tenant, press):
            return self._unknown(request, press)
        history, t = self._facts.history, self._shell.catalogue(request)
        rows = await history.in_span(tenant, press, query_of(request.query_params))
        found = await history.marks(tenant, press, *span_ms(rows)) if rows else []
        marks, threshold = marks_of(t, found), self._facts.threshold
        return _json(await anyio.to_thread.run_sync(lambda: trend_chart(t, rows, threshold=threshold, marks=marks)))

    async def features(self, request: Request, tenant: Tenant, plant_id: str, press_id: str) -> Response:
        """The chosen features of a span of shots, with their limits and what happened meanwhile."""
        press = PressKey(plant_id, press_id)
        if not await self._facts.knows(tenant, press):
            return self._unknown(request, press)
        return _json(await self._features(request, tenant, press))

    async def _features(self, request: Request, tenant: TenantId, press: PressKey) -> Chart:
        query, history, t = query_of(request.query_params), self._facts.history, self._shell.catalogue(request)
        rows = await history.in_span(tenant, press, query)
        if not rows:
            return features_chart(t, (), (), reference=None)
        newest = rows[0]
        reference = await history.reference(tenant, press, newest, is_latest=True)
        marks = await history.marks(tenant, press, *span_ms(rows))
        names = shown_features(features_of(newest), query.features)
        return await anyio.to_thread.run_sync(lambda: features_chart(t, rows, names, reference=reference, marks=marks))

    async def shots(self, request: Request, tenant: Tenant, plant_id: str, press_id: str) -> Response:
        """The shots of a span as CSV, newest first, written while they are read."""
        press, query = PressKey(plant_id, press_id), query_of(request.query_params)
        if not await self._facts.knows(tenant, press):
            return self._unknown(request, press)
        pages = self._facts.history.pages(tenant, press, query, shots_max=query.export_max)
        return StreamingResponse(
            csv_lines(pages), media_type="text/csv; charset=utf-8", headers=attachment(f"{plant_id}-{press_id}")
        )

    def _unknown(self, request: Request, press: PressKey) -> Response:
        t = self._shell.catalogue(request)
        detail = t("press.unknown", plant=press.plant_id, press=press.press_id)
        return self._shell.problem(request, status=404, title=t("press.unknown_title"), detail=detail)


def span_ms(rows: Sequence[StoredShot]) -> tuple[int, int]:
    """From when to when the shots of a span are, the newest first."""
    return rows[-1].scored.shot.ended_ms, rows[0].scored.shot.ended_ms


def _json(chart: Chart) -> Response:
    return JSONResponse(chart, headers={"Cache-Control": "no-store"})
