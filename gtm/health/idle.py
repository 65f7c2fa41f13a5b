"""Counts of live publishers in, which members that returned may be given back out: `failback: when_idle`.

A publisher that was taken over by a stand-in is not to be torn away while it sends; it goes home when it has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gtm import model
from gtm.health import standings


class Idle:
    """Who stands in for whom in one configuration, and how many publishers each check has last counted."""

    def __init__(self, snapshot: model.Snapshot) -> None:
        self._counts: dict[model.CheckKey, tuple[float, float]] = {}  # how many, and when (monotonic seconds)
        self._of: dict[str, list[model.CheckKey]] = {}
        for key, check in snapshot.checks.items():
            if check.profile.publishers:
                self._of.setdefault(key.endpoint, []).append(key)
        self._pools = {name: pool for name, pool in snapshot.pools.items() if pool.when_idle}
        self._stand_ins = {name: _stand_ins(snapshot, pool) for name, pool in self._pools.items()}

    def inherit(self, before: Idle) -> None:
        """Take over what was counted before a reload, where the check is still there."""
        mine = {key for keys in self._of.values() for key in keys}
        self._counts = {key: one for key, one in before._counts.items() if key in mine}

    def counted(self, key: model.CheckKey, publishers: float, now: float) -> None:
        """Note how many publishers a check has just counted."""
        self._counts[key] = publishers, now

    def waiting(self, endpoint: str) -> Iterator[tuple[model.Pool, str]]:
        """Yield the pools and members that may be given back when `endpoint` is idle."""
        for name, stand_ins in self._stand_ins.items():
            if endpoint in stand_ins:
                yield from ((self._pools[name], member.endpoint) for member in self._pools[name].members)

    def over(
        self, pool: model.Pool, standing: standings.Standing, status_of: Callable[[model.CheckKey], model.Status]
    ) -> bool:
        """Say whether nobody publishes to those that stand in for a member since it returned.

        One that is down has no publishers. One whose publishers nobody counts is not known to be idle.
        """
        name = next((key.name for key in standing.votes if key.name), "")
        others = self._stand_ins[pool.name] - {standing.ballot.endpoint}
        return all(self._is_idle(one, name, standing.returned_s, status_of) for one in others)

    def _is_idle(
        self, endpoint: str, name: str, since_s: float, status_of: Callable[[model.CheckKey], model.Status]
    ) -> bool:
        keys = [key for key in self._of.get(endpoint, ()) if not name or key.name in {"", name}]
        return bool(keys) and all(status_of(key) == "down" or self._none_since(key, since_s) for key in keys)

    def _none_since(self, key: model.CheckKey, since_s: float) -> bool:
        publishers, at_s = self._counts.get(key, (1.0, 0.0))
        return publishers <= 0 and at_s >= since_s


def _stand_ins(snapshot: model.Snapshot, pool: model.Pool) -> frozenset[str]:
    """Return who may serve while a member of `pool` is away: its fellows, and the pools that are tried after it."""
    after = {
        later
        for policy in snapshot.policies
        for rule in policy.rules
        if pool.name in rule.pools
        for later in rule.pools[rule.pools.index(pool.name) + 1 :]
    }
    named = (pool, *(snapshot.pools[name] for name in after))
    return frozenset(member.endpoint for one in named for member in one.members)
