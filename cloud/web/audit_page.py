"""The audit page: who changed what, newest first, and whether the log is still what was written."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import Response

from cloud.audit_api import FILTER_CHARACTERS_MAX
from cloud.core import audit_repository
from cloud.core.access import Principal, Right, requires
from cloud.core.audit import AuditRow
from cloud.core.audit_repository import AuditFilter
from cloud.core.audit_verifier import AuditVerifier
from cloud.core.database import Database
from cloud.core.paging import slice_of
from cloud.web.days import day_of, start_ms
from cloud.web.shell import Shell

LINES_SHOWN = 50
VALUE_CHARACTERS_MAX = 400
"""Of one value on the page; the whole of it is in the API and in the CSV."""
NEWEST = 1 << 62

Text = Annotated[str, Query(max_length=FILTER_CHARACTERS_MAX)]


def include(app: FastAPI, shell: Shell, database: Database, verifier: AuditVerifier) -> None:
    """Add the page to `app`."""
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/audit", AuditPage(shell, database, verifier).show, methods=["GET"])
    app.include_router(router)


class AuditPage:
    """The handler."""

    def __init__(self, shell: Shell, database: Database, verifier: AuditVerifier) -> None:
        self._shell = shell
        self._database = database
        self._verifier = verifier

    async def show(
        self,
        request: Request,
        reader: Annotated[Principal, requires(Right.READ_AUDIT)],
        actor: Text = "",
        action: Text = "",
        target: Text = "",
        since: Text = "",
        until: Text = "",
        before: Annotated[int, Query(ge=1, le=NEWEST)] = NEWEST,
    ) -> Response:
        """One page of lines; a day that is none does not narrow."""
        first, last = day_of(since), day_of(until)
        wanted = AuditFilter(actor, action, target, from_ms=start_ms(first), to_ms=start_ms(last, days=1))
        async with self._database.reading() as session:
            last_shown = None if before == NEWEST else before
            rows = await audit_repository.lines(
                session, reader.tenant_id, wanted, before=last_shown, limit=LINES_SHOWN + 1
            )
        part = slice_of(rows, LINES_SHOWN)
        fields = {
            "actor": actor,
            "action": action,
            "target": target,
            "since": first.isoformat() if first else "",
            "until": last.isoformat() if last else "",
        }
        query = {name: value for name, value in fields.items() if value}
        older = {**query, "before": part.items[-1].audit_id} if part.has_more else None
        return self._shell.page(
            request,
            "audit.html",
            page_name="audit",
            lines=[(row, changes_of(row)) for row in part.items],
            chain=self._verifier.state,
            fields=fields,
            is_filtered=bool(query),
            newest_url=f"/audit?{urlencode(query)}" if before != NEWEST else None,
            older_url=f"/audit?{urlencode(older)}" if older else None,
            export_url=f"/api/v1/audit/export.csv?{urlencode(export_query(wanted))}",
        )


def changes_of(row: AuditRow) -> list[tuple[str, str | None, str | None]]:
    """Each field that the line tells of: its name, what it was, what it is now; None where it was not, or is gone."""
    before, after = row.before or {}, row.after or {}
    return [(name, _text(before, name), _text(after, name)) for name in sorted({*before, *after})]


def export_query(wanted: AuditFilter) -> dict[str, str | int]:
    """The same filter for the CSV."""
    return {name: value for name, value in asdict(wanted).items() if value not in (None, "")}


def _text(values: Mapping[str, Any], name: str) -> str | None:
    if name not in values:
        return None
    value = values[name]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_CHARACTERS_MAX else text[: VALUE_CHARACTERS_MAX - 1] + "…"
