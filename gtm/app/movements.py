"""Events and the answers of each endpoint over time in; how much of the audience each fall or return moved, out.

Answers are no viewers: a resolver asks once for many. But what it asked before and after is of one kind, so the share
that moved is a fair estimate of the share of viewers that come to move, once they ask again.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gtm import events, names

# As many as a page shows, each with the rates of all endpoints and pools before and after; what fell beyond the first
# subjects of one is in the events.
MOST, MOST_SUBJECTS = 50, 20
TOGETHER_S = 5.0  # what happens within so long is one movement: a site that falls is not forty
# Compared are the minute before and the one that begins when a resolver's answer has died out, as a rule.
BEFORE_S, SETTLES_S, AFTER_S = 60.0, 30.0, 60.0
LEAST_PER_MINUTE = 1.0

# The answers a second of each endpoint (or pool), averaged from one wall-clock moment to another.
Rates = Callable[[str, float, float], Mapping[str, float]]
_TURNS = {
    "endpoint": {"up", "down"},
    "pool": {"failed", "usable"},
    "name": {"first", "fallback", "degraded", "last_resort"},
}


@dataclass(slots=True)
class _Movement:
    at: float
    kind: str
    subjects: list[str]
    before: Mapping[str, Mapping[str, float]]
    cause: str
    after: dict[str, Mapping[str, float]] = field(default_factory=dict)


class Movements:
    """The last movements, each measured once it has settled."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._all: collections.deque[_Movement] = collections.deque(maxlen=MOST)

    def happened(self, event: events.Event) -> None:
        """Take an event; falls, returns and orders begin a movement."""
        moves = event.kind == "order" or (event.after in _TURNS.get(event.kind, ()) and bool(event.before))
        if not moves or event.before == "unknown":
            return
        subject = f"{names.shown(event.subject)}: " + (f"{event.before} → " if event.before else "") + event.after
        if self._all and event.at - self._all[-1].at <= TOGETHER_S:
            if len(self._all[-1].subjects) < MOST_SUBJECTS:
                self._all[-1].subjects.append(subject)
            return
        before = {by: self._rates(by, event.at - BEFORE_S, event.at) for by in ("endpoint", "pool")}
        self._all.append(_Movement(event.at, event.kind, [subject], before, event.cause))

    def look(self, now: float) -> None:
        """Measure the movements that have settled."""
        for one in self._all:
            begin = one.at + SETTLES_S
            if not one.after and now >= begin + AFTER_S:
                one.after = {by: self._rates(by, begin, begin + AFTER_S) for by in ("endpoint", "pool")}

    def show(self, since: float) -> list[Mapping[str, Any]]:
        """Return them in words and numbers, newest first; `settled` says whether the time after is in."""
        return [_shown(one) for one in reversed(self._all) if one.at >= since]


def _shown(one: _Movement) -> Mapping[str, Any]:
    shown: dict[str, Any] = {
        "at": one.at,
        "subjects": list(one.subjects),
        "cause": one.cause,
        "settled": bool(one.after),
    }
    shown["answers_per_minute_before"] = round(60 * sum(one.before["pool"].values()), 1)
    for by, word in (("endpoint", "endpoints"), ("pool", "pools")):
        before, after = one.before[by], one.after.get(by, {})
        lost: list[dict[str, Any]] = []
        won: list[dict[str, Any]] = []
        for name in sorted({*before, *after}) if one.after else ():
            was, became = 60 * before.get(name, 0.0), 60 * after.get(name, 0.0)
            line = {by: name, "before": round(was, 1), "after": round(became, 1)}
            if abs(became - was) >= LEAST_PER_MINUTE:
                (won if became > was else lost).append(line)
        shown[word] = {"from": lost, "to": won}
        moved = min(sum(x["before"] - x["after"] for x in lost), sum(x["after"] - x["before"] for x in won))
        shown[word]["moved_per_minute"] = round(moved, 1)
    return shown
