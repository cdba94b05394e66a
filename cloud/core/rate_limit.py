"""How often one key may do something: a token bucket for each, bounded in number. Pure."""

from collections import OrderedDict

KEYS_MAX = 100_000


class RateLimit:
    """`burst` at once, then `per_s` a second, for each key (an address, a login name, an API key).

    At `keys_max` keys the one that has been still for longest is forgotten.
    """

    def __init__(self, *, per_s: float, burst: int, keys_max: int = KEYS_MAX) -> None:
        assert per_s > 0
        assert burst >= 1
        assert keys_max >= 1
        self._per_s = per_s
        self._burst = burst
        self._keys_max = keys_max
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key -> (tokens, as of monotonic s)

    def take(self, key: str, now_s: float) -> float:
        """Take one token: 0.0 when there was one, else the seconds until there is (nothing is taken then)."""
        tokens, at_s = self._buckets.pop(key, (float(self._burst), now_s))
        tokens = min(self._burst, tokens + (now_s - at_s) * self._per_s)
        is_allowed = tokens >= 1.0
        self._buckets[key] = (tokens - 1.0 if is_allowed else tokens), now_s
        if len(self._buckets) > self._keys_max:
            self._buckets.popitem(last=False)
        return 0.0 if is_allowed else (1.0 - tokens) / self._per_s
