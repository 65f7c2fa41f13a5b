"""What a name's addresses were decided to be in, the same as bindings of services out: HTTPS and SRV.

Nothing is decided anew: who serves, from which pool and for how long stands in the two decisions for addresses, so a
hint or a target is never of a member that is out of A and AAAA (RFC 9460 section 7.3, RFC 2782).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gtm import answering, model, seen
from gtm.steer import ring

SRV, HTTPS = 33, 65


@dataclass(frozen=True, slots=True)
class _Host:
    """One host of an SRV answer, and how good it is: the smallest `rank` first."""

    rank: tuple[int, int, int]
    name: str
    endpoint: str
    weight: float


def decisions(policy: model.Policy, made: Sequence[seen.Decision], snapshot: model.Snapshot) -> list[seen.Decision]:
    """Return what is answered for the services of `policy`: for HTTPS, then for each SRV; each by audience.

    `made` are its decisions by audience, then ipv4, ipv6 and cname. Every SRV of one audience is the same decision.
    """
    pairs = list(zip(made[0::3], made[1::3], strict=True))
    found = [https(*pair) for pair in pairs] if policy.https is not None else []
    if policy.srv:
        found += [srv(*pair, policy, snapshot) for pair in pairs] * len(policy.srv)
    return found


def https(v4: seen.Decision, v6: seen.Decision) -> seen.Decision:
    """Return the decision for HTTPS: the addresses of each reply of one family, and of its endpoints in the other.

    Where a reply is a CNAME, so is this one (semantics E7).
    """
    lead = _lead(v4, v6)
    other = v6 if lead is v4 else v4
    beside: dict[str, dict[str, seen.Answer]] = {}
    for reply in other.replies if _counts(other, lead) else ():
        for one in reply:
            if one.family != "cname":
                beside.setdefault(one.endpoint, {})[one.value] = one
    replies = tuple(reply if reply[0].family == "cname" else _both(reply, beside) for reply in lead.replies)
    return replace(lead, replies=replies, ttl_s=_ttl_s(v4, v6, lead))


def _both(reply: Sequence[seen.Answer], beside: Mapping[str, Mapping[str, seen.Answer]]) -> tuple[seen.Answer, ...]:
    own = [one for one in reply if one.family != "cname"]
    there = [one for name in dict.fromkeys(one.endpoint for one in own) for one in beside.get(name, {}).values()]
    return *own, *there[: ring.MAX_ANSWERS]


def srv(v4: seen.Decision, v6: seen.Decision, policy: model.Policy, snapshot: model.Snapshot) -> seen.Decision:
    """Return the decision for SRV: the members of the serving pool, priority by tier, weight by weight.

    Whoever is answered now comes first, then those of the pool that would follow: standbys, later tiers. A sticky pool
    keeps its order, so that clients stay where they are. At most eight; of more, all take their turn.
    """
    lead = _lead(v4, v6)
    same = [one for one in (v4, v6) if one.pool == lead.pool and _counts(one, lead)]
    hosts = _hosts(lead, same, policy.zone, snapshot)
    if lead.sticky is not None:
        replies = [_offers(_in_order(reply, hosts)) for reply in lead.replies]
        return replace(lead, replies=tuple(replies), ttl_s=_ttl_s(v4, v6, lead))
    best = [one for one in hosts if one.rank == hosts[0].rank]
    turns = len(best) if len(hosts) > ring.MAX_ANSWERS else min(1, len(hosts))
    some = [_offers([*best[at:], *best[:at], *hosts[len(best) :]]) for at in range(turns)]
    return replace(lead, replies=tuple(some), slots=tuple(range(turns)), ttl_s=_ttl_s(v4, v6, lead))


def _lead(v4: seen.Decision, v6: seen.Decision) -> seen.Decision:
    return max((v4, v6), key=lambda one: (bool(one.replies), _counts(one, v4) and _counts(one, v6), one.rcode))


def _counts(one: seen.Decision, beside: seen.Decision) -> bool:
    """Say whether a family says who serves: not as a last resort beside a family that lives (B6)."""
    return one.rung != "last_resort" or beside.rung == "last_resort" or not beside.replies


def _ttl_s(v4: seen.Decision, v6: seen.Decision, lead: seen.Decision) -> int:
    return min((one.ttl_s for one in (v4, v6) if one.replies), default=lead.ttl_s)


def _hosts(lead: seen.Decision, both: Sequence[seen.Decision], zone: str, snapshot: model.Snapshot) -> list[_Host]:
    """Return everybody who may be named, best first."""
    firsts = {reply[0].endpoint for one in both for reply in one.replies}
    serving = {answer.endpoint for one in both for reply in one.replies for answer in reply}
    views = {view.endpoint: view for one in both for tried in one.tried if tried.pool == lead.pool
             for view in tried.members}  # fmt: skip
    pool = snapshot.pools.get(lead.pool)
    found = []
    for member in pool.members if pool is not None else ():
        view = views.get(member.endpoint)
        follows = view is not None and view.eligible and lead.rung != "last_resort"
        if member.endpoint not in serving and not follows:
            continue
        weight = view.weight if view is not None else float(member.weight)
        place = 0 if member.endpoint in firsts else 1 if member.endpoint in serving else 2
        host = snapshot.endpoints[member.endpoint].hostname or answering.target(member.endpoint, zone)
        found.append(_Host((place, member.tier, int(weight <= 0)), host, member.endpoint, weight))
    # The last resort's own host name belongs to no member; its addresses have no name, and cannot be said.
    names = {one.value for of in both for reply in of.replies for one in reply if not one.endpoint}
    found += [_Host((0, 0, 0), name, "", 1.0) for name in sorted(names) if name.endswith(".")]
    return sorted(found, key=lambda one: (one.rank, one.name))


def _in_order(reply: Sequence[seen.Answer], hosts: Iterable[_Host]) -> list[_Host]:
    """Return hosts in the order of a reply, each a rank of its own, then the others."""
    place = {answer.endpoint: at for at, answer in reversed(list(enumerate(reply)))}
    ranked = [replace(one, rank=(-1, place[one.endpoint], 0)) if one.endpoint in place else one for one in hosts]
    return sorted(ranked, key=lambda one: (one.rank, one.name))


def _offers(hosts: Sequence[_Host]) -> tuple[seen.Answer, ...]:
    """Return at most eight hosts as what SRV says of them; those of one rank share in proportion to their weights."""
    some = hosts[: ring.MAX_ANSWERS]
    ranks = sorted({one.rank for one in some})
    out: list[seen.Offer] = []
    for priority, rank in enumerate(ranks, 1):
        here = [one for one in some if one.rank == rank]
        weights = [one.weight if one.weight > 0 else 1.0 for one in here]
        whole = [int(one) for one in weights] if all(one == int(one) for one in weights) else ring.whole(weights)
        out += [seen.Offer(one.endpoint, "cname", one.name, priority, share)
                for one, share in zip(here, whole, strict=True)]  # fmt: skip
    return tuple(out)


def text(answer: Sequence[seen.Answer], policy: model.Policy, port: int) -> list[str]:
    """Return one reply of a service as the records in it, for people; `port` 0 is HTTPS."""
    if port:
        return [f"{one.priority} {one.weight} {port} {one.value}" for one in answer if isinstance(one, seen.Offer)]
    if policy.https is None or answer[0].family == "cname":
        return [one.value for one in answer[:1]]
    words = [f"alpn={','.join(policy.https.alpn)}"] if policy.https.alpn else []
    words += [f"port={policy.https.port}"] if policy.https.port else []
    for word, family in (("ipv4hint", "ipv4"), ("ipv6hint", "ipv6")):
        hints = [one.value for one in answer if one.family == family]
        words += [f"{word}={','.join(hints)}"] if hints else []
    return [" ".join(["1 .", *words])]


def at(snapshot: model.Snapshot, name: str, kind: int, steered: int | None) -> tuple[int, int] | None:
    """Return the policy whose service answers a name and type, and its port (0 for HTTPS); None when none does.

    `steered` is the policy that answers for the name itself, if one does.
    """
    if kind == HTTPS:
        return (steered, 0) if steered is not None and snapshot.policies[steered].https is not None else None
    first, second, owner = [*name.split(".", 2), "", ""][:3]
    for zone in snapshot.zones if kind == SRV else ():
        for one in snapshot.policies[zone.steer[owner]].srv if owner in zone.steer else ():
            if one.name == f"{first}.{second}":
                return zone.steer[owner], one.port
    return None
