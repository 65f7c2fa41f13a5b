"""A configuration in, what has to do with what out: which fall explains which, and whom a target names."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from gtm import model
from gtm.alerts import facts

GUARD = "guard"
# What cannot be looked at is this node's own trouble (no socket, no name, no script), wherever it stands.
UNSEEN = "node:checks"
_ORDER = {"guard": 0, "endpoint": 1, "check": 2, "pool": 3, "name": 4}  # causes before what they cause
# What stands before the colon of a target.
KINDS = frozenset({"endpoint", "check", "pool", "name", "config", "guard", "order", "worker", "node", "store", "geo"})


class Topology:
    """Who stands where, needs whom, and serves what, in one configuration."""

    def __init__(self, snapshot: model.Snapshot) -> None:
        self.snapshot = snapshot
        self._members = {
            pool.name: tuple(member.endpoint for member in pool.members) for pool in snapshot.pools.values()
        }
        pools: dict[str, list[str]] = {}
        for pool, members in self._members.items():
            for one in members:
                pools.setdefault(one, []).append(pool)
        self._pools = {endpoint: tuple(of) for endpoint, of in pools.items()}
        sites: dict[str, list[str]] = {}
        for endpoint in snapshot.endpoints.values():
            sites.setdefault(endpoint.site, []).append(endpoint.name)
        self._sites = {site: tuple(of) for site, of in sites.items() if site}

    def site(self, endpoint: str) -> str:
        """Return an endpoint's site, or nothing."""
        found = self.snapshot.endpoints.get(endpoint)
        return found.site if found else ""

    def members(self, pool: str) -> tuple[str, ...]:
        """Return a pool's endpoints."""
        return self._members.get(pool, ())

    def pools(self, endpoint: str) -> tuple[str, ...]:
        """Return the pools that an endpoint is in."""
        return self._pools.get(endpoint, ())

    def tried(self, name: str) -> tuple[str, ...]:
        """Return the pools that a steered name tries, in order."""
        for zone in self.snapshot.zones:
            index = zone.steer.get(name)
            if index is not None:
                rules = self.snapshot.policies[index].rules
                return tuple(dict.fromkeys(pool for rule in rules for pool in rule.pools))
        return ()

    def at_site(self, site: str) -> tuple[str, ...]:
        """Return the endpoints of a site."""
        return self._sites.get(site, ())

    def roots(self, endpoint: str) -> list[str]:
        """Return what an endpoint depends on, farthest first: endpoints, and the endpoints of sites."""
        found: dict[str, None] = {}
        todo = self._needs(endpoint)
        while todo:
            one = todo.pop(0)
            if one not in found and one != endpoint:
                found[one] = None
                todo += self._needs(one)
        return [one for one in reversed(found) if not one.startswith("site:")]

    def _needs(self, what: str) -> list[str]:
        if what.startswith("site:"):
            site = self.snapshot.sites.get(what.removeprefix("site:"))
            return [*self.at_site(what.removeprefix("site:")), *(site.depends_on if site else ())]
        endpoint = self.snapshot.endpoints.get(what)
        if endpoint is None:
            return []
        home = self.snapshot.sites.get(endpoint.site)
        return [*endpoint.depends_on, *(home.depends_on if home and what not in home.depends_on else ())]

    def known(self, target: str) -> bool:
        """Say whether a target can name anything of this configuration."""
        kind, colon, pattern = target.partition(":")
        if colon and kind in KINDS - {"endpoint", "pool", "name", "check"}:
            return True
        there = {"endpoint": self.snapshot.endpoints, "pool": self.snapshot.pools}
        steered = (name for zone in self.snapshot.zones for name in zone.steer)
        if colon and kind == "check":
            return any(fnmatch.fnmatchcase(str(key), pattern) for key in self.snapshot.checks)
        if colon and kind in {"site", *there}:
            return bool(fnmatch.filter(self._sites if kind == "site" else there[kind], pattern))
        if colon and kind == "name":
            return any(_same_name(name, pattern) for name in steered)
        plain = (*self.snapshot.endpoints, *self.snapshot.pools)
        return bool(fnmatch.filter(plain, target)) or any(_same_name(name, target) for name in steered)

    def names(self, target: str, fact: facts.Fact, group: str = "") -> bool:
        """Say whether a target names a fact: a subject or a glob, KIND:GLOB, or what stands at `site:` or in `pool:`.

        A target that names a whole group (`site:fra`) names all that fell with it.
        """
        if fnmatch.fnmatchcase(group, target):
            return True
        kind, colon, pattern = target.partition(":")
        endpoint = fact.endpoint
        if colon and kind == "site":
            return bool(endpoint) and fnmatch.fnmatchcase(self.site(endpoint), pattern)
        if colon and kind in KINDS:
            if kind == "pool" and endpoint:
                return any(fnmatch.fnmatchcase(pool, pattern) for pool in self.pools(endpoint))
            if kind == "endpoint" and endpoint:
                return fnmatch.fnmatchcase(endpoint, pattern)
            if kind == "name" and fact.name:
                return _same_name(fact.name, pattern)
            return fact.kind == kind and fnmatch.fnmatchcase(fact.subject, pattern)
        words = (fact.subject, endpoint)
        return any(one and fnmatch.fnmatchcase(one, target) for one in words) or _same_name(fact.name, target)


