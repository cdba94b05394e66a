"""The fleet overview as HTML: the moving parts as a snapshot, rendering again only the tiles that changed."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlencode

from markupsafe import Markup

from cloud.production.reading import Report
from cloud.web.fleet_view import (
    Board,
    FleetFacts,
    FleetFilter,
    GatewayLine,
    Gauge,
    OeeLine,
    PressFacts,
    Tile,
    board_of,
    oee_line,
    tile_of,
)
from cloud.web.live import Snapshot
from cloud.web.shell import Shell
from cloud.web.translation import Catalogue

GATEWAYS_ALL_MAX = 6
"""So many gateways are all shown; of more, only those of which something is to be said."""
GATEWAYS_SHOWN_MAX = 100
WALL_SIZES = (8, 12, 60, 120)
"""Up to so many presses a wall screen shows in its largest, second largest, ... size."""
RENDERED_MAX = 3_000
"""Rendered tiles that are kept for a language, of all filters that are looked at."""
IDS_MAX = 4_096
"""Element ids that are kept, each some 100 bytes."""
OEE_SLOT = Markup("<!--oee-->")
"""Where a tile's OEE stands: a new report changes that of all tiles at once, and nothing else of them."""
TILE_END = Markup("<!--tile-->")
"""Behind each tile: many are rendered in one go, since a template's start costs as much as a third of a tile."""
Known = dict[PressFacts, Tile]
Parts = tuple[str, str, str]
"""A rendered tile up to its OEE slot, the slot, and what follows; empty where the tile has none."""


