"""When to tell which gateway what is durable: soon after new data, then again in case the word was lost. Pure."""

from cloud.telemetry.store import GatewayKey

AFTER_S_MIN = 0.2
AGAIN_S = 1.0
AGAIN_FOR_S = 10.0

Epoch = tuple[GatewayKey, str]


class CommitSchedule:
    """At most every 200 ms for each gateway's epoch, and once a second for ten seconds after its last record."""

    def __init__(self) -> None:
        self._last_record_s: dict[Epoch, float] = {}
        self._last_told_s: dict[Epoch, float] = {}
        self._due: set[Epoch] = set()

    def stored(self, gateway: GatewayKey, epoch: str, now_s: float) -> None:
        """Records of this epoch were stored, or came again."""
        self._last_record_s[gateway, epoch] = now_s
        self._due.add((gateway, epoch))

    def born(self, gateway: GatewayKey, epoch: str, now_s: float) -> None:
        """The gateway begins a session: it wants to know at once where it stands."""
        self._last_told_s.pop((gateway, epoch), None)
        self.stored(gateway, epoch, now_s)

    def take_due(self, now_s: float) -> list[Epoch]:
        """Whom to tell now; the answer counts as told."""
        for key, record_s in list(self._last_record_s.items()):
            if now_s - record_s > AGAIN_FOR_S:
                del self._last_record_s[key]
            elif now_s - self._last_told_s.get(key, -AGAIN_S) >= AGAIN_S:
                self._due.add(key)
        told = [key for key in self._due if now_s - self._last_told_s.get(key, -AFTER_S_MIN) >= AFTER_S_MIN]
        for key in told:
            self._due.discard(key)
            self._last_told_s[key] = now_s
        return told
