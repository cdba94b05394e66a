"""The limits of requests over real sockets: what is too long, too slow or too often is refused, and soon."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from cloud.core import connections, problems
from cloud.core.connections import PatientUntil
from cloud.core.headers import DEFAULTS, SecurityHeaders
from cloud.core.limits import Limits, RequestLimits, RequestRates
from cloud.core.request_ids import RequestIds
from kit.clock import SystemClock

WAIT_S_MAX = 8.0
BODY_S_MAX = 0.6
HEAD_S_MAX = 0.8
UNREAD_S_MAX = 0.7
CONNECTIONS_MAX = 20
LIMITS = Limits(
    json_bytes_max=2_000,
    form_bytes_max=1_000,
    upload_bytes_max=4_000,
    header_bytes_max=3_000,
    url_bytes_max=500,
    body_s_max=BODY_S_MAX,
    stranger_requests_per_s=1_000.0,
    stranger_requests_burst=1_000,
)


def application() -> FastAPI:
    app = FastAPI()
    problems.install(app)
    app.add_middleware(RequestRates, limits=LIMITS, clock=SystemClock())
    app.add_middleware(RequestLimits, limits=LIMITS)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestIds)

    @app.post("/count")
    async def count(request: Request) -> int:
        return len(await request.body())

    @app.post("/json")
    async def json(body: dict[str, int]) -> int:
        return len(body)

    @app.post("/unread")
    async def unread() -> str:
        return "not read"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def words() -> object:
            for _ in range(3):
                await anyio.sleep(BODY_S_MAX / 2)
                yield b"data: x\n\n"

        return StreamingResponse(words(), media_type="text/event-stream")

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def words() -> object:
            while True:
                await anyio.lowlevel.checkpoint()
                yield b"x" * 65_536

        return StreamingResponse(words())

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a bug with a secret in it")

    return app


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    patience = connections.HEAD_S_MAX, connections.UNREAD_S_MAX
    connections.HEAD_S_MAX, connections.UNREAD_S_MAX = HEAD_S_MAX, UNREAD_S_MAX
    config = uvicorn.Config(
        application(),
        port=0,
        log_config=None,
        http=PatientUntil,
        ws="none",
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(20)
    connections.HEAD_S_MAX, connections.UNREAD_S_MAX = patience


@pytest.fixture
def client(port: int) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S_MAX) as client:
        yield client


class Line:
    """One bare connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S_MAX)

    def send(self, data: bytes) -> bool:
        """Whether the far side still takes it."""
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        return True

    def all(self) -> bytes:
        """What comes until the far side closes."""
        found = b""
        try:
            while part := self._socket.recv(65_536):
                found += part
        except ConnectionResetError:
            pass
        return found

    def trickle(self, byte: bytes, every_s: float) -> tuple[bytes, float]:
        """Send a byte now and then until the far side closes; what it said, and after how long."""
        begun_s = time.monotonic()
        self._socket.settimeout(every_s)
        found = b""
        while time.monotonic() - begun_s < WAIT_S_MAX:
            self.send(byte)
            try:
                part = self._socket.recv(65_536)
            except TimeoutError:
                continue
            except ConnectionResetError:
                break
            if not part:
                break
            found += part
        return found, time.monotonic() - begun_s

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def line(port: int) -> Iterator[Line]:
    with closing(Line(port)) as line:
        yield line


