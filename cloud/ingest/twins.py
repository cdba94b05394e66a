"""Two programs under one gateway's name: how that is known, and which of them is refused. Pure."""

from collections import deque
from dataclasses import dataclass, field

from cloud.telemetry.store import GatewayKey

INSTANCES_KEPT_MAX = 8
RETURNS_MIN = 2
"""A birth may be delivered late once; a program that comes back twice behind another is alive."""
RETURNS_WITHIN_S = 600.0
REFUSED_FOR_S = 1_800.0
ALONE_AFTER_S = 60.0
"""A refused program stays away for two minutes: when nobody else was born meanwhile, it is alone."""


@dataclass(slots=True)
class _Seen:
    instances: deque[str] = field(default_factory=lambda: deque(maxlen=INSTANCES_KEPT_MAX))
    """In the order of their first birth."""
    current: str = ""
    current_born_s: float = 0.0
    returns_s: deque[float] = field(default_factory=lambda: deque(maxlen=RETURNS_MIN))
    refused: dict[str, float] = field(default_factory=dict)


class Twins:
    """Tells from births alone: each start of a gateway's program is a new instance, and the old one never returns.

    When one does return, two programs take the connection from each other in turn. The one that came last is refused:
    its records stay in its own journal, and the other goes on undisturbed.
    """

    def __init__(self) -> None:
        self._seen: dict[GatewayKey, _Seen] = {}

    def born(self, gateway: GatewayKey, instance: str, now_s: float) -> None:
        """A gateway was born as `instance`; ask `is_refused` next."""
        seen = self._seen.setdefault(gateway, _Seen())
        if instance not in seen.instances:
            seen.instances.append(instance)
        elif instance != seen.current:
            seen.returns_s.append(now_s)
            if len(seen.returns_s) == RETURNS_MIN and now_s - seen.returns_s[0] <= RETURNS_WITHIN_S:
                seen.refused[seen.instances[-1]] = now_s
                seen.returns_s.clear()
        elif now_s - seen.current_born_s >= ALONE_AFTER_S:
            seen.refused.pop(instance, None)
        seen.current, seen.current_born_s = instance, now_s

    def is_refused(self, gateway: GatewayKey, now_s: float) -> bool:
        """Whether what this gateway sends now comes from the program that is refused."""
        seen = self._seen.get(gateway)
        if seen is None or seen.current not in seen.refused:
            return False
        if now_s - seen.refused[seen.current] > REFUSED_FOR_S:
            del seen.refused[seen.current]
            return False
        return True

    def current(self, gateway: GatewayKey) -> str:
        """The instance that was born last; empty when none was."""
        seen = self._seen.get(gateway)
        return seen.current if seen is not None else ""
