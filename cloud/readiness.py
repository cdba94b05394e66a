"""Whether the program lives, and whether each of its parts is ready to serve."""

from collections.abc import Mapping

import anyio
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from cloud.core.database import Database
from cloud.core.supervision import Supervisor
from cloud.ingest.presence import Presence
from cloud.ingest.service import Ingest
from cloud.migrations.upgrade import newest_revision, revision_of

DATABASE_S_MAX = 2.0
READY = "ready"


class Liveness(BaseModel):
    """The process answers."""

    status: str = "ok"


class Readiness(BaseModel):
    """Each part with `ready`, or why it is not."""

    ready: bool
    parts: dict[str, str] = Field(
        description="database, migrations, ingest, host id, and `job <name>` for one that crashed."
    )


def router(database: Database, ingest: Ingest, presence: Presence, supervisor: Supervisor) -> APIRouter:
    """The two routes that launchers and load balancers ask."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz", summary="Whether the process lives")
    async def healthz() -> Liveness:
        return Liveness()

    @routes.get(
        "/readyz",
        summary="Whether the program is ready to serve",
        responses={503: {"model": Readiness, "description": "A part is not ready"}},
    )
    async def readyz(response: Response) -> Readiness:
        parts = {
            **await _database_parts(database),
            "ingest": _ingest(ingest),
            "host id": "another host goes by our id, see `host.id` in the settings" if presence.has_rival else READY,
            **_jobs(supervisor.faults),
        }
        is_ready = all(state == READY for state in parts.values())
        response.status_code = 200 if is_ready else 503
        return Readiness(ready=is_ready, parts=parts)

    return routes


async def _database_parts(database: Database) -> dict[str, str]:
    """The database and its schema; both are looked at in one bounded question."""
    try:
        with anyio.fail_after(DATABASE_S_MAX):
            async with database.reading() as session:
                connection = await session.connection()
                revision = await connection.run_sync(revision_of)
    except (SQLAlchemyError, TimeoutError) as error:
        return {"database": f"does not answer: {type(error).__name__}", "migrations": "unknown"}
    newest = newest_revision()
    return {
        "database": READY,
        "migrations": READY if revision == newest else f"at revision {revision}, not {newest}",
    }


def _ingest(ingest: Ingest) -> str:
    if not ingest.is_connected:
        return "not connected to the broker"
    return READY if ingest.listening.is_on else "the broker has not granted the subscriptions"


def _jobs(faults: Mapping[str, str | None]) -> dict[str, str]:
    return {f"job {name}": f"crashed ({fault}), starts again" for name, fault in faults.items() if fault is not None}
