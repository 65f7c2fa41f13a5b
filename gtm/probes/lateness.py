"""How late each probe left in; the longest wait lately out, and a word when there is too much to do."""

from __future__ import annotations

from collections.abc import Callable

from gtm import units

# How late probes leave is told for the last one to two windows: no scrape of metrics misses it.
WINDOW_S = 60.0
# From here on it is said: intervals are seconds, so a node that is later than this looks less often than it should.
LATE_S = 1.0


class Lateness:
    """Keeps the longest wait. `tell` gets (before, after, why), once when probes leave late and once when no more."""

    def __init__(self, tell: Callable[[str, str, str], None]) -> None:
        self._tell = tell
        self._late = False
        self._before_s = self._longest_s = self._until_s = 0.0  # the window before this one, this one, and its end

    def left(self, late_s: float, now: float) -> None:
        """Take note that a probe left `late_s` after it was due."""
        self._turn(now)
        self._longest_s = max(self._longest_s, late_s)
        if not self._late and late_s >= LATE_S:
            self._late = True
            why = f"probes leave {units.show_seconds(round(late_s, 1))} late: too many checks for this machine"
            self._tell("on time", "late", why)
        elif self._late and self.longest_s(now) < LATE_S:
            self._late = False
            self._tell("late", "on time", "every probe of the last minute left within a second")

    def longest_s(self, now: float) -> float:
        """Return the longest wait in the last one to two windows."""
        self._turn(now)
        return max(self._before_s, self._longest_s)

    def _turn(self, now: float) -> None:
        if now >= self._until_s:
            soon = now < self._until_s + WINDOW_S
            self._before_s, self._longest_s = (self._longest_s if soon else 0.0), 0.0
            self._until_s = now + WINDOW_S
