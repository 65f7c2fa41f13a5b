"""A configuration in, who is touched by what out: the policies that name an endpoint, and the names of a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gtm import model


@dataclass(frozen=True, slots=True)
class Users:
    """Policies by index: those that try a pool with this endpoint, the one of this name alone, and whom each serves."""

    by_endpoint: Mapping[str, set[int]]
    by_name: Mapping[str, int]
    owners: Sequence[Sequence[str]]


def users(snapshot: model.Snapshot) -> Users:
    """Return who uses what in `snapshot`."""
    owners: list[list[str]] = [[] for _ in snapshot.policies]
    for zone in snapshot.zones:
        for owner, index in zone.steer.items():
            owners[index].append(owner)
    members: dict[str, tuple[str, ...]] = {
        pool.name: tuple(member.endpoint for member in pool.members) for pool in snapshot.pools.values()
    }
    by_endpoint: dict[str, set[int]] = {}
    by_name: dict[str, int] = {}
    for index, policy in enumerate(snapshot.policies):
        if policy.name:
            by_name[policy.name] = index
        for pool in policy.pools:
            for endpoint in members[pool]:
                by_endpoint.setdefault(endpoint, set()).add(index)
    return Users(by_endpoint, by_name, owners)
