"""Traces for OpenTelemetry: requests, batches and calls as spans where `[tracing]` asks for them; else nothing loads.

Nothing secret is in a span: a URL stands there without its query, where links that work once have their token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from kit.errors import ZhisanError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

QUIET: Final = "/healthz,/readyz,/metrics,/live/"
"""Not traced: what is asked every few seconds, and streams, which last as long as a page is open."""
QUERY: Final = "zhisan.query_string"
QUEUE_SPANS_MAX: Final = 2_048
"""Spans that wait for their export; further ones are let go."""

Routes = Callable[[], Iterable[tuple[object, str]]]


class TracingMissingError(ZhisanError):
    """The settings ask for traces, and the packages for them are not installed."""

    def __init__(self) -> None:
        super().__init__(
            "[tracing] is enabled, but OpenTelemetry is not installed: install requirements/cloud-tracing.txt"
        )


class Traces:
    """One tracer for the program; spans go to `exporter`."""

    def __init__(self, exporter: SpanExporter, *, share: float = 1.0, is_immediate: bool = False) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        resource = Resource.create({"service.name": "zhisan-cloud", "service.version": version("zhisan")})
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)), resource=resource, shutdown_on_exit=False
        )
        if is_immediate:
            self._provider.add_span_processor(SimpleSpanProcessor(exporter))
        else:
            self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUE_SPANS_MAX))
        self._tracer = self._provider.get_tracer("zhisan")

    def span(self, name: str, **facts: str | int) -> AbstractContextManager[object]:
        """See `spans.Spans`."""
        return self._tracer.start_as_current_span(name, attributes=facts)

    def around(self, app: ASGIApp, routes: Routes) -> ASGIApp:
        """The application with a span around each request, named by its route."""
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

        traced = OpenTelemetryMiddleware(
            _Named(app, routes),
            excluded_urls=QUIET,
            default_span_details=_details,
            tracer_provider=self._provider,
            exclude_spans=["receive", "send"],
        )

        async def without_query(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                scope = {**scope, QUERY: scope["query_string"], "query_string": b""}
            await traced(scope, receive, send)

        return without_query

    def close(self) -> None:
        """Send what waits, within the exporter's own timeout. Blocking."""
        self._provider.shutdown()


def otlp(endpoint: str, *, share: float) -> Traces:
    """Traces that go to a collector by OTLP over HTTP; its headers come from OpenTelemetry's own variables.

    Raises:
        TracingMissingError: the packages are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise TracingMissingError from error
    return Traces(OTLPSpanExporter(endpoint=endpoint), share=share)


def _details(scope: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name until the route is known; a method that nobody knows makes no name of its own."""
    return f"HTTP {scope.get('method', '')}"[:16], {}


class _Named:
    """Gives the request its query back, and its span the route's path as its name."""

    def __init__(self, app: ASGIApp, routes: Routes) -> None:
        self._app = app
        self._routes = routes
        self._paths: dict[object, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = {**scope, "query_string": scope[QUERY]}

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":  # the route is known, and the span is not over yet
                self._name(scope)
            await send(message)

        await self._app(scope, receive, named)

    def _name(self, scope: Scope) -> None:
        from opentelemetry import trace

        self._paths = self._paths or dict(self._routes())
        path = self._paths.get(scope.get("endpoint"))
        if path is not None:
            span = trace.get_current_span()
            span.update_name(f"{scope['method']} {path}")
            span.set_attribute("http.route", path)
