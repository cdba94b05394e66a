"""A live page's answer: the shared feed of events for one reader, as long as that reader is let in."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Send

from cloud.core.access import let_out
from cloud.web.live import Feeds, Key, TooManyReadersError

BUSY_RETRY_S = 10
LOOK_EVERY_S = 10.0
"""How often a live stream looks whether its reader's session has come to its end; a sign-out ends it at once."""


def stream(feeds: Feeds[Key], key: Key, request: Request) -> Response:
    """The events of what `key` looks at, behind what the reader already has; 503 when as many read as may."""
    try:
        events = feeds.open(key, digest=request.query_params.get("have", ""))
    except TooManyReadersError as error:
        return Response(str(error), status_code=503, headers={"Retry-After": str(BUSY_RETRY_S)})
    return _WhileLetIn(events, request)


class _WhileLetIn(StreamingResponse):
    """Ends as soon as who reads it is signed out or has other rights: the browser then asks anew."""

    def __init__(self, events: AsyncGenerator[bytes, None], request: Request) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events
        self._request = request

    async def stream_response(self, send: Send) -> None:
        """The events, and an orderly end whoever makes it."""
        is_complete = False
        async with aclosing(self._events), anyio.create_task_group() as tasks:
            tasks.start_soon(self._end_when_let_out, tasks.cancel_scope, name="a live page's reader")
            await super().stream_response(send)
            is_complete = True
            tasks.cancel_scope.cancel()
        if not is_complete:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _end_when_let_out(self, scope: anyio.CancelScope) -> None:
        await let_out(self._request, look_every_s=LOOK_EVERY_S)
        scope.cancel()
