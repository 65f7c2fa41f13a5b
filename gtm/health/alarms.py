"""Times by key in, the keys whose time has come out: the one heap behind probes, silences and holds."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
# Entries that count no more are borne while there are fewer than alarms and this: when the heap is cleared it has been
# filled anew, so clearing it costs next to nothing for each alarm that is set.
SPARE = 64


class Alarms(Generic[Key]):
    """One alarm a key. An entry of the heap counts only while it is its key's time, so none is searched for.

    Those that count no more are thrown out when they are most: a check in doubt that looks once a second for an hour
    would else leave one for each look until its hour is over.
    """

    def __init__(self, times: Mapping[Key, float] | None = None) -> None:
        self._at: dict[Key, float] = dict(times or {})
        self._tick = 0  # breaks ties, so that keys need no order
        self._heap: list[tuple[float, int, Key]] = []
        for key, at in self._at.items():
            self._push(key, at)

    def set(self, key: Key, at: float) -> None:
        """Let `key` ring at `at`, and at no other time."""
        if self._at.get(key) != at:
            self._at[key] = at
            self._push(key, at)

    def at(self, key: Key) -> float | None:
        """Return when a key rings."""
        return self._at.get(key)

    def rang(self, now: float) -> list[Key]:
        """Return the keys whose time has come, in order of time; each has no alarm any more."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._at.get(key) == at:
                del self._at[key]
                found.append(key)
        return found

    def next_at(self) -> float | None:
        """Return when the next one rings; None when none will."""
        while self._heap:
            at, _, key = self._heap[0]
            if self._at.get(key) == at:
                return at
            heapq.heappop(self._heap)
        return None

    def _push(self, key: Key, at: float) -> None:
        self._tick += 1
        heapq.heappush(self._heap, (at, self._tick, key))
        if len(self._heap) > 2 * len(self._at) + SPARE:
            live = {
                key: (at, tick, key) for at, tick, key in sorted(self._heap, reverse=True) if self._at.get(key) == at
            }
            self._heap = sorted(live.values())
