"""The local alarms at work: shots and the cloud's word come in, calls and readable states go out."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import anyio
import structlog

from contract.alarming import AlarmRules
from contract.shot import ScoredShot
from edge_agent.alarms.local import Announcement, LocalAlarms
from edge_agent.settings import EdgeSettings
from kit.clock import Clock

LOOK_EVERY_S: Final = 1.0
log = structlog.get_logger()


class LocalAlarmWatch:
    """Feeds the alarms and tells what is due; `outputs` are the tasks that others read from.

    An output's libraries are loaded where it is set: Modbus' alone are 10 MiB.
    """

    def __init__(self, settings: EdgeSettings, clock: Clock) -> None:
        alarms = settings.alarms
        self._clock = clock
        self._alarms = LocalAlarms(AlarmRules(), cut_off_after_s=alarms.cut_off_after_s)
        self._presses = [source.press for source in settings.sources.opcua]
        self._was_cut_off = False
        self.outputs: dict[str, Callable[[], Awaitable[None]]] = {}
        self._tell: Callable[[Announcement], None] | None = None
        if alarms.webhook.url:
            from edge_agent.alarms.webhook import LocalWebhook

            webhook = LocalWebhook(
                alarms.webhook.url,
                alarms.webhook.secret.get_secret_value(),
                clock,
                plant_id=settings.gateway.plant,
                gateway_id=settings.gateway.id,
                ca_file=str(alarms.webhook.ca_file or ""),
            )
            self._tell, self.outputs["local_webhook"] = webhook.tell, webhook.run
        if alarms.modbus.port:
            from edge_agent.alarms import modbus

            def registers() -> list[int]:
                return modbus.image(self._alarms, self._presses, clock.monotonic_s())

            self.outputs["modbus"] = lambda: modbus.serve(alarms.modbus.host, alarms.modbus.port, registers)
        if alarms.opcua.endpoint:
            from edge_agent.alarms import opcua

            def values() -> dict[str, opcua.Values]:
                return opcua.values_of(self._alarms, self._presses, clock.monotonic_s())

            self.outputs["opcua_output"] = lambda: opcua.serve(alarms.opcua.endpoint, values, clock)

    def scored(self, shots: Sequence[ScoredShot]) -> None:
        """Shots are durable here, and wait for the cloud."""
        self._alarms.take(shots, self._clock.monotonic_s(), self._clock.utc_ms())

    def heard(self) -> None:
        """The cloud has given its word."""
        self._alarms.heard(self._clock.monotonic_s())

    def health(self, values: Mapping[str, float]) -> None:
        """The gateway's health by name, as it is told to the cloud."""
        self._alarms.count(values, self._clock.monotonic_s(), self._clock.utc_ms())

    async def run(self) -> None:
        """Tell what is due until cancelled."""
        while True:
            self._look()
            await anyio.sleep(LOOK_EVERY_S)

    def _look(self) -> None:
        now_s = self._clock.monotonic_s()
        is_cut_off = self._alarms.is_cut_off(now_s)
        if is_cut_off != self._was_cut_off:
            self._was_cut_off = is_cut_off
            log.warning("cloud_out_of_reach" if is_cut_off else "cloud_in_reach", active=len(self._alarms.active()))
        for announcement in self._alarms.due(now_s):
            alarm = announcement.alarm
            log.warning("local_alarm", kind=announcement.kind, press_id=alarm.press_id, mode=alarm.mode)
            if self._tell is not None:
                self._tell(announcement)
