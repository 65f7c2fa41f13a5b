"""Policies in, how a table holds their services out: HTTPS beside the addresses, each SRV at a name of its own.

The rings of a policy's services stand together: those of HTTPS, then of each SRV, each by audience. An SRV's owner is
another name than the policy's, so it has a steering of its own; those come behind the policies'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gtm import model, names, table

SRV, HTTPS = 33, 65


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
