"""Live streams: whoever follows the events sees what the page would show anew, and one rendering serves all."""

import re
from itertools import pairwise

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.core.live import Topic
from cloud.web.live import (
    READERS_MAX,
    RENDER_EVERY_S,
    RENDER_SHARE,
    Feeds,
    Snapshot,
    TooManyReadersError,
    advance,
    digest_of,
    event,
    out_of_band,
    update,
)
from kit.clock import ManualClock

PIECE = re.compile(r'<div hx-swap-oob="innerHTML:#(\w+)">(.*?)</div>', re.DOTALL)
TEXT = st.text(alphabet="ab\n", max_size=6)
FIXED = st.builds(
    lambda a, b, shots: Snapshot({"a": a, "b": b}, shots=shots), a=TEXT, b=TEXT, shots=st.sampled_from(["", "1", "2"])
)


def parse(stream: bytes) -> list[tuple[str, str]]:
    """Events as a browser reads them (WHATWG HTML, 9.2.6)."""
    events = []
    for block in stream.decode().split("\n\n"):
        lines = [line.split(": ", 1) if ": " in line else [line.rstrip(":"), ""] for line in block.split("\n") if line]
        fields = [(name, value) for name, value in lines if name in ("event", "data")]
        if fields:
            name = next(value for field, value in fields if field == "event")
            events.append((name, "\n".join(value for field, value in fields if field == "data")))
    return events


def follow(page: dict[str, str], stream: bytes) -> dict[str, str]:
    """The page's places after htmx has swapped what the events say."""
    for name, data in parse(stream):
        if name == "delta":
            page = {**page, **dict(PIECE.findall(data))}
    return page


@given(st.lists(FIXED, min_size=1, max_size=12), st.data())
def test_a_reader_who_misses_any_frames_still_ends_with_the_newest_pieces(snapshots, data):
    frames = []
    for snapshot in snapshots:
        frames.append(advance(frames[-1] if frames else None, snapshot, seen=0, made_s=0.0))
    have = frames[0]
    page = dict(have.snapshot.pieces)
    shots = have.snapshot.shots
    for fresh in frames[1:]:
        if data.draw(st.booleans()):
            sent = update(have, fresh)
            page = follow(page, sent)
            shots = next((text for name, text in parse(sent) if name == "shots"), shots)
            have = fresh
    sent = update(have, frames[-1])
    page = follow(page, sent)
    shots = next((text for name, text in parse(sent) if name == "shots"), shots)
    strip = {name: "\n".join(html.splitlines()) for name, html in frames[-1].snapshot.pieces.items()}
    assert {name: "\n".join(html.splitlines()) for name, html in page.items()} == strip
    assert shots == frames[-1].snapshot.shots


def test_only_what_changed_is_sent():
    first = advance(None, Snapshot({"a": "1", "b": "1"}), seen=0, made_s=0)
    second = advance(first, Snapshot({"a": "1", "b": "2"}), seen=0, made_s=1)
    assert parse(update(first, second)) == [("delta", out_of_band({"b": "2"}))]
    assert update(second, advance(second, second.snapshot, seen=0, made_s=2)) == b""


def test_a_tile_that_comes_or_goes_sends_the_board_in_full():
    first = advance(None, Snapshot({"a": "1"}, ("a",), "<a>"), seen=0, made_s=0)
    second = advance(first, Snapshot({"a": "1", "b": "1"}, ("a", "b"), "<a><b>"), seen=0, made_s=1)
    assert parse(update(first, second)) == [("full", "<a><b>")]


@given(st.text(), st.sampled_from(["full", "delta", "shots"]))
def test_no_text_breaks_out_of_its_event(text, name):
    ((read, data),) = parse(event(name, text))
    assert read == name
    assert data.split() == text.split() or data.splitlines() == text.splitlines()


@pytest.mark.anyio
async def test_one_rendering_serves_all_readers_of_the_same_thing():
    renders = []

    async def render(key: str) -> Snapshot:
        renders.append(key)
        await anyio.lowlevel.checkpoint()
        return Snapshot({"a": key})

    feeds = Feeds(render, Topic(), ManualClock())
    streams = [feeds.open("one") for _ in range(20)] + [feeds.open("two")]
    first: list[list[tuple[str, str]]] = []

    async def read(stream) -> None:
        first.append(parse(await anext(stream) + await anext(stream)))

    async with anyio.create_task_group() as tasks:
        for stream in streams:
            tasks.start_soon(read, stream)
    assert sorted(renders) == ["one", "two"]
    assert all([name for name, _ in events] == ["beat", "delta"] for events in first)
    assert feeds.readers == 21
    for stream in streams:
        await stream.aclose()
    assert feeds.readers == 0


@pytest.mark.anyio
async def test_a_reader_who_has_the_content_gets_no_copy_and_then_the_change():
    words = ["old"]
    topic = Topic()

    async def render(key: str) -> Snapshot:
        return Snapshot({"a": words[0]})

    clock = ManualClock()
    feeds = Feeds(render, topic, clock)
    stream = feeds.open("key", digest=digest_of(Snapshot({"a": "old"})))
    assert [name for name, _ in parse(await anext(stream))] == ["beat"]
    words[0] = "new"
    clock.advance(RENDER_EVERY_S)
    topic.publish()
    with anyio.fail_after(5):
        events = parse(await anext(stream))
    assert events[0] == ("delta", out_of_band({"a": "new"}))
    await stream.aclose()


@pytest.mark.anyio
async def test_a_page_that_is_dear_to_make_is_made_less_often():
    clock, made = ManualClock(), []

    async def render(key: str) -> Snapshot:
        made.append(clock.monotonic_s())
        clock.advance(1.0)
        return Snapshot({"a": str(len(made))})

    feeds = Feeds(render, Topic(), clock)
    for _ in range(60):
        stream = feeds.open("key")
        await anext(stream)
        clock.advance(0.5)
        if len(made) == 1:
            kept = stream  # the feed lives while it has a reader
        else:
            await stream.aclose()
    await kept.aclose()
    pauses = [after - before for before, after in pairwise(made)]
    assert len(pauses) > 3
    assert min(pauses) >= 1.0 / RENDER_SHARE


@pytest.mark.anyio
async def test_the_bound_on_readers_is_an_error_that_says_so():
    async def render(key: str) -> Snapshot:
        return Snapshot({})

    feeds = Feeds(render, Topic(), ManualClock(), readers_max=1)
    stream = feeds.open("key")
    await anext(stream)
    with pytest.raises(TooManyReadersError, match="1 live pages"):
        feeds.open("key")
    await stream.aclose()
    assert READERS_MAX >= 200


@pytest.mark.anyio
async def test_closing_ends_every_stream():
    async def render(key: str) -> Snapshot:
        return Snapshot({})

    feeds = Feeds(render, Topic(), ManualClock())
    streams = [feeds.open(key) for key in ("one", "one", "two")]
    for stream in streams:
        await anext(stream)
    feeds.close()
    with anyio.fail_after(5):
        for stream in streams:
            async for _ in stream:
                pass
    assert feeds.readers == 0
