"""A configuration in, what may be expected of it out: how long a failure is seen, how often each node is probed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gtm import model
from gtm.health import load, schedule

# Chromium keeps an address for a minute whatever its TTL; most players sit in one.
BROWSER_S = 60
# A player holds about this much: three target durations of two to six seconds, and up to thirty.
BUFFER_S = 30
BUDGET = 20.0  # probes a second on one node that are no longer next to nothing for it, nor for whoever reads its log
PLAYBACK = frozenset({"hls", "dash", "whep"})  # kinds that look at what viewers fetch
BESIDE = frozenset({"tls", "icmp"})  # kinds that look at what everybody has


@dataclass(frozen=True, slots=True)
class Forecast:
    """What may be expected of steered names that share a policy. Times are seconds; None without any check.

    `detects_s` is how long a silent death goes unseen at worst (semantics A3), `ttl_s` the longest TTL that resolvers
    are given while all is well (D1). `playback`: browsers ask for these names. `notes` are sentences for the operator.
    """

    names: tuple[str, ...]
    detects_s: float | None
    ttl_s: int
    notes: tuple[str, ...]
    playback: bool = False

    @property
    def moves_s(self) -> float | None:
        """From a silent death to the last resolver that has forgotten it, at worst."""
        return None if self.detects_s is None else self.detects_s + self.ttl_s

    @property
    def browsers_s(self) -> float | None:
        """The same to the last browser, which keeps an address for a minute whatever its TTL; None: none asks."""
        return self.moves_s + BROWSER_S if self.playback and self.moves_s is not None else None


def of_names(snapshot: model.Snapshot) -> Iterator[Forecast]:
    """Yield a forecast for each policy that some name has."""
    owners: dict[int, list[str]] = {}
    for zone in snapshot.zones:
        for name, index in zone.steer.items():
            owners.setdefault(index, []).append(name)
    known: dict[object, Forecast] = {}  # thousands of names may differ by nothing that matters here
    for index, names in owners.items():
        policy = snapshot.policies[index]
        pools = tuple(dict.fromkeys(pool for rule in policy.rules for pool in rule.pools))
        same = pools, policy.rules[-1].pools[0], policy.check, policy.ttl_min_s, policy.ttl_max_s
        if same not in known:
            known[same] = _of_policy(snapshot, policy, pools)
        yield replace(known[same], names=tuple(names))


def _of_policy(snapshot: model.Snapshot, policy: model.Policy, pools: tuple[str, ...]) -> Forecast:
    """Return the forecast for a policy, without its names."""
    members = list(_members(snapshot, policy, pools))
    times = [model.detects_within_s(judges, snapshot.profiles) for judges in members]
    detects_s = max((one for one in times if one is not None), default=None)
    profiles = [
        snapshot.profiles[name]
        for name in dict.fromkeys(name for judges in members for judge in judges if judge for name in judge.of)
    ]
    soonest_s = min((schedule.refused_detection_s(one) for one in profiles if not one.observe), default=math.inf)
    ttl_s = int(max(policy.ttl_min_s, min(policy.ttl_max_s, soonest_s)))
    kinds = {one.kind for one in profiles}
    # HTTP alone may well be an edge; beside other kinds it looks at something else of theirs.
    playback = bool(kinds & PLAYBACK) or kinds - BESIDE == {"http"}
    notes = tuple(_notes(snapshot, policy, playback, detects_s, ttl_s))
    return Forecast((), detects_s, ttl_s, notes, playback)


def eases_within_s(profile: model.Profile) -> float:
    """Return how long an endpoint with too much to do keeps its whole share at worst, in seconds."""
    return load.HOT * profile.every_s + profile.timeout_s


def over_budget(snapshot: model.Snapshot) -> Iterator[str]:
    """Yield a sentence about the most probed endpoint when it is probed more often than `BUDGET`."""
    many = [one for one in probes(snapshot) if one[2] > BUDGET]
    if many:
        name, checks, rate = many[0]
        others = f", {len(many) - 1} more endpoints as many or fewer" if len(many) > 1 else ""
        yield f"{name} gets {rate:.3g} probes a second from {checks} checks{others}: a longer `every` is kinder"


def probes(snapshot: model.Snapshot) -> list[tuple[str, int, float]]:
    """Return (endpoint, checks, probes a second while nothing is in doubt), the most probed first."""
    found: dict[str, tuple[int, float]] = {}
    for key, check in snapshot.checks.items():
        checks, rate = found.get(key.endpoint, (0, 0.0))
        found[key.endpoint] = checks + 1, rate + 1 / check.profile.every_s
    return sorted(((name, checks, rate) for name, (checks, rate) in found.items()), key=lambda one: (-one[2], one[0]))


def _members(
    snapshot: model.Snapshot, policy: model.Policy, pools: tuple[str, ...]
) -> Iterator[tuple[model.CheckExpr | None, ...]]:
    """Yield who judges each member of a policy's rules (semantics A13)."""
    for name in pools:
        pool = snapshot.pools[name]
        for member in pool.members:
            own = snapshot.endpoints[member.endpoint].check
            yield own if own is not None else pool.check, policy.check


def _notes(
    snapshot: model.Snapshot, policy: model.Policy, playback: bool, detects_s: float | None, ttl_s: int
) -> Iterator[str]:
    if detects_s is None:
        yield "no check looks at its members: nothing ever leaves its answers"
        return
    if not playback:
        return
    if detects_s > BUFFER_S:
        yield f"a player's buffer is about {BUFFER_S}s: viewers will see a failure before the checks do"
    first = snapshot.pools[policy.rules[-1].pools[0]]
    if min(first.answers if first.balance != "all" else 8, len(first.members)) < 2:
        yield f"one address for playback: a browser keeps it for {BROWSER_S}s; with two it tries the other"
    if ttl_s < 20:
        yield f"a TTL of {ttl_s}s is for resolvers and players: browsers keep an address for {BROWSER_S}s anyway"
    if ttl_s > BUFFER_S:
        yield f"a TTL of {ttl_s}s is longer than a player's buffer of about {BUFFER_S}s"
