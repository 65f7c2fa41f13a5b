"""Addresses and the time in, whether they may ask again out: a bound on requests for each client."""

from __future__ import annotations

from collections import OrderedDict

RATE_PER_S = 200.0  # far above what a page, a scraper and a drill ask for together
BURST = 400.0
MAX_CLIENTS = 1024  # the one that has been quiet longest is forgotten first


class Buckets:
    """A token bucket for each client address."""

    def __init__(self, rate_per_s: float = RATE_PER_S, burst: float = BURST, max_clients: int = MAX_CLIENTS) -> None:
        self._rate_per_s, self._burst, self._max_clients = rate_per_s, burst, max_clients
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, now_s: float) -> bool:
        """Take one request from `client`'s bucket; False when it is empty. `now_s` is the monotonic clock."""
        left, then_s = self._left.pop(client, (self._burst, now_s))
        left = min(self._burst, left + (now_s - then_s) * self._rate_per_s)
        may = left >= 1
        self._left[client] = (left - 1 if may else left, now_s)
        if len(self._left) > self._max_clients:
            self._left.popitem(last=False)
        return may
