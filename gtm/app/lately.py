"""Workers' counts in, how often each name was answered from each pool in the last minutes out."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Mapping

# Long enough to smooth a lull, short enough to follow the evening's audience.
BUCKETS, BUCKET_S = 5, 60.0


class Lately:
    """Answers by (name, pool) over the last five minutes."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now` is the monotonic clock in seconds."""
        self._now = now
        self._buckets: collections.deque[tuple[float, collections.Counter[tuple[str, ...]]]] = collections.deque(
            maxlen=BUCKETS
        )

    def add(self, answered: Mapping[tuple[str, ...], int]) -> None:
        """Take what was answered since the last time."""
        if answered:
            if not self._buckets or self._now() >= self._buckets[-1][0] + BUCKET_S:
                self._buckets.append((self._now(), collections.Counter()))
            self._buckets[-1][1].update(answered)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many answers each name had from each pool."""
        oldest = self._now() - BUCKETS * BUCKET_S
        total: collections.Counter[tuple[str, ...]] = collections.Counter()
        for began_s, bucket in self._buckets:
            if began_s >= oldest:
                total.update(bucket)
        return {(name, pool): number for (name, pool), number in total.items()}
