"""Server-sent events: one rendering of a page's moving parts is shared by all who look at the same thing."""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import anyio

from cloud.core.live import Topic
from kit.clock import Clock
from kit.errors import ZhisanError

RENDER_EVERY_S = 0.2
RENDER_SHARE = 0.25
"""What rendering takes of the time at most: a page that is dear to make is made less often."""
BEAT_EVERY_S = 10.0
READERS_MAX = 1_000
RECONNECT_MS = 2_000

Key = TypeVar("Key", bound=Hashable)


class TooManyReadersError(ZhisanError):
    """The program serves as many live pages as it may."""

    def __init__(self, readers_max: int) -> None:
        super().__init__(f"{readers_max} live pages are open, the most that this program serves; close some")
        self.readers_max = readers_max


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The moving parts of a page: `pieces` by element id; `shots` changes when charts have something new to ask for.

    Where parts come and go, `structure` says which stand where and `full` is the whole that is swapped in when it
    changes; a page whose places are fixed leaves both empty.
    """

    pieces: Mapping[str, str]
    structure: Hashable = None
    full: str | None = None
    shots: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """A snapshot as events, ready for the wire; `delta` leads from frame `number` - 1 to this one."""

    number: int
    digest: str
    seen: int
    made_s: float
    """By the monotonic clock; with `rest_s`, when the next one may be made."""
    snapshot: Snapshot
    full: bytes
    delta: bytes
    rest_s: float = RENDER_EVERY_S


class Feeds(Generic[Key]):
    """The feeds of one kind of page, by what their readers look at; a feed lives while it has readers."""

    def __init__(
        self,
        render: Callable[[Key], Awaitable[Snapshot]],
        changes: Topic,
        clock: Clock,
        *,
        readers_max: int = READERS_MAX,
    ) -> None:
        self._render = render
        self._changes = changes
        self._clock = clock
        self._readers_max = readers_max
        self._feeds: dict[Key, _Feed] = {}
        self._is_closing = False
        self.readers = 0

    def close(self) -> None:
        """Let every stream end at its next step, so that a server which waits for its connections can stop."""
        self._is_closing = True
        self._changes.publish()

    def open(self, key: Key, *, digest: str = "") -> AsyncGenerator[bytes, None]:
        """Events for one reader who already has the content `digest`; they end when the reader goes or at `close`.

        Raises:
            TooManyReadersError: the bound is reached.
        """
        if self.readers >= self._readers_max:
            raise TooManyReadersError(self._readers_max)
        return self._events(key, digest)

    async def _events(self, key: Key, digest: str) -> AsyncGenerator[bytes, None]:
        feed = self._feeds.setdefault(key, _Feed())
        self.readers += 1
        feed.readers += 1
        try:
            frame = await self._current(key, feed)
            yield f"retry: {RECONNECT_MS}\n".encode() + self._beat()
            if frame.digest != digest:
                yield frame.full
            while not self._is_closing:
                with anyio.move_on_after(BEAT_EVERY_S):
                    await self._changes.wait_beyond(frame.seen)
                if self._is_closing:
                    return
                await anyio.sleep(max(0.0, frame.made_s + frame.rest_s - self._clock.monotonic_s()))
                fresh = await self._current(key, feed)
                yield update(frame, fresh) + self._beat()
                frame = fresh
        finally:
            self.readers -= 1
            feed.readers -= 1
            if feed.readers == 0 and self._feeds.get(key) is feed:
                del self._feeds[key]

    async def _current(self, key: Key, feed: "_Feed") -> Frame:
        """The newest frame, at most its rest old; the first who asks renders, the others wait for it."""
        async with feed.lock:
            now_s = self._clock.monotonic_s()
            if feed.frame is None or now_s - feed.frame.made_s >= feed.frame.rest_s:
                seen = self._changes.version
                frame = advance(feed.frame, await self._render(key), seen=seen, made_s=now_s)
                took_s = self._clock.monotonic_s() - now_s
                feed.frame = replace(frame, rest_s=max(RENDER_EVERY_S, took_s / RENDER_SHARE))
            return feed.frame

    def _beat(self) -> bytes:
        return event("beat", str(self._clock.utc_ms()))


class _Feed:
    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.frame: Frame | None = None
        self.readers = 0


def advance(before: Frame | None, snapshot: Snapshot, *, seen: int, made_s: float) -> Frame:
    """The next frame: the same one, looked at later, when nothing changed, else one more with what leads to it."""
    full = event("full", snapshot.full) if snapshot.full is not None else event("delta", out_of_band(snapshot.pieces))
    if before is None:
        return Frame(0, digest_of(snapshot), seen, made_s, snapshot, full, full)
    have = before.snapshot
    shots = event("shots", snapshot.shots) if snapshot.shots != have.shots else b""
    changed = {name: html for name, html in snapshot.pieces.items() if have.pieces.get(name) != html}
    delta = event("delta", out_of_band(changed)) if changed else b""
    if have.structure != snapshot.structure:
        delta = full
    if not delta and not shots:
        return replace(before, seen=seen, made_s=made_s)
    return Frame(before.number + 1, digest_of(snapshot), seen, made_s, snapshot, full, delta + shots)


def update(have: Frame, fresh: Frame) -> bytes:
    """The events that bring a reader from `have` to `fresh`: none, the delta, or all when frames were missed."""
    if fresh.number == have.number:
        return b""
    if fresh.number == have.number + 1:
        return fresh.delta
    return fresh.full + (event("shots", fresh.snapshot.shots) if have.snapshot.shots != fresh.snapshot.shots else b"")


def digest_of(snapshot: Snapshot) -> str:
    """Names a content, so that a page just made is not sent again."""
    text = snapshot.full if snapshot.full is not None else out_of_band(snapshot.pieces)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def out_of_band(pieces: Mapping[str, str]) -> str:
    """The pieces as htmx swaps them: each replaces the inside of the element with its id."""
    return "".join(f'<div hx-swap-oob="innerHTML:#{name}">{html}</div>' for name, html in pieces.items())


def event(name: str, data: str) -> bytes:
    """One event of a text/event-stream (WHATWG HTML, 9.2): each line of `data` with its field name."""
    lines = data.splitlines() or [""]
    return (f"event: {name}\n" + "".join(f"data: {line}\n" for line in lines) + "\n").encode()
