"""Decisions that would be a CNAME at an apex in, the same with the addresses behind it out (RFC 1034 section 3.6.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gtm import model, seen
from gtm.steer import ring

Hosts = Mapping[str, seen.Followed]


def verdict(real: seen.Verdict, host: str, hosts: Hosts) -> seen.Verdict:
    """Return what a member is worth: one whose host name leads nowhere yet cannot serve."""
    if not host or host in hosts:
        return real
    return replace(real, eligible=False, held=False, state="down", why=f"{host} was not found yet")


def flat(made: Sequence[seen.Decision], families: Sequence[model.Family], hosts: Hosts) -> list[seen.Decision]:
    """Return decisions by family with addresses in the place of host names; for other types there is nothing."""
    return [
        replace(one, replies=(), slots=()) if family == "cname" else _flat(one, family, hosts)
        for one, family in zip(made, families, strict=True)
    ]


def _flat(decision: seen.Decision, family: model.Family, hosts: Hosts) -> seen.Decision:
    lives = [hosts[reply[0].value].ttl_s for reply in decision.replies if reply[0].value in hosts]
    if not lives and all(reply[0].family != "cname" for reply in decision.replies):
        return decision
    replies = [_addresses(reply, family, hosts) for reply in decision.replies]
    left = [at for at, reply in enumerate(replies) if reply]
    number = {at: new for new, at in enumerate(left)}
    return replace(
        decision,
        replies=tuple(replies[at] for at in left),
        slots=tuple(number[slot] for slot in decision.slots if slot in number),
        ttl_s=min([decision.ttl_s, *lives]),
    )


def _addresses(reply: tuple[seen.Answer, ...], family: model.Family, hosts: Hosts) -> tuple[seen.Answer, ...]:
    if reply[0].family != "cname":
        return reply
    found = hosts[reply[0].value].addresses if reply[0].value in hosts else ()
    mine = [one for one in found if (":" in one) == (family == "ipv6")]
    return tuple(seen.Answer(reply[0].endpoint, family, one) for one in mine[: ring.MAX_ANSWERS])


def wanted(snapshot: model.Snapshot) -> list[str]:
    """Return the host names that are to be followed, in order."""
    found: set[str] = set()
    for policy in snapshot.policies:
        if policy.follow:
            members = {member.endpoint for pool in policy.pools for member in snapshot.pools[pool].members}
            found |= {snapshot.endpoints[one].hostname for one in members} | {policy.when_all_down.cname}
    return sorted(found - {""})
