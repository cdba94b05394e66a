"""What a template is given and what it gives; bounds of texts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from cloud.alarms.naming import Texts
from cloud.core.database import strict_json
from cloud.webhooks.message import Message

JSON = {"content-type": "application/json; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Context:
    """What a rendering needs beside the event."""

    message_id: str
    now_ms: int
    secrets: tuple[str, ...] = field(repr=False)
    texts: Texts
    zone: tzinfo
    link: str = ""
    """Address of the page of alarms; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """A call's headers, body, and what goes into the query of its address."""

    headers: Mapping[str, str]
    body: str
    query: Mapping[str, str] = field(default_factory=dict)


Render = Callable[[Message, Context], Rendering]


def as_json(content: Mapping[str, Any], **headers: str) -> Rendering:
    """A rendering whose body is JSON."""
    return Rendering({**JSON, **headers}, strict_json(dict(content)))


def cut_bytes(text: str, bytes_max: int) -> str:
    """The beginning of a text that has at most so many bytes in UTF-8, with an ellipsis where something is missing."""
    encoded = text.encode()
    if len(encoded) <= bytes_max:
        return text
    return encoded[: bytes_max - 3].decode("utf-8", "ignore") + "…"


def cut(text: str, characters_max: int) -> str:
    """The beginning of a text, with an ellipsis where something is missing."""
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"


def plain(text: str) -> str:
    """A text that no markdown takes for markup: a press's name or a comment must not call people or lead elsewhere."""
    return text.translate(_PLAIN)


_PLAIN = str.maketrans({"<": "‹", ">": "›", "[": "［", "]": "］", "*": "＊", "`": "ˋ", "#": "＃", "\n": " "})
