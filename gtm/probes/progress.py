"""Looks at one live playlist in, how it moves out: its age, speed and breaks. Arithmetic; the clock is an argument.

A frozen stream answers 200 for ever; what tells is the age of the edge, on the monotonic clock from the last time that
it was seen to advance. The same holds for a manifest of DASH, whose edge is a time.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from typing import Any

EDGES = 16  # more servers than that do not answer by turns behind one address
RATE_SPAN_S = 60.0  # below it, the moment of the look outweighs what drifts (streaming.md, section 2)
RATE_KEPT_S = 180.0  # long enough to even out uneven segments, short enough to see a new drift
POINTS = 256
BREAKS_S = 60.0


@dataclass(slots=True)
class Progress:
    """What is remembered of one playlist. Times are the monotonic clock's, save `end`: the latest of its own dates."""

    edges: collections.deque[tuple[Any, float | None]] = field(default_factory=lambda: collections.deque(maxlen=EDGES))
    advanced_s: float = 0.0
    looked_s: float = 0.0
    epochs: int = 0
    end: float | None = None
    back_s: float = 0.0
    _grown_s: float = 0.0
    _points: collections.deque[tuple[float, float, float]] = field(
        default_factory=lambda: collections.deque(maxlen=POINTS)
    )
    _breaks: collections.deque[float] = field(default_factory=lambda: collections.deque(maxlen=POINTS))

    @property
    def edge(self) -> Any:
        """The newest edge that was seen, None before the first look."""
        return self.edges[-1][0] if self.edges else None

    def see(
        self,
        edge: Any,
        now_s: float,
        *,
        end: float | None = None,
        first_age_s: float = 0.0,
        grown_s: float = 0.0,
        breaks: int = 0,
    ) -> bool:
        """Take one look; say whether the stream has advanced. `grown_s` and `breaks` are of what is new.

        Any edge that was not seen lately is an advance: a packager that began anew falls and then grows, which is no
        failure, and frozen servers behind one address that answer by turns repeat themselves, which is one. What tells
        a repetition from the numbers of a new beginning is `end`, the stream's own date of the edge.
        """
        before_s, self.looked_s = self.looked_s, now_s
        seen = edge, None if end is None else round(end, 3)
        if not self.edges:
            self.edges.append(seen)
            self.advanced_s = now_s - first_age_s
            return False
        if edge == self.edge or seen in self.edges:
            return False
        if edge < self.edge:
            self.epochs += 1
            self._points.clear()
        else:
            self._grown_s += grown_s
            self._breaks.extend([now_s] * min(breaks, POINTS))
            self._points.append((before_s, now_s, self._grown_s))
            while now_s - self._points[0][1] > RATE_KEPT_S:
                self._points.popleft()
        self.edges.append(seen)
        self.advanced_s = now_s
        return True

    def date(self, end: float | None) -> None:
        """Take the end of the newest segment by the stream's own dates: a stream in a loop goes back in time."""
        if end is None:
            return
        self.back_s = 0.0 if self.end is None else max(0.0, self.end - end)
        self.end = end if self.end is None else max(self.end, end)

    def age_s(self, now_s: float) -> float:
        """Return the seconds since the stream last advanced."""
        return max(0.0, now_s - self.advanced_s)

    def rate(self) -> float | None:
        """Return the seconds of media that came in each second, at most; None before there is a minute of them.

        An advance happened between two looks: the span counts from the end of the first to the beginning of the last,
        so that a slow cadence never makes a good stream look slow.
        """
        if not self._points:
            return None
        (_, from_s, first), (until_s, _, last) = self._points[0], self._points[-1]
        span_s = until_s - from_s
        return (last - first) / span_s if span_s >= RATE_SPAN_S else None

    def breaks(self, now_s: float) -> int:
        """Return how many discontinuities came in the last minute."""
        while self._breaks and now_s - self._breaks[0] > BREAKS_S:
            self._breaks.popleft()
        return len(self._breaks)
