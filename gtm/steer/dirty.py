"""Policies that something has touched in; which of them to decide anew, and when, out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

# A storm of results is one swap: rings are made this long after the first change (house section 7b).
GATHER_S = 0.02
# After rings are made, this process does other things for so many times as long, or a second at most, before it makes
# some again: a pool of thousands costs a tenth of a second, and on a busy machine no probe would come to leave.
REST, MOST_REST_S = 4.0, 1.0


class Dirty:
    """The policies whose rings are from before a change, by index. False when there are none."""

    def __init__(self) -> None:
        self.at_s = 0.0  # when to take some
        self._policies: set[int] = set()
        self._left = False  # some were not taken the last time
        self._taken_s: float | None = None
        self._cost_s = self._rest_until_s = 0.0

    def __bool__(self) -> bool:
        return bool(self._policies)

    def touch(self, policies: Iterable[int], now: float) -> None:
        """Add policies; the first of them says when they are due."""
        before = bool(self._policies)
        self._policies.update(policies)
        if self._policies and not before:
            self.at_s = max(now + GATHER_S, self._rest_until_s)

    def clear(self) -> None:
        """Forget them all: everything is decided anew."""
        self._policies.clear()

    def take(self, most: float, width: Callable[[int], int], now: float) -> list[int]:
        """Return some that are about `most` decisions wide together; the rest is due as soon as they are made."""
        some: list[int] = []
        while self._policies and most > 0:
            some.append(self._policies.pop())
            most -= width(some[-1])
        self.at_s, self._left = now, bool(self._policies)
        return some

    def goes_on(self, now: float) -> None:
        """Hear that a piece of what was taken is made from now on."""
        self._taken_s = now

    def made(self, now: float, whole: bool) -> None:
        """Hear that a piece, if there was one, is made now; `whole`: all that was taken. Then there is a rest."""
        if self._taken_s is None:
            return
        self._cost_s += now - self._taken_s
        self._taken_s = None
        if whole and not self._left:
            self._rest_until_s, self._cost_s = now + min(REST * self._cost_s, MOST_REST_S), 0.0
            self.at_s = max(self.at_s, self._rest_until_s)  # for who was touched meanwhile
