"""The fleet of one tenant in memory for its overview: read once, then only what has changed since."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession

from cloud.alarms import reading as alarms_reading
from cloud.alarms.domain import Alarm
from cloud.core import events
from cloud.core.live import Live
from cloud.core.tenants import TenantId
from cloud.fleet import reading
from cloud.fleet.domain import JOURNAL_RECORDS, LAG_SECONDS, Gateway, Presence, State
from cloud.fleet.service import PRESS_MOVED, PRESS_REGISTERED, PRESS_STATE_CHANGED
from cloud.production.reading import Report
from cloud.telemetry.store import PressKey, StoredShot
from cloud.web.fleet_view import AlarmLine, FleetFacts, GatewayLine, PressFacts

PRESS_EVENTS = frozenset({PRESS_REGISTERED, PRESS_STATE_CHANGED, PRESS_MOVED})
CLOCK_OFF_S_MAX = 60.0
"""A gateway whose clock is further off gives its shots times that mislead."""

GatewayId = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """Which versions of what the index has read."""

    fleet: int = -1
    alarms: int = -1


class FleetIndex:
    """What `FleetFacts` are made of; a press whose facts have not changed keeps the same `PressFacts`.

    Whole rows of 10,000 presses cost half a second to read; their events since the last look cost a few milliseconds.
    """

    def __init__(self, tenant_id: TenantId, live: Live, threshold: float) -> None:
        self._tenant_id = tenant_id
        self._live = live
        self._threshold = threshold
        self._seen = Seen()
        self._position: int | None = None
        self._presences: dict[PressKey, Presence] = {}
        self._gateways: list[Gateway] = []
        self._out_of_reach: frozenset[GatewayId] = frozenset()
        self._alarms: Mapping[PressKey, Sequence[AlarmLine]] = {}
        self._latest: list[StoredShot] = []
        self._shots: dict[PressKey, StoredShot] = {}
        self._report: Report | None = None
        self._presses: dict[PressKey, PressFacts] = {}
        self._lines: list[GatewayLine] = []

    async def look(self, session: AsyncSession) -> set[PressKey]:
        """Read what has changed in the database; the presses that are to be shown anew."""
        version = Seen(self._live.fleet.version, self._live.alarms.version)
        dirty: set[PressKey] = set()
        if version.fleet != self._seen.fleet:
            dirty |= await self._read_fleet(session)
        if version.alarms != self._seen.alarms:
            lines = alarm_lines(await alarms_reading.open_alarms(session, self._tenant_id))
            dirty |= _different(self._alarms, lines)
            self._alarms = lines
        self._seen = version
        return dirty

    async def _read_fleet(self, session: AsyncSession) -> set[PressKey]:
        self._gateways = await reading.whole_gateways(session, self._tenant_id)
        self._lines = [gateway_line(gateway) for gateway in self._gateways]
        away = frozenset((g.plant_id, g.gateway_id) for g in self._gateways if g.state != "online")
        turned, self._out_of_reach = away ^ self._out_of_reach, away
        dirty = {key for key, p in self._presences.items() if (p.plant_id, p.gateway_id) in turned} if turned else set()
        news = None
        if self._position is not None:
            news = await events.since(session, self._tenant_id, self._position, PRESS_EVENTS)
        if news is None:
            self._position = await events.newest(session)
            self._presences = {
                PressKey(found.plant_id, found.press_id): found
                for found in await reading.presences(session, self._tenant_id)
            }
            return set(self._presences)
        for event in news:
            dirty.add(self._apply(event))
            self._position = event.event_id
        return dirty

    def _apply(self, event: events.Event) -> PressKey:
        payload = event.payload
        key = PressKey(payload["plant_id"], payload["press_id"])
        state: State = payload.get("state", "offline")
        known = self._presences.get(key) or Presence(
            key.plant_id, key.press_id, payload["gateway_id"], state, event.created_ms, event.created_ms
        )
        since_ms = event.created_ms if event.kind == PRESS_STATE_CHANGED else known.state_since_ms
        state = state if event.kind == PRESS_STATE_CHANGED else known.state
        self._presences[key] = replace(known, gateway_id=payload["gateway_id"], state=state, state_since_ms=since_ms)
        return key

    def facts(self, latest: Mapping[PressKey, StoredShot], report: Report | None, dirty: set[PressKey]) -> FleetFacts:
        """The facts with these newest shots and this report; a few milliseconds for 10,000 presses."""
        rows = list(latest.values())
        known = len(self._latest)
        fresh = [row for old, row in zip(self._latest, rows, strict=False) if old is not row] + rows[known:]
        self._latest = rows
        for row in fresh:
            self._shots[row.press] = row
            dirty.add(row.press)
        if report is not self._report:
            dirty |= self._of_another_pace(report)
            self._report = report
        has_new = False
        for key in dirty & self._presences.keys():
            has_new |= key not in self._presses
            self._presses[key] = self._press(key)
        if has_new:
            self._presses = {key: self._presses[key] for key in sorted(self._presses)}
        return FleetFacts(list(self._presses.values()), self._lines, self._threshold, report)

    def _press(self, key: PressKey) -> PressFacts:
        presence = self._presences[key]
        shot = self._shots.get(key)
        is_away = (presence.plant_id, presence.gateway_id) in self._out_of_reach
        return PressFacts(
            key.plant_id,
            key.press_id,
            presence.gateway_id,
            "offline" if is_away else presence.state,
            shot,
            tuple(self._alarms.get(key, ())),
            expected_s=_expected_s(self._report, key, shot),
        )

    def _of_another_pace(self, report: Report | None) -> set[PressKey]:
        """The presses of which this report expects another cycle time than they show."""
        return {
            key
            for key, press in self._presses.items()
            if press.expected_s != _expected_s(report, key, self._shots.get(key))
        }


def _expected_s(report: Report | None, key: PressKey, shot: StoredShot | None) -> float | None:
    if report is None or shot is None:
        return None
    expected = report.expected.get((key.plant_id, key.press_id, shot.scored.shot.mould_id))
    return None if expected is None else expected.cycle_s


def _different(
    before: Mapping[PressKey, Sequence[AlarmLine]], after: Mapping[PressKey, Sequence[AlarmLine]]
) -> set[PressKey]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def alarm_lines(alarms: Iterable[Alarm]) -> dict[PressKey, list[AlarmLine]]:
    """The active alarms as tiles name them, by press."""
    found: dict[PressKey, list[AlarmLine]] = {}
    for alarm in alarms:
        if alarm.is_active:
            line = AlarmLine(str(alarm.alarm_id), alarm.mode, alarm.raised_ms, alarm.state == "active_acknowledged")
            found.setdefault(PressKey(alarm.plant_id, alarm.press_id), []).append(line)
    return found


def gateway_line(gateway: Gateway) -> GatewayLine:
    """A gateway as the strip shows it."""
    records, offset_s = gateway.health.get(JOURNAL_RECORDS), gateway.clock_offset_s
    return GatewayLine(
        plant_id=gateway.plant_id,
        gateway_id=gateway.gateway_id,
        connection=gateway.state,
        changed_ms=gateway.state_since_ms,
        journal_depth=None if records is None else round(records),
        lag_s=gateway.health.get(LAG_SECONDS),
        clock_off_s=offset_s if offset_s is not None and abs(offset_s) > CLOCK_OFF_S_MAX else None,
    )
