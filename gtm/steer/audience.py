"""A configuration's rules and the world's networks in, the audiences of each policy and who belongs to which out.

An *audience* is a set of clients that get the same treatment: the same rule, and the same order of sites where a pool
is `nearest`. Health plays no part (C7). Ranges of addresses with the same audience are merged, so that the scope of
an answer is as short as it honestly can be (C2).
"""

from __future__ import annotations

import bisect
import functools
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from gtm import model, places, seen, table
from gtm.steer import distance, ranges

UNKNOWN_PLACE = "unknown"

NOT_A_PLACE = -1


@dataclass(frozen=True, slots=True)
class Audience:
    """Clients that are treated alike: the index of their rule, and the bands of sites for `nearest` pools.

    A `nearest` pool that is not in `near` is used as `weighted` (the clients' place is unknown, or makes no odds).
    """

    rule: int
    near: Mapping[str, distance.Bands] = field(default_factory=dict)


EVERYBODY = Audience(0)


@dataclass(frozen=True, slots=True)
class PolicyAudiences:
    """A policy's audiences. `prefixes` indexes `Partition.prefixes`; -1 when all clients are audience 0."""

    prefixes: int
    audiences: tuple[Audience, ...]


@dataclass(frozen=True, slots=True)
class Partition:
    """Who belongs where: for each policy of the snapshot, and by continent for counting (`places`)."""

    prefixes: tuple[table.PrefixTable, ...]
    by_policy: tuple[PolicyAudiences, ...]
    places: table.PrefixTable | None = None
    place_names: tuple[str, ...] = ()


# What tells clients apart in one rule: its audience without the words, and its `nearest` pools.
_RuleKey = tuple[tuple[frozenset[str], frozenset[int], frozenset[str]] | None, tuple[str, ...]]


def partition(snapshot: model.Snapshot, networks: seen.Networks) -> Partition:
    """Return the audiences of every policy; policies whose rules tell the same clients apart share one table."""
    maps = {
        name: distance.SiteMap(pool, snapshot.endpoints, snapshot.sites)
        for name, pool in snapshot.pools.items()
        if pool.balance == "nearest"
    }
    maps = {name: one for name, one in maps.items() if one.matters}
    made: dict[tuple[_RuleKey, ...], PolicyAudiences] = {}
    tables: list[table.PrefixTable] = []
    for policy in snapshot.policies:
        key = tuple(_rule_key(rule, maps) for rule in policy.rules)
        if key not in made:
            prefixes, audiences = _divide(key, maps, networks)
            made[key] = PolicyAudiences(len(tables) if prefixes else -1, audiences)
            tables.extend([prefixes] if prefixes else [])
    by_policy = tuple(made[tuple(_rule_key(rule, maps) for rule in policy.rules)] for policy in snapshot.policies)
    places, place_names = _continents(networks)
    return Partition(tuple(tables), by_policy, places, place_names)


def find(prefixes: table.PrefixTable, family: int, address: int, bits: int | None) -> tuple[int, int]:
    """Return the audience of an address (family 4 or 6) and the ECS scope: the shortest prefix inside one range.

    `bits` is the length of a client subnet, or None for a resolver's own address. A subnet that says nothing about
    a place gives audience -1 and scope 0: the caller asks again with the resolver's address (C6), for which that is
    `prefixes.nowhere`.
    """
    starts, values = (
        (prefixes.v4_starts, prefixes.v4_values) if family == 4 else (prefixes.v6_starts, prefixes.v6_values)
    )
    width = ranges.WIDTH[family]
    at = bisect.bisect_right(starts, address) - 1
    if values[at] == NOT_A_PLACE:
        return (prefixes.nowhere if bits is None else NOT_A_PLACE), 0
    # A prefix lies inside the range when neither neighbour's nearest address shares its bits.
    scope = 0
    if at > 0:
        scope = width - (address ^ (starts[at] - 1)).bit_length() + 1
    if at + 1 < len(starts):
        scope = max(scope, width - (address ^ starts[at + 1]).bit_length() + 1)
    return values[at], scope


