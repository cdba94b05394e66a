"""The fleet overview as HTML: the moving parts as a snapshot, rendering again only the tiles that changed."""

import hashlib
from collections.abc import Callable, Hashable, Mapping
from urllib.parse import urlencode

from markupsafe import Markup

from cloud.web.fleet_view import Board, FleetFacts, FleetFilter, GatewayLine, Tile, board_of, tile_of
from cloud.web.live import Snapshot
from cloud.web.shell import Shell
from cloud.web.translation import Catalogue

GATEWAYS_SHOWN_MAX = 100


class FleetPage:
    """Makes snapshots of the overview; works out and renders again only the tiles whose press has changed.

    10,000 presses cost 100 to 170 ms to work out from nothing.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._known: dict[tuple[str, str], tuple[Hashable, Tile]] = {}
        self._rendered: dict[str, dict[Tile, str]] = {}

    def snapshot(self, t: Catalogue, facts: FleetFacts, wanted: FleetFilter) -> Snapshot:
        """The moving parts for one language and filter."""
        board = board_of(self._tiles(facts), wanted)
        inside = self._insides(t, board)
        pieces = {
            "summary": self._shell.fragment(
                "fleet_summary.html", t, board=board, wanted=wanted, link=link_to("/", wanted)
            ),
            "gateways": self._shell.fragment("fleet_gateways.html", t, gateways=_gateways(facts, wanted)),
        }
        plants = tuple((plant, tuple(map(tile_id, tiles))) for plant, tiles in board.plants)
        plants_html = self._shell.fragment(
            "fleet_plants.html",
            t,
            board=board,
            plants=plants,
            tiles={name: Markup(html) for name, html in inside.items()},  # noqa: S704 - our own templates' output
            has_presses=bool(facts.presses),
        )
        marked = {name: Markup(html) for name, html in pieces.items()}  # noqa: S704
        full = self._shell.fragment(
            "fleet_board.html",
            t,
            pieces=marked,
            plants_html=Markup(plants_html),  # noqa: S704
        )
        structure = (plants, board.left_out, bool(facts.presses))
        return Snapshot({**pieces, **inside}, structure, full)

    def _tiles(self, facts: FleetFacts) -> list[Tile]:
        """The tile of each press, the known one where nothing that it shows has changed."""
        known: dict[tuple[str, str], tuple[Hashable, Tile]] = {}
        for press in facts.presses:
            row_id = press.shot.row_id if press.shot else None
            shown = (row_id, press.connection, press.alarms, facts.threshold)
            key = (press.plant_id, press.press_id)
            before = self._known.get(key)
            known[key] = before if before and before[0] == shown else (shown, tile_of(press, threshold=facts.threshold))
        self._known = known
        return [tile for _, tile in known.values()]

    def _insides(self, t: Catalogue, board: Board) -> dict[str, str]:
        """The inside of each shown tile by its id."""
        before = self._rendered.get(t.language, {})
        shown = {tile: before.get(tile) for _, tiles in board.plants for tile in tiles}
        rendered = {
            tile: html or self._shell.fragment("tile.html", t, tile=tile, id=tile_id(tile))
            for tile, html in shown.items()
        }
        self._rendered[t.language] = rendered
        return {tile_id(tile): html for tile, html in rendered.items()}


def tile_id(tile: Tile) -> str:
    """An element id for a press, safe in a selector whatever the press is called."""
    name = f"{tile.plant_id}/{tile.press_id}".encode()
    return f"t{hashlib.blake2b(name, digest_size=8).hexdigest()}"


def link_to(path: str, wanted: FleetFilter) -> Callable[..., str]:
    """For templates: a link to the same page with the filter changed."""

    def link(**changes: str) -> str:
        query: Mapping[str, str] = wanted.query(**changes)
        return f"{path}?{urlencode(query)}" if query else path

    return link


def _gateways(facts: FleetFacts, wanted: FleetFilter) -> list[GatewayLine]:
    """Those of the wanted plant, the offline first."""
    seen = [gateway for gateway in facts.gateways if wanted.plant in ("", gateway.plant_id)]
    seen.sort(key=lambda gateway: (gateway.connection == "online", gateway.plant_id, gateway.gateway_id))
    return seen[:GATEWAYS_SHOWN_MAX]
