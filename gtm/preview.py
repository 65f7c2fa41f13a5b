"""The brain and orders as they would be in, whose answers would move and which floors would break out.

Pure, like `gtm.view`, and in steps: who drives it may do something else between two of them, so that ten thousand
names never stall the loop. The brain must keep its configuration meanwhile.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Generator, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from gtm import brain as brains
from gtm import model, names, seen
from gtm.health import alike, safety, suppose
from gtm.steer import tiers

MOST_NAMES = 100  # so many names are listed in a preview; all of them are counted

T = TypeVar("T")
Steps = Generator[None, None, T]
# Answers counted lately, by name and pool.
Counts = Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Wish:
    """All orders as they would be, and the endpoints whose latches (hold-down, failback) would be lifted."""

    orders: Sequence[seen.Override]
    lifted: Collection[str] = ()


# --- safety --------------------------------------------------------------------------------------------------------


def breaches(brain: brains.Brain, wish: Wish, now: float) -> Steps[list[safety.Breach]]:
    """Return the floors of the configuration that the wish would break."""
    told = brain.health.told()
    judge, touched = suppose.under(wish.orders, wish.lifted, brain.snapshot, told, now)
    yield
    found: list[safety.Breach] = []
    rosters = _Rosters(brain, judge, now, told.restless())
    for group in _groups(brain, rosters, touched):
        if group is not None:
            found.extend(safety.breaches((group,)))
        yield
    return found


def _groups(brain: brains.Brain, rosters: _Rosters, touched: Collection[str]) -> Iterator[safety.Group | None]:
    """Yield every pool, site and name that has a touched member; None is a breath."""
    settings, snapshot = brain.snapshot.orders, brain.snapshot
    pools = [one for one in snapshot.pools.values() if any(member.endpoint in touched for member in one.members)]
    if settings.keep_pool:
        for pool in pools:
            yield safety.Group("pool", pool.name, settings.keep_pool, *rosters.of((pool,), None))
    if settings.keep_site:
        for site in sorted({snapshot.endpoints[one].site for one in touched} - {""}):
            yield safety.Group("site", site, settings.keep_site, *rosters.at(site))
    if settings.keep_name:
        for index in sorted(brain.policies_of(touched)):
            policy = snapshot.policies[index]
            owners = brain.owners[index]
            shown = names.shown("".join(owners[:1])) + (f" and {len(owners) - 1} more" if len(owners) > 1 else "")
            for tried in dict.fromkeys(rule.pools for rule in policy.rules):
                both = rosters.of([snapshot.pools[one] for one in tried], policy)
                yield safety.Group("name", shown, settings.keep_name, *both) if owners else None


class _Rosters:
    """Who is in service of pools, before and after; asked once for each pool and what is laid on top of its checks."""

    def __init__(self, brain: brains.Brain, judge: suppose.Judge, now: float, apart: Collection[str]) -> None:
        self._brain, self._apart = brain, apart
        self._judges: tuple[suppose.Judge, suppose.Judge] = (
            lambda pool, name, family, policy: brain.health.verdict(pool, name, family, policy, now),
            judge,
        )
        self._found: dict[Hashable, tuple[safety.Service, safety.Service]] = {}

    def of(self, pools: Sequence[model.Pool], policy: model.Policy | None) -> tuple[safety.Service, safety.Service]:
        """Return who is in service of any of `pools` for the names of `policy`, before and after."""
        whose = None if policy is None else alike.key_of(policy, self._apart)
        whole = (whose, *(pool.name for pool in pools))
        if whole not in self._found:
            before, after = safety.Service(), safety.Service()
            for pool in pools:
                key = (whose, pool.name)
                if key not in self._found:
                    self._found[key] = (self._read(pool, policy, 0), self._read(pool, policy, 1))
                here = self._found[key]
                before, after = before.joined(here[0]), after.joined(here[1])
            self._found[whole] = before, after
        return self._found[whole]

    def at(self, site: str) -> tuple[safety.Service, safety.Service]:
        """Return who of a site is in service of any pool, before and after."""
        snapshot = self._brain.snapshot
        here = frozenset(one.name for one in snapshot.endpoints.values() if one.site == site)
        pools = [one for one in snapshot.pools.values() if any(member.endpoint in here for member in one.members)]
        before, after = self.of(pools, None)
        return safety.Service(before.ipv4 & here, before.ipv6 & here), safety.Service(
            after.ipv4 & here, after.ipv6 & here
        )

    def _read(self, pool: model.Pool, policy: model.Policy | None, which: int) -> safety.Service:
        judge, there = self._judges[which], self._brain.snapshot.endpoints
        ipv4: set[str] = set()
        ipv6: set[str] = set()
        for member in pool.members:
            for family in there[member.endpoint].families():
                if safety.in_service(judge(pool, member.endpoint, family, policy)):
                    (ipv6 if family == "ipv6" else ipv4).add(member.endpoint)
                    if family == "cname":
                        ipv6.add(member.endpoint)
        return safety.Service(frozenset(ipv4), frozenset(ipv6))


# --- what would move -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Moved:
    """What would become of one policy's names."""

    owners: Sequence[str]
    before: seen.Decision
    after: seen.Decision
    emptied: bool
    by_pool: Mapping[str, float]  # share of answers that move, of those given from each pool
    mean: float


