"""What every test may rely on: loopback only, one async backend, the shared data where it lies."""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_socket
import structlog
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("zhisan", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("zhisan")  # no test fails by the wall clock
PROGRAMS = "tests/e2e/"
ROOT = Path(__file__).resolve().parents[1]
MEMORY = Path("/dev/shm")
MEMORY_FREE_BYTES_MIN = 4 * 1024**3
GC_THRESHOLDS = (10_000, 20, 50)
"""A program's own: with Python's, a fifth of a run's CPU goes to looking through what the imports left."""


class ByFile(LoadScopeScheduling):
    """Where tests run side by side (`-n`), a file stays in one process, and real programs run one test at a time."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return PROGRAMS if path.startswith(PROGRAMS) else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    return ByFile(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Files lie in memory where there is room: no test cuts the power, and a disk's syncs were a third of a run."""
    gc.set_threshold(*GC_THRESHOLDS)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # small fits on threads are forty times slower beside other tests
    is_small = config.option.markexpr == "not slow"
    if is_small and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_FREE_BYTES_MIN:
        os.environ.setdefault("TMPDIR", str(MEMORY))
        tempfile.tempdir = None


def pytest_unconfigure() -> None:
    """What was put off, before modules go: DuckDB complains of objects that outlive it."""
    gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The real programs come first: they wait more than they compute, and the rest fits beside them."""
    items.sort(key=lambda item: not item.nodeid.startswith(PROGRAMS))


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
