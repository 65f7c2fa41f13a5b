"""What people may see: the brain comes in, plain dictionaries in the shapes of the interface contract go out.

Pure, like the brain: made when somebody looks, from the same decisions that the answer table was made from, so that
the page, the API and DNS cannot disagree.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from gtm import brain as brains
from gtm import errors, model, names, seen, table
from gtm.health import depends, orders
from gtm.steer import audience, explain, services
from gtm.wire import lookup, records, steps
from gtm.wire.zone import SOA

ASSUMPTIONS = ("down", "up")
STEP_ROWS = 32  # of a status, that cost about half of a millisecond
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
PLACELESS: tuple[Network, ...] = tuple(map(ipaddress.ip_network, table.PLACELESS))


def status_line(brain: brains.Brain) -> str:
    """Return what `systemctl status` shows; an endpoint is up when one of its families is."""
    status, wanted = brain.health.endpoint_status, brain.snapshot
    up = [any(status(name, one) == "up" for one in each.families()) for name, each in wanted.endpoints.items()]
    zones = f"{len(wanted.zones)} zone{'' if len(wanted.zones) == 1 else 's'}"
    some = f"{len(up)} endpoint{'' if len(up) == 1 else 's'}"
    return f"serving {zones}, " + (f"{some} up" if all(up) else f"{sum(up)} of {some} up")


def names_view(brain: brains.Brain) -> list[dict[str, Any]]:
    """Return every steered name with its rung on the ladder and the pools that serve it now.

    The rung is the lowest; `partly` says that other clients are answered from a higher one.
    """
    of_policy = []  # a hundred thousand names may share a few
    for index in range(len(brain.snapshot.policies)):
        decisions = brain.of_policy(index)
        pools = list(dict.fromkeys(one.pool for one in decisions if one.pool and one.replies))
        partly = any(one.replies and one.rung != brain.rungs[index] for one in decisions)
        of_policy.append({"rung": brain.rungs[index], "partly": partly, "pools": pools, "ttl": decisions[0].ttl_s})
    dead = brain.health.dead_sources
    return [
        {"name": owner, **of_policy[index], "source_down": owner in dead}
        for zone in brain.snapshot.zones
        for owner, index in sorted(zone.steer.items())
    ]


def zones_view(brain: brains.Brain) -> list[dict[str, Any]]:
    """Return every zone: how many steered names it has, and on which rungs of the ladder they stand."""
    found = []
    for zone in brain.snapshot.zones:
        counts: Counter[model.Rung] = Counter()
        for index, owners in Counter(zone.steer.values()).items():  # a hundred thousand names may share a few
            counts[brain.rungs[index]] += owners
        found.append({"zone": zone.name, "names": len(zone.steer), "rungs": dict(counts)})
    return found


def pools_view(brain: brains.Brain) -> list[dict[str, Any]]:
    """Return every pool: usable or why not, how many of its members are up, and each of them.

    Shares are as the pool stands by itself; where its names have checks of their own, as they get it, on average.
    """
    rows, by_name = [], _shares_by_name(brain)
    for name, pool in brain.snapshot.pools.items():
        tried = brain.pools[name]
        roster = [
            {
                "endpoint": member.endpoint,
                "state": member.state,
                "eligible": member.eligible,
                "weight": member.weight,
                "share": by_name[name].get(member.endpoint, 0.0) if name in by_name else member.share,
                "reason": member.reason,
                "order": member.order,
            }
            for member in tried.members
        ]
        rows.append(
            {"pool": name, "usable": tried.usable, "up": tried.up, "members": len(pool.members)}
            | {"reason": tried.reason}
            | {"balance": pool.balance, "detects_within_s": _detection_s(brain.snapshot, pool), "roster": roster}
        )
    return rows


def _shares_by_name(brain: brains.Brain) -> dict[str, dict[str, float]]:
    """Return what members get of the answers of the pools that serve names with checks of their own: the mean share of
    all such names and audiences.
    """
    total: dict[str, dict[str, float]] = {}
    times: Counter[str] = Counter()
    for index, policy in enumerate(brain.snapshot.policies):
        if not policy.name and policy.check is None:
            continue
        for decision in brain.of_policy(index):
            served = next((one for one in decision.tried if one.pool == decision.pool), None)
            if served is None or not decision.replies:
                continue
            times[decision.pool] += 1
            into = total.setdefault(decision.pool, {})
            for member in served.members:
                into[member.endpoint] = into.get(member.endpoint, 0.0) + member.share
    return {pool: {one: round(part / times[pool], 4) for one, part in of.items()} for pool, of in total.items()}


def _detection_s(snapshot: model.Snapshot, pool: model.Pool) -> float | None:
    """Return how long a silent death of a member goes unseen at worst (semantics A3); None without a check."""
    voting = [snapshot.profiles[name] for name in (pool.check.of if pool.check else ())]
    times = [profile.detects_within_s for profile in voting if not profile.observe]
    return round(max(times), 3) if times else None


def endpoints_view(brain: brains.Brain, now: float) -> steps.Steps[list[dict[str, Any]]]:
    """Return every endpoint by family: measured state beside what it is used for. In steps: there may be thousands."""
    serving = {
        (answer.endpoint, answer.family)
        for decision in brain.decisions
        for reply in decision.replies
        for answer in reply
    }
    snapshot, homes, rows = brain.snapshot, _homes(brain), []
    for at, endpoint in enumerate(snapshot.endpoints.values()):
        if at % STEP_ROWS == 0:
            yield
            if brain.snapshot is not snapshot:  # another configuration came meanwhile
                return (yield from endpoints_view(brain, now))
        for family in endpoint.families():
            state = brain.health.endpoint_state(endpoint.name, family)
            weight, load = 0.0, 1.0
            if endpoint.name in homes:
                home, member = homes[endpoint.name]
                verdict = brain.health.verdict(home, endpoint.name, family, None, now)
                weight, load = member.weight * verdict.weight_factor, verdict.load_factor
            rows.append(
                {
                    "endpoint": endpoint.name,
                    "family": family,
                    "site": endpoint.site,
                    "address": endpoint.answer(family),
                    "state": state.state,
                    "serving": (endpoint.name, family) in serving,
                    "weight": round(weight, 4),
                    "load": load,
                    "since": round(state.since_s + brain.wall_offset_s, 3) if state.since_s else None,
                    "reason": state.reason,
                    "order": state.order,
                    "orders": _orders(brain, endpoint.name),
                    "stale": state.stale,
                    "not_for": list(state.not_for),
                    "overload": state.overload,
                }
            )
    return rows


def _homes(brain: brains.Brain) -> dict[str, tuple[model.Pool, model.Member]]:
    """Return the first pool of each endpoint and its place there; each pool's own weights stand under `pools`."""
    homes: dict[str, tuple[model.Pool, model.Member]] = {}
    for pool in brain.snapshot.pools.values():
        for member in pool.members:
            homes.setdefault(member.endpoint, (pool, member))
    return homes


