"""A private PostgreSQL server: Debian's programs, a folder of its own, a socket in it and no port, nothing kept."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

PROGRAMS = Path("/usr/lib/postgresql")
USER = DATABASE = "postgres"
EMPTY = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
"""
START_S_MAX = 60
OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "listen_addresses=")
"""Nothing of it is to survive; and nobody but who may enter its folder can reach it."""


def programs() -> Path | None:
    """Where the newest installed server's programs lie; Debian puts them beside the PATH, by version."""
    found = [path.parent for path in PROGRAMS.glob("*/bin/initdb")]
    return max(found, key=lambda path: float(path.parent.name), default=None)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server with one database, which one test after another has to itself."""

    folder: Path

    async def emptied(self) -> str:
        """The address of the database, in which nothing is left; a new one for each test costs ten times as much."""
        connection = await asyncpg.connect(host=str(self.folder), user=USER, database=DATABASE)
        try:
            await connection.execute(EMPTY)
        finally:
            await connection.close()
        return f"postgresql://{USER}@/{DATABASE}?host={self.folder}"


@contextmanager
def server(bin_folder: Path) -> Iterator[PostgresServer]:
    """Make a server, run it and remove it; root, which it refuses to run as, lends it the user `postgres`."""
    folder = Path(tempfile.mkdtemp(prefix="zhisan-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        data = folder / "data"
        _run([bin_folder / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"])
        options = " ".join(f"-c {option}" for option in (*OPTIONS, f"unix_socket_directories={folder}"))
        control = [bin_folder / "pg_ctl", "-D", data, "-w", "-t", str(START_S_MAX)]
        _run([*control, "-l", folder / "log", "-o", options, "start"])
        try:
            yield PostgresServer(folder)
        finally:
            _run([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: Sequence[str | Path]) -> None:
    who = pwd.getpwnam(USER) if os.geteuid() == 0 else None
    user = {} if who is None else {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": ()}
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/", **user)
    assert done.returncode == 0, done.stderr
