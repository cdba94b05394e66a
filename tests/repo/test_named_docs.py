"""A page, test or module that a docstring or a page sends the reader to is there."""

import re
import subprocess
from pathlib import Path

import pytest

FOLDERS = "bench|cloud|contract|deploy|docs|edge_agent|kit|models|simulators|tests"
PATH = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w/.-]+\.(?:md|mjs|proto|py|toml|ts)\b")
MODULE = re.compile(rf"python3? -m ((?:{FOLDERS})(?:\.\w+)*)")
KINDS = {"", ".html", ".md", ".py", ".toml", ".ts", ".yaml", ".yml"}


@pytest.fixture(scope="module")
def texts(root: Path) -> dict[str, str]:
    """What is tracked and what could be, by path; the changelog may name what is gone."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [root / name for name in sorted(set(listed.stdout.split("\0"))) if name and name != "CHANGELOG.md"]
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8", errors="replace")
        for path in paths
        if path.suffix in KINDS and path.is_file()
    }


def test_every_file_that_is_named_is_there(root: Path, texts: dict[str, str]) -> None:
    gone = {
        f"{path}: {name}" for path, text in texts.items() for name in PATH.findall(text) if not (root / name).exists()
    }
    assert not gone


def test_every_module_that_is_to_be_run_is_there(root: Path, texts: dict[str, str]) -> None:
    gone = {f"{path}: {name}" for path, text in texts.items() for name in MODULE.findall(text) if not _runs(root, name)}
    assert not gone


def _runs(root: Path, name: str) -> bool:
    path = root.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()