def worths(brain: brains.Brain, now: float) -> Iterator[tuple[str, model.Family, model.Status, float]]:
    """Yield every endpoint by family, its state and its weight: what `endpoints_view` says, without the words."""
    homes, health = _homes(brain), brain.health
    for endpoint in brain.snapshot.endpoints.values():
        home = homes.get(endpoint.name)
        for family in endpoint.families():
            weight = 0.0
            if home is not None:
                weight = home[1].weight * health.weight_factor(home[0], endpoint.name, family, now)
            yield endpoint.name, family, health.endpoint_status(endpoint.name, family), round(weight, 4)


def _orders(brain: brains.Brain, endpoint: str) -> list[dict[str, Any]]:
    """Return the orders that hold for an endpoint: who gave them, why, and until when (wall clock; None: no end)."""
    ordered = brain.health.told().laid.get(endpoint, orders.NOTHING)
    return [
        {"id": one.id, "order": one.order, "value": one.value, "by": one.by, "why": one.why, "until": one.until or None}
        for one in (ordered.state, ordered.weight)
        if one is not None
    ]


def sites_view(brain: brains.Brain) -> list[dict[str, Any]]:
    """Return every site and where it is."""
    sites = brain.snapshot.sites.values()
    return [{"site": one.name, "at": one.at, "lat": one.lat, "lon": one.lon} for one in sites]


def steered(brain: brains.Brain, name: str) -> int | None:
    """Return the policy that answers for an absolute lower-case `name`, wildcards included, or None."""
    key = names.key(name)
    zone = _zone(brain, name)
    if zone is None:
        return None
    if name in zone.steer or key in brain.table.names:
        return zone.steer.get(name)
    above = names.parent(key)
    while len(above) >= len(names.key(zone.name)):
        if above in brain.table.names:  # the closest encloser, and its wildcard or none: RFC 4592 section 3.3.1
            return zone.steer.get("*." + names.text(above))
        above = names.parent(above)
    return None


