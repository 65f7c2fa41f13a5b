"""The checks of a stream on every node that carries it in, whether its source is dead out (semantics A12).

When all edges stop together, no edge is to blame: taking them out of the answers would help nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gtm import model
from gtm.health import streams

WITNESSES = 2  # one node that answers and has no stream may have lost it by itself

Carriers = Sequence[model.CheckKey]
Reached = Callable[[model.CheckKey], bool]


class Sources:
    """Which streams are dead at their source, by profile, name and family."""

    def __init__(self) -> None:
        self._dead: set[streams.Stream] = set()

    def __contains__(self, key: model.CheckKey) -> bool:
        return (key.profile, key.name, key.family) in self._dead

    def names(self) -> frozenset[str]:
        """Return the steered names whose stream is dead everywhere."""
        return frozenset(name for _, name, _ in self._dead)

    def look_at_all(self, streams_: Iterable[Carriers], status_of: streams.StatusOf, reached: Reached) -> None:
        """Judge every stream there is anew."""
        before, self._dead = self._dead, set()
        self._dead = {_stream(one) for one in streams_ if _dead(one, _stream(one) in before, status_of, reached)}

    def look(self, carriers: Carriers, status_of: streams.StatusOf, reached: Reached) -> bool:
        """Judge one stream anew; say whether that changed."""
        stream = _stream(carriers)
        before = stream in self._dead
        dead = _dead(carriers, before, status_of, reached)
        (self._dead.add if dead else self._dead.discard)(stream)
        return dead != before


def _dead(carriers: Carriers, before: bool, status_of: streams.StatusOf, reached: Reached) -> bool:
    """Say whether a stream is down on every node, and two of them answered when it died."""
    down = all(status_of(key) == "down" for key in carriers)
    return down and (before or sum(map(reached, carriers)) >= WITNESSES)


def _stream(carriers: Carriers) -> streams.Stream:
    return carriers[0].profile, carriers[0].name, carriers[0].family
