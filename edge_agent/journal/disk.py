"""The few things that a journal asks of a disk, in one place: a simulated disk can stand here instead."""

import fcntl
import os
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"
BLOCK_BYTES = 4096


class Disk:
    """The operating system's files. Every method may raise OSError; nothing is durable before it is synced."""

    def open(self, path: Path) -> int:
        """A file for reading and writing, made when it is missing."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def write(self, file: int, data: bytes, offset: int) -> None:
        """All of `data` at `offset`."""
        view = memoryview(data)
        while view:
            written = os.pwrite(file, view, offset)
            view, offset = view[written:], offset + written

    def truncate(self, file: int, size: int) -> None:
        """Cut the file at `size`."""
        os.ftruncate(file, size)

    def allocate(self, file: int, size: int) -> None:
        """Take `size` bytes of the disk for the file."""
        os.posix_fallocate(file, 0, size)

    def sync(self, file: int) -> None:
        """Make content and size of the file durable."""
        os.fdatasync(file)

    def close(self, file: int) -> None:
        """Let go of the file."""
        os.close(file)

    def replace(self, source: Path, target: Path) -> None:
        """Give `source` the name `target`, at once or not at all."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Delete the file if it is there."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Make new, replaced and deleted names durable."""
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def lock(self, path: Path) -> int:
        """An exclusive lock until the file is closed.

        Raises:
            BlockingIOError: another program has it.
        """
        file = self.open(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise
        return file


def put_whole(disk: Disk, path: Path, data: bytes) -> None:
    """A file that is there with all of `data` or not at all, also after a power cut."""
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        file = disk.open(temporary)
        try:
            disk.truncate(file, 0)
            disk.write(file, data, 0)
            disk.sync(file)
        finally:
            disk.close(file)
        disk.replace(temporary, path)
    except OSError:
        disk.unlink(temporary)
        raise
    disk.sync_folder(path.parent)


def read_what_is_readable(path: Path) -> bytes:
    """The file; zeros where the disk cannot read a block, nothing when the file is gone."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError:
        return _read_blocks(path)


def _read_blocks(path: Path) -> bytes:
    blocks = []
    with path.open("rb", buffering=0) as file:
        for offset in range(0, path.stat().st_size, BLOCK_BYTES):
            try:
                blocks.append(os.pread(file.fileno(), BLOCK_BYTES, offset))
            except OSError:
                blocks.append(bytes(BLOCK_BYTES))
    return b"".join(blocks)
