"""Calls the plant's own receiver, beside the gateway: signed, in order, each tried again within a bound."""

import http.client
import json
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import anyio
import structlog
from anyio import to_thread
from standardwebhooks.webhooks import Webhook

from edge_agent.alarms.local import Announcement, told
from kit.clock import Clock
from kit.ids import uuid7

CALLS_WAITING_MAX: Final = 256
"""At the bound the oldest call is given up: what is newest matters most to who stands at the press."""
TRIES_MAX: Final = 20
PAUSE_S_MIN, PAUSE_S_MAX = 1.0, 60.0
TIMEOUT_S: Final = 5.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LocalCall:
    """One call; the id and the body are the same in every try."""

    message_id: str
    body: str


class LocalWebhook:
    """A bounded queue and the task that empties it. Calls do not outlive the program: their alarms come up again."""

    def __init__(
        self,
        url: str,
        secret: str,
        clock: Clock,
        *,
        plant_id: str,
        gateway_id: str,
        ca_file: str = "",
        post: "Callable[[LocalCall], int] | None" = None,
    ) -> None:
        self._clock = clock
        self._plant_id = plant_id
        self._gateway_id = gateway_id
        self._post = post or (lambda one: post_to(url, signed_headers(secret, one, clock.utc_ms()), one.body, ca_file))
        self._calls: deque[LocalCall] = deque(maxlen=CALLS_WAITING_MAX)
        self._more = anyio.Event()
        self.given_up = 0

    def tell(self, announcement: Announcement) -> None:
        """Take a call to be made; never waits."""
        if len(self._calls) == CALLS_WAITING_MAX:
            self._give_up(self._calls[0], "too many calls wait")
        data = dict(told(announcement, self._plant_id, self._gateway_id))
        body = {"type": announcement.kind, "timestamp": _timestamp(announcement.at_ms), "data": data}
        now_ms = self._clock.utc_ms()
        self._calls.append(LocalCall(str(uuid7(now_ms)), json.dumps(body, ensure_ascii=False, allow_nan=False)))
        self._more.set()

    async def run(self) -> None:
        """Make the calls in their order until cancelled."""
        while True:
            while self._calls:
                one = self._calls[0]
                if not await self._is_delivered(one):
                    self._give_up(one, f"{TRIES_MAX} tries failed")
                if self._calls and self._calls[0] is one:  # at the bound it may have been given up meanwhile
                    self._calls.popleft()
            self._more = anyio.Event()
            await self._more.wait()

    async def _is_delivered(self, one: LocalCall) -> bool:
        for tries in range(TRIES_MAX):
            try:
                status = await to_thread.run_sync(self._post, one, abandon_on_cancel=True)
            except (OSError, http.client.HTTPException) as error:
                why = f"{type(error).__name__}: {error}"
            else:
                if 200 <= status < 300:
                    log.info("local_alarm_told", message_id=one.message_id, tries=tries + 1)
                    return True
                why = f"status {status}"
            log.warning("local_webhook_failed", message_id=one.message_id, tries=tries + 1, reason=why)
            await anyio.sleep(min(PAUSE_S_MIN * 2**tries, PAUSE_S_MAX))
        return False

    def _give_up(self, one: LocalCall, why: str) -> None:
        self.given_up += 1
        log.error("local_alarm_not_told", message_id=one.message_id, reason=why)


def signed_headers(secret: str, one: LocalCall, now_ms: int) -> dict[str, str]:
    """The headers of Standard Webhooks; each try is signed anew, as receivers refuse an old timestamp."""
    signed_at = datetime.fromtimestamp(now_ms // 1000, UTC)
    return {
        "Content-Type": "application/json",
        "User-Agent": "zhisan-gateway",
        "webhook-id": one.message_id,
        "webhook-timestamp": str(now_ms // 1000),
        "webhook-signature": Webhook(secret).sign(one.message_id, signed_at, one.body),
    }


def post_to(url: str, headers: dict[str, str], body: str, ca_file: str) -> int:
    """The answer's status. Blocking, within TIMEOUT_S a step; redirects are not followed, no proxy is asked.

    Raises:
        OSError: nobody answers, or the certificate is not to be trusted.
        http.client.HTTPException: what answers is no HTTP.
    """
    parts = urlsplit(url)
    host, path = parts.hostname or "", parts.path or "/"
    connection = (
        http.client.HTTPSConnection(
            host, parts.port, timeout=TIMEOUT_S, context=ssl.create_default_context(cafile=ca_file or None)
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
    )
    try:
        connection.request("POST", f"{path}?{parts.query}" if parts.query else path, body.encode(), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _timestamp(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
