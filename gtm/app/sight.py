"""A running node in, what is wrong with it right now out: what alerting holds its own memory against."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from gtm import events, model, seen
from gtm.alerts import facts
from gtm.app import node as nodes
from gtm.health import orders

# So many names say what a policy does; the brain announces no more either.
NAMES_OF_A_POLICY = 10
# Single checks are looked up in one sweep over all of them, which is worth keeping for so long.
STATES_S = 1.0


class Sight:
    """Implements `gtm.alerts.words.Sight` over a node that has begun. `monotonic` is the brain's clock."""

    def __init__(self, node: nodes.Node, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._node, self._monotonic = node, monotonic
        self._laid: Mapping[str, orders.Ordered] = {}
        self._laid_of: tuple[tuple[seen.Override, ...], model.Snapshot] | None = None
        self._states: Mapping[model.CheckKey, seen.HealthState] = {}
        self._beside: Mapping[tuple[events.EventKind, str, str, facts.Aspect], seen.HealthState] = {}
        self._states_at = float("-inf")

    def present(self) -> list[facts.Fact]:
        """Return all that is wrong, but for single checks that fail."""
        mind, node, wall = self._node.brain, self._node, time.time()
        found = []
        for endpoint in mind.snapshot.endpoints.values():
            for family in endpoint.families():
                if mind.health.endpoint_status(endpoint.name, family) == "down":
                    state = mind.health.endpoint_state(endpoint.name, family)
                    since = state.since_s + mind.wall_offset_s
                    found.append(
                        facts.wrong("endpoint", endpoint.name, "down", since=since, reason=state.reason, family=family)
                    )
        for name, tried in mind.pools.items():
            if not tried.usable:
                found.append(facts.wrong("pool", name, "failed", since=wall, reason=tried.reason))
        for index, rung in mind.rungs.items():
            for name in mind.owners[index][:NAMES_OF_A_POLICY] if rung != "first" else ():
                why = next((one.why for one in mind.of_policy(index) if one.rung == rung), "")
                found.append(facts.wrong("name", name, rung, since=wall, reason=why))
        for name in mind.health.dead_sources:
            why = "dead on all nodes that carry it"
            found.append(facts.wrong("name", name, "source down", since=wall, reason=why))
        self._states_at = float("-inf")  # whoever asks for all wants what is true now
        self._swept()
        for (kind, subject, of, aspect), seen_of in self._beside.items():
            if aspect == "stale":
                found.append(facts.wrong(kind, subject, "stale", since=wall, reason=seen_of.reason, family=of))
        if mind.health.guard_tripped:
            why = "the verdicts from before the fall are held"
            found.append(facts.wrong("guard", node.snapshot.node, "tripped", since=wall, reason=why))
        if not node.config_accepted:
            found.append(facts.wrong("config", node.path, "refused", since=wall, reason=node.config_trouble))
        return found

    def still(self, fact: facts.Fact) -> bool:
        """Say whether something that was wrong is wrong still."""
        mind = self._node.brain
        if fact.aspect:
            self._swept()
            beside = (fact.kind, fact.subject, fact.family, fact.aspect) in self._beside
            return fact.subject in mind.health.dead_sources if fact.aspect == "source" else beside
        if fact.kind == "endpoint":
            endpoint = mind.snapshot.endpoints.get(fact.subject)
            family = next((one for one in endpoint.families() if one == fact.family), None) if endpoint else None
            return family is not None and mind.health.endpoint_state(fact.subject, family).state == "down"
        if fact.kind == "check":
            return self._check(fact.subject) == "down"
        if fact.kind == "pool":
            return fact.subject in mind.pools and not mind.pools[fact.subject].usable
        if fact.kind == "name":
            index = next((zone.steer[fact.subject] for zone in mind.snapshot.zones if fact.subject in zone.steer), None)
            return index is not None and mind.rungs.get(index) == fact.state
        if fact.kind == "guard":
            return mind.health.guard_tripped
        if fact.kind == "config":
            return not self._node.config_accepted
        return fact.kind == "store" and not self._node.book.works

    def _swept(self) -> Mapping[model.CheckKey, seen.HealthState]:
        """Look at all checks, and at what is wrong beside being down."""
        now = self._monotonic()
        if now >= self._states_at + STATES_S:
            health, checks = self._node.brain.health, self._node.brain.snapshot.checks
            states, eased = health.states(), health.eased()
            self._states, self._states_at = states, now
            self._beside = {
                (*_about(checks[key]), aspect): state
                for key, state in states.items()
                for aspect, is_so in _wrong_beside(state, now, eased=key in eased)
                if is_so
            }
        return self._states

    def _check(self, subject: str) -> model.Status | None:
        states = self._swept()
        profile, endpoint, family, name = (*subject.split("/", 3), "", "", "", "")[:4]
        state = next(
            (
                states[key]
                for one in ("ipv4", "ipv6", "cname")
                if one == family and (key := model.CheckKey(profile, endpoint, one, name)) in states
            ),
            None,
        )
        return state.status if state else None

    def ordered(self, endpoint: str) -> bool:
        """Say whether an operator holds this endpoint out, up or down."""
        of = self._node.in_force(), self._node.brain.snapshot
        if self._laid_of is None or self._laid_of[0] != of[0] or self._laid_of[1] is not of[1]:
            self._laid, self._laid_of = orders.lay(*of), of
        found = self._laid.get(endpoint)
        return found is not None and found.state is not None

    def serving(self, name: str) -> tuple[str, ...]:
        """Return the pools that answer for a name."""
        mind = self._node.brain
        index = next((zone.steer[name] for zone in mind.snapshot.zones if name in zone.steer), None)
        if index is None:
            return ()
        return tuple(dict.fromkeys(one.pool for one in mind.of_policy(index) if one.pool and one.replies))

    def pool(self, name: str) -> str:
        """Return how a pool is, in few words."""
        tried = self._node.brain.pools.get(name)
        return tried.reason if tried else "no longer configured"


def _about(check: model.Check) -> tuple[events.EventKind, str, str]:
    """Return kind, subject and family of what is said of a check that an endpoint is not down for."""
    key = check.key
    alone = bool(key.name) or check.profile.observe
    return ("check", str(key), "") if alone else ("endpoint", key.endpoint, key.family)


def _wrong_beside(state: seen.HealthState, now: float, *, eased: bool) -> tuple[tuple[facts.Aspect, bool], ...]:
    return ("stale", state.stale), ("held", state.held_until_s > now), ("eased", eased)
