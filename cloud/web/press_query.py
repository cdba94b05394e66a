"""What a reader of a press's page has chosen, as its URL says it: shots to compare, signals, features, span. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol
from urllib.parse import urlencode

LETTERS: Final = "ABCDEF"
COMPARED_MAX: Final = len(LETTERS)
SIGNALS_SHOWN: Final = 4
FEATURES_MAX: Final = 4
NAME_CHARACTERS_MAX: Final = 128
ROW_ID_DIGITS_MAX: Final = 18
HOUR_MS: Final = 3_600_000

Span = Literal["100", "500", "2000", "8h", "24h", "7d"]
SPANS: tuple[Span, ...] = ("100", "500", "2000", "8h", "24h", "7d")
SPAN_DEFAULT: Span = "500"
SPAN_SHOTS: Mapping[str, int] = {"100": 100, "500": 500}
SPAN_HOURS: Mapping[str, int] = {"8h": 8, "24h": 24, "7d": 7 * 24}
EXPORT_SHOTS_MAX: Final = 50_000
"""Shots of one export; of a span that holds more, the newest."""
SHOTS_MAX: Final = 2_000
"""Shots of one trend; of a span that holds more, the newest."""


class Params(Protocol):
    """A query string: `starlette.datastructures.QueryParams` is one."""

    def getlist(self, key: str, /) -> list[str]:
        """All values of a name."""


@dataclass(frozen=True, slots=True)
class PressQuery:
    """The choices; none of signals or features means the usual ones."""

    compare: tuple[int, ...] = ()
    signals: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    span: Span = SPAN_DEFAULT

    def query(self) -> list[tuple[str, str]]:
        """As a query string says it, the usual left out."""
        pairs = [("compare", str(row_id)) for row_id in self.compare]
        pairs += [("signal", name) for name in self.signals] + [("feature", name) for name in self.features]
        return pairs if self.span == SPAN_DEFAULT else [*pairs, ("span", self.span)]

    def compared(self, row_id: int) -> "PressQuery":
        """With this shot among the compared ones, or without it where it was; beyond COMPARED_MAX the first goes."""
        if row_id in self.compare:
            return replace(self, compare=tuple(other for other in self.compare if other != row_id))
        return replace(self, compare=(*self.compare, row_id)[-COMPARED_MAX:])

    @property
    def letters(self) -> dict[int, str]:
        """What the compared shots are called, by row id."""
        return dict(zip(self.compare, LETTERS, strict=False))

    @property
    def since_hours(self) -> int | None:
        """How far back the span goes, where it is one of time."""
        return SPAN_HOURS.get(self.span)

    @property
    def shots_max(self) -> int:
        """How many shots the span has at most."""
        return SPAN_SHOTS.get(self.span, SHOTS_MAX)

    @property
    def export_max(self) -> int:
        """How many shots an export of the span has at most: of a time all, until the bound."""
        return EXPORT_SHOTS_MAX if self.since_hours else self.shots_max


def query_of(params: Params) -> PressQuery:
    """The choices that a URL makes; what is no choice is passed over."""
    asked = params.getlist("span")
    return PressQuery(
        _ids(params.getlist("compare")),
        _names(params.getlist("signal"), SIGNALS_SHOWN * 2),
        _names(params.getlist("feature"), FEATURES_MAX),
        next((span for span in SPANS if span in asked), SPAN_DEFAULT),
    )


def address(path: str, pairs: Iterable[tuple[str, str]], fragment: str = "") -> str:
    """A path with a query and a place on the page, where there are any."""
    query = urlencode(list(pairs))
    return path + (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")


def _ids(texts: list[str]) -> tuple[int, ...]:
    fit = [text for text in texts if text.isascii() and text.isdigit() and len(text) <= ROW_ID_DIGITS_MAX]
    return tuple(dict.fromkeys(int(text) for text in fit if int(text) > 0))[:COMPARED_MAX]


def _names(texts: list[str], names_max: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if 0 < len(text) <= NAME_CHARACTERS_MAX))[:names_max]