def _zone(brain: brains.Brain, name: str) -> model.Zone | None:
    """Return the zone nearest to an absolute name (RFC 1034 section 4.3.2); None for a name outside of ours."""
    key = names.key(name)
    holding = (zone for zone in brain.snapshot.zones if names.within(key, names.key(zone.name)))
    return max(holding, key=lambda one: len(one.name), default=None)


def decision(brain: brains.Brain, index: int, qtype: str, client: Network | None) -> seen.Decision:
    """Return the decision in force by which a policy (see `steered`) answers a client; None is nobody in particular."""
    which, _ = _audience(brain, index, qtype, client)
    family = brains.FAMILIES.index({"A": "ipv4", "AAAA": "ipv6"}.get(qtype, "cname"))
    return brain.of_policy(index)[which * len(brains.FAMILIES) + family]


def explain_name(
    brain: brains.Brain,
    now: float,
    *,
    name: str,
    qtype: str = "A",
    client: str = "",
    assume: Sequence[str] = (),
    place: str = "",
) -> dict[str, Any]:
    """Return why `name` gets the answer that it gets, in the shape of the interface contract.

    `client` is an address or a prefix (as a client subnet option would give it); `assume` holds `GLOB=down` or
    `GLOB=up`. Raises `GtmError` for what cannot be read.
    """
    absolute = name.lower().rstrip(".") + "."
    names.wire(absolute)
    kind = records.type_number(qtype.upper())
    network = _network(client)
    index = steered(brain, absolute)
    entry = brain.table.names.get(names.key(absolute))
    # A steered apex has SOA, NS and more beside its policy.
    at_name = services.at(brain.snapshot, absolute, kind, index)
    if at_name is not None:
        return _service(brain, now, absolute, qtype.upper(), network, client, place, at_name, assume)
    if index is None or kind == SOA or (entry is not None and kind in entry.fixed):
        return _static(brain, absolute, qtype.upper(), client, place)
    policy = brain.snapshot.policies[index]
    which, scope = _audience(brain, index, qtype.upper(), network)
    family: model.Family = {"A": "ipv4", "AAAA": "ipv6"}.get(qtype.upper(), "cname")  # type: ignore[assignment]
    (decision,) = brain.decide(
        policy, brain.partition.by_policy[index].audiences[which], (family,), now, _assumed(brain, policy, assume, now)
    )
    said = explain.explanation(
        decision, name=absolute, qtype=qtype.upper(), client=client, place=place, ecs_scope=scope
    )
    empty = {} if decision.replies or decision.rcode else {"ttl": _negative_ttl_s(brain, absolute)}
    return said | empty | {"judged": brain.judged()}


def _negative_ttl_s(brain: brains.Brain, name: str) -> int:
    """Return how long it is believed that a name has no such records: as its zone's SOA says (RFC 2308, D2)."""
    zone = _zone(brain, name)
    if zone is None:
        return 0
    soa = lookup.find(brain.current_table(), zone.name, "SOA")
    return min(soa.ttl_s, int(soa.answers[0].rstrip(")").split()[-1]))


