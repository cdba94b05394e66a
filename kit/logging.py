"""Structured logs on standard error: one event a line, JSON or for the eye."""

import logging
import sys
from typing import Literal

import structlog


def configure(style: Literal["json", "console"] = "console", level: str = "INFO") -> None:
    """Send structlog's events and the standard library's warnings to standard error in one form."""
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer() if style == "json" else _console()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True
    )


def _console() -> structlog.dev.ConsoleRenderer:
    """Tracebacks without the values of variables, which may be secrets: rich, where it is there, prints them."""
    return structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
