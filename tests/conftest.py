"""What every test may rely on: loopback only, one async backend, the shared data where it lies."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_socket
import structlog

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side (`-n`), a file stays in one process, and the real programs run one test at a time.

    They come first: they wait more than they compute, and the rest fits beside them.
    """
    items.sort(key=lambda item: not _starts_programs(item))
    for item in items:
        name = "programs" if _starts_programs(item) else item.path.relative_to(ROOT).as_posix()
        item.add_marker(pytest.mark.xdist_group(name))


def _starts_programs(item: pytest.Item) -> bool:
    return item.path.is_relative_to(ROOT / "tests" / "e2e")


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup() -> None:
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def _logs_of_one_test_only() -> Iterator[None]:
    """A program that a test runs sends its logs to the test's own standard error, which is closed after it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of third-party data, never committed; the test says that it is skipped where it is absent."""
    folder = Path(os.environ.get("ZHISAN_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"third-party data not found at {folder}; set ZHISAN_DATA")
    return folder
