"""Events in, the log, the counts and the store fed with them out: all at once, but for a flood of one kind.

When this machine has too much to do, or no socket is left, thousands of checks cannot be probed in the same second,
and can be in the next. That is one thing to say, not thousands.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from gtm import events, names

log = logging.getLogger("gtm")

# What an event ends in that somebody on duty wants to see.
ALARMING = frozenset(
    {"down", "failed", "uneven", "tripped", "refused", "unusable", "fallback", "degraded", "last_resort", "late"}
    | {"failing", "given up"}  # of receivers of alerts
)
# What checks say of themselves when they could not be probed; it changes no answer (semantics A7), so it may wait.
_OF_MANY = frozenset({"stale", "fresh"})
# So many of them are told one by one in a second: enough to know who, few enough to read.
ONE_BY_ONE = 10
GATHER_S = 1.0


class Telling:
    """One node's events on their way. `later` calls back after some seconds, as the loop does."""

    def __init__(
        self,
        *,
        count: Callable[[events.Event], None],
        keep: Callable[[events.Event], None],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._count, self._keep, self._later = count, keep, later
        self._gathering = False
        self._left = 0
        self._held: dict[tuple[str, str], tuple[int, events.Event]] = {}  # how many, and the first, by before and after

    def take(self, event: events.Event) -> None:
        """Tell an event, or count it for the word on many that follows within a second."""
        if event.after not in _OF_MANY or event.kind not in {"endpoint", "check"}:
            self._tell(event)
            return
        if not self._gathering:
            self._gathering, self._left = True, ONE_BY_ONE
            self._later(GATHER_S, self.flush)
        if self._left:
            self._left -= 1
            self._tell(event)
            return
        words = event.before, event.after
        count, first = self._held.get(words, (0, event))
        self._held[words] = count + 1, first

    def flush(self) -> None:
        """Tell of those that were only counted."""
        self._gathering = False
        held, self._held = self._held, {}
        for count, first in held.values():
            cause = f"{count:,} checks more within a second; one of {names.shown(first.subject)}: {first.cause}"
            kind, subject = events.MANY
            self._tell(dataclasses.replace(first, kind=kind, subject=subject, cause=cause))

    def _tell(self, event: events.Event) -> None:
        level = logging.WARNING if event.after in ALARMING else logging.INFO
        subject = names.shown(event.subject)
        log.log(level, "%s %s: %s -> %s (%s)", event.kind, subject, event.before, event.after, event.cause)
        self._count(event)
        self._keep(event)
