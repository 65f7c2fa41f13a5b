"""Rings that go out and their acknowledgements in, until when an answer that holds an endpoint may live on out.

The proof of a drain (semantics D3): an endpoint is out of the answers from the moment when every worker has
acknowledged the last ring that replaced one with it, and what was answered until then dies its TTL later. This is
honest without counting: no answer is missed, and none is guessed.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Collection, Iterable, Mapping

from gtm import table

# Swaps that not every worker has acknowledged. A worker that cannot start acknowledges nothing, for as long as that may
# last; then what more there is counts as replaced by the newest swap: never sooner than is so.
MOST_LEAVING = 256
# Endpoints whose last answers have died, or are about to: twice as many as a node may have. Beyond it the one whose end
# was found longest ago is forgotten; names of endpoints that come with each reload are without end.
MOST_ENDS = 20_000


class Lingering:
    """What resolvers may still hold. All times are monotonic seconds."""

    def __init__(self) -> None:
        self._rings: dict[int, table.Ring] = {}
        self._holding: collections.Counter[str] = collections.Counter()  # rings in force, by endpoint
        self._leaving: collections.deque[tuple[int, dict[str, int]]] = collections.deque()
        self._ends_s: dict[str, float] = {}
        self._since_s = math.inf  # from when on all answers come from tables of this process

    def swapped(self, revision: int, rings: Mapping[int, table.Ring], *, whole: bool = False) -> None:
        """Take rings that were sent to the workers; `whole`: they are all that there are."""
        gone: dict[str, int] = {}
        for index in tuple(self._rings) if whole else rings:
            before = self._rings.pop(index, None)
            if before is not None:
                for endpoint in _held(before):
                    self._holding[endpoint] -= 1
                    if not self._holding[endpoint]:
                        del self._holding[endpoint]
                    gone[endpoint] = max(gone.get(endpoint, 0), before.ttl_s)
        for index, ring in rings.items():
            self._rings[index] = ring
            self._holding.update(_held(ring))
        if len(self._leaving) >= MOST_LEAVING:
            for endpoint, ttl_s in self._leaving.pop()[1].items():
                gone[endpoint] = max(gone.get(endpoint, 0), ttl_s)
        self._leaving.append((revision, gone))

    def acknowledged(self, by_all: Callable[[int], bool], now: float) -> None:
        """Take note of what every worker has swapped to by now: what it replaced is answered no more."""
        while self._leaving and by_all(self._leaving[0][0]):
            self._since_s = min(self._since_s, now)
            for endpoint, ttl_s in self._leaving.popleft()[1].items():
                self._ends_s[endpoint] = max(self._ends_s.pop(endpoint, 0.0), now + ttl_s)
        while len(self._ends_s) > MOST_ENDS:
            del self._ends_s[next(iter(self._ends_s))]

    def begin_again(self, now: float) -> None:
        """Answers from tables of another process may have been given until now."""
        self._since_s = now

    def until_s(self, endpoints: Collection[str], bound_s: float) -> float | None:
        """Return when the last answer that holds any of `endpoints` has died; None while they are answered.

        `bound_s` is the longest TTL that an answer of an earlier process can have had; 0 when it is known that there
        was none.
        """
        if math.isinf(self._since_s) or any(self._holding[one] > 0 for one in endpoints):
            return None
        if any(one in gone for _, gone in self._leaving for one in endpoints):
            return None
        return max(self._since_s + bound_s, *(self._ends_s.get(one, 0.0) for one in endpoints))


def _held(ring: table.Ring) -> Iterable[str]:
    return {endpoint for reply in ring.endpoints for endpoint in reply if endpoint}
