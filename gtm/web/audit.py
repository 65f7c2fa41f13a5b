"""Requests that were refused at the door to orders in, few enough events out: an attacker must not fill the history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from gtm.web import node

EVERY_S = 60.0
ONE_BY_ONE = 3  # of one caller and reason in a minute: each is an event; how many more there were, one at its end
MOST = 16  # callers and reasons told apart in a minute; the others are counted together
OTHERS = "others"


class Audit:
    """Writes an event for each refusal while they are few. `later` calls back after some seconds, as the loop does."""

    def __init__(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        self._later = later
        self._seen: Counter[tuple[str, str]] = Counter()  # who and why, in this minute

    def denied(self, of: node.WebNode, who: str, code: str, what: str) -> None:
        """Take note of one refusal."""
        if not self._seen:
            self._later(EVERY_S, lambda: self._flush(of))
        key = who, code
        if key not in self._seen and len(self._seen) >= MOST:
            key = OTHERS, "denied"
        self._seen[key] += 1
        if self._seen[key] <= ONE_BY_ONE:
            of.denied(key[0], f"{key[1]}: {what}")

    def _flush(self, of: node.WebNode) -> None:
        seen, self._seen = self._seen, Counter()
        for (who, code), count in seen.items():
            if count > ONE_BY_ONE:
                of.denied(who, f"{code}: {count - ONE_BY_ONE:,} times more within a minute")
