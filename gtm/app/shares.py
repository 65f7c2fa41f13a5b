"""What rings gave of each endpoint, and what they were to give, in; where the two differ for long, out."""

from __future__ import annotations

import collections
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WINDOW_MINUTES = 10
# A difference counts when it is beyond the noise of so many draws and big enough to matter; and for so many minutes.
SIGMAS = 4.0
LEAST_DIFFERENCE = 0.05
LEAST_DRAWS = 500
PATIENCE_MINUTES = 3

Key = tuple[str, str]  # pool, endpoint


@dataclass(frozen=True, slots=True)
class Share:
    """One member: its shares of its pool's answers in the last minutes (0..1; an answer may hold several members), and
    of how many answers. `differs_s` is for how long they have differed, 0 while they do not.
    """

    pool: str
    endpoint: str
    intended: float
    delivered: float
    answers: int
    differs_s: float


class Shares:
    """The last ten minutes of every pool."""

    def __init__(self) -> None:
        self._minutes: collections.deque[tuple[dict[str, int], dict[Key, int], dict[Key, int]]] = collections.deque(
            [({}, {}, {})], maxlen=WINDOW_MINUTES
        )
        self._differs_min: dict[Key, int] = {}

    def counts(self, counts: Mapping[str, Mapping[tuple[str, ...], int]]) -> None:
        """Take what the workers counted, as `Responder.drain_counts` shapes it."""
        total, drawn, intended = self._minutes[-1]
        for (_, pool), number in counts.get("steered", {}).items():
            total[pool] = total.get(pool, 0) + number
        for kind, into in (("drawn", drawn), ("intended", intended)):
            for (pool, endpoint), number in counts.get(kind, {}).items():
                into[pool, endpoint] = into.get((pool, endpoint), 0) + number

    def now(self) -> list[Share]:
        """Return all members of pools that answered lately."""
        total: collections.Counter[str] = collections.Counter()
        drawn: collections.Counter[Key] = collections.Counter()
        intended: collections.Counter[Key] = collections.Counter()
        for minute in self._minutes:
            total.update(minute[0])
            drawn.update(minute[1])
            intended.update(minute[2])
        return [
            Share(
                *key, intended[key] / 1000 / total[key[0]], drawn[key] / total[key[0]], total[key[0]],
                60.0 * self._differs_min.get(key, 0),
            )
            for key in sorted(drawn.keys() | intended.keys())
            if total[key[0]]
        ]  # fmt: skip

    def minute(self) -> tuple[Sequence[Share], Sequence[Share]]:
        """End a minute; return the members whose difference has now lasted, and those whose lasting one is over."""
        found = {(one.pool, one.endpoint): one for one in self.now()}
        before, self._differs_min = self._differs_min, {}
        for key, one in found.items():
            if _differs(one):
                self._differs_min[key] = before.get(key, 0) + 1
        self._minutes.append(({}, {}, {}))
        new = [found[key] for key, minutes in self._differs_min.items() if minutes == PATIENCE_MINUTES]
        over = [
            found.get(key, Share(*key, 0.0, 0.0, 0, 0.0))
            for key, minutes in before.items()
            if minutes >= PATIENCE_MINUTES and key not in self._differs_min
        ]
        return new, over


def _differs(one: Share) -> bool:
    p = min(1.0, one.intended)
    noise = math.sqrt(p * (1 - p) / one.answers)
    return one.answers >= LEAST_DRAWS and abs(one.delivered - one.intended) > max(LEAST_DIFFERENCE, SIGMAS * noise)
