"""What is known of all checks in, which steered names fare like their neighbours out.

Ten thousand names that each have a check of their own are ten thousand policies. Nearly all of them say the same at a
time: what would become of one of them is what would become of all.
"""

from __future__ import annotations

from collections.abc import Container, Hashable

from gtm import model
from gtm.health import standings, watches


def restless(of: watches.Watches, held: Container[model.CheckKey], places: standings.Standings) -> set[str]:
    """Return the names with a check of their own that is anything but plainly up, or that came back and are held."""
    found = {key.name for key, watch in of.items() if key.name and not _plain(watch, key in held)}
    slow = {name for name, pools in places.pools_of.items() for pool in pools if pool.slow_start_s or pool.failback_s}
    for standing in places.returned() if slow else ():
        if standing.ballot.endpoint in slow:
            found.update(key.name for key in standing.votes)
    return found


def _plain(watch: watches.Watch, held: bool) -> bool:
    state = watch.state
    plain = state.status == "up" and not state.held_until_s and not watch.expired and not watch.load.level
    return plain and not held


def key_of(policy: model.Policy, apart: Container[str]) -> Hashable:
    """Return what policies that fare alike have in common; `apart` are the names that fare by themselves."""
    own = policy.name if policy.name in apart else ""
    return own, policy.rules, policy.check, policy.when_all_down, policy.source_down, policy.follow, bool(policy.name)
