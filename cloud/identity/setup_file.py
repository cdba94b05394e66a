"""The link that sets a new installation up: in a file that only its owner can read, and in no log."""

from pathlib import Path

FILE = "setup-link.txt"
MODE = 0o600


def write(folder: Path, link: str) -> Path:
    """Leave the link; an older one is replaced."""
    path = folder / FILE
    path.unlink(missing_ok=True)
    path.touch(mode=MODE)
    path.write_text(link + "\n", encoding="utf-8")
    return path


def read(folder: Path) -> str | None:
    """The link, if this installation waits for one to follow it."""
    path = folder / FILE
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def remove(folder: Path) -> None:
    """Somebody has followed it."""
    (folder / FILE).unlink(missing_ok=True)
