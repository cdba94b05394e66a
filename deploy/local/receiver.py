"""The demo's own webhook receiver: checks each call's signature and shows it."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

BODY_BYTES_MAX = 256 * 1024
PATH = "/hook"

OnCall = Callable[[str, Mapping[str, Any]], None]
"""Takes a verified call's webhook-id and its JSON body."""


class Receiver:
    """An HTTP server on loopback in a thread of its own; a context manager."""

    def __init__(self, secret: str, on_call: OnCall, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(Webhook(secret), on_call))
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True)

    @property
    def url(self) -> str:
        """Where calls go."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}{PATH}"

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(webhook: Webhook, on_call: OnCall) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            if self.path != PATH or length > BODY_BYTES_MAX:
                self._answer(404)
                return
            body = self.rfile.read(length)
            try:
                webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
            except WebhookVerificationError:
                self._answer(401)
                return
            on_call(self.headers["webhook-id"], json.loads(body))
            self._answer(204)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Silence: the launcher shows the calls."""

    return Handler
