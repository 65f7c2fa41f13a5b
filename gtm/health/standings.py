"""Checks' statuses in, where each endpoint stands with those who judge it out (semantics A5, A6, A12 and A13).

A *standing* is one endpoint and family before one ballot: pools and names with the same checks share it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from gtm import model
from gtm.health import ballot, depends, streams

Excused = Callable[[model.CheckKey], bool]
_NO_POOL = model.Pool("", ())


@dataclass(slots=True)
class Standing:
    """`own` is what the ballot and the node's streams say, `status` the same with dependencies laid on top.

    `votes` are the ballot's checks, `sources` those of what the endpoint depends on. `node` says why the node as a
    whole has failed, `cause` names that or the dependency; empty when neither is to blame. `sourceless`: it is down for
    nothing but streams whose source is dead. `by_name`: it has no checks, and others of this endpoint have.
    `returned_s` is when it last came back from down (0: never), `released_s` when an operator last lifted what held it
    back.
    """

    ballot: ballot.Ballot
    votes: tuple[model.CheckKey, ...]
    sources: tuple[model.CheckKey, ...]
    own: model.Status = "unknown"
    status: model.Status = "unknown"
    node: str = ""
    cause: str = ""
    sourceless: bool = False
    by_name: bool = False
    since_s: float = 0.0
    returned_s: float = 0.0
    released_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Changed:
    """What a refresh found: endpoints with any standing changed, and those of them that returned from down."""

    endpoints: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)


class Standings:
    """All standings of one configuration."""

    def __init__(self, snapshot: model.Snapshot) -> None:
        self._snapshot = snapshot
        self.streams = streams.Streams(snapshot.checks)
        self._depends = depends.Dependencies(snapshot)
        self._by_ballot: dict[ballot.Ballot, Standing] = {}
        self._of: dict[str, list[Standing]] = {}
        self._dead: set[str] = set()  # endpoints down by themselves in every family
        self._found: dict[tuple[object, ...], Standing] = {}
        self.pools_of: dict[str, list[model.Pool]] = {}
        for pool in snapshot.pools.values():
            for member in pool.members:
                self.pools_of.setdefault(member.endpoint, []).append(pool)
        checks_of: dict[str, list[model.CheckKey]] = {}
        for key, check in snapshot.checks.items():
            if not check.profile.observe:
                checks_of.setdefault(key.endpoint, []).append(key)
        for one in _all_ballots(snapshot):
            self._add(one, checks_of)
        for mine in self._of.values():
            checked = any(one.ballot.parts for one in mine)
            for standing in mine:
                standing.by_name = checked and not standing.ballot.parts

    def of(self, endpoint: str, family: model.Family | None = None) -> Iterator[Standing]:
        """Yield the standings of an endpoint: those with checks where there are any, else those without."""
        mine = [one for one in self._of.get(endpoint, ()) if family is None or one.ballot.family == family]
        judged = [one for one in mine if one.ballot.parts]
        yield from judged or mine

    def returned(self) -> Iterator[Standing]:
        """Yield the standings that have come back from down."""
        return (one for one in self._by_ballot.values() if one.returned_s)

    def find(self, pool: model.Pool, endpoint: str, family: model.Family, policy: model.Policy | None) -> Standing:
        """Return an endpoint's standing in a pool for the names of a policy, all three of this configuration."""
        if policy is not None and pool.name == policy.source_down:
            policy = None  # a slate does not carry the stream whose check the name has
        laid = None if policy is None else (policy.name, policy.check)
        place = (pool.name, endpoint, family, laid)
        found = self._found.get(place)
        if found is None:
            one = ballot.make(self._snapshot, pool, endpoint, family, policy)
            found = self._found[place] = self._by_ballot[one]
        return found

    def overall(self, endpoint: str, family: model.Family) -> model.Status:
        """Return the best of an endpoint's standings: it is down when it is down for everybody.

        For streams whose source is dead it is not: the node is well.
        """
        return _best("up" if one.sourceless and not one.cause else one.status for one in self.of(endpoint, family))

    def alive(self, endpoint: str, status_of: streams.StatusOf, excused: Excused) -> bool:
        """Say whether an endpoint has a family that is not down by its own checks, as `status_of` tells them."""
        judged = self._judge(self.of(endpoint), status_of, excused, {})
        return any(own != "down" or sourceless for _, own, _, sourceless in judged)

    def dependants(self, endpoint: str) -> set[str]:
        """Return the endpoints that this one can take down."""
        return self._depends.dependants(endpoint)

    def release(self, endpoint: str, now: float) -> None:
        """Lift what holds an endpoint back after its last return (B11)."""
        for standing in self._of.get(endpoint, ()):
            standing.released_s = now

    def inherit(self, before: Standings, now: float) -> None:
        """Take over what surviving standings were, so that a reload is no recovery (A1)."""
        for one, standing in self._by_ballot.items():
            old = before._by_ballot.get(one)
            if old is not None:
                standing.status, standing.since_s = old.status, old.since_s
                standing.returned_s, standing.released_s = old.returned_s, old.released_s
            else:
                standing.since_s = now

    def refresh(
        self,
        endpoints: Iterable[str],
        status_of: streams.StatusOf,
        excused: Excused,
        forced: Mapping[str, bool],
        now: float,
        *,
        quiet: bool,
    ) -> Changed:
        """Judge the standings of `endpoints` anew, and of those that depend on them where that matters.

        `excused` says of checks that their stream's source is to blame. `forced` says of endpoints under an order
        whether they are to count as up or down for those that depend on them. `quiet` lets nothing count as a return:
        nobody was really away.
        """
        todo = set(endpoints)
        lost: dict[streams.Stream, bool] = {}
        changed = Changed()
        for endpoint in tuple(todo):
            for standing, own, node, sourceless in self._judge(self._of.get(endpoint, ()), status_of, excused, lost):
                standing.own, standing.node = own, node
                if sourceless != standing.sourceless:
                    standing.sourceless = sourceless
                    changed.endpoints.add(endpoint)
            if self._died_or_rose(endpoint, forced):
                todo |= self._depends.dependants(endpoint)
        for endpoint in todo:
            cause = self._depends.cause(endpoint, self._dead.__contains__)
            for standing in self._of.get(endpoint, ()):
                self._conclude(standing, cause, now, changed, quiet)
        return changed

    def under(self, forced: Mapping[str, bool], now: float) -> Callable[[Standing], Standing]:
        """Return what gives a standing as it would be if `forced` were all that orders make of endpoints."""

        def supposed(standing: Standing) -> Standing:
            cause = self._depends.cause(standing.ballot.endpoint, lambda name: self._is_dead(name, forced))
            after: model.Status = "down" if cause else standing.own
            if after == standing.status:
                return standing
            back = standing.status == "down" and after == "up"
            came_s = now if back else standing.returned_s
            return replace(standing, status=after, cause=standing.node or cause, since_s=now, returned_s=came_s)

        return supposed

    def _is_dead(self, endpoint: str, forced: Mapping[str, bool]) -> bool:
        families = {one.ballot.family for one in self.of(endpoint)}
        dead = bool(families) and all(
            _best("up" if one.sourceless else one.own for one in self.of(endpoint, family)) == "down"
            for family in families
        )
        return not forced.get(endpoint, not dead)

    def _died_or_rose(self, endpoint: str, forced: Mapping[str, bool]) -> bool:
        dead = self._is_dead(endpoint, forced)
        if dead == (endpoint in self._dead):
            return False
        (self._dead.add if dead else self._dead.discard)(endpoint)
        return True

    def _judge(
        self,
        mine: Iterable[Standing],
        status_of: streams.StatusOf,
        excused: Excused,
        lost: dict[streams.Stream, bool],
    ) -> Iterator[tuple[Standing, model.Status, str, bool]]:
        """Yield an endpoint's standings, each with what is to be said of it, why the node itself failed, and whether
        nothing but a dead source is to blame.
        """
        failed: dict[model.Family, str] = {}
        for standing in mine:
            one = standing.ballot
            own = ballot.outcome(one, status_of)
            sourceless = own == "down" and _sourceless(standing, status_of, excused)
            if own == "down" and not sourceless:
                yield standing, own, "", False
                continue
            if one.family not in failed:
                failed[one.family] = self.streams.failed(one.endpoint, one.family, status_of, excused, lost)
            why = failed[one.family]
            yield standing, "down" if why else own, why, sourceless and not why

    @staticmethod
    def _conclude(standing: Standing, cause: str, now: float, changed: Changed, quiet: bool) -> None:
        before, standing.status = standing.status, "down" if cause else standing.own
        standing.cause = standing.node or cause  # a dependency is the better reason than what it broke (A6)
        if before == standing.status:
            return
        standing.since_s = now
        changed.endpoints.add(standing.ballot.endpoint)
        if before == "down" and standing.status == "up" and not quiet:
            standing.returned_s = now
            changed.returned.add(standing.ballot.endpoint)

    def _add(self, one: ballot.Ballot, checks_of: Mapping[str, list[model.CheckKey]]) -> None:
        sources = sorted(self._depends.sources(one.endpoint))
        others = tuple(key for source in sources for key in checks_of.get(source, ()))
        standing = self._by_ballot[one] = Standing(one, one.checks, others)
        self._of.setdefault(one.endpoint, []).append(standing)


