"""A press's page as HTML: its moving parts as a snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote
from uuid import UUID

from markupsafe import Markup

from cloud.alarms.domain import Alarm
from cloud.telemetry.store import StoredChange, StoredShot
from cloud.web.drift_view import press_drift
from cloud.web.fleet_view import PressFacts, failure_gauge, tile_of
from cloud.web.happenings import happening_text
from cloud.web.live import Snapshot
from cloud.web.outlook_view import FIRST_MODES, LIFE_SHOWN_H, outlook_of
from cloud.web.press_choices import Place
from cloud.web.press_query import PressQuery
from cloud.web.press_view import SHOTS_SHOWN, parameters_of, quality_of, shot_table
from cloud.web.production_view import production_of
from cloud.web.shell import Shell
from cloud.web.translation import Catalogue
from contract.model_orders import PressReport

ALARMS_SHOWN = 10


@dataclass(frozen=True, slots=True, eq=False)
class PressPageFacts:
    """All that a press's page shows at one moment.

    `rows` are the newest shots, newest first; `table_rows` those of the table, older than `before` where given, and
    more than SHOTS_SHOWN when older ones follow.
    """

    press: PressFacts
    changed_ms: int | None
    rows: Sequence[StoredShot]
    table_rows: Sequence[StoredShot]
    alarms: Sequence[Alarm]
    threshold: float
    verdicts: Mapping[UUID, str] = field(default_factory=dict)
    """What engineers have said of these alarms."""
    changes: Sequence[StoredChange] = ()
    """What changed of what the press is set up for, the newest first."""
    before: int | None = None
    pinned_id: int | None = None
    report: PressReport | None = None
    """What its gateway last said of the models and the baseline of the press."""
    reported_ms: int | None = None


def press_url(plant_id: str, press_id: str) -> str:
    """The path of a press's page."""
    return f"/plants/{quote(plant_id, safe='')}/presses/{quote(press_id, safe='')}"


def press_snapshot(shell: Shell, t: Catalogue, facts: PressPageFacts, query: PressQuery) -> Snapshot:
    """The moving parts of one press's page."""
    newest = facts.press.shot
    table = shot_table(facts.table_rows)
    url = press_url(facts.press.plant_id, facts.press.press_id)
    place = Place(url, facts.pinned_id, facts.before)
    report = facts.report
    baseline = report.baseline if report is not None else None
    drift = None
    if report is not None:
        drift = press_drift(facts.press.plant_id, facts.press.press_id, report, facts.reported_ms)
    has_older = len(facts.table_rows) > SHOTS_SHOWN
    pieces = {
        "press-readings": shell.fragment(
            "press_readings.html",
            t,
            tile=tile_of(facts.press, threshold=facts.threshold),
            gateway_id=facts.press.gateway_id,
            changed_ms=facts.changed_ms,
            cycle_counter=newest.scored.shot.cycle_counter if newest else None,
        ),
        "press-alarms": shell.fragment(
            "press_alarms.html", t, alarms=facts.alarms[:ALARMS_SHOWN], verdicts=facts.verdicts
        ),
        "press-quality": shell.fragment("press_quality.html", t, quality=quality_of(facts.rows)),
        "press-production": _production_html(shell, t, facts),
        "press-outlook": shell.fragment(
            "press_outlook.html",
            t,
            outlook=outlook_of(facts.rows, baseline, threshold=facts.threshold),
            baseline=baseline,
            first_modes=FIRST_MODES,
            life_shown_h=LIFE_SHOWN_H,
        ),
        "press-baseline": shell.fragment("press_baseline.html", t, baseline=baseline, drift=drift),
        "press-values": values_html(shell, t, newest),
        "press-shots": shell.fragment(
            "press_shots.html",
            t,
            table=table,
            has_quality=any(row.scored.scores.quality_class for row, _ in table.rows),
            pinned_id=facts.pinned_id,
            failures={row.row_id: _failure(row, facts.threshold) for row, _ in table.rows},
            shot_urls={row.row_id: Place(url, row.row_id).url(query) for row, _ in table.rows},
            compare_urls={
                row.row_id: place.url(query.compared(row.row_id), f"shot-{row.row_id}") for row, _ in table.rows
            },
            letters=query.letters,
            older_url=replace(place, before=table.rows[-1][0].row_id).url(query, "shots-title") if has_older else None,
            newest_url=replace(place, before=None).url(query, "shots-title") if facts.before is not None else None,
        ),
    }
    return Snapshot(pieces, shots=str(newest.row_id) if newest else "")


def moving(snapshot: Snapshot, *, is_latest: bool) -> Snapshot:
    """What a stream may replace: beside an older shot or page of shots, the table and the values stand still."""
    if is_latest:
        return snapshot
    kept = {name: html for name, html in snapshot.pieces.items() if name not in ("press-shots", "press-values")}
    return replace(snapshot, pieces=kept)


def values_html(shell: Shell, t: Catalogue, row: StoredShot | None) -> Markup:
    """All parameters of one shot."""
    html = shell.fragment("press_values.html", t, parameters=parameters_of(row) if row else ())
    return Markup(html)  # noqa: S704 - our own template's output


def _production_html(shell: Shell, t: Catalogue, facts: PressPageFacts) -> str:
    production = production_of(facts.rows, facts.changes)
    changes = production.changes if production is not None else ()
    return shell.fragment(
        "press_production.html",
        t,
        production=production,
        changes=[(each.at_ms, happening_text(t, each)) for each in changes],
        log_url=f"{press_url(facts.press.plant_id, facts.press.press_id)}/log",
    )


def _failure(row: StoredShot, threshold: float) -> float | None:
    gauge = failure_gauge(row.scored.scores, threshold=threshold)
    return gauge.value if gauge else None
