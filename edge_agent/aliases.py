"""Sparkplug aliases of this gateway: given once a metric, in memory at first, durable before they are used."""

from collections.abc import Iterable

from contract import shot_wire
from contract.commit import EPOCH
from contract.shot_wire import AliasOf
from contract.sparkplug.codec import Metric, PropertyValue
from contract.sparkplug.datatypes import DataType
from edge_agent.journal.journal import Alias

ALIASES_A_PRESS_MAX = 1_000
EVERY_RECORD = (
    (shot_wire.JOURNAL_ID, DataType.UInt64),
    (EPOCH, DataType.UUID),
    (shot_wire.ENDED, DataType.DateTime),
    (shot_wire.GAP, DataType.String),
    (shot_wire.LAST_ID, DataType.UInt64),
    (shot_wire.GAP_PRESSES, DataType.StringArray),
    (shot_wire.GAP_REASONS, DataType.StringArray),
    (shot_wire.GAP_COUNTS, DataType.UInt64Array),
    (shot_wire.GAP_FROM, DataType.DateTimeArray),
    (shot_wire.GAP_TO, DataType.DateTimeArray),
    (shot_wire.CURVES_DROPPED, DataType.String),
)
"""Given to a press at once: a full journal must be able to give things up without new aliases."""


class AliasTable:
    """All aliases of all presses; they are unique in the whole gateway, as Sparkplug wants."""

    def __init__(self, saved: Iterable[Alias]) -> None:
        self._by_press: dict[str, dict[str, Alias]] = {}
        self._last = 0
        self._unsaved: list[Alias] = []
        for alias in saved:
            self._by_press.setdefault(alias.press_id, {})[alias.metric] = alias
            self._last = max(self._last, alias.alias)

    def presses(self) -> list[str]:
        """The presses that have aliases."""
        return list(self._by_press)

    def add_press(self, press_id: str) -> None:
        """Give a press the aliases that every record needs."""
        alias_of = self.of(press_id)
        for metric, datatype in EVERY_RECORD:
            alias_of(metric, datatype)

    def of(self, press_id: str) -> AliasOf:
        """The aliases of one press; an unknown metric gets the next number."""
        known = self._by_press.setdefault(press_id, {})

        def alias_of(metric: str, datatype: DataType) -> int:
            if metric not in known:
                assert len(known) < ALIASES_A_PRESS_MAX
                self._last += 1
                known[metric] = Alias(press_id, metric, self._last, int(datatype))
                self._unsaved.append(known[metric])
            return known[metric].alias

        return alias_of

    def take_unsaved(self) -> list[Alias]:
        """The aliases given since the last call: to be made durable before any record that uses them."""
        unsaved, self._unsaved = self._unsaved, []
        return unsaved

    def count(self, press_id: str) -> int:
        """How many aliases a press has: a birth that declared fewer is out of date."""
        return len(self._by_press.get(press_id, {}))

    def birth_metrics(self, press_id: str, now_ms: int) -> list[Metric]:
        """Every metric that a record of this press may carry, by name, alias, datatype and unit, without a value."""
        return [
            Metric(
                alias.metric,
                None,
                DataType(alias.datatype),
                alias=alias.alias,
                timestamp_ms=now_ms,
                properties=_unit_property(alias.metric),
            )
            for alias in self._by_press[press_id].values()
        ]


def _unit_property(metric: str) -> dict[str, PropertyValue] | None:
    """The unit as the property that Ignition and others show: `engUnit`."""
    unit = shot_wire.unit_of(metric)
    return {"engUnit": PropertyValue(unit, DataType.String)} if unit else None
