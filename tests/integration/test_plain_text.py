"""U+0000: refused where a person or a program sends it, replaced where what the world said must be written down."""

from typing import Annotated

import httpx
import pytest
from fastapi import Body, Depends, FastAPI, Form
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import URL

from cloud.core import problems
from cloud.core.database import Database
from cloud.core.plain_text import NUL, _with_nul, refuse_nul
from cloud.core.tables import EventRow
from cloud.migrations.upgrade import upgrade

pytestmark = pytest.mark.anyio


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI(dependencies=[Depends(refuse_nul)])
    problems.install(app)

    @app.post("/things/{name}")
    async def make(name: str, body: Annotated[dict[str, object], Body()], q: str = "") -> dict[str, object]:
        return {"name": name, "body": body, "q": q}

    @app.post("/forms")
    async def form(comment: Annotated[str, Form()]) -> str:
        return comment

    @app.post("/nothing")
    async def nothing() -> str:
        return "read nothing"

    return app


@pytest.mark.parametrize(
    ("path", "sent", "field"),
    [
        ("/things/a%00b", {"json": {}}, "path.name"),
        ("/things/a?q=%00", {"json": {}}, "query.q"),
        ("/things/a", {"json": {"deep": [{"comment": "x\x00"}]}}, "body.deep.0.comment"),
        ("/things/a", {"json": {"k\x00": 1}}, "body.?"),
        ("/forms", {"data": {"comment": "\x00"}}, "body.comment"),
    ],
)
async def test_the_field_that_holds_it_is_named(app: FastAPI, path: str, sent: dict[str, object], field: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        response = await client.post(path, **sent)  # type: ignore[arg-type]
    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]


async def test_all_else_goes_through_as_it_was(app: FastAPI) -> None:
    body = {
        "text": "时间币 \\u0000 \U0001f600",
        "list": [1, None, True],
    }
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        made = await client.post("/things/a?q=b", json=body)
        formed = await client.post("/forms", data={"comment": "gut"})
        garbage = await client.post("/nothing", content=b"{no", headers={"content-type": "application/json"})
        wrong = await client.post("/things/a", content=b"{no", headers={"content-type": "application/json"})
    assert made.json() == {"name": "a", "body": body, "q": "b"}
    assert formed.json() == "gut"
    assert (garbage.status_code, wrong.status_code) == (200, 422)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=12,
    )
)
def test_it_is_found_wherever_it_stands_and_nowhere_else(value: object) -> None:
    def holds(part: object) -> bool:
        if isinstance(part, dict):
            return any(NUL in key or holds(inner) for key, inner in part.items())
        return any(map(holds, part)) if isinstance(part, list) else isinstance(part, str) and NUL in part

    assert bool(list(_with_nul(value, "body"))) == holds(value)


async def test_what_the_world_said_is_written_down_on_either_database(database_url: URL) -> None:
    database = Database(database_url)
    await upgrade(database)
    try:
        async with database.transaction() as session:
            session.add(
                EventRow(tenant_id="default", kind="press.said\x00so", payload={"mould": "M\x001"}, created_ms=1)
            )
        async with database.reading() as session:
            [row] = (await session.execute(EventRow.__table__.select())).all()
    finally:
        await database.close()
    assert row.kind in ("press.said\x00so", "press.said\ufffdso")
    assert row.payload == {"mould": "M\x001"}
