"""The choices on a press's page as links and boxes: signals, features, spans, shots to compare. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cloud.alarms.naming import feature_name
from cloud.telemetry.store import StoredShot
from cloud.web.curve_charts import shown_signals
from cloud.web.feature_charts import shown_features
from cloud.web.press_query import SPANS, PressQuery, address
from cloud.web.translation import Catalogue
from cloud.web.wording import quantity_name


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be chosen: a box by `name`, or a link by `url`."""

    name: str
    label: str
    is_on: bool
    url: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """A shot that is drawn beside the shown one; its `url` leads to the page without it."""

    letter: str
    row: StoredShot
    url: str


@dataclass(frozen=True, slots=True)
class Place:
    """Which press's page, with the shot that it stands at and the row before which its table begins."""

    path: str
    shot: int | None = None
    before: int | None = None

    def pairs(self, query: PressQuery) -> list[tuple[str, str]]:
        """The whole choice as a query string says it."""
        own = [("shot", self.shot), ("before", self.before)]
        return [*((name, str(value)) for name, value in own if value is not None), *query.query()]

    def url(self, query: PressQuery, fragment: str = "") -> str:
        """The address of this page with other choices."""
        return address(self.path, self.pairs(query), fragment)


@dataclass(frozen=True, slots=True)
class Choices:
    """All choices of a page; `kept` are those that a form must send along."""

    signals: tuple[Choice, ...]
    features: tuple[Choice, ...]
    spans: tuple[Choice, ...]
    compared: tuple[Compared, ...]
    alone_url: str
    signals_kept: tuple[tuple[str, str], ...]
    features_kept: tuple[tuple[str, str], ...]


def choices_of(
    t: Catalogue,
    place: Place,
    query: PressQuery,
    *,
    signals: Sequence[str],
    features: Sequence[str],
    others: Sequence[StoredShot],
) -> Choices:
    """The choices among what this press sends."""
    shown, followed = shown_signals(signals, query.signals), shown_features(features, query.features)
    return Choices(
        tuple(Choice(name, quantity_name(t, name), name in shown) for name in signals),
        tuple(Choice(name, feature_name(t, name), name in followed) for name in features),
        tuple(
            Choice(span, t(f"span.{span}"), span == query.span, place.url(replace(query, span=span), "trend-title"))
            for span in SPANS
        ),
        tuple(
            Compared(query.letters[row.row_id], row, place.url(query.compared(row.row_id), "curves-title"))
            for row in others
        ),
        place.url(replace(query, compare=()), "curves-title"),
        tuple(place.pairs(replace(query, signals=()))),
        tuple(place.pairs(replace(query, features=()))),
    )
