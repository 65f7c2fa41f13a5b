"""Observations in, bucket counts out: a histogram as plain numbers."""

from __future__ import annotations

from gtm.web import node as desk


class Meter:
    """Counts observations by upper bound (seconds). Bounded: it never grows with what it is told."""

    # From one millisecond (loopback) to a slow probe's whole timeout, about three to a decade.
    BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

    def __init__(self) -> None:
        self._counts = [0] * len(self.BOUNDS_S)
        self.count, self.sum_s = 0, 0.0

    def add(self, value_s: float) -> None:
        """Take one observation in."""
        self.count += 1
        self.sum_s += value_s
        for at, bound in enumerate(self.BOUNDS_S):
            if value_s <= bound:
                self._counts[at] += 1
                break

    def histogram(self) -> desk.Histogram:
        """Return the counts, cumulative by bound."""
        total, buckets = 0, []
        for bound, count in zip(self.BOUNDS_S, self._counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        return desk.Histogram(tuple(buckets), self.count, self.sum_s)
