"""`zhisan models fetch-history`: a company's own months from its cloud, for `zhisan models build` to learn from."""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from deploy.fetch_calls import AFTER_ALL_IDS, CloudCalls, EpisodeAnswer, EventAnswer, FetchError, HistoryAnswer
from kit.errors import ZhisanError
from models.evaluation.history import META
from models.features.schema import FEATURES_HASH, VALUES, VALUES_HASH

KEY_VARIABLE: Final = "ZHISAN_API_KEY"
EXIT_OPTIONS, EXIT_INTERRUPTED = 2, 130
KEPT: Final = "the presses that are there are kept, and the same command goes on"
LINE_EVERY_S: Final = 15.0
BYTES_A_SHOT: Final = 250
"""On disk, with some to spare: a simulated one has 197."""
NAME_BYTES_MAX: Final = 150
SOURCE: Final = "cloud"
SHOTS: Final = pa.schema(
    [
        ("press_id", pa.string()),
        ("ended_ms", pa.int64()),
        ("mould_id", pa.string()),
        *((spec.name, pa.float32()) for spec in VALUES),
    ]
)
EVENTS: Final = pa.schema(
    [("press_id", pa.string()), ("at_ms", pa.int64()), ("kind", pa.string()), ("detail", pa.string())]
)
EPISODES: Final = pa.schema(
    [
        ("press_id", pa.string()),
        ("mode", pa.string()),
        ("onset_ms", pa.int64()),
        ("failed_ms", pa.int64()),
        ("ended_ms", pa.int64()),
        ("kind", pa.string()),
    ]
)


def main(argv: Sequence[str], *, pause: Callable[[float], None] = time.sleep) -> int:
    """Fetch, or go on; the last line is one JSON object."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        key = _key(options.key_file)
        after_ms = _after_ms(options.since)
        calls = CloudCalls(options.cloud, key, pause=pause)
    except ZhisanError as error:
        print(f"zhisan models fetch-history: {error}", file=sys.stderr)
        return EXIT_OPTIONS
    asked = {"cloud": options.cloud.rstrip("/"), "plant": options.plant, "after_ms": after_ms}
    try:
        with _held(options.out):
            figures = fetch(calls, options.out, asked)
    except ZhisanError as error:
        print(f"zhisan models fetch-history: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"zhisan models fetch-history: {options.out}: {error.strerror or error}; {KEPT}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nzhisan models fetch-history: interrupted; {KEPT}", file=sys.stderr)
        return EXIT_INTERRUPTED
    print(json.dumps(figures, ensure_ascii=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zhisan models fetch-history", description=__doc__)
    add = parser.add_argument
    add("--cloud", required=True, metavar="URL", help="of the cloud, as https://zhisan.example")
    add("--key-file", type=Path, metavar="FILE", help=f"holds an API key; else it is read from {KEY_VARIABLE}")
    add("--out", type=Path, required=True, metavar="DIR", help="a new folder, or one to go on in")
    add("--plant", metavar="P", help="one plant; else all of the company")
    add("--since", metavar="DATE", help="only what came after this day or time, UTC without an offset")
    return parser


def _key(path: Path | None) -> str:
    try:
        key = os.environ.get(KEY_VARIABLE, "") if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FetchError(f"--key-file {path} cannot be read: {error}") from error
    key = key.strip()
    if not key:
        raise FetchError(f"there is no API key: name a file with --key-file, or set {KEY_VARIABLE}")
    if not re.fullmatch(r"[!-~]+", key):
        raise FetchError("the API key has characters that no key has; it is one line and nothing else")
    return key


def _after_ms(since: str | None) -> int:
    if since is None:
        return 0
    try:
        found = datetime.fromisoformat(since)
    except ValueError as error:
        raise FetchError(f"--since {since!r} is no date; write it as 2026-01-31") from error
    aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return max(int(aware.timestamp() * 1000) - 1, 0)


def fetch(calls: CloudCalls, folder: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the folder up to what the cloud knew when the fetch began; figures of what is there.

    Args:
        calls: to the cloud.
        folder: held, and empty or of a fetch that was asked the same.
        asked: of which cloud and plant, from when on.

    Raises:
        FetchError: the cloud or the folder does not let it.
        OSError: the disk does not.
    """
    about, answer = _begun(calls, folder, asked)
    if about["is_complete"]:
        print(f"{folder} is complete; what is newer goes into another --out", file=sys.stderr)
        return _figures(folder, about, new_shots=0, seconds=0.0)
    started_s = time.monotonic()
    wanted = {name_of(press.plant_id, press.press_id): press for press in answer.presses if press.shots}
    left = {name: press for name, press in wanted.items() if not _shots_path(folder, name).exists()}
    _check_space(folder, sum(press.shots for press in left.values()))
    progress = _Progress(len(wanted), len(left), sum(press.shots for press in left.values()))
    for name, press in left.items():
        pages = _pages(calls, press.plant_id, press.press_id, after_ms=asked["after_ms"], until_ms=answer.at_ms)
        _write_shots(_shots_path(folder, name), name, _told(pages, progress))
        progress.press_done()
    shots = {name: _rows(_shots_path(folder, name)) for name in wanted if _shots_path(folder, name).exists()}
    _write_truth(folder, answer, {(press.plant_id, press.press_id): name for name, press in wanted.items()})
    about = _finished(folder, about, answer, shots)
    if answer.labels_left_out:
        print(
            f"{answer.labels_left_out:,} older labels were left out, and the faults that only they tell of:"
            " the cloud gives the newest",
            file=sys.stderr,
        )
    return _figures(folder, about, new_shots=progress.shots, seconds=time.monotonic() - started_s)


