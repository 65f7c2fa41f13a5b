"""Counts of live publishers in, which members that returned may be given back out: `failback: when_idle`.

A publisher that was taken over by a stand-in is not to be torn away while it sends; it goes home when it has gone.
"""

from __future__ import annotations

from collections.abc import Iterator

from gtm import model, seen
from gtm.health import standings, streams, verdict


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

    def heard(self, key: model.CheckKey, profile: model.Profile, result: seen.ProbeResult, now: float) -> None:
        """Note how many publishers a check has just counted, if it counts them."""
        publishers = result.measures.get(profile.publishers)
        if isinstance(publishers, int | float):
            self._counts[key] = float(publishers), now

    def given_back(
        self, endpoint: str, placed: standings.Standings, status_of: streams.StatusOf, now: float
    ) -> Iterator[standings.Standing]:
        """Yield the standings that only waited for the publishers of `endpoint` to go, and may be used again."""
        for name, stand_ins in self._stand_ins.items():
            for member in self._pools[name].members if endpoint in stand_ins else ():
                for standing in placed.of(member.endpoint):
                    waits = verdict.waits_for_idle(standing, self._pools[name], now)
                    if waits and self._over(self._pools[name], standing, status_of):
                        yield standing

    def _over(self, pool: model.Pool, standing: standings.Standing, status_of: streams.StatusOf) -> bool:
        """Say whether nobody publishes to those that stand in for a member since it returned.

        One that is down has no publishers. One whose publishers nobody counts is not known to be idle.
        """
        name = next((key.name for key in standing.votes if key.name), "")
        others = self._stand_ins[pool.name] - {standing.ballot.endpoint}
        return all(self._is_idle(one, name, standing.returned_s, status_of) for one in others)

    def _is_idle(self, endpoint: str, name: str, since_s: float, status_of: streams.StatusOf) -> bool:
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
