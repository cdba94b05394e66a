"""Lists a page at a time: an opaque cursor that says where the next page begins."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field

from cloud.core.problems import InvalidFieldError

LIMIT_DEFAULT = 50
LIMIT_MAX = 200
CURSOR_CHARACTERS_MAX = 512
NOT_OURS = "is not a cursor of this list"

T = TypeVar("T")
U = TypeVar("U")

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Most items on the page.")]
Cursor = Annotated[
    str | None,
    Query(max_length=CURSOR_CHARACTERS_MAX, description="`next_cursor` of the page before; absent: the first page."),
]


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """Part of a list; `has_more` when the list goes on."""

    items: Sequence[T]
    has_more: bool


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last.")


def slice_of(found: Sequence[T], limit: int) -> Slice[T]:
    """The page in the rows of a query that asked for one row more than `limit`."""
    return Slice(found[:limit], has_more=len(found) > limit)


def page_of(part: Slice[T], show: Callable[[T], U], position: Callable[[T], Sequence[str | int]]) -> Page[U]:
    """The page of a slice; `position` gives what the next page begins after."""
    next_cursor = encode_cursor(position(part.items[-1])) if part.has_more else None
    return Page(items=[show(item) for item in part.items], next_cursor=next_cursor)


def encode_cursor(position: Sequence[str | int]) -> str:
    """A position as a cursor that callers do not look into."""
    return base64.urlsafe_b64encode(json.dumps(list(position)).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, *kinds: type) -> tuple[str | int, ...] | None:
    """The position in a cursor whose parts are of `kinds`; None for the first page.

    Raises:
        InvalidFieldError: it is none of ours, or belongs to another list.
    """
    if not cursor:
        return None
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error) as error:
        raise InvalidFieldError("query.cursor", NOT_OURS) from error
    fits = isinstance(parts, list) and [type(part) for part in parts] == list(kinds)
    if not fits or any(isinstance(part, int) and abs(part) >= 1 << 63 for part in parts):
        raise InvalidFieldError("query.cursor", NOT_OURS)
    return tuple(parts)


def decode_uuid(cursor: str | None) -> UUID | None:
    """The id in a cursor of a list that is ordered by UUID; None for the first page.

    Raises:
        InvalidFieldError: it is none of ours, or belongs to another list.
    """
    parts = decode_cursor(cursor, str)
    try:
        return UUID(str(parts[0])) if parts else None
    except ValueError as error:
        raise InvalidFieldError("query.cursor", NOT_OURS) from error
