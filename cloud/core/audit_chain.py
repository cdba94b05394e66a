"""What ties each line of the audit log to the one before it, so that a changed, moved or missing line shows. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

HASH_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class Link:
    """One place in the chain: a line's number and its hash."""

    audit_id: int
    hash: str


GENESIS: Final = Link(0, "0" * HASH_CHARACTERS)
"""What the first line follows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line as it is stored: its place, and the columns that its hash covers."""

    link: Link
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """What following the chain came to: the last line that holds, and the first that does not."""

    head: Link
    broken_id: int | None = None


def digest(previous: Link, audit_id: int, columns: Mapping[str, Any]) -> str:
    """SHA-256 over the previous hash and the line as canonical JSON (sorted keys, no spaces, UTF-8)."""
    line = {**columns, "audit_id": audit_id}
    text = json.dumps(line, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{previous.hash}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()


def following(previous: Link, columns: Mapping[str, Any]) -> Link:
    """The place of a new line after `previous`; numbers have no holes, so that a missing line shows."""
    audit_id = previous.audit_id + 1
    return Link(audit_id, digest(previous, audit_id, columns))


def follow(start: Link, entries: Iterable[Entry]) -> Finding:
    """Check each entry, in order, against the one before it, and stop at the first that does not fit.

    A missing line is named by its own number: the one that should have come next.
    """
    head = start
    for entry in entries:
        if following(head, entry.columns) != entry.link:
            return Finding(head, broken_id=head.audit_id + 1)
        head = entry.link
    return Finding(head)
