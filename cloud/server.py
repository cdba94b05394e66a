"""The cloud, served until a signal ends it."""

import os
import signal
import socket
from types import FrameType

import uvicorn

from cloud import check
from cloud.app import create_app
from cloud.core.connections import PatientUntil
from cloud.settings import CloudSettings
from cloud.web.routes import Pages
from kit.errors import ZhisanError

BACKLOG_MAX = 2_048
GRACE_S_MAX = 5
"""How long requests under way may take to end after a signal."""


class StartError(ZhisanError):
    """The cloud cannot be served; the message says why."""


def run(settings: CloudSettings) -> bool:
    """Serve until a signal; whether the cloud came up at all.

    Raises:
        StartError: the port is taken, or a part refuses to be made.
    """
    where = f"{settings.web.host}:{settings.web.port}"
    try:
        listener = check.bind(settings)
    except OSError as error:
        raise StartError(f"{where} cannot be listened on: {error.strerror}") from error
    with listener:
        try:
            app = create_app(settings, environ=os.environ)
        except (ZhisanError, OSError) as error:
            raise StartError(str(error)) from error
        config = uvicorn.Config(
            app,
            lifespan="on",
            log_config=None,
            access_log=False,
            http=PatientUntil,
            ws="none",
            server_header=False,
            limit_concurrency=settings.limits.connections_max,
            backlog=BACKLOG_MAX,
            timeout_graceful_shutdown=GRACE_S_MAX,
        )
        server = _Server(config, app.state.pages)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stopped)
        server.run(sockets=[listener])
    return server.started


def _stopped(_number: int, _frame: FrameType | None) -> None:
    """A signal that the server has obeyed is raised once more after it: the program ends as told, not as killed."""


class _Server(uvicorn.Server):
    """Ends live streams before it waits for its connections to close."""

    def __init__(self, config: uvicorn.Config, pages: Pages) -> None:
        super().__init__(config)
        self._pages = pages

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let the requests under way end."""
        self._pages.close()
        await super().shutdown(sockets)