def post(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


@pytest.mark.parametrize(
    ("content_type", "bytes_max"),
    [
        ("application/json", LIMITS.json_bytes_max),
        ("application/merge-patch+json; charset=utf-8", LIMITS.json_bytes_max),
        ("application/x-www-form-urlencoded", LIMITS.form_bytes_max),
        ("Multipart/Form-Data; boundary=x", LIMITS.upload_bytes_max),
        ("text/plain", LIMITS.form_bytes_max),
        ("", LIMITS.form_bytes_max),
    ],
)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_may_be_as_long_as_its_type_allows_and_not_a_byte_longer(
    client: httpx.Client, content_type: str, bytes_max: int, *, is_chunked: bool
) -> None:
    def sent(size: int) -> httpx.Response:
        content = iter([b"x" * (size // 2), b"x" * (size - size // 2)]) if is_chunked else b"x" * size
        return client.post("/count", content=content, headers={"Content-Type": content_type})

    assert sent(bytes_max).json() == bytes_max
    refused = sent(bytes_max + 1)
    assert refused.status_code == 413
    assert refused.headers["content-type"] == problems.MEDIA_TYPE
    assert refused.json()["detail"] == f"A body of this type has at most {bytes_max} bytes."
    assert refused.headers["connection"] == "close"


def test_a_chunked_body_without_end_is_cut_off_while_it_comes(line: Line) -> None:
    line.send(post("/json", "Content-Type: application/json", "Transfer-Encoding: chunked"))
    sent = 0
    while line.send(b"400\r\n" + b"x" * 1024 + b"\r\n") and sent < 50_000:
        sent += 1
    assert sent < 50_000, "the far side took 50 MB"
    answer = line.all()
    assert not answer or b" 413 " in answer.splitlines()[0]


def test_a_body_that_trickles_in_is_given_up(line: Line) -> None:
    line.send(post("/json", "Content-Type: application/json", "Content-Length: 1000"))
    answer, took_s = line.trickle(b"x", 0.1)
    assert b" 408 " in answer.splitlines()[0]
    assert f"within {BODY_S_MAX:g} s".encode() in answer
    assert took_s < BODY_S_MAX + 2


def test_a_head_that_trickles_in_is_given_up(line: Line) -> None:
    line.send(b"GET / HTTP/1.1\r\nX-Slow: ")
    answer, took_s = line.trickle(b"x", 0.1)
    assert answer == b""
    assert took_s < HEAD_S_MAX + 2


def test_a_connection_that_says_nothing_is_given_up(line: Line) -> None:
    begun_s = time.monotonic()
    assert line.all() == b""
    assert time.monotonic() - begun_s < HEAD_S_MAX + 2


def test_a_body_that_nobody_reads_does_not_hold_the_line_after_its_answer(line: Line) -> None:
    line.send(post("/unread", "Content-Length: 1000"))
    answer, took_s = line.trickle(b"x", 0.1)
    assert b" 200 " in answer.splitlines()[0]
    assert took_s < HEAD_S_MAX + 2


def test_a_second_request_on_a_kept_line_has_the_same_patience(line: Line) -> None:
    line.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
    answer, took_s = line.trickle(b"G", 0.1)
    assert b" 200 " in answer.splitlines()[0]
    assert took_s < HEAD_S_MAX + 2


def test_a_giant_head_is_refused_before_it_is_whole(line: Line) -> None:
    line.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Giant: ")
    sent = 0
    while line.send(b"x" * 4096) and sent < 10_000:
        sent += 1
    assert sent < 10_000, "the far side took 40 MB"


def test_a_long_url_and_many_headers_are_refused_with_their_own_status(client: httpx.Client) -> None:
    assert client.get("/" + "x" * 480).status_code == 404
    assert client.get("/x?" + "x" * 600).status_code == 414
    assert client.get("/x", headers={f"X-{n}": "x" * 50 for n in range(100)}).status_code == 431


def test_a_stream_may_last_longer_than_a_body_may_take_to_come(client: httpx.Client) -> None:
    begun_s = time.monotonic()
    assert client.get("/stream").text.count("data: x") == 3
    assert time.monotonic() - begun_s > BODY_S_MAX


def test_an_answer_that_nobody_takes_is_given_up(port: int, line: Line) -> None:
    line.send(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
    begun_s = time.monotonic()
    while line.send(b"G") and time.monotonic() - begun_s < WAIT_S_MAX:  # a closed line refuses what is sent
        threading.Event().wait(0.05)
    assert time.monotonic() - begun_s < UNREAD_S_MAX + 3


def test_a_crowd_that_only_holds_lines_keeps_nobody_out_for_long(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(CONNECTIONS_MAX + 5):
            stack.enter_context(closing(Line(port)))
        url, begun_s = f"http://127.0.0.1:{port}/nothing", time.monotonic()
        assert httpx.get(url).status_code == 503
        while httpx.get(url).status_code == 503:
            assert time.monotonic() - begun_s < HEAD_S_MAX + 3
            threading.Event().wait(0.05)
    assert httpx.get(url).status_code == 404


def test_both_lengths_at_once_and_a_bare_websocket_are_no_way_in(line: Line, client: httpx.Client) -> None:
    line.send(post("/count", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\nGET /broken HTTP/1.1\r\n")
    assert b"/broken" not in line.all()
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    assert client.get("/broken", headers=upgrade).status_code == 500, "served as plain HTTP"


def test_every_answer_has_its_id_and_the_security_headers_also_when_it_is_a_bug(port: int) -> None:
    for path, status in (("/openapi.json", 200), ("/nothing", 404), ("/broken", 500), ("/x?" + "x" * 600, 414)):
        answer = httpx.get(f"http://127.0.0.1:{port}{path}", headers={"X-Request-Id": "from-a-proxy-1"})
        assert answer.status_code == status
        assert answer.headers["x-request-id"] == "from-a-proxy-1"
        assert {name: answer.headers[name] for name in DEFAULTS} == dict(DEFAULTS)
        assert "strict-transport-security" not in answer.headers
        assert "server" not in answer.headers
        if status >= 400:
            assert answer.json()["request_id"] == "from-a-proxy-1"
            assert "secret" not in answer.text


@pytest.mark.parametrize("given", ["short", "x" * 65, "with space inside", "<script>x</script>", "tab\tinside1"])
def test_an_id_that_is_none_is_not_repeated(client: httpx.Client, given: str) -> None:
    answer = client.get("/nothing", headers={"X-Request-Id": given})
    assert len(answer.headers["x-request-id"]) == 24
    assert answer.headers["x-request-id"] != given


def test_https_is_asked_for_only_where_it_is_spoken(client: httpx.Client) -> None:
    """A proxy on loopback is believed what the browser spoke."""
    answer = client.get("/nothing", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