def name_of(plant_id: str, press_id: str) -> str:
    """What a press is called in the folder: `plant~press`, with a hash where that is no good name for a file."""
    plain = [re.sub(r"[^\w.-]", "_", each).lstrip(".") or "_" for each in (plant_id, press_id)]
    name = "~".join(plain)
    if plain == [plant_id, press_id] and len(name.encode()) <= NAME_BYTES_MAX:
        return name
    digest = hashlib.sha256(json.dumps([plant_id, press_id]).encode()).hexdigest()[:8]
    return f"{name.encode()[:NAME_BYTES_MAX].decode(errors='ignore')}~{digest}"


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Two fetches in one folder would damage each other's files."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise FetchError(f"another fetch is at work in {folder}: wait for it, or choose another --out") from error
    finally:
        os.close(handle)


def _begun(calls: CloudCalls, folder: Path, asked: Mapping[str, Any]) -> tuple[dict[str, Any], HistoryAnswer]:
    """The folder's `meta.json`, and what the cloud answered when it was begun: all presses are of that moment."""
    path = folder / META
    if not path.exists():
        if any(folder.iterdir()):
            raise FetchError(f"{folder} is not empty and no fetch: choose another --out")
        answer = calls.history(plant_id=asked["plant"], after_ms=asked["after_ms"])
        if answer.features_hash != FEATURES_HASH:
            raise FetchError(
                f"{asked['cloud']} knows other features ({answer.features_hash}) than this program ({FEATURES_HASH}):"
                " bring both to one version"
            )
        if not any(press.shots for press in answer.presses):  # nothing is begun: there may be some tomorrow
            raise FetchError(
                f"{asked['cloud']} has no shots of plant {asked['plant'] or '(any)'} with this version's features"
            )
        hashes = {"features_hash": FEATURES_HASH, "values_hash": VALUES_HASH}
        about = {"source": SOURCE, **asked, **hashes, "is_complete": False, "answer": answer.model_dump()}
        _write_meta(folder, about)
        return about, answer
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about.get("source") != SOURCE or {name: about.get(name) for name in asked} != dict(asked):
            raise FetchError(f"{folder} holds another history: choose another --out")
        if about["features_hash"] != FEATURES_HASH:
            raise FetchError(f"{folder} was begun by another version, with other features: choose another --out")
        return about, HistoryAnswer.model_validate(about["answer"])
    except (ValidationError, ValueError, KeyError, AttributeError) as error:
        raise FetchError(f"{path} is damaged: choose another --out") from error


def _pages(calls: CloudCalls, plant_id: str, press_id: str, *, after_ms: int, until_ms: int) -> Iterator[pa.Table]:
    after = (after_ms, AFTER_ALL_IDS)
    while len(page := calls.shots(plant_id, press_id, after=after, until_ms=until_ms)):
        try:
            last = page["ended_ms"][-1].as_py(), page["row_id"][-1].as_py()
            rising = bool(pc.all(pc.greater_equal(page["ended_ms"][1:], page["ended_ms"][:-1])).as_py() is not False)
        except (KeyError, TypeError, pa.ArrowException) as error:
            raise FetchError(f"the shots of {plant_id}/{press_id} are none that this version understands") from error
        if not rising or last <= after:
            raise FetchError(f"the shots of {plant_id}/{press_id} come in no order: is this the cloud?")
        yield page
        after = last


