"""`zhisan models fetch-history` where the cloud, the way to it or the disk fails: what heals is tried again."""

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy import fetch_history
from deploy.fetch_calls import PAUSE_S_MAX, TRIES_MAX
from models.features.schema import FEATURES_HASH, VALUES

Answer = Callable[[BaseHTTPRequestHandler], None]
SHOTS = 50


def problem(status: int, detail: str, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        send(request, status, json.dumps({"detail": detail}).encode(), **headers)

    return answer


def send(request: BaseHTTPRequestHandler, status: int, content: bytes, *, said: int | None = None, **more: str) -> None:
    request.send_response(status)
    for name, value in more.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(content) if said is None else said))
    request.end_headers()
    request.wfile.write(content)


def history(request: BaseHTTPRequestHandler) -> None:
    presses = [{"plant_id": "p", "press_id": "m1", "shots": SHOTS}]
    about = {"at_ms": 10**6, "features_hash": FEATURES_HASH, "presses": presses, "events": [], "episodes": []}
    send(request, 200, json.dumps({**about, "labels": {}}).encode())


@cache
def page(rows: int) -> bytes:
    columns = {"row_id": np.arange(rows), "ended_ms": 1_000 * np.arange(rows), "mould_id": ["M"] * rows}
    columns |= {spec.name: np.ones(rows, np.float32) for spec in VALUES}
    out = pa.BufferOutputStream()
    schema = {"row_id": pa.int64(), "ended_ms": pa.int64(), "mould_id": pa.string()}
    table = pa.table({name: pa.array(found, schema.get(name, pa.float32())) for name, found in columns.items()})
    pq.write_table(table, out)
    return bytes(out.getvalue().to_pybytes())


def shots(request: BaseHTTPRequestHandler) -> None:
    send(request, 200, page(SHOTS if "after_ms=0&" in request.path else 0))


def broken_off(request: BaseHTTPRequestHandler) -> None:
    content = page(SHOTS)
    send(request, 200, content[: len(content) // 2], said=len(content))


def hung_up(request: BaseHTTPRequestHandler) -> None:
    """Not a byte."""


@contextmanager
def cloud(*answers: Answer) -> Iterator[tuple[str, list[str]]]:
    """Gives these answers one after the other, then what a whole cloud would say; the paths that it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = answers[len(asked)] if len(asked) < len(answers) else None
            asked.append(self.path)
            (given or (shots if "/shots" in self.path else history))(self)

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fetch_history.KEY_VARIABLE, "zk_secret")


def fetched(url: str, out: Path, *more: str) -> tuple[int, list[float]]:
    pauses: list[float] = []
    return fetch_history.main(["--cloud", url, "--out", str(out), *more], pause=pauses.append), pauses


@pytest.mark.parametrize("failing", [broken_off, hung_up, problem(429, "slow down"), problem(503, "starting")])
def test_what_heals_is_tried_again_and_the_history_is_whole(failing: Answer, tmp_path: Path) -> None:
    with cloud(history, failing, failing) as (url, asked):
        code, pauses = fetched(url, tmp_path / "own")
    assert (code, len(pauses)) == (0, 2)
    assert len(asked) == 5, "the history, a page in three tries, and the empty one behind it"
    assert pq.read_metadata(tmp_path / "own" / "shots" / "p~m1.parquet").num_rows == SHOTS


def test_a_cloud_that_says_how_long_is_waited_for_so_long(tmp_path: Path) -> None:
    answers = [problem(429, "slow down", Retry_After=wait) for wait in ("17", "9999")]
    with cloud(*answers) as (url, _):
        code, pauses = fetched(url, tmp_path / "own")
    assert (code, pauses) == (0, [17.0, PAUSE_S_MAX])


@pytest.mark.parametrize(
    ("failing", "tries", "said"),
    [
        (problem(403, "the key may not read"), 1, "does not let this key read (403): the key may not read"),
        (problem(429, "slow down"), TRIES_MAX, f"given up after {TRIES_MAX} tries"),
        (broken_off, TRIES_MAX, "broke off after"),
        (hung_up, TRIES_MAX, "broke off"),
    ],
)
def test_what_does_not_heal_ends_with_words_and_nothing_half_made(
    failing: Answer, tries: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with cloud(history, *[failing] * tries) as (url, asked):
        code, pauses = fetched(url, tmp_path / "own")
        assert (code, len(asked), len(pauses)) == (1, 1 + tries, tries - 1)
        told = capsys.readouterr().err
        assert said in told
        assert "zk_secret" not in told
        assert not [path for path in (tmp_path / "own").rglob("*") if path.suffix in (".parquet", ".draft")]
        assert fetched(url, tmp_path / "own")[0] == 0, "the same command goes on"


def test_a_disk_that_is_full_before_or_meanwhile_says_so_and_the_same_command_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with cloud() as (url, _):
        with monkeypatch.context() as patch:
            patch.setattr(fetch_history.shutil, "disk_usage", lambda _folder: _Free(10))
            assert fetched(url, tmp_path / "own")[0] == 1
            assert f"{SHOTS} shots need some" in capsys.readouterr().err
        with monkeypatch.context() as patch:
            page(SHOTS)  # the cloud's disk is not full
            patch.setattr(pq.ParquetWriter, "write_table", _full)
            assert fetched(url, tmp_path / "own")[0] == 1
            told = capsys.readouterr().err
            assert os.strerror(errno.ENOSPC) in told
            assert fetch_history.KEPT in told
        assert not list((tmp_path / "own").rglob("*.draft"))
        assert fetched(url, tmp_path / "own")[0] == 0


class _Free:
    def __init__(self, free: int) -> None:
        self.free = free


def _full(*_arguments: object, **_options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_since_is_asked_of_the_cloud_and_a_folder_keeps_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with cloud(history, lambda request: send(request, 200, page(SHOTS))) as (url, asked):
        assert fetched(url, tmp_path / "own", "--since", "1970-01-01T00:00:00.001")[0] == 0
        assert fetched(url, tmp_path / "own", "--since", "2026-02-01")[0] == 1
    assert all("after_ms=0" in path for path in asked[:2])
    assert "holds another history" in capsys.readouterr().err
    assert _after(tmp_path, "2026-01-31") == _after(tmp_path, "2026-01-31T08:00:00+08:00")


def _after(folder: Path, since: str) -> Sequence[str]:
    with cloud(problem(403, "no")) as (url, asked):
        fetched(url, folder / since, "--since", since)
    [path] = asked
    return sorted(path.partition("?")[2].split("&"))