def _rule_key(rule: model.Rule, maps: Mapping[str, distance.SiteMap]) -> _RuleKey:
    of = rule.audience
    who = (frozenset(of.places), frozenset(of.asns), frozenset(of.prefixes)) if of is not None else None
    return who, tuple(name for name in rule.pools if name in maps)


def _divide(
    rules: tuple[_RuleKey, ...], maps: Mapping[str, distance.SiteMap], networks: seen.Networks
) -> tuple[table.PrefixTable | None, tuple[Audience, ...]]:
    """Divide all addresses by `rules`; no table when there is one audience only."""
    if len(rules) == 1 and rules[0][0] is None and not rules[0][1]:
        return None, (EVERYBODY,)
    geo_rules = [_rule_of(place, rules) for place in networks.locations]
    sights = [
        distance.Sight(
            [maps[name] for name in pools],
            [place for place, of in zip(networks.locations, geo_rules, strict=True) if of == rule],
        )
        for rule, (_, pools) in enumerate(rules)
    ]
    numbers: dict[tuple[int, distance.Orders], int] = {}

    @functools.cache
    def number(rule: int, place: int) -> int:
        where = networks.locations[place]
        return numbers.setdefault((rule, sights[rule].orders(where.lat, where.lon)), len(numbers))

    def named(mark: int, place: int) -> int:
        return NOT_A_PLACE if mark == len(rules) else number(min(mark, geo_rules[place]), place)

    by_place = [number(rule, place) for place, rule in enumerate(geo_rules)]
    overlay = _overlay(rules)
    under4, under6 = (networks.v4_starts, networks.v4_values), (networks.v6_starts, networks.v6_values)
    v4_starts, v4 = ranges.laid(under4, by_place, overlay[4], named, 1 << 32)
    v6_starts, v6 = ranges.laid(under6, by_place, overlay[6], named, 1 << 128)
    kept = sorted({*v4, *v6, by_place[0]} - {NOT_A_PLACE})
    made = list(numbers)
    audiences = tuple(Audience(rule, dict(orders)) for rule, orders in (made[old] for old in kept))
    if len(kept) == 1:
        return None, audiences
    new = {old: index for index, old in enumerate(kept)} | {NOT_A_PLACE: NOT_A_PLACE}
    renumbered = [tuple(map(new.__getitem__, values)) for values in (v4, v6)]
    return table.PrefixTable(v4_starts, renumbered[0], v6_starts, renumbered[1], new[by_place[0]]), audiences


def _rule_of(place: seen.Location, rules: tuple[_RuleKey, ...]) -> int:
    """Return the first rule that matches a client by place or AS number (B9); the last one matches everybody."""
    parts = place.place.split("-")
    within = {"-".join(parts[:size]) for size in range(1, len(parts) + 1)}
    for index, (who, _) in enumerate(rules):
        if who is None or within & who[0] or place.asn in who[1]:
            return index
    return len(rules) - 1


def _overlay(rules: tuple[_RuleKey, ...]) -> dict[int, list[ranges.Segment]]:
    """Return, by family, the addresses under configured or special prefixes, marked with the first rule that names
    them; special ones that no rule names are marked with the number of rules (C6).
    """
    named: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
    prefixes = [(text, index) for index, (who, _) in enumerate(rules) if who is not None for text in who[2]]
    for text, mark in [*prefixes, *((text, len(rules)) for text in table.PLACELESS)]:
        network = ipaddress.ip_network(text, strict=False)
        low = int(network.network_address)
        named[network.version].append((low, low + network.num_addresses, mark))
    return {family: ranges.flat(found) for family, found in named.items()}


def _continents(networks: seen.Networks) -> tuple[table.PrefixTable | None, tuple[str, ...]]:
    """Return a table of continents and their names, for counting; none without networks."""
    if len(networks.locations) == 1:
        return None, ()
    names = (UNKNOWN_PLACE, *places.CONTINENTS)
    at = {name: index for index, name in enumerate(names)}
    by_place = [at.get(place.continent, 0) for place in networks.locations]
    v4 = ranges.merged(networks.v4_starts, [by_place[one] for one in networks.v4_values])
    v6 = ranges.merged(networks.v6_starts, [by_place[one] for one in networks.v6_values])
    return table.PrefixTable(*v4, *v6, 0), names
