"""How long requests wait for their answer, by route; and how late the event loop is."""

from collections.abc import Callable, Iterable
from typing import Final

import anyio
import structlog
from prometheus_client import CollectorRegistry, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.clock import Clock

SLOW_S: Final = 1.0
"""A request that waited longer for its answer to begin is logged."""
NO_ROUTE: Final = "none"
"""What nobody serves has one name: paths that strangers think of make no new series."""
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
WAIT_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
LAG_BUCKETS_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
LOOK_EVERY_S: Final = 0.5

Routes = Callable[[], Iterable[tuple[object, str]]]
"""The handlers of the application with their whole paths; asked at the first request, when all are there."""

log = structlog.get_logger()


class RequestWaits:
    """The histogram of waits: to the answer's first byte, so that a live stream counts like any request."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waits = Histogram(
            "zhisan_request_seconds",
            "Time from a request to the begin of its answer.",
            ("method", "route", "status"),
            registry=registry,
            buckets=WAIT_BUCKETS_S,
        )

    def observe(self, method: str, route: str, status: int, waited_s: float) -> None:
        """Count one request."""
        known = method if method in METHODS else "other"
        self._waits.labels(known, route, f"{status // 100}xx").observe(waited_s)


class RequestMetrics:
    """Measures every request; it stands outside of all that answers."""

    def __init__(self, app: ASGIApp, waits: RequestWaits, clock: Clock, routes: Routes) -> None:
        self._app = app
        self._routes = routes
        self._paths: dict[object, str] = {}
        self._waits = waits
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = self._clock.monotonic_s()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message["status"], self._clock.monotonic_s() - began_s)
            await send(message)

        await self._app(scope, receive, measured)

    def _note(self, scope: Scope, status: int, waited_s: float) -> None:
        route = self._route(scope)
        self._waits.observe(scope["method"], route, status, waited_s)
        if waited_s >= SLOW_S:
            log.warning("request_slow", method=scope["method"], route=route, status=status, waited_s=round(waited_s, 3))

    def _route(self, scope: Scope) -> str:
        """The path as its route declares it, with names in place of ids."""
        if not self._paths:
            self._paths = dict(self._routes())
        endpoint = scope.get("endpoint")
        if endpoint in self._paths:
            return self._paths[endpoint]
        return "/static" if scope["path"].startswith("/static/") else NO_ROUTE


class LoopLag:
    """How late the event loop wakes one who sleeps: what blocks it shows here, whoever blocks it."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self._lags = Histogram(
            "zhisan_loop_lag_seconds",
            "How much later than asked the event loop wakes a sleeper.",
            registry=registry,
            buckets=LAG_BUCKETS_S,
        )

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            began_s = self._clock.monotonic_s()
            await anyio.sleep(LOOK_EVERY_S)
            self._lags.observe(max(0.0, self._clock.monotonic_s() - began_s - LOOK_EVERY_S))
