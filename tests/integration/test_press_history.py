"""`zhisan sim press-history`: the same record from one seed, the truth apart, nothing half made, clear refusals."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.vocabulary import FAILURE_MODES
from deploy import sim_history
from models.evaluation.history import HistoryError, press_ids, read_episodes, read_press
from models.features.schema import VALUES
from models.training.rows import INPUTS, Rows, ahead_of, between_failure_and_repair, training_rows
from simulators.faults.catalogue import DAY_MS
from simulators.faults.upsets import UPSETS
from simulators.history.plan import plans

OPTIONS = ["--presses", "2", "--days", "2", "--seed", "5", "--time-factor", "60", "--curves-every", "200"]
SMALL = [*OPTIONS, "--fault-every-days", "3"]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history") / "h"
    assert sim_history.main([*SMALL, "--workers", "2", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def own(record: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(record, tmp_path / "own"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def drafts(folder: Path) -> list[Path]:
    return list(folder.rglob("*.draft"))


def test_the_record_is_the_same_to_the_byte_however_many_workers_make_it(record: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert sim_history.main([*SMALL, "--workers", "1", "--out", str(again)]) == 0
    assert contents(again) == contents(record)
    assert len(contents(again)) == 2 * 4 + 2


def test_no_truth_is_in_what_a_model_may_see(record: Path) -> None:
    modes = {*FAILURE_MODES, *UPSETS} - {"set_point_change"}
    seen = {path for path in record.rglob("*.parquet") if "truth" not in path.parts}
    assert len(seen) == 5
    hidden = [pq.read_table(path) for path in (record / "truth").rglob("*.parquet")]
    truth_columns = {name for table in hidden for name in table.column_names} - {"press_id", "ended_ms", "kind"}
    assert {"severity", "failed_ms", "onset_ms", "part_g", "is_good", "mode"} - {"severity"} <= truth_columns
    for path in seen:
        table = pq.read_table(path)
        assert not truth_columns & set(table.column_names)
        text = " ".join(str(value) for value in (table.schema.metadata or {}).values())
        for name in table.column_names:
            if table.schema.field(name).type == pa.string():
                text += " ".join(set(table[name].to_pylist()))
        assert not [mode for mode in modes if mode in text], path.name
    assert pq.read_schema(record / "shots" / "IMM-01.parquet").names[5:] == [spec.name for spec in VALUES]
    assert not modes & {name.partition("@")[0] for name in INPUTS}


def test_no_column_of_the_shots_carries_a_severity_or_a_weight_under_another_name(record: Path) -> None:
    for press in press_ids(record):
        shots = pq.read_table(record / "shots" / f"{press}.parquet")
        place = {ended_ms: row for row, ended_ms in enumerate(shots["ended_ms"].to_pylist())}
        told = np.stack([shots[spec.name].to_numpy().astype(float) for spec in VALUES], axis=1)
        for kind, names in (("severity", FAILURE_MODES), ("quality", ("part_g", "dimension_mm"))):
            truth = pq.read_table(record / "truth" / kind / f"{press}.parquet")
            rows = [place[ended_ms] for ended_ms in truth["ended_ms"].to_pylist()]
            for name in names:
                wanted = truth[name].to_numpy().astype(float)
                if wanted.std() > 0:
                    assert not np.isclose(told[rows], wanted[:, None], rtol=1e-5).all(axis=0).any(), name


def test_no_column_tells_the_time_to_a_failure(record: Path) -> None:
    failures = [episode for episode in read_episodes(record) if episode.failed_ms is not None]
    assert failures
    for episode in failures:
        assert episode.failed_ms is not None
        table = pq.read_table(record / "shots" / f"{episode.press_id}.parquet")
        before = table["ended_ms"].to_numpy() < episode.failed_ms
        before &= table["ended_ms"].to_numpy() >= episode.onset_ms
        left = (episode.failed_ms - table["ended_ms"].to_numpy()[before]).astype(float)
        for name in set(table.column_names) - {"press_id", "mould_id", "job_name", "ended_ms", "cycle_counter"}:
            values = table[name].to_numpy()[before].astype(float)
            known = np.isfinite(values)
            if known.sum() > 50 and values[known].std() > 0:
                assert abs(np.corrcoef(values[known], left[known])[0, 1]) < 0.9999, name


def test_shots_are_in_order_with_one_mould_at_a_time_and_curves_of_some(record: Path) -> None:
    for press in press_ids(record):
        history = read_press(record, press)
        assert (np.diff(history.ended_ms) > 0).all()
        assert 1_000 < len(history.ended_ms) < 12_000
        assert np.isfinite(history.values).mean() > 0.9
        curves = pq.read_table(record / "curves" / f"{press}.parquet")
        assert len(curves) == -(-len(history.ended_ms) // 200)
        assert len(curves["InjectionPressure"][0]) == 1_000
        counters = pq.read_table(record / "shots" / f"{press}.parquet")["cycle_counter"].to_numpy()
        assert (np.diff(counters) == 1).all()


def test_no_shot_ends_while_the_press_stands(record: Path) -> None:
    for plan in plans(2, 2, 5, time_factor=60, fault_every_days=3):
        ended_ms = read_press(record, plan.press_id).ended_ms
        for begin, end in plan.stops:
            late = ended_ms[(ended_ms > begin) & (ended_ms <= end)]
            assert len(late) <= 1, "the cycle that was under way is finished"
            assert (late - begin < 40_000).all()


def test_the_truth_says_that_a_press_failed_when_its_severity_came_to_1(record: Path) -> None:
    for episode in read_episodes(record):
        if episode.failed_ms is None:
            continue
        table = pq.read_table(record / "truth" / "severity" / f"{episode.press_id}.parquet")
        at, severity = table["ended_ms"].to_numpy(), table[episode.mode].to_numpy()
        assert (severity[at < episode.onset_ms] == 0).all()
        assert (severity[at < episode.failed_ms] < 1).all()
        growing = severity[(at >= episode.onset_ms) & (at < episode.failed_ms)]
        assert (np.diff(growing) >= 0).all()
        assert (severity[at > episode.ended_ms + 60_000] == 0).all()


def test_training_rows_know_what_came_after_them(record: Path) -> None:
    episodes = read_episodes(record)
    rows = Rows.joined([training_rows(read_press(record, press), episodes) for press in press_ids(record)])
    assert rows.inputs.shape[1] == len(INPUTS)
    assert len(rows.inputs) > 5
    ends_ms = dict.fromkeys(press_ids(record), int(rows.ended_ms.max()) + DAY_MS)
    for mode in FAILURE_MODES:
        ahead = ahead_of(rows, episodes, mode, ends_ms)
        failures = [e for e in episodes if e.mode == mode and e.failed_ms is not None]
        for press, ended_ms, left_h in zip(rows.presses, rows.ended_ms, ahead.failure_h, strict=True):
            ahead_ms = [e.failed_ms for e in failures if e.press_id == press and (e.failed_ms or 0) > ended_ms]
            assert left_h == (pytest.approx((min(ahead_ms) - ended_ms) / 3.6e6) if ahead_ms else np.inf)  # type: ignore[type-var]
    assert between_failure_and_repair(rows, episodes).dtype == bool


def test_each_so_maniest_shot_alone_can_be_kept(record: Path, tmp_path: Path) -> None:
    thin = tmp_path / "thin"
    assert sim_history.main([*SMALL, "--every", "7", "--workers", "1", "--out", str(thin)]) == 0
    for press in press_ids(thin):
        whole = pq.read_table(record / "shots" / f"{press}.parquet")
        kept = pq.read_table(thin / "shots" / f"{press}.parquet")
        assert kept["cycle_counter"].to_numpy().tolist() == whole["cycle_counter"].to_numpy()[::7].tolist()
        for spec in VALUES:
            assert np.array_equal(kept[spec.name].to_numpy(), whole[spec.name].to_numpy()[::7], equal_nan=True)


def test_a_second_run_goes_on_and_a_different_one_is_refused(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = contents(own)
    (own / "shots" / "IMM-02.parquet").rename(own / "shots" / ".IMM-02.parquet.draft")
    before = (own / "shots" / "IMM-01.parquet").stat().st_mtime_ns
    arguments = [*SMALL, "--workers", "1", "--out", str(own)]
    assert sim_history.main(arguments) == 0
    assert (own / "shots" / "IMM-01.parquet").stat().st_mtime_ns == before
    assert contents(own) == wanted
    assert not drafts(own)
    assert "1 of 2 presses are there already" in capsys.readouterr().out
    assert sim_history.main([*arguments, "--seed", "6"]) == 1
    assert "made otherwise (seed)" in capsys.readouterr().err
    assert contents(own) == wanted, "a refusal touches nothing"


def test_force_replaces_a_record_but_not_other_files(own: Path, tmp_path: Path) -> None:
    (own / "note.txt").write_text("mine", encoding="utf-8")
    smaller = ["--presses", "1", "--days", "1", "--seed", "6", "--force", "--workers", "1"]
    assert sim_history.main([*smaller, "--out", str(own)]) == 0
    assert press_ids(own) == ["IMM-01"]
    assert (own / "note.txt").exists()
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "mine.txt").write_text("x", encoding="utf-8")
    assert sim_history.main([*smaller, "--out", str(strange)]) == 1, "no record: nothing to force"


Start = Callable[[Path], subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Begins a longer run in a process of its own and comes back when it is at work on its second press."""
    begun: list[subprocess.Popen[str]] = []

    def started(folder: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "deploy.sim_history", *LONGER, "--out", str(folder)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
        )
        begun.append(process)
        ends_s = time.monotonic() + 60
        while not list((folder / "shots").glob("IMM*")) or not drafts(folder):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < ends_s
            time.sleep(0.02)
        return process

    yield started
    for process in begun:
        process.kill()
        process.communicate(timeout=30)


LONGER = ["--presses", "3", "--days", "2", "--seed", "8", "--workers", "1"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_whole_presses_only_and_goes_on(
    tmp_path: Path, start: Start, number: signal.Signals
) -> None:
    folder = tmp_path / "h"
    process = start(folder)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    assert not drafts(folder)
    assert not json.loads((folder / "meta.json").read_text(encoding="utf-8"))["is_complete"]
    done = press_ids(folder)
    assert 1 <= len(done) < 3
    for press in done:
        assert read_press(folder, press).ended_ms.size > 1_000
    assert sim_history.main([*LONGER, "--out", str(folder)]) == 0
    assert sim_history.main([*LONGER, "--out", str(tmp_path / "at_once")]) == 0
    assert contents(folder) == contents(tmp_path / "at_once")


def test_a_killed_run_leaves_no_file_that_looks_whole_and_no_worker_behind(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "h"
    process = start(folder)
    workers = _children(process.pid)
    process.kill()
    process.communicate(timeout=30)
    for path in folder.rglob("*.parquet"):
        pq.read_metadata(path)
    ends_s = time.monotonic() + 30
    while any(_runs(worker) for worker in workers):
        assert time.monotonic() < ends_s, "a worker goes on without its parent"
        time.sleep(0.05)
    assert sim_history.main([*LONGER, "--out", str(folder)]) == 0
    assert not drafts(folder)
    assert len(press_ids(folder)) == 3


def test_a_worker_that_is_killed_ends_the_run_with_a_word(tmp_path: Path, start: Start) -> None:
    process = start(tmp_path / "h")
    for worker in _children(process.pid):
        if b"spawn_main" in Path(f"/proc/{worker}/cmdline").read_bytes():
            os.kill(worker, signal.SIGKILL)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a worker process was ended from outside" in told
    assert "Traceback" not in told


def _children(process_id: int) -> list[int]:
    text = Path(f"/proc/{process_id}/task/{process_id}/children").read_text(encoding="utf-8")
    return [int(word) for word in text.split()]


def _runs(process_id: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_two_runs_do_not_work_in_one_folder(tmp_path: Path, start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "h"
    start(folder)
    assert sim_history.main([*LONGER, "--out", str(folder)]) == 1
    assert "another run is at work" in capsys.readouterr().err


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file of this process and its children grows beyond: the next best to a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_is_told_and_leaves_nothing_half_made(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "h"
    with files_end_at(300_000):
        assert sim_history.main([*SMALL, "--workers", "2", "--out", str(folder)]) == 1
    told = capfd.readouterr().err
    assert os.strerror(errno.EFBIG) in told
    assert "the same command goes on" in told
    assert "Traceback" not in told
    assert not drafts(folder)
    assert not list((folder / "shots").glob("*.parquet"))
    assert sim_history.main([*SMALL, "--workers", "2", "--out", str(folder)]) == 0


def test_a_record_that_will_not_fit_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=10_000_000))
    assert sim_history.main(["--out", str(tmp_path / "h")]) == 1
    told = capsys.readouterr().err
    assert "GB are needed and 0.0 GB are free" in told
    assert "--every" in told


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--presses", "0"], "--presses is 0"),
        (["--days", "0.5"], "--days is 0.5"),
        (["--days", "nan"], "--days is nan"),
        (["--workers", "999"], "--workers"),
        (["--seed", "-1"], "--seed is -1"),
        (["--time-factor", "0"], "--time-factor is 0"),
        (["--every", "0"], "--every is 0"),
        (["--curves-every", "0"], "--curves-every is 0"),
    ],
)
def test_senseless_options_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], named: str
) -> None:
    assert sim_history.main([*options, "--out", str(tmp_path / "h")]) == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / "h").exists()


