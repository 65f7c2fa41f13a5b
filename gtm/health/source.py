"""The checks of a stream on every node that carries it in, whether its source is dead out (semantics A12).

When all edges stop together, no edge is to blame: taking them out of the answers would help nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gtm import model
from gtm.health import streams

WITNESSES = 2  # one node that answers and has no stream may have lost it by itself

Carriers = Sequence[model.CheckKey]
Reached = Callable[[model.CheckKey], bool]


class Sources:
    """Which streams are dead at their source, by profile, name and family.

    `status_of` tells the status of a check that counts, `reached` whether the server itself answered its last probe.
    """

    def __init__(self, status_of: streams.StatusOf, reached: Reached) -> None:
        self._status_of, self._reached = status_of, reached
        self._streams = streams.Streams({})
        self._dead: set[streams.Stream] = set()

    def configure(self, carried: streams.Streams) -> None:
        """Take the streams of a new configuration."""
        self._streams = carried
        self.look_at_all()

    def names(self) -> frozenset[str]:
        """Return the steered names whose stream is dead everywhere."""
        return frozenset(name for _, name, _ in self._dead)

    def is_dead(self, key: model.CheckKey) -> bool:
        """Say whether the source of this check's stream is dead."""
        return (key.profile, key.name, key.family) in self._dead

    def excuses(self, key: model.CheckKey) -> bool:
        """Say whether a check's stream is dead at its source, and this node itself answers."""
        return self.is_dead(key) and self._reached(key)

    def look_at_all(self) -> None:
        """Judge every stream anew."""
        before, self._dead = self._dead, set()
        self._dead = {_stream(one) for one in self._streams.all() if self._is_dead(one, _stream(one) in before)}

    def look(self, key: model.CheckKey) -> frozenset[str]:
        """Judge the stream of this check anew; return all that carry it when that has changed, else nobody."""
        carriers = self._streams.carriers(key)
        if not carriers:
            return frozenset()
        stream = _stream(carriers)
        before = stream in self._dead
        dead = self._is_dead(carriers, before)
        (self._dead.add if dead else self._dead.discard)(stream)
        return frozenset(one.endpoint for one in carriers) if dead != before else frozenset()

    def _is_dead(self, carriers: Carriers, before: bool) -> bool:
        """Say whether a stream is down on every node, and two of them answered when it died."""
        down = all(self._status_of(key) == "down" for key in carriers)
        return down and (before or sum(map(self._reached, carriers)) >= WITNESSES)


def _stream(carriers: Carriers) -> streams.Stream:
    return carriers[0].profile, carriers[0].name, carriers[0].family
