"""A live page's answer: the shared feed of events for one reader, as long as that reader is let in."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from cloud.core.access import is_still_so
from cloud.web.live import Feeds, Key, TooManyReadersError
from kit.clock import Clock

BUSY_RETRY_S = 10
LOOK_EVERY_S = 5.0
"""How often a live stream looks whether its reader is still signed in, at most one beat late."""


def stream(feeds: Feeds[Key], key: Key, request: Request, clock: Clock) -> Response:
    """The events of what `key` looks at, behind what the reader already has; 503 when as many read as may."""
    try:
        events = feeds.open(key, digest=request.query_params.get("have", ""))
    except TooManyReadersError as error:
        return Response(str(error), status_code=503, headers={"Retry-After": str(BUSY_RETRY_S)})
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    let_in = _while_let_in(events, request, clock)
    return StreamingResponse(let_in, media_type="text/event-stream", headers=headers)


async def _while_let_in(
    events: AsyncGenerator[bytes, None], request: Request, clock: Clock
) -> AsyncGenerator[bytes, None]:
    """The events, until who reads them is signed out or has other rights: the browser then asks anew."""
    looked_s = clock.monotonic_s()
    async with aclosing(events):
        async for event in events:
            if clock.monotonic_s() - looked_s >= LOOK_EVERY_S:
                if not await is_still_so(request):
                    return
                looked_s = clock.monotonic_s()
            yield event
