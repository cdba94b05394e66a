"""Asks the cloud for a company's own months: over HTTPS, with an API key, again where that can heal. Blocking."""

import json
import random
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import Final, Literal
from urllib.parse import urlencode, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError

from kit.errors import ZhisanError

HISTORY_PATH: Final = "/api/v1/models/history"
PAGE_ROWS: Final = 20_000
"""The most that the cloud gives at once."""
TRIES_MAX, FIRST_PAUSE_S, PAUSE_S_MAX = 6, 1.0, 60.0
TIMEOUT_S, ANSWER_S_MAX = 60.0, 600.0
"""Without a byte; for a whole answer."""
ANSWER_BYTES_MAX, PIECE_BYTES = 64 * 2**20, 1 << 20
HEALING: Final = frozenset({408, 429, 500, 502, 503, 504})
DETAIL_CHARACTERS_MAX = 500
AFTER_ALL_IDS: Final = (1 << 63) - 1
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class FetchError(ZhisanError):
    """The history cannot be fetched; the message says what to do."""


class _PassingError(FetchError):
    """What may be well in a moment; `wait_s` is what the cloud asks for."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class _Place(BaseModel):
    plant_id: str
    press_id: str


class PressAnswer(_Place):
    """A press, and how many shots there are of it."""

    shots: int


class EventAnswer(_Place):
    """What the plant notes."""

    at_ms: int
    kind: str
    detail: str


class EpisodeAnswer(_Place):
    """What was wrong with a press."""

    mode: str
    onset_ms: int
    failed_ms: int | None
    ended_ms: int
    kind: Literal["fault", "upset"]


class HistoryAnswer(BaseModel):
    """All but the shots, as of one moment."""

    at_ms: int
    features_hash: str
    presses: list[PressAnswer]
    events: list[EventAnswer]
    episodes: list[EpisodeAnswer]
    labels: dict[str, int]
    labels_left_out: int = 0
    """Older ones than the cloud takes in; of a cloud that does not tell none."""


class CloudCalls:
    """The two questions that are asked of a cloud.

    Args:
        url: of the cloud; https, or http on this machine.
        key: an API key with the right to read.
        pause: waits so many seconds before the next try.
        chance: spreads the tries of several programs.

    Raises:
        FetchError: the address is none that a key may be sent to.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        pause: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise FetchError(f"{url!r} is no address of a cloud; it begins with https://")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise FetchError(f"{url} must begin with https: a key must not be read on its way")
        self._url = url.rstrip("/")
        self._key = key
        self._pause = pause
        self._chance = chance or random.Random()  # noqa: S311 - spreads retries, guards nothing
        https = urllib.request.HTTPSHandler(context=ssl.create_default_context())
        self._opener = urllib.request.build_opener(_NoRedirect(), https)

    def history(self, *, plant_id: str | None, after_ms: int) -> HistoryAnswer:
        """What there is of one plant, or of all, behind a time.

        Raises:
            FetchError: the cloud cannot be reached, refuses, or answers something else.
        """
        plant = {} if plant_id is None else {"plant_id": plant_id}
        content = self._asked(HISTORY_PATH, {"after_ms": after_ms, **plant})
        try:
            return HistoryAnswer.model_validate_json(content)
        except ValidationError as error:
            raise FetchError(
                f"{self._url} answers no history that this version understands: is it the cloud?"
            ) from error

    def shots(self, plant_id: str, press_id: str, *, after: tuple[int, int], until_ms: int) -> pa.Table:
        """The page of shots behind (`ended_ms`, `row_id`), at most PAGE_ROWS; empty behind the last one.

        Raises:
            FetchError: as `history`.
        """
        after_ms, after_row_id = after
        asked: dict[str, str | int] = {"plant_id": plant_id, "press_id": press_id}
        asked |= {"after_ms": after_ms, "after_row_id": after_row_id, "until_ms": until_ms, "limit": PAGE_ROWS}
        content = self._asked(f"{HISTORY_PATH}/shots", asked)
        try:
            return pq.read_table(pa.BufferReader(content))
        except (OSError, pa.ArrowException) as error:
            raise FetchError(f"{self._url} answers shots that cannot be read: {error}") from error

    def _asked(self, path: str, query: Mapping[str, str | int]) -> bytes:
        for tried in range(1, TRIES_MAX + 1):
            try:
                return self._ask(f"{self._url}{path}?{urlencode(query)}")
            except _PassingError as error:
                if tried == TRIES_MAX:
                    raise FetchError(f"{error}; given up after {TRIES_MAX} tries") from error
                pause_s = FIRST_PAUSE_S * 2 ** (tried - 1) * self._chance.uniform(0.5, 1.5)
                self._pause(min(max(pause_s, error.wait_s), PAUSE_S_MAX))
        raise AssertionError("the last try returns or raises")

    def _ask(self, url: str) -> bytes:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self._key}"})  # noqa: S310 - looked at
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                return _whole(response, self._url)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(self._url, error.code, error.headers, _detail(error)) from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise FetchError(
                    f"{self._url} cannot prove who it is: {error.reason.verify_message}; name its CA with SSL_CERT_FILE"
                ) from error
            raise _PassingError(f"{self._url} cannot be reached: {error.reason}") from error
        except (OSError, HTTPException) as error:
            raise _PassingError(f"the connection to {self._url} broke off: {error!r}") from error


def _whole(response: HTTPResponse, url: str) -> bytes:
    pieces, size, until_s = [], 0, time.monotonic() + ANSWER_S_MAX
    while piece := response.read(PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            raise FetchError(f"{url} answers more than {ANSWER_BYTES_MAX} bytes: is it the cloud?")
        if time.monotonic() > until_s:
            raise _PassingError(f"{url} took longer than {ANSWER_S_MAX:g} s for an answer")
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) != size:  # a read in pieces does not tell
        raise _PassingError(f"the connection to {url} broke off after {size} of {announced} bytes")
    return b"".join(pieces)


def _refusal(url: str, status: int, headers: Message, detail: str) -> FetchError:
    if status in HEALING:
        wait = headers.get("Retry-After", "")
        return _PassingError(
            f"{url} is not able to answer now ({status}): {detail}", float(wait) if wait.isdecimal() else 0.0
        )
    if status == 401:
        return FetchError(
            f"{url} does not know this key (401); make one on its page “API keys”, with the right to read"
        )
    if status == 403:
        return FetchError(f"{url} does not let this key read (403): {detail}")
    if status == 404:
        return FetchError(f"{url} has no such thing (404): {detail}; is the cloud older than this program?")
    if 300 <= status < 400:
        return FetchError(f"{url} leads elsewhere ({status}); give the cloud's own address: the key goes nowhere else")
    return FetchError(f"{url} refuses ({status}): {detail}")


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(PIECE_BYTES))["detail"])[:DETAIL_CHARACTERS_MAX]
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return "no reason given"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key goes to the address that was named, and to no other."""

    def redirect_request(self, *_arguments: object, **_options: object) -> None:
        """Follow nothing: the answer 3xx becomes an error."""
