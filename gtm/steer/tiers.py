"""A policy, an audience and a family in, the decision out: the ladder of pools, tiers and last resorts (section B)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gtm import model, seen
from gtm.steer import audience as audiences
from gtm.steer import ring, roster, ttl

RUNGS: tuple[model.Rung, ...] = ("first", "fallback", "degraded", "last_resort")
OTHER: Mapping[model.Family, model.Family] = {"ipv4": "ipv6", "ipv6": "ipv4"}
SERVFAIL = 2  # RFC 1035 section 4.1.1
# An EDE text travels in every explained answer and must leave room for records in 1232 bytes.
WHY_BYTES = 200


@dataclass(frozen=True, slots=True)
class _Case:
    """What one call of `decide` is about; what was read and walked already is kept, for families look at each other."""

    policy: model.Policy
    audience: audiences.Audience
    pools: Mapping[str, model.Pool]
    endpoints: Mapping[str, model.Endpoint]
    verdict: roster.Judge
    judged: bool
    shared_key: bytes
    read: dict[model.Family, list[roster.Roster]] = field(default_factory=dict)
    walked: dict[model.Family, _Found] = field(default_factory=dict)

    def rosters(self, family: model.Family) -> list[roster.Roster]:
        """Return the rule's pools in order, each with its members of `family`."""
        known = self.read.get(family)
        if known is None:
            names = self.policy.rules[self.audience.rule].pools
            known = self.read[family] = [
                roster.read(self.pools[name], family, self.endpoints, self.verdict, self.judged)
                for name in dict.fromkeys(names)
            ]
        return known


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the walk down the ladder ended: who serves (nobody: NODATA), from which pool, on which rung."""

    rung: model.Rung
    pool: str
    tried: tuple[seen.Tried, ...]
    serving: tuple[roster.Person, ...] = ()
    fixed: tuple[seen.Answer, ...] = ()  # last resort: answers that belong to no member
    rcode: int = 0
    watched: tuple[roster.Person, ...] = ()  # whose change could change this (D1)
    note: str = ""


def decide(
    policy: model.Policy,
    audience: audiences.Audience,
    families: Sequence[model.Family],
    *,
    pools: Mapping[str, model.Pool],
    endpoints: Mapping[str, model.Endpoint],
    verdict: roster.Judge,
    judged: bool,
    shared_key: bytes,
) -> list[seen.Decision]:
    """Return what `policy` answers to `audience` in each family (`cname`: every type but A and AAAA), by B1 to B11.

    `verdict` says what each member of a pool is worth (a host name is asked about in family `cname`), `judged`
    whether the first round of checks is through (A1). The same arguments always give the same decision.
    """
    case = _Case(policy, audience, pools, endpoints, verdict, judged, shared_key)
    return [_fill(case, _other_types(case) if family == "cname" else _walk(case, family)) for family in families]


def alone(
    pool: model.Pool,
    family: model.Family,
    endpoints: Mapping[str, model.Endpoint],
    verdict: roster.Judge,
    judged: bool,
) -> seen.Tried:
    """Return how `pool` stands by itself in a family, as `decide` would try it for a policy that has nothing else."""
    here = roster.read(pool, family, endpoints, verdict, judged)
    held = not here.usable(held=False)
    return here.tried(held, usable=here.usable(held))


def worst(decisions: Sequence[seen.Decision]) -> seen.Decision:
    """Return the decision lowest on the ladder; one that answers nothing counts only where all do (NODATA)."""
    answering = [one for one in decisions if one.replies] or decisions
    return max(answering, key=lambda one: RUNGS.index(one.rung))


def _walk(case: _Case, family: model.Family) -> _Found:
    """Walk down the ladder for one address family (B3, B4, B6, B11)."""
    if family not in case.walked:
        case.walked[family] = _walk_down(case, family)
    return case.walked[family]


def _walk_down(case: _Case, family: model.Family) -> _Found:
    mine, other = case.rosters(family), case.rosters(OTHER[family])
    if not any(one.people for one in mine):
        return _nodata(case, family, mine, other)
    for held in (False, True):  # who waits for failback is used before anything worse (B11)
        for at, one in enumerate(mine):
            rung: model.Rung = "fallback" if at else "first"
            if one.people and one.usable(held):
                tried = *(past.tried(held, usable=False) for past in mine[:at]), one.tried(held, usable=True)
                watched = *_everybody(mine[:at]), *one.turns(held)
                return _Found(rung, one.pool.name, tried, tuple(one.serving(held)), watched=watched)
            if not one.people and other[at].people and other[at].usable(held):
                # This pool serves its clients in the other family alone; a later pool's addresses would part them.
                none = f"no {family} address"
                tried = (
                    *(past.tried(held, usable=False) for past in mine[:at]),
                    seen.Tried(one.pool.name, usable=True, reason=none),
                )
                watched = *_everybody(mine[:at]), *other[at].turns(held)
                return _Found(rung, one.pool.name, tried, watched=watched, note=f"pool {one.pool.name}; {none}")
    tried = tuple(one.tried(held=True, usable=False) for one in mine)
    watched = tuple(_everybody(mine))
    for held in (False, True):
        for one in mine:
            if one.up(held):
                return _Found("degraded", one.pool.name, tried, tuple(one.serving(held)), watched=watched)
    # Not the other way round: who has IPv4 alone must get something (B4), and who has both prefers what lives.
    if family == "ipv6" and any(one.up(held=True) for one in other):
        return _nodata(case, family, mine, other)
    return _source_down(case, family, mine, tried) or _last_resort(case, family, mine, tried)


def _nodata(case: _Case, family: model.Family, mine: Sequence[roster.Roster], other: Sequence[roster.Roster]) -> _Found:
    """Answer NODATA so that clients use the other family (B6); where the name stands is what that family says.

    When nobody lives in the other family either, addresses and host names of the last resort count in both.
    """
    watched = (*_everybody(mine), *_everybody(other))
    if not any(one.people for one in other):
        return _Found("first", "", (), note="no members")
    there = _walk(case, OTHER[family])
    has_some = any(one.people for one in mine)
    if there.rung == "last_resort":
        last = _last_resort(case, family, mine, ())
        if last.fixed:
            return replace(last, watched=watched)
    note = f"all {family} members down, {OTHER[family]} lives" if has_some else f"no {family} address"
    tried = tuple(one.tried(held=True, usable=False) for one in mine) if has_some else ()
    return _Found(there.rung, there.pool, tried, watched=watched, note=note)


def _source_down(
    case: _Case, family: model.Family, mine: Sequence[roster.Roster], tried: tuple[seen.Tried, ...]
) -> _Found | None:
    """Answer a name whose stream is dead on all nodes, which are well (A12); None when that is not so.

    The answers are kept, as if the stream were on air, or come from the pool that was named for this. An operator who
    wrote what to do when all are down, and nothing of a dead source, gets that.
    """
    wanted, kept = case.policy.source_down, case.policy.when_all_down.kind == "serve-all"
    without = [one.without_stream() for one in mine]
    if not any(one.people for one in without) or not (wanted or kept):
        return None
    found = _Found("degraded", "", tried, watched=tuple(_everybody(mine)))
    if wanted not in {"", model.KEEP}:
        slate = roster.read(case.pools[wanted], family, case.endpoints, case.verdict, case.judged)
        if slate.usable(held=True):
            return replace(
                found,
                rung="fallback",
                pool=wanted,
                tried=(*tried, slate.tried(held=True, usable=True)),
                serving=tuple(slate.serving(held=True)),
                watched=(*found.watched, *slate.people),
                note=f"source down; pool {wanted}",
            )
    one = next(one for one in without if one.people)
    note = f"source down; answers of {one.pool.name} kept"
    return replace(found, pool=one.pool.name, serving=tuple(one.serving(held=True)), note=note)


def _last_resort(
    case: _Case, family: model.Family, mine: Sequence[roster.Roster], tried: tuple[seen.Tried, ...]
) -> _Found:
    """Answer `when_all_down` (B4); who is drained or forced down stays out of this too (B5)."""
    wanted = case.policy.when_all_down
    note = f"last resort {wanted.kind}"
    found = _Found("last_resort", "", tried, watched=tuple(_everybody(mine)), note=note)
    if wanted.kind == "serve-all":
        for one in mine:
            left = tuple(person for person in one.people if not person.verdict.barred)
            if left:
                return replace(found, pool=one.pool.name, serving=left, note=f"{note} of {one.pool.name}")
        return found
    if wanted.kind == "servfail":
        return replace(found, rcode=SERVFAIL)
    if wanted.kind == "address":
        of_family = [one for one in wanted.addresses if (":" in one) == (family == "ipv6")]
        return replace(found, fixed=tuple(seen.Answer("", family, one) for one in of_family))
    if wanted.kind == "cname":
        return replace(found, fixed=(seen.Answer("", "cname", wanted.cname),))
    return found


def _other_types(case: _Case) -> _Found:
    """Decide for every type but A and AAAA: a CNAME where all that is served is one, else NODATA (RFC 1034 3.6.2)."""
    both = (_walk(case, "ipv4"), _walk(case, "ipv6"))
    shown = next((found for found in both if found.serving or found.fixed), both[0])
    served = [person.answer for found in both for person in found.serving]
    served += [answer for found in both for answer in found.fixed]
    if served and all(answer.family == "cname" for answer in served):
        return shown
    only_names = all(person.answer.family == "cname" for of in both for person in of.watched)
    rcode = shown.rcode if only_names else 0  # a name that has only addresses never had other types: NODATA
    return replace(shown, serving=(), fixed=(), rcode=rcode, note=shown.note or "no such type")


def _everybody(rosters: Iterable[roster.Roster]) -> list[roster.Person]:
    return [person for one in rosters for person in one.people]


def _fill(case: _Case, found: _Found) -> seen.Decision:
    """Turn where the walk ended into a decision: ring, TTL, and the line that says why."""
    policy = case.policy
    ttl_s = ttl.seconds(
        (person.verdict for person in found.watched),
        low_s=policy.ttl_min_s,
        high_s=policy.ttl_max_s,
        judged=case.judged,
    )
    pool = case.pools.get(found.pool)
    turn = _turn(case, found)
    return seen.Decision(
        rule=case.audience.rule + 1,
        rung=found.rung,
        pool=found.pool,
        tried=found.tried,
        replies=turn.replies,
        slots=turn.slots,
        ttl_s=ttl_s,
        sticky=pool.sticky if pool is not None and _is_sticky(found, pool) else None,
        rcode=found.rcode,
        why=_why(case, found, ttl_s),
    )


def _turn(case: _Case, found: _Found) -> ring.Turn:
    if found.fixed:
        fixed = tuple(ring.Seat(answer, 1.0) for answer in found.fixed)
        return ring.exact((fixed,), ring.MAX_ANSWERS)
    if not found.serving:
        return ring.Turn()
    pool = case.pools[found.pool]
    answers = ring.MAX_ANSWERS if pool.balance == "all" else min(pool.answers, ring.MAX_ANSWERS)
    if found.rung == "last_resort":
        return ring.exact((roster.seats(found.serving, equal=True),), answers)
    seats = roster.seats(found.serving)
    if _is_sticky(found, pool):
        return ring.sticky(seats, answers, case.shared_key)
    near = case.audience.near.get(pool.name) if pool.balance == "nearest" else None
    if near is None:  # also a client whose place is unknown: as `weighted` (B8)
        return ring.exact((seats,), answers)
    bands = (tuple(seat for seat in seats if seat.site in sites) for sites in near)
    return ring.exact(tuple(band for band in bands if band), answers)


def _is_sticky(found: _Found, pool: model.Pool) -> bool:
    """Say whether clients are tied to their prefix: not in a last resort, which goes in rotation (B4)."""
    return pool.balance == "sticky" and bool(found.serving) and found.rung != "last_resort"


def _why(case: _Case, found: _Found, ttl_s: int) -> str:
    """Return the line for EDE and events: `rule 2; pool edge-us; edge-eu failed: 0 of 3 up; ttl 5`."""
    head = [f"rule {case.audience.rule + 1}"]
    if found.note:
        head.append(found.note)
    elif found.pool:
        head.append(f"pool {found.pool} degraded" if found.rung == "degraded" else f"pool {found.pool}")
    if not case.judged:
        head.append("not judged yet")
    tail = [f"ttl {ttl_s}"] if found.serving or found.fixed else []
    failed = [f"{one.pool} failed: {one.reason}" for one in found.tried if not one.usable]
    for kept in range(len(failed), -1, -1):
        more = [f"{len(failed) - kept} more failed"] if kept < len(failed) else []
        line = "; ".join(head + failed[:kept] + more + tail)
        if len(line.encode()) <= WHY_BYTES:
            break
    return line.encode()[:WHY_BYTES].decode(errors="ignore")
