"""`zhisan replay`: push a recorded file through a running gateway and watch it arrive in the cloud."""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local.current import read_current
from edge_agent.sources.mapping import MappingError, read_mapping
from edge_agent.sources.replay import JobStatus, inbox_of, read_status, submit
from kit.clock import SystemClock
from kit.ids import uuid7

KEY_VARIABLE = "ZHISAN_API_KEY"
"""An API key with the right to read, for a cloud that is not the demo's."""
POLL_S = 0.2
SILENCE_S_MAX = 60.0
"""Nothing moves for so long: the gateway is not running, or cannot reach the cloud."""


def main(argv: Sequence[str]) -> int:
    """Replay; 0 when every row is stored in the cloud, 1 when not, 2 when it cannot begin."""
    parser = argparse.ArgumentParser(prog="zhisan replay", description=__doc__)
    parser.add_argument("file", type=Path, help="CSV or Parquet file, a row a shot")
    parser.add_argument("--mapping", type=Path, required=True, help="mapping file: columns, units, time base")
    parser.add_argument("--state-dir", type=Path, help="the gateway's state_dir (default: the running demo's)")
    parser.add_argument("--cloud", help="URL of the cloud, to see the shots arrive (default: the running demo's)")
    arguments = parser.parse_args(argv)
    current = read_current()
    state_dir = arguments.state_dir or (Path(current.gateway_state_dir) if current else None)
    if state_dir is None:
        print("no demo is running here: start it with `make demo`, or name the gateway's --state-dir", file=sys.stderr)
        return 2
    try:
        mapping = read_mapping(arguments.mapping)
        url = arguments.cloud or (current.web_url if current else None)
        press_url = f"{url}/api/v1/plants/{current.plant_id}/presses/{mapping.press}" if url and current else None
        api_key = os.environ.get(KEY_VARIABLE) or (current.api_key if current else "")
        headers = {"Authorization": f"Bearer {api_key}"}
        stored_before = _stored(press_url, headers) if press_url else 0
        job = submit(inbox_of(state_dir), uuid7(SystemClock().utc_ms()), arguments.file, arguments.mapping)
    except (MappingError, OSError) as error:
        print(f"cannot replay: {error}", file=sys.stderr)
        return 2
    return _follow(job, press_url, headers, stored_before)


def _follow(job: Path, press_url: str | None, headers: Mapping[str, str], stored_before: int) -> int:
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        taken = progress.add_task("durable at the gateway", total=None)
        stored = progress.add_task("stored in the cloud", total=None, visible=press_url is not None)
        last, moved_s = (-1, -1), time.monotonic()
        while True:
            status = read_status(job)
            count = _stored(press_url, headers) - stored_before if press_url else 0
            progress.update(taken, total=status.rows_total or None, completed=status.rows_taken)
            progress.update(stored, total=status.rows_total or None, completed=count)
            if status.state == "failed" or (status.state == "done" and (not press_url or count >= status.rows_total)):
                break
            if (status.rows_taken, count) != last:
                last, moved_s = (status.rows_taken, count), time.monotonic()
            if time.monotonic() - moved_s > SILENCE_S_MAX:
                console.print(
                    f"nothing has moved for {SILENCE_S_MAX:g} s: is the gateway running? The job stays queued"
                )
                return 1
            time.sleep(POLL_S)
    return _verdict(console, status, press_url, count)


def _verdict(console: Console, status: JobStatus, press_url: str | None, count: int) -> int:
    if status.state == "failed":
        console.print(f"[bold red]the gateway refused the file[/]: {status.error}", highlight=False)
        return 1
    if press_url is None:
        console.print(f"{status.rows_total} shots are durable at the gateway")
        return 0
    console.print(f"{status.rows_total} rows replayed, {count} shots stored")
    return 0 if count == status.rows_total else 1


def _stored(press_url: str, headers: Mapping[str, str]) -> int:
    """How many shots of the press the cloud holds; none while it does not know the press."""
    try:
        response = httpx.get(press_url, headers=dict(headers), timeout=10)
        response.raise_for_status()
    except httpx.HTTPError:
        return 0
    return int(response.json()["shots_total"])
