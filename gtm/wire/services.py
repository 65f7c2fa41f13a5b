"""Policies in, how a table holds more than their addresses out: HTTPS beside them, each SRV at a name of its own.

The rings of a policy's services stand together: those of HTTPS, then of each SRV, each by audience. An SRV's owner is
another name than the policy's, so it has a steering of its own; those come behind the policies'. Last come those of
zones that are transferred: the apex's own, with a ring for the SOA, whose serial grows while the table stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gtm import model, names, table

SOA, SRV, HTTPS = 6, 33, 65


def owners(policies: Sequence[model.Policy]) -> list[list[tuple[bytes, int]]]:
    """Return, by policy, the labels that stand before a name for each SRV, and the number of its steering."""
    found, number = [], len(policies)
    for policy in policies:
        mine = []
        for service in policy.srv:
            mine.append((names.key(service.name)[:-1], number))
            number += 1
        found.append(mine)
    return found


def steerings(
    by_policy: Sequence[table.Steering],
    policies: Sequence[model.Policy],
    firsts: Mapping[int, int],
    audiences_of: Sequence[int],
) -> tuple[table.Steering, ...]:
    """Return the steerings of a table; by policy: the first ring of services, and how many audiences there are."""
    whole, apart = list(by_policy), []
    for index, policy in enumerate(policies):
        if index not in firsts:
            continue
        steering, at = by_policy[index], firsts[index]
        audiences = audiences_of[index]
        if policy.https is not None:
            whole[index] = replace(steering, more={HTTPS: tuple(range(at, at + audiences))})
            at += audiences
        for _ in policy.srv:
            some = {SRV: tuple(range(at, at + audiences))}
            apart.append(table.Steering(steering.prefixes, (), (), (), steering.sticky, some))
            at += audiences
    return *whole, *apart


def serials(policies: Sequence[model.Policy], zones: Sequence[model.Zone]) -> dict[str, int]:
    """Return the steering of the apex of each zone that is transferred."""
    first = len(policies) + sum(len(policy.srv) for policy in policies)
    transferred = [zone.name for zone in zones if zone.transfer is not None]
    return {name: first + at for at, name in enumerate(transferred)}


def apexes(
    before: Sequence[table.Steering], zones: Sequence[model.Zone], rings: Mapping[str, int]
) -> tuple[table.Steering, ...]:
    """Return the steerings for the apexes in `rings`, which says where the ring of each SOA is."""
    made = []
    for zone in zones:
        if zone.name in rings:
            policy = zone.steer.get(zone.name)
            under = before[policy] if policy is not None else table.Steering(-1, (), (), ())
            # An SOA is the same for everybody; the ring is named once for each audience.
            audiences = max(1, len(under.a), len(under.aaaa), len(under.other), *map(len, under.more.values()))
            made.append(replace(under, more={**under.more, SOA: (rings[zone.name],) * audiences}))
    return tuple(made)
