"""Refuses the one character that no database of ours keeps alike, naming the field that holds it."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from fastapi import Request

from cloud.core.problems import InvalidFieldError

NUL: Final = "\x00"
JSON_TYPES: Final = ("application/json", "+json")
FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


async def refuse_nul(request: Request) -> None:
    """A dependency of every operation: U+0000 in the path, the query, a form or a JSON body is a 422.

    Bodies are read once: what was parsed here is what the operation gets.

    Raises:
        InvalidFieldError: naming the field.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    given: dict[str, Any] = {"path": dict(request.path_params), "query": request.query_params.multi_items()}
    if kind.endswith(JSON_TYPES) and await request.body():
        with suppress(ValueError):  # what is no JSON is refused by the operation that wants some
            given["body"] = await request.json()
    elif kind in FORM_TYPES:
        given["body"] = (await request.form()).multi_items()
    for field in _with_nul(given, ""):
        raise InvalidFieldError(field.removeprefix("."), "holds the character U+0000, which is no text")


def _with_nul(value: Any, field: str) -> Iterator[str]:
    """The fields of `value` that hold it; pairs of names and values count as a mapping."""
    if isinstance(value, str) and NUL in value:
        yield field
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _with_nul(str(name), f"{field}.?")
            yield from _with_nul(inner, f"{field}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            is_pair = isinstance(inner, tuple)
            yield from _with_nul(inner[1] if is_pair else inner, f"{field}.{inner[0] if is_pair else number}")