class FleetPage:
    """Makes snapshots of the overview; works out and renders again only the tiles whose press has changed.

    10,000 presses cost 100 to 170 ms to work out from nothing.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._known: dict[str, Known] = {}
        self._rendered: dict[tuple[str, str], dict[Tile, Parts]] = {}
        self._pieces: dict[tuple[str, str, Gauge | OeeLine], Markup] = {}
        self._lines_of: Report | None = None
        self._lines: dict[tuple[str, str], OeeLine | None] = {}

    def snapshot(self, t: Catalogue, facts: FleetFacts, wanted: FleetFilter, reader: str) -> Snapshot:
        """The moving parts for one language and filter; `reader` keeps apart who must not share (a tenant's id)."""
        board = board_of(self._tiles(reader, facts), wanted, report=facts.report)
        inside = self._insides(t, board, facts.report, reader)
        pieces = {
            "summary": self._shell.fragment(
                "fleet_summary.html", t, board=board, wanted=wanted, link=link_to("/", wanted)
            ),
            "gateways": self._shell.fragment("fleet_gateways.html", t, strip=_strip(facts, wanted)),
        }
        plants = tuple((plant, tuple(map(tile_id, tiles))) for plant, tiles in board.plants)
        figures = {plant: self._plant_figures(t, facts.report, plant) for plant, _ in plants}
        plants_html = self._shell.fragment(
            "fleet_plants.html",
            t,
            board=board,
            plants=plants,
            wanted=wanted,
            figures={plant: Markup(html) for plant, html in figures.items()},  # noqa: S704 - our own templates' output
            plant_key=plant_key,
            tiles={name: Markup(html) for name, html in inside.items()},  # noqa: S704
            has_presses=bool(facts.presses),
        )
        marked = {name: Markup(html) for name, html in pieces.items()}  # noqa: S704
        full = self._shell.fragment(
            "fleet_board.html",
            t,
            pieces=marked,
            wanted=wanted,
            size=_wall_size(board),
            plants_html=Markup(plants_html),  # noqa: S704
        )
        structure = (plants, board.left_out, bool(facts.presses))
        moving = {**pieces, **{plant_key(plant): html for plant, html in figures.items()}, **inside}
        return Snapshot(moving, structure, full)

    def _tiles(self, reader: str, facts: FleetFacts) -> list[Tile]:
        """The tile of each press, the known one where nothing that it shows has changed."""
        tiles = list(map(self._known.get(reader, {}).get, facts.presses))
        found = [
            tile_of(press, threshold=facts.threshold) if tile is None else tile
            for press, tile in zip(facts.presses, tiles, strict=True)
        ]
        self._known[reader] = dict(zip(facts.presses, found, strict=True))
        return found

    def _insides(self, t: Catalogue, board: Board, report: Report | None, reader: str) -> dict[str, str]:
        """The inside of each shown tile by its id."""
        rendered = self._rendered.setdefault((reader, t.language), {})
        if report is not self._lines_of:
            self._lines_of, self._lines = report, {}
        shown = [tile for _, tiles in board.plants for tile in tiles]
        rendered.update(self._parts(t, [tile for tile in shown if tile not in rendered]))
        found = {tile: rendered[tile] for tile in shown}
        if len(rendered) > RENDERED_MAX:
            self._rendered[reader, t.language] = dict(found)
        insides: dict[str, str] = {}
        for tile, (before, slot, after) in found.items():
            oee = self._piece(t, "tile_oee.html", self._line(report, tile)) if slot else ""
            insides[tile_id(tile)] = f"{before}{oee}{after}"
        return insides

    def _line(self, report: Report | None, tile: Tile) -> OeeLine | None:
        """A press's OEE in this report, worked out once."""
        press = tile.plant_id, tile.press_id
        if press not in self._lines:
            self._lines[press] = oee_line(report.presses.get(press) if report else None)
        return self._lines[press]

    def _parts(self, t: Catalogue, tiles: Sequence[Tile]) -> dict[Tile, Parts]:
        if not tiles:
            return {}
        told = [
            (
                tile_id(tile),
                tile,
                self._piece(t, "tile_failure.html", tile.failure),
                self._piece(t, "tile_novelty.html", tile.novelty),
            )
            for tile in tiles
        ]
        html = self._shell.fragment("tiles.html", t, tiles=told, oee_slot=OEE_SLOT, end=TILE_END)
        return {tile: each.partition(OEE_SLOT) for tile, each in zip(tiles, html.split(TILE_END), strict=False)}

    def _piece(self, t: Catalogue, template: str, shown: Gauge | OeeLine | None) -> Markup:
        """In whole percent many presses share a gauge, and a line of OEE."""
        if shown is None:
            return Markup()
        if len(self._pieces) > RENDERED_MAX:
            self._pieces.clear()
        key = t.language, template, shown
        if (html := self._pieces.get(key)) is None:
            html = self._pieces[key] = Markup(self._shell.fragment(template, t, shown=shown).strip())  # noqa: S704
        return html

    def _plant_figures(self, t: Catalogue, report: Report | None, plant: str) -> str:
        figures = report.plants.get(plant) if report else None
        line = oee_line(figures)
        if report is None or figures is None or line is None:
            return ""
        return self._shell.fragment(
            "fleet_oee.html", t, oee=line, figures=figures, window=report.window.name, as_of_ms=report.window.end_ms
        )


def tile_id(tile: Tile) -> str:
    """An element id for a press, safe in a selector whatever the press is called."""
    return _element_id("t", f"{tile.plant_id}/{tile.press_id}")


def link_to(path: str, wanted: FleetFilter) -> Callable[..., str]:
    """For templates: a link to the same page with the filter changed."""

    def link(**changes: str) -> str:
        query: Mapping[str, str] = wanted.query(**changes)
        return f"{path}?{urlencode(query)}" if query else path

    return link


def plant_key(plant_id: str) -> str:
    """An element id for a plant's figures."""
    return _element_id("o", plant_id)


@lru_cache(IDS_MAX)
def _element_id(kind: str, name: str) -> str:
    return f"{kind}{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Strip:
    """The gateways that are shown one by one, and how many others are online and keep up."""

    shown: tuple[GatewayLine, ...]
    others: int


def _strip(facts: FleetFacts, wanted: FleetFilter) -> Strip:
    """Those of the wanted plant, the offline first; of many, those of which something is to be said."""
    seen = [gateway for gateway in facts.gateways if wanted.plant in ("", gateway.plant_id)]
    shown = seen if len(seen) <= GATEWAYS_ALL_MAX else [gateway for gateway in seen if gateway.is_odd]
    shown.sort(key=lambda gateway: (gateway.connection == "online", gateway.plant_id, gateway.gateway_id))
    kept = tuple(shown[:GATEWAYS_SHOWN_MAX])
    return Strip(kept, len(seen) - len(kept))


def _wall_size(board: Board) -> int:
    """0 is the largest."""
    shown = sum(len(tiles) for _, tiles in board.plants)
    return next((size for size, presses in enumerate(WALL_SIZES) if shown <= presses), len(WALL_SIZES))
