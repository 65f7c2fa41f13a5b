"""Operators' orders in, what is ordered of each endpoint right now out (semantics B10 and the orders' targets)."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gtm import model, seen


@dataclass(frozen=True, slots=True)
class Ordered:
    """What holds for one endpoint: the newest of drain, down and up (None: no such order), and the weight's factor."""

    state: seen.Override | None = None
    weight: seen.Override | None = None

    @property
    def barred(self) -> bool:
        """Whether the endpoint must not be answered, whatever its health."""
        return self.state is not None and self.state.order in {"drain", "down"}

    @property
    def forced_up(self) -> bool:
        """Whether the endpoint is to be used, whatever its health."""
        return self.state is not None and self.state.order == "up"

    @property
    def factor(self) -> float:
        """What the configured weight is multiplied by."""
        return self.weight.value if self.weight is not None else 1.0

    @property
    def text(self) -> str:
        """The orders in a word or two: `drain`, `weight 50%`."""
        words: list[str] = [self.state.order] if self.state is not None else []
        if self.weight is not None:
            words.append(f"weight {self.weight.value * 100:g}%")
        return ", ".join(words)

    @property
    def why(self) -> str:
        """The order of state in a sentence, or nothing."""
        if self.state is None:
            return ""
        said = {"drain": "drained", "down": "forced down", "up": "forced up"}[self.state.order]
        by = f" by {self.state.by}" if self.state.by else ""
        return f"{said}{by}" + (f": {self.state.why}" if self.state.why else "")


NOTHING = Ordered()


def matching(target: str, snapshot: model.Snapshot) -> frozenset[str]:
    """Return the endpoints that a target names: an endpoint, a glob, `site:NAME` or `pool:NAME` (globs there too)."""
    what, colon, pattern = target.partition(":")
    if colon and what == "pool":
        pools = (pool for name, pool in snapshot.pools.items() if fnmatch.fnmatchcase(name, pattern))
        return frozenset(member.endpoint for pool in pools for member in pool.members)
    if colon and what == "site":
        return frozenset(
            endpoint.name
            for endpoint in snapshot.endpoints.values()
            if endpoint.site and fnmatch.fnmatchcase(endpoint.site, pattern)
        )
    if target in snapshot.endpoints:
        return frozenset((target,))
    return frozenset(fnmatch.filter(snapshot.endpoints, target))


def lay(orders: Sequence[seen.Override], snapshot: model.Snapshot) -> Mapping[str, Ordered]:
    """Return what holds for each endpoint that any of the orders in force names. The newest order wins."""
    found: dict[str, Ordered] = {}
    for order in sorted(orders, key=lambda one: one.at):
        for endpoint in matching(order.target, snapshot):
            before = found.get(endpoint, NOTHING)
            if order.order == "weight":
                found[endpoint] = Ordered(before.state, order)
            else:
                found[endpoint] = Ordered(order, before.weight)
    return found


def differing(before: Mapping[str, Ordered], after: Mapping[str, Ordered]) -> set[str]:
    """Return the endpoints of which something else is ordered now."""
    names: Iterable[str] = before.keys() | after.keys()
    return {name for name in names if before.get(name, NOTHING) != after.get(name, NOTHING)}


def forced(laid: Mapping[str, Ordered]) -> Mapping[str, bool]:
    """Return which endpoints an order makes count as up (or down) for those that depend on them.

    A drained endpoint works; it is only not to be used.
    """
    return {
        name: ordered.forced_up
        for name, ordered in laid.items()
        if ordered.state is not None and ordered.state.order != "drain"
    }


def told(
    before: Sequence[seen.Override], after: Sequence[seen.Override], by: str, wall: float
) -> Iterator[tuple[str, str, str, str]]:
    """Yield what is said of orders that came or were released: target, order before and after, why.

    `by` is who released them; `wall` is the wall clock in seconds. Of what ran out, time itself has said it already.
    """
    known, kept = {one.id for one in before}, {one.id for one in after}
    for one in after:
        if one.id not in known:
            why = f"{one.by or 'somebody'}: {one.why or 'no reason given'}"
            yield one.target, "", one.order, why + " (break-glass)" * one.break_glass
    for one in before:
        if one.id not in kept and (not one.until or one.until > wall):
            yield one.target, one.order, "", "released" + (f" by {by}" if by else "")


class Orders:
    """All orders that are in force. Times are monotonic seconds: `until` is turned into one when an order comes in.

    From then on the wall clock has no say in it, however often the same order comes again (G4).
    """

    def __init__(self) -> None:
        self._overrides: list[seen.Override] = []
        self._ends_s: dict[tuple[str, float], float] = {}
        self._over: set[tuple[str, float]] = set()
        self._laid: Mapping[str, Ordered] = {}

    def put(self, overrides: Iterable[seen.Override], wall_offset_s: float) -> None:
        """Take all orders; `lay` brings them into force."""
        came = {(one.id, one.until): one for one in overrides}
        ends_s = {key: key[1] - wall_offset_s if key[1] else math.inf for key in came}
        self._ends_s = ends_s | {key: end_s for key, end_s in self._ends_s.items() if key in came}
        self._over &= came.keys()
        self._overrides = [one for key, one in came.items() if key not in self._over]

    def lay(self, snapshot: model.Snapshot, now: float) -> set[str]:
        """Lay the orders that have not run out over the endpoints; return those for which that makes a difference."""
        before, self._laid = self._laid, lay(self.in_force(now), snapshot)
        return differing(before, self._laid)

    def in_force(self, now: float) -> tuple[seen.Override, ...]:
        """Return the orders that have not run out."""
        return tuple(one for one in self._overrides if self._end_s(one) > now)

    def of(self, endpoint: str) -> Ordered:
        """Return what is ordered of an endpoint."""
        return self._laid.get(endpoint, NOTHING)

    def forced(self) -> Mapping[str, bool]:
        """Return what the orders in force make of endpoints for those that depend on them."""
        return forced(self._laid)

    @property
    def laid(self) -> Mapping[str, Ordered]:
        """What is ordered of each endpoint that any order names."""
        return self._laid

    def next_at(self) -> float | None:
        """Return when the next order runs out; None when none will."""
        return min((end_s for end_s in map(self._end_s, self._overrides) if end_s < math.inf), default=None)

    def expire(self, now: float) -> list[seen.Override]:
        """Drop the orders whose time has passed and return them; `lay` lifts them (F4)."""
        gone = [one for one in self._overrides if self._end_s(one) <= now]
        self._over.update((one.id, one.until) for one in gone)
        self._overrides = list(self.in_force(now))
        return gone

    def _end_s(self, order: seen.Override) -> float:
        return self._ends_s[order.id, order.until]