def _same_name(name: str, pattern: str) -> bool:
    """Compare a domain name with a pattern that may lack the last dot."""
    return bool(name) and fnmatch.fnmatchcase(name.rstrip("."), pattern.lower().rstrip("."))


def groups(
    loose: Iterable[facts.Fact], settled: Mapping[str, str], known: Mapping[str, facts.Fact], world: Topology
) -> dict[str, str]:
    """Return, for each fact by its key, the group that it is told with: what fell for one cause is one message.

    `settled` are groups that have been told already (by key of their facts); `known` are all facts.
    """
    found = dict(settled)
    down = {fact.subject: fact.key for fact in known.values() if fact.kind == "endpoint" and not fact.aspect}
    guarded = any(fact.kind == "guard" for fact in known.values())
    causes = {root for one in down for root in world.roots(one) if root in down}
    for fact in sorted(loose, key=lambda one: _ORDER.get(one.kind, 9)):
        if fact.once:
            found[fact.key] = f"news:{fact.kind}"
        elif guarded and fact.kind in _ORDER:
            found[fact.key] = GUARD
        else:
            found[fact.key] = _group(fact, found, down, causes, known, world)
    return found


def _group(  # noqa: PLR0917  # all that is known at this point
    fact: facts.Fact,
    found: Mapping[str, str],
    down: Mapping[str, str],
    causes: Collection[str],
    known: Mapping[str, facts.Fact],
    world: Topology,
) -> str:
    if fact.aspect == "stale":
        return UNSEEN
    if fact.kind == "check" and fact.name and not fact.aspect and fact.endpoint not in down:
        return f"name:{fact.name}"  # a stream that is gone on forty nodes is one stream
    if fact.kind in {"endpoint", "check"}:
        return _of_endpoint(fact.endpoint, causes, world)
    if fact.kind == "pool":
        mine = [found[down[one]] for one in world.members(fact.subject) if one in down and down[one] in found]
        return _commonest(mine) or f"pool:{fact.subject}"
    if fact.kind == "name":
        tried = world.tried(fact.subject)
        of_pools = [found[key] for pool in tried if (key := f"pool/{pool}/") in known and key in found]
        members = {one for pool in tried for one in world.members(pool)}
        of_members = [found[key] for one, key in down.items() if one in members and key in found]
        return (of_pools or [""])[0] or _commonest(of_members) or f"name:{fact.subject}"
    return f"{fact.kind}:{fact.subject}"


def _of_endpoint(endpoint: str, causes: Collection[str], world: Topology) -> str:
    """`causes` are the endpoints that are down and that others which are down depend on."""
    root = next((one for one in world.roots(endpoint) if one in causes), endpoint)
    if root in causes:
        return f"endpoint:{root}"
    site = world.site(endpoint)
    if site:
        return f"site:{site}"
    return next((f"pool:{pool}" for pool in world.pools(endpoint)), f"endpoint:{endpoint}")


def _commonest(of: list[str]) -> str:
    return Counter(of).most_common(1)[0][0] if of else ""
