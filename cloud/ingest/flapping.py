"""Whether a connection is taken away again and again, as by a second host under our MQTT client id. Pure."""

SHORT_S = 10.0
SHORT_LIVES_MAX = 3
PAUSE_S_MIN, PAUSE_S_MAX = 5.0, 60.0
"""Two hosts that take each other's connection every second make all gateways begin anew each time. A broker that dies
again and again looks the same from here, and comes back: the first pause is short, and only who goes on waits long."""


class Flapping:
    """Told of each connection and its end; answers how long to stay away before the next."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._short_lives = 0
        self._pause_s = PAUSE_S_MIN

    def connected(self, now_s: float) -> None:
        """A broker has accepted us."""
        self._since_s = now_s

    def lost(self, now_s: float) -> float:
        """The connection is gone; 0 when it may come back by itself. An attempt that failed is no life."""
        if self._since_s is None:
            return 0.0
        is_short, self._since_s = now_s - self._since_s < SHORT_S, None
        if not is_short:
            self._short_lives, self._pause_s = 0, PAUSE_S_MIN
            return 0.0
        self._short_lives += 1
        if self._short_lives < SHORT_LIVES_MAX:
            return 0.0
        self._short_lives, pause_s = 0, self._pause_s
        self._pause_s = min(2 * pause_s, PAUSE_S_MAX)
        return pause_s
