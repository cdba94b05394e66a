"""How long a connection may be held: who neither finishes asking nor takes the answer is let go."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S_MAX: Final = 10.0
"""From the connection, or the end of the answer before, to the last byte of a request's head."""
UNREAD_S_MAX: Final = 30.0
"""While an answer waits for a reader whose buffers are full; a live page whose reader has gone ends so too."""


class PatientUntil(H11Protocol):
    """HTTP/1.1 with an end to its patience: uvicorn itself waits without end for a head that never ends.

    What is left of a body after its answer counts as waiting too. A request under way has all the time that its own
    limits give it.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Wait on, unless this made a request whole."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._stop_watch()
        self._stop_unread()

    def pause_writing(self) -> None:
        """Wait for the reader to take what is there."""
        super().pause_writing()
        self._unread_timer = self.loop.call_later(UNREAD_S_MAX, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it was taken."""
        super().resume_writing()
        self._stop_unread()

    def _watch(self) -> None:
        if self._is_serving():
            self._stop_watch()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S_MAX, self._give_up)

    def _stop_watch(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_unread(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if not self._is_serving() and not self.transport.is_closing():
            self.transport.close()

    def _is_serving(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete
