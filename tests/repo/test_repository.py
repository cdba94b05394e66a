"""What holds for the repository as a whole: its pages, its locks, its size limits, and what must never stand in it."""

import re
import subprocess
from pathlib import Path

import pytest

KIT_LINES_MAX, README_LINES_MAX, FILE_LINES_MAX = 510, 150, 600
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def tracked(root: Path) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [root / name for name in listed.stdout.split("\0") if name and (root / name).exists()]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_every_link_of_a_page_leads_somewhere(tracked: list[Path]) -> None:
    broken = [
        f"{path.name}: {target}"
        for path in tracked
        if path.suffix == ".md"
        for target in LINK.findall(text_of(path))
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert not broken


def test_locks_have_hashes_and_name_no_index(root: Path) -> None:
    for name in ("edge", "cloud", "cloud-tracing", "dev"):
        lock = text_of(root / f"requirements/{name}.txt")
        packages = re.findall(r"^[a-z0-9][a-z0-9._-]*==", lock, re.M)
        assert len(packages) > 10
        assert lock.count("--hash=sha256:") >= len(packages)
        assert "://" not in lock
        assert "--index" not in lock
    assert "resolved" not in text_of(root / "package-lock.json")


def test_a_gateway_s_lock_has_no_server_and_no_trainer(root: Path) -> None:
    lock = text_of(root / "requirements/edge.txt")
    for package in ("fastapi", "sqlalchemy", "scikit-learn", "duckdb", "onnx==", "skl2onnx"):
        assert f"\n{package}" not in lock


def test_files_stay_readable(root: Path, tracked: list[Path]) -> None:
    assert sum(len(text_of(path).splitlines()) for path in tracked if path.parent == root / "kit") <= KIT_LINES_MAX
    assert len(text_of(root / "README.md").splitlines()) <= README_LINES_MAX
    long = [
        path.name
        for path in tracked
        if path.suffix == ".py" and "_pb2" not in path.name and len(text_of(path).splitlines()) > FILE_LINES_MAX
    ]
    assert not long


def test_every_python_file_says_which_question_it_answers(tracked: list[Path]) -> None:
    silent = [
        path.name
        for path in tracked
        if path.suffix == ".py" and "_pb2" not in path.name and not text_of(path).startswith(('"""', 'r"""'))
    ]
    assert not silent


def test_migrations_are_one_chain_in_the_order_of_their_files(root: Path) -> None:
    """Two written side by side may both be `0007` after the same one: then no database can be brought up to date."""
    found = []
    for file in sorted((root / "cloud" / "migrations" / "versions").glob("[0-9]*.py")):
        text = file.read_text(encoding="utf-8")
        words = {name: re.search(rf'^{name} = "?(\w+)"?', text, re.MULTILINE) for name in ("revision", "down_revision")}
        found.append((file.name[:4], *(word and word.group(1) for word in words.values())))
    numbers = [number for number, _, _ in found]
    assert found == list(zip(numbers, numbers, ["None", *numbers], strict=False))


def test_nothing_is_loaded_from_another_server(tracked: list[Path]) -> None:
    """Pages take scripts, styles and fonts from this program alone."""
    outside = re.compile(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""")
    found = [path.name for path in tracked if path.suffix in (".html", ".ts", ".css") and outside.search(text_of(path))]
    assert not found


def test_targets_are_documented(root: Path) -> None:
    readme = text_of(root / "README.md")
    assert "make demo" in readme
    assert "make test" in readme


def test_every_health_metric_is_documented(root: Path) -> None:
    from edge_agent.health import Health, HealthReporter
    from edge_agent.journal.journal import JournalCounts

    page = text_of(root / "docs/reference/metrics.md")
    names = HealthReporter(Health(), 0.0).metrics(1.0, 1, JournalCounts(), None)
    assert not [name for name in names if f"`{name.removeprefix('Health/')}`" not in page]