def test_a_folder_with_other_things_and_a_folder_that_is_no_history_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    assert sim_history.main([*SMALL, "--out", str(tmp_path)]) == 1
    assert "not empty" in capsys.readouterr().err
    assert sim_history.main([*SMALL, "--out", str(tmp_path / "mine.txt")]) == 2
    assert "is a file" in capsys.readouterr().err
    for damaged in ("{", "[]"):
        (tmp_path / "meta.json").write_text(damaged, encoding="utf-8")
        assert sim_history.main([*SMALL, "--out", str(tmp_path)]) == 1
        assert "damaged" in capsys.readouterr().err
    with pytest.raises(HistoryError, match=r"no shots/\*\.parquet"):
        press_ids(tmp_path)
    with pytest.raises(HistoryError, match="is not there"):
        read_episodes(tmp_path)


def test_the_record_says_how_it_was_made_and_what_is_in_it(record: Path) -> None:
    meta = json.loads((record / "meta.json").read_text(encoding="utf-8"))
    assert (meta["presses"], meta["days"], meta["seed"], meta["time_factor"]) == (2, 2.0, 5, 60.0)
    assert meta["is_complete"]
    shots = {press: len(read_press(record, press).ended_ms) for press in press_ids(record)}
    assert meta["counts"]["shots_by_press"] == shots
    assert meta["counts"]["shots"] == sum(shots.values())
    assert meta["counts"]["events"] == pq.read_metadata(record / "events.parquet").num_rows