def _service(  # noqa: PLR0917 - what `explain_name` was asked, and what of
    brain: brains.Brain, now: float, name: str, qtype: str, network: Network | None, client: str, place: str,
    of: tuple[int, int], assume: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """Explain the answer of a service: HTTPS beside a name's addresses, SRV below it."""
    index, port = of
    policy = brain.snapshot.policies[index]
    which, scope = _audience(brain, index, qtype, network, every_type=True)
    made = brain.decide(
        policy, brain.partition.by_policy[index].audiences[which], brains.FAMILIES, now,
        _assumed(brain, policy, assume, now),
    )  # fmt: skip
    found = services.decisions(policy, made, brain.snapshot)[-1 if port else 0]
    said = explain.explanation(found, name=name, qtype=qtype, client=client, place=place, ecs_scope=scope)
    records = dict.fromkeys(one for reply in found.replies for one in services.text(reply, policy, port))
    return said | {"answers": list(records), "shares": {}, "judged": brain.judged()}


def _network(client: str) -> Network | None:
    """Return a client as a network; None for nobody in particular."""
    if not client:
        return None
    try:
        return ipaddress.ip_network(client, strict=False)
    except ValueError:
        raise errors.GtmError(f"{client!r} is neither an address nor a prefix") from None


def _audience(
    brain: brains.Brain, index: int, qtype: str, client: Network | None, every_type: bool = False
) -> tuple[int, int]:
    """Return to which audience of a policy a client subnet belongs, and the scope that a worker answers it with.

    An opt-out (C4), a network that says nothing of a place (C6) and a type that nobody gets (C3) have scope 0.
    """
    by_policy, steering = brain.partition.by_policy[index], brain.table.steerings[index]
    which, scope = 0, 0
    known = client is not None and client.prefixlen > 0
    if by_policy.prefixes >= 0:
        prefixes = brain.partition.prefixes[by_policy.prefixes]
        which = prefixes.nowhere
        if client is not None and known:
            at, scope = audience.find(prefixes, client.version, int(client.network_address), client.prefixlen)
            known, which = at >= 0, at if at >= 0 else which
    elif client is not None:
        known = known and not any(client.network_address in one for one in PLACELESS)
    if client is not None and steering.sticky is not None:  # drawn by the client's prefix (C2)
        scope = max(scope, steering.sticky[client.version == 6])
    answered = every_type or {"A": steering.a, "AAAA": steering.aaaa}.get(qtype, steering.other)
    return which, scope if known and answered else 0


def _assumed(
    brain: brains.Brain, policy: model.Policy, assume: Sequence[str], now: float
) -> Callable[[model.Pool, str, model.Family], seen.Verdict] | None:
    """Return verdicts with the assumptions laid over them, and over what depends on them (A6); None without any."""
    if not assume:
        return None
    assumed: dict[str, str] = {}
    for text in assume:
        glob, _, state = text.rpartition("=")
        if state not in ASSUMPTIONS or not glob:
            raise errors.GtmError(f"{text!r} is not an assumption: write GLOB=down or GLOB=up")
        matched = orders.matching(glob, brain.snapshot)
        if not matched:
            raise errors.GtmError(f"{glob!r} matches no endpoint")
        assumed |= dict.fromkeys(matched, state)
    needs = depends.Dependencies(brain.snapshot)

    def is_down(endpoint: str) -> bool:
        families = brain.snapshot.endpoints[endpoint].families()
        measured = all(brain.health.endpoint_state(endpoint, family).state == "down" for family in families)
        return assumed[endpoint] == "down" if endpoint in assumed else measured

    def verdict(pool: model.Pool, endpoint: str, family: model.Family) -> seen.Verdict:
        real = brain.health.verdict(pool, endpoint, family, policy, now)
        cause = needs.cause(endpoint, is_down)
        if endpoint not in assumed and not cause:
            return real
        up = not cause and assumed[endpoint] == "up"
        return replace(
            real,
            eligible=up and not real.barred,
            held=False,
            state="up" if up else "down",
            why=f"assumed: {cause}" if cause else f"assumed {assumed[endpoint]}",
        )

    return verdict


def _static(brain: brains.Brain, name: str, qtype: str, client: str, place: str) -> dict[str, Any]:
    """Explain what is not steered by asking the table itself."""
    found = lookup.find(brain.current_table(), name, qtype)
    return {
        "name": name, "type": qtype, "client": client, "place": place, "rule": None, "rung": None, "pool": None,
        "tried": [], "answers": list(found.answers), "ttl": found.ttl_s, "ecs_scope": 0, "rcode": found.rcode,
        "why": "static, not steered", "judged": brain.judged(),
    }  # fmt: skip


def ttl_bound_s(snapshot: model.Snapshot, endpoints: Collection[str]) -> int:
    """Return the longest TTL that any answer with one of `endpoints` can have ever had; 0 for none."""
    pools = {pool.name for pool in snapshot.pools.values() if any(one.endpoint in endpoints for one in pool.members)}
    naming = (one for one in snapshot.policies if not pools.isdisjoint(one.pools))
    return max((one.ttl_max_s for one in naming), default=0)


def longest_ttl_s(brain: brains.Brain, endpoints: Collection[str]) -> int:
    """Return the longest TTL of any answer in force that holds one of `endpoints` (semantics D3); 0 for none."""
    return max(
        (
            one.ttl_s
            for one in brain.decisions
            if any(answer.endpoint in endpoints for reply in one.replies for answer in reply)
        ),
        default=0,
    )