@dataclass(slots=True)
class _Sum:
    """Everything that moves, gathered policy by policy."""

    counts: Counts
    found: list[_Moved] = field(default_factory=list)
    by_name: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_name: dict[str, dict[str, int]] = collections.defaultdict(dict)
        for (name, pool), number in self.counts.items():
            by_name[name][pool] = number
        self.by_name = by_name

    def of_name(self, one: _Moved, name: str) -> float:
        """Return the share of a name's answers that move."""
        counted = self.by_name.get(name, {})
        total = sum(counted.values())
        if not total:
            return one.mean
        return sum(number * one.by_pool.get(pool, one.mean) for pool, number in counted.items()) / total

    def of_all(self, names: int) -> float:
        """Return the share of all answers that move: by what was counted, else each name alike."""
        total = sum(self.counts.values())
        if not total:
            return sum(one.mean * len(one.owners) for one in self.found) / names if names else 0.0
        weighed = (
            self.of_name(one, name) * sum(self.by_name[name].values())
            for one in self.found
            for name in one.owners
            if name in self.by_name
        )
        return sum(weighed) / total


def moves(brain: brains.Brain, wish: Wish, now: float, counts: Counts) -> Steps[dict[str, Any]]:
    """Return what the wish would move: names, pools, and the share of answers (by `counts`, or by name without any)."""
    told = brain.health.told()
    judge, touched = suppose.under(wish.orders, wish.lifted, brain.snapshot, told, now)
    yield
    gathered = _Sum(counts)
    shares = _Shares()
    apart = told.restless()
    of_alike: dict[Hashable, _Moved | None] = {}
    for index in sorted(brain.policies_of(touched)):
        if owners := brain.owners[index]:
            key = alike.key_of(brain.snapshot.policies[index], apart)
            if key not in of_alike:
                of_alike[key] = _policy(brain, index, judge, now, shares)
            moved = of_alike[key]
            if moved is not None:
                gathered.found.append(replace(moved, owners=owners))
        yield
    pools: list[dict[str, Any]] = []
    for pool in brain.snapshot.pools.values():
        if any(member.endpoint in touched for member in pool.members):
            pools += yield from _pool(brain, pool, judge, now)
    names = sum(map(len, brain.owners))
    return {
        "names": _listed(gathered),
        "names_total": sum(len(one.owners) for one in gathered.found),
        "left_with_nothing": sum(len(one.owners) for one in gathered.found if one.emptied),
        "pools": pools,
        "share": round(gathered.of_all(names), 4),
        "share_by": "answers" if any(counts.values()) else "names",
    }


