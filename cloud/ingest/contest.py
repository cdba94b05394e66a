"""What a host does about STATE messages under its id that are not its own: when it answers, when it tells. Pure."""

import math

ANSWER_AGAIN_S = 1.0
"""The first offline STATE is answered at once, as the specification asks; a stream of them at most every second."""
ONLINE_AGAIN_S = 60.0
"""Our answer to another host's online is what tells that host of us; two hosts that answer each other stay at this."""
TOLD_AGAIN_S = 600.0
CONTESTED_FOR_S = 180.0
"""A second host answers us every ONLINE_AGAIN_S: after three times that in silence it is gone."""


class Contest:
    """Told of each contest as it comes; asked when an answer is due, which is never dropped for good."""

    def __init__(self) -> None:
        self._is_due = False
        self._answered_s = self._online_answered_s = self._told_s = self._seen_s = -math.inf

    def contested(self) -> None:
        """Our topic says offline: it must say online again."""
        self._is_due = True

    def rival_seen(self, now_s: float, *, is_online: bool) -> bool:
        """Another host goes by our id; whether that is news for people."""
        self._seen_s = now_s
        if is_online and now_s - self._online_answered_s >= ONLINE_AGAIN_S:
            self._online_answered_s = now_s
            self._is_due = True
        if now_s - self._told_s < TOLD_AGAIN_S:
            return False
        self._told_s = now_s
        return True

    def has_rival(self, now_s: float) -> bool:
        """Whether another host was seen of late."""
        return now_s - self._seen_s < CONTESTED_FOR_S

    def wait_s(self, now_s: float) -> float:
        """How long until an answer is due; infinite when none is."""
        return max(0.0, self._answered_s + ANSWER_AGAIN_S - now_s) if self._is_due else math.inf

    def take_due(self, now_s: float) -> bool:
        """Whether to say online now; it counts as said."""
        if self.wait_s(now_s) > 0:
            return False
        self._answered_s, self._is_due = now_s, False
        return True
