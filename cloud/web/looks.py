"""The language that a reader asks for by a link stays with the account, so that another browser speaks it too."""

from dataclasses import replace
from typing import Final

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.core.access import SCOPE_KEY, Principal
from cloud.core.database import Database
from cloud.identity.middleware import is_own_site
from cloud.identity.service import IdentityService
from cloud.web.translation import LANGUAGES

NO_PAGES: Final = ("/api/", "/live/", "/static/")


class KeepLanguage:
    """Stores the `?lang=` of a page with the account of who is signed in; a link on a foreign site changes nothing."""

    def __init__(self, app: ASGIApp, *, database: Database, people: IdentityService) -> None:
        self._app = app
        self._database = database
        self._people = people

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        reader = scope.get(SCOPE_KEY) if scope["type"] == "http" else None
        if isinstance(reader, Principal) and reader.kind == "user":
            language = _asked(scope)
            if language and language != reader.language:
                async with self._database.transaction() as session:
                    await self._people.set_look(session, reader.id, language=language)
                scope[SCOPE_KEY] = replace(reader, language=language)
        await self._app(scope, receive, send)


def _asked(scope: Scope) -> str:
    """The language that a request for a page asks for; empty where it asks for none, or is sent from elsewhere."""
    if scope["method"] != "GET" or not scope["query_string"] or scope["path"].startswith(NO_PAGES):
        return ""
    headers = Headers(scope=scope)
    if "text/html" not in headers.get("accept", "") or not is_own_site(headers):
        return ""
    language = QueryParams(scope["query_string"]).get("lang", "")
    return language if language in LANGUAGES else ""