def _write_shots(path: Path, name: str, pages: Iterator[pa.Table]) -> None:
    """The press's file, whole or not at all; none of a press whose clock is ahead and that has no shots by now."""
    path.parent.mkdir(exist_ok=True)
    draft, rows = _draft(path), 0
    try:
        with pq.ParquetWriter(draft, SHOTS, compression="zstd", use_dictionary=["press_id", "mould_id"]) as writer:
            for page in pages:
                own = page.append_column("press_id", pa.array([name] * len(page), pa.string()))
                writer.write_table(own.select(SHOTS.names).cast(SHOTS))
                rows += len(page)
        if rows:
            draft.replace(path)
    except (KeyError, pa.ArrowInvalid) as error:
        raise FetchError(f"the shots of {name} lack columns: the cloud is of another version") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _write_truth(folder: Path, answer: HistoryAnswer, names: Mapping[tuple[str, str], str]) -> None:
    """What engineers said, of the presses that are in the folder."""

    def rows(found: Sequence[EventAnswer | EpisodeAnswer], schema: pa.Schema) -> pa.Table:
        own = [
            {**each.model_dump(), "press_id": names[each.plant_id, each.press_id]}
            for each in found
            if (each.plant_id, each.press_id) in names
        ]
        return pa.Table.from_pylist(own, schema)

    (folder / "truth").mkdir(exist_ok=True)
    _write_whole(folder / "truth" / "episodes.parquet", rows(answer.episodes, EPISODES))
    _write_whole(folder / "events.parquet", rows(answer.events, EVENTS))


def _write_whole(path: Path, table: pa.Table) -> None:
    pq.write_table(table, _draft(path), compression="zstd")
    _draft(path).replace(path)


def _finished(folder: Path, about: dict[str, Any], answer: HistoryAnswer, shots: Mapping[str, int]) -> dict[str, Any]:
    counts = {
        "shots": sum(shots.values()),
        "events": _rows(folder / "events.parquet"),
        "episodes": _rows(folder / "truth" / "episodes.parquet"),
        "shots_by_press": dict(shots),
    }
    done = {
        **about,
        "at_ms": answer.at_ms,
        "labels": sum(answer.labels.values()),
        "labels_by_verdict": answer.labels,
        "labels_left_out": answer.labels_left_out,
        "counts": counts,
        "is_complete": True,
    }
    _write_meta(folder, done)
    return done


def _write_meta(folder: Path, document: Mapping[str, Any]) -> None:
    draft = _draft(folder / META)
    draft.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(folder / META)


def _figures(folder: Path, about: Mapping[str, Any], *, new_shots: int, seconds: float) -> dict[str, Any]:
    counts = about["counts"]
    return {
        "out": str(folder),
        "presses": len(counts["shots_by_press"]),
        "shots": counts["shots"],
        "new_shots": new_shots,
        "events": counts["events"],
        "episodes": counts["episodes"],
        "labels": about["labels"],
        "labels_left_out": about["labels_left_out"],
        "features_hash": about["features_hash"],
        "seconds": round(seconds, 1),
    }


def _shots_path(folder: Path, name: str) -> Path:
    return folder / "shots" / f"{name}.parquet"


def _draft(path: Path) -> Path:
    """Where a file grows: no reader takes it for a press."""
    return path.with_name(f".{path.name}.draft")


def _rows(path: Path) -> int:
    rows: int = pq.read_metadata(path).num_rows
    return rows


def _check_space(folder: Path, shots: int) -> None:
    free = shutil.disk_usage(folder).free
    if shots * BYTES_A_SHOT > free:
        raise FetchError(
            f"{folder}: {shots:,} shots need some {shots * BYTES_A_SHOT:,} bytes, and {free:,} are free there;"
            " choose another --out, or fetch less with --since or --plant"
        )


class _Progress:
    """A line on standard error now and then."""

    def __init__(self, presses: int, left: int, shots_left: int) -> None:
        self.shots = 0
        self._presses, self._left, self._shots_left = presses, left, shots_left
        self._told_s = time.monotonic()

    def page(self, rows: int) -> None:
        self.shots += rows
        if time.monotonic() - self._told_s >= LINE_EVERY_S:
            self._tell()

    def press_done(self) -> None:
        self._left -= 1
        self._tell()

    def _tell(self) -> None:
        self._told_s = time.monotonic()
        done = self._presses - self._left
        share = self.shots / max(self._shots_left, 1)
        print(f"{done} of {self._presses} presses, {self.shots:,} shots, {share:.0%}", file=sys.stderr, flush=True)


def _told(pages: Iterator[pa.Table], progress: _Progress) -> Iterator[pa.Table]:
    for page in pages:
        yield page
        progress.page(len(page))
