"""Child processes that end with their parent's word, and ports to give them."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.errors import ZhisanError

STOP_TIMEOUT_S = 10.0
LOG_TAIL_LINES = 15
POLL_S = 0.05


class ProcessError(ZhisanError):
    """A program did not start, or ended by itself; the message ends with the last lines of its log."""


@dataclass(slots=True)
class Child:
    """One running program, its output in `log`."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls, name: str, command: Sequence[str | Path], log: Path, *, environ: Mapping[str, str] | None = None
    ) -> "Child":
        """Start a program in a process group of its own, so that Ctrl-C reaches only the launcher."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                start_new_session=True,
            )
        return cls(name, log, process)

    @property
    def is_running(self) -> bool:
        """Whether the program has not ended."""
        return self.process.poll() is None

    def check(self) -> None:
        """Do nothing while the program runs.

        Raises:
            ProcessError: it has ended.
        """
        if not self.is_running:
            raise ProcessError(f"{self.name} ended with code {self.process.returncode}:\n{self.log_tail()}")

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Ask it to end; end it when it does not within the time."""
        if self.is_running:
            self.process.terminate()
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process.wait()

    def kill(self) -> None:
        """End it at once, as a power cut would (SIGKILL)."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def log_tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-LOG_TAIL_LINES:]) or "    (its log is empty)"


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_taken(host: str, port: int) -> bool:
    """Whether the port cannot be bound."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def wait_for_port(child: Child, host: str, port: int, timeout_s: float) -> None:
    """Wait until the program accepts connections.

    Raises:
        ProcessError: it ended, or did not listen in time.
    """
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        child.check()
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        time.sleep(POLL_S)
    raise ProcessError(f"{child.name} does not listen on {host}:{port} after {timeout_s:g} s:\n{child.log_tail()}")
