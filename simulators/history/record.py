"""Is this folder ours? New, or a record begun with the same options: then the presses that are done stay."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import simulators
from kit.errors import ZhisanError
from simulators.history import files
from simulators.history.moulds import JOBS
from simulators.history.plan import PressPlan

META: Final = "meta.json"
BYTES_A_SHOT, BYTES_A_CURVE = 215, 22_000
"""On disk, measured over 40 presses and 90 days; the curves of one shot."""
CODE: Final = (
    "simulators/press/*.py",
    "simulators/faults/*.py",
    "simulators/history/*.py",
    "models/features/*.py",
    "models/runtime/baseline*.py",
)


class HistoryRunError(ZhisanError):
    """The record cannot be made; the message says what to change."""


@contextmanager
def claimed(folder: Path, about: Mapping[str, Any], *, force: bool) -> Iterator[None]:
    """Hold the folder for a record with these options; two runs in one folder would damage it.

    Args:
        folder: made when it is not there.
        about: what the record is made with; one made otherwise is refused.
        force: take away what a record of other options left here. Other people's files are refused all the same.

    Raises:
        HistoryRunError: the folder is not ours, or in use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _take(folder, about, force=force)
        yield
    except BlockingIOError as error:
        raise HistoryRunError(f"another run is at work in {folder}: wait for it, or choose another --out") from error
    finally:
        os.close(handle)


def finish(folder: Path, about: Mapping[str, Any], counts: Mapping[str, Any]) -> None:
    """Say that the record is whole, and what is in it."""
    _write_meta(folder, {**about, "is_complete": True, "counts": dict(counts)})


def code_hash() -> str:
    """Of all sources that a shot depends on: a record that another version began is not gone on with."""
    root = Path(simulators.__file__).parent.parent
    digest = sha256()
    for pattern in CODE:
        for path in sorted(root.glob(pattern)):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def check_space(folder: Path, plans: Sequence[PressPlan], *, every: int, curves_every: int) -> None:
    """Refuse at once what would fill the disk after half an hour.

    Raises:
        HistoryRunError: too little is free.
    """
    shots = sum(shots_of(plan) for plan in plans)
    needed = shots / every * BYTES_A_SHOT + (shots / curves_every + len(plans)) * BYTES_A_CURVE
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise HistoryRunError(
            f"{folder}: about {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; "
            "fewer --presses or --days, or --every and --curves-every, make it smaller"
        )


def shots_of(plan: PressPlan) -> float:
    """About how many shots the press makes."""
    cycle_s = min(JOBS[job].hold_s + JOBS[job].cool_s + JOBS[job].handling_s + 1.0 for _, job in plan.jobs)
    return plan.running.ran_ms(plan.end_ms) / 1000 / cycle_s


def _take(folder: Path, about: Mapping[str, Any], *, force: bool) -> None:
    if not (folder / META).exists():
        if any(folder.iterdir()):
            raise HistoryRunError(f"{folder} is not empty and no record: choose another --out")
    elif force:
        files.remove(folder)
    else:
        _compare(folder, about)
    _write_meta(folder, {**about, "is_complete": False})


def _compare(folder: Path, about: Mapping[str, Any]) -> None:
    try:
        found = json.loads((folder / META).read_text(encoding="utf-8"))
        other = [name for name, value in about.items() if found.get(name) != value]
    except (ValueError, AttributeError) as error:
        raise HistoryRunError(f"{folder / META} is damaged: --force makes the record anew") from error
    if other:
        raise HistoryRunError(
            f"{folder} holds a record made otherwise ({', '.join(other)}): choose another --out, or --force"
        )


def _write_meta(folder: Path, document: Mapping[str, Any]) -> None:
    draft = folder / f".{META}.draft"
    draft.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    draft.replace(folder / META)