def _all_ballots(snapshot: model.Snapshot) -> Iterable[ballot.Ballot]:
    """Return the ballots of every pool, of every name that has checks of its own, and of endpoints in no pool."""
    found: dict[ballot.Ballot, None] = {}
    places: dict[tuple[str, str, model.CheckExpr | None], model.Policy | None] = dict.fromkeys(
        (name, "", None) for name in snapshot.pools
    )
    for policy in snapshot.policies:
        if policy.name or policy.check is not None:
            places.update({(pool, policy.name, policy.check): policy for rule in policy.rules for pool in rule.pools})
    members = set()
    for (name, _, _), laid in places.items():
        pool = snapshot.pools[name]
        for member in pool.members:
            members.add(member.endpoint)
            for family in snapshot.endpoints[member.endpoint].families():
                found[ballot.make(snapshot, pool, member.endpoint, family, laid)] = None
    for endpoint in snapshot.endpoints.values():
        if endpoint.name not in members:
            for family in endpoint.families():
                found[ballot.make(snapshot, _NO_POOL, endpoint.name, family, None)] = None
    return found


def _sourceless(standing: Standing, status_of: streams.StatusOf, excused: Excused) -> bool:
    """Say whether a standing would be up if the streams whose source is dead were there."""
    return ballot.outcome(standing.ballot, lambda key: "up" if excused(key) else status_of(key)) == "up"


def _best(statuses: Iterable[model.Status]) -> model.Status:
    said = set(statuses)
    if not said or "up" in said:
        return "up"
    return "unknown" if "unknown" in said else "down"