class _Shares:
    """How much moves from one ring to another; many policies share theirs, so each pair is counted once."""

    def __init__(self) -> None:
        # The decisions are kept beside the number, so that their identities stay theirs.
        self._known: dict[tuple[int, ...], tuple[float, seen.Decision, seen.Decision]] = {}

    def moved(self, before: seen.Decision, after: seen.Decision) -> float:
        """Return the share of first places (which most clients take) that go to somebody else."""
        key = (id(before.replies), id(before.slots), id(after.replies), id(after.slots))
        if key not in self._known:
            old, new = _firsts(before), _firsts(after)
            gone = sum(max(0.0, share - new.get(one, 0.0)) for one, share in old.items())
            self._known[key] = (gone, before, after)
        return self._known[key][0]


def _firsts(of: seen.Decision) -> Mapping[tuple[str, str], float]:
    heads = [(reply[0].endpoint, reply[0].value) for reply in of.replies]
    drawn = collections.Counter(of.slots)
    shares: dict[tuple[str, str], float] = {}
    for slot, times in drawn.items():
        shares[heads[slot]] = shares.get(heads[slot], 0.0) + times / len(of.slots)
    return shares


def _policy(brain: brains.Brain, index: int, judge: suppose.Judge, now: float, shares: _Shares) -> _Moved | None:
    """Return what would become of a policy's names; None when nothing would."""
    policy = brain.snapshot.policies[index]
    before = brain.of_policy(index)
    whom = [(who, family) for who in brain.partition.by_policy[index].audiences for family in brains.FAMILIES]
    after = [  # a family that nobody is answered in now has nothing to lose
        brain.decide(policy, who, (family,), now, lambda pool, name, of: judge(pool, name, of, policy))[0]
        if old.replies
        else old
        for (who, family), old in zip(whom, before, strict=True)
    ]
    pairs = [(old, new, shares.moved(old, new)) for old, new in zip(before, after, strict=True) if old.replies]
    if all(moved == 0 and old.rung == new.rung for old, new, moved in pairs):
        return None
    by_pool: dict[str, list[float]] = collections.defaultdict(list)
    for old, _, moved in pairs:
        by_pool[old.pool].append(moved)
    # The audience of which most is to be said: one that loses a rung, else one of which most moves.
    told = max(pairs, key=lambda pair: (not pair[1].replies, tiers.RUNGS.index(pair[1].rung), pair[2]))
    wide = len(brains.FAMILIES)
    emptied = any(
        any(one.replies for one in before[at : at + wide]) and not any(one.replies for one in after[at : at + wide])
        for at in range(0, len(before), wide)
    )
    mean = sum(moved for _, _, moved in pairs) / len(pairs)
    pools = {pool: sum(numbers) / len(numbers) for pool, numbers in by_pool.items()}
    return _Moved(brain.owners[index], told[0], told[1], emptied, pools, mean)


def _listed(gathered: _Sum) -> list[dict[str, Any]]:
    """Return the names of which most is to be said, worst first."""

    def badness(one: _Moved) -> tuple[bool, int, float]:
        return one.emptied, tiers.RUNGS.index(one.after.rung) - tiers.RUNGS.index(one.before.rung), one.mean

    rows: list[dict[str, Any]] = []
    for one in sorted(gathered.found, key=badness, reverse=True):
        rows += [
            {
                "name": name,
                "before": {"rung": one.before.rung, "pool": one.before.pool},
                "after": {"rung": one.after.rung, "pool": one.after.pool},
                "share": round(gathered.of_name(one, name), 4),
                "left_with_nothing": one.emptied,
            }
            for name in one.owners[: MOST_NAMES - len(rows)]
        ]
    return rows


def _pool(brain: brains.Brain, pool: model.Pool, judge: suppose.Judge, now: float) -> Steps[list[dict[str, Any]]]:
    """Return what would become of a pool; nothing when it stays as it is."""
    old = brain.pool_alone(pool.name, now)
    yield
    new = brain.pool_alone(pool.name, now, lambda of, name, family: judge(of, name, family, None))
    was, will = ({"usable": one.usable, "up": one.up} for one in (old, new))
    yield
    return [{"pool": pool.name, "members": len(pool.members), "before": was, "after": will}] if old != new else []
