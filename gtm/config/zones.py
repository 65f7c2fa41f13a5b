"""Zones as written in, served zones and the shared policies of their steered names out."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from gtm import model, names, units
from gtm.config import audience, decode, marks, nodes, probing, schema, services, static, transfers, updating

_WILDCARD = "*."


@dataclass(slots=True)
class Policies:
    """The policies so far: names that say the same share one (semantics B1 holds for a policy, not for a name)."""

    by_content: dict[model.Policy, int] = field(default_factory=dict)
    firsts: dict[int, marks.Path] = field(default_factory=dict)

    def index(self, policy: model.Policy, path: marks.Path) -> int:
        """Return the number of a policy; `path` is where it was first written."""
        found = self.by_content.get(policy)
        if found is None:
            found = self.by_content[policy] = len(self.by_content)
            self.firsts[found] = path
        return found


class Steering:
    """Turns the steered names of one zone into policies."""

    def __init__(
        self, nouns: nodes.Nouns, probes: probing.Probing, still: static.Static, path: marks.Path, policies: Policies
    ) -> None:
        self.nouns, self.probes, self.still, self.path, self.policies = nouns, probes, still, path, policies
        self.report = nouns.report
        self.steer: dict[str, int] = {}
        self.targets = services.Targets(still.zone, self.report)
        self._where: dict[str, marks.Path] = {}
        self._types = {names.text(owner): types for owner, types in still.types().items()}
        self._servers = {host for host, _ in still.nameservers}
        self._rules: dict[object, tuple[model.Rule, ...]] = {}
        self._aliases: dict[tuple[str, ...], set[str]] = {}
        self._per_name: dict[tuple[model.Rule, ...], bool] = {}

    def add(self, owner: str, written: schema.Steer) -> None:
        """Add one steered name, and the labels of a wildcard."""
        path: marks.Path = (*self.path, "steer", owner)
        absolute = static.owner_of(owner, self.still.zone, path, self.report)
        if absolute is None or not self._free(absolute, path):
            return
        rules = self._rules_of(written, path)
        expr = self.nouns.of_check(written.check, (*path, "check")) if written.check else None
        pools_per_name = self._pools_per_name(rules)
        own_per_name = self.probes.per_name(expr)
        wildcard = absolute.startswith(_WILDCARD)
        slate = self._source_down(written, rules, path)
        if written.failover_within is not None:
            self._promised(written.failover_within, rules, expr, (*path, "failover_within"))

        https, srv = services.https(written.https), services.srv(written.srv)

        def policy(check: model.CheckExpr | None, name: str) -> model.Policy:
            low, high = written.ttl
            return model.Policy(
                rules, low, high, written.when_all_down, check, name, self.still.zone, slate, https, srv
            )

        if not wildcard:
            if written.labels:
                self.report.error("labels-without-wildcard", (*path, "labels"), f"{owner!r} is no wildcard", "`*.ch`")
            self._put(absolute, policy(expr, absolute if pools_per_name or own_per_name else ""), path)
            return
        # Other names under the wildcard use the pool's own check alone, and nobody knows which names those are.
        bare = None if written.labels or own_per_name else expr
        self._put(absolute, policy(bare, ""), path)
        if pools_per_name or (own_per_name and not written.labels):
            message = "a check per name cannot run for names that nobody listed: members count as up for them"
            self.report.warn("unlisted-names", path, message, "list the names that matter in `labels`", "key")
        for index, label in enumerate(written.labels or ()):
            self._label(absolute, label, (*path, "labels", index), policy, expr)

    def _label(
        self,
        wildcard: str,
        label: str,
        path: marks.Path,
        policy: Callable[[model.CheckExpr | None, str], model.Policy],
        expr: model.CheckExpr | None,
    ) -> None:
        name = static.owner_of(f"{label}.{wildcard.removeprefix(_WILDCARD)}", self.still.zone, path, self.report)
        if name is None:
            return
        if name in self._where:
            self.report.doubled(path, self._where[name], f"{names.shown(name)} is steered twice")
        elif self._free(name, path):
            per_name = self.probes.per_name(expr) or self._pools_per_name(policy(expr, "").rules)
            self._put(name, policy(expr, name if per_name else ""), path)

    def _source_down(self, written: schema.Steer, rules: tuple[model.Rule, ...], path: marks.Path) -> str:
        """Return what is answered while the source is dead: what the name says, else the first pool that says it."""
        said = written.source_down or ""
        if said and said != model.KEEP:
            self.nouns.known("pools", said, (*path, "source_down"), "pool")
        tried = (self.nouns.pools.get(pool) for rule in rules for pool in rule.pools)
        return said or next((pool.source_down for pool in tried if pool and pool.source_down), "")

    def _promised(
        self, within_s: float, rules: tuple[model.Rule, ...], expr: model.CheckExpr | None, path: marks.Path
    ) -> None:
        """Warn when the checks cannot keep a promise."""
        for name in dict.fromkeys(pool for rule in rules for pool in rule.pools):
            pool = self.nouns.pools.get(name)
            for member in pool.members if pool else ():
                endpoint = self.nouns.endpoints.get(member.endpoint)
                own = endpoint.check if endpoint and endpoint.check else pool.check if pool else None
                takes_s = model.detects_within_s((own, expr), self.nouns.profiles)
                if takes_s is not None and takes_s > within_s:
                    message = f"the checks of {member.endpoint!r} may take {units.show_seconds(round(takes_s, 3))}"
                    hint = "give one of them a shorter every, timeout or fall"
                    self.report.warn("too-slow", path, f"{message} to see a silent death", hint)
                    return

    def _put(self, name: str, policy: model.Policy, path: marks.Path) -> None:
        aliases = self._aliases_of(policy)
        if name == self.still.zone and aliases:  # beside SOA and NS there is no CNAME: RFC 1034 section 3.6.2
            policy = dataclasses.replace(policy, follow=True)
        if name in aliases:
            self.report.error("loop", path, f"{names.shown(name)} would be answered with a CNAME to itself", at="key")
        self.steer[name] = self.policies.index(policy, path)
        if policy.https is not None and static.HTTPS in self._types.get(name, ()):
            self.report.error(
                "doubled-name", (*path, "https"), f"{names.shown(name)} has a static HTTPS record as well"
            )
        if policy.srv:
            self._serve(name, policy, (*path, "srv"))

    def _serve(self, name: str, policy: model.Policy, path: marks.Path) -> None:
        """Make sure that the services of a name have owners of their own, and their hosts a name."""
        if name.startswith(_WILDCARD):
            message = (
                f"services below {names.shown(name)} would need a wildcard in the middle of their names (RFC 4592)"
            )
            self.report.error("bad-service", path, message, "steer the names that have services one by one")
            return
        for service in policy.srv:
            owner = static.owner_of(f"{service.name}.{name}", self.still.zone, path, self.report)
            if owner is not None and (owner in self._types or owner in self._where):
                self.report.error("doubled-name", path, f"{names.shown(owner)} is there already")
        for pool in filter(None, map(self.nouns.pools.get, policy.pools)):
            for member in pool.members:
                if member.endpoint in self.nouns.endpoints:
                    self.targets.want(self.nouns.endpoints[member.endpoint], path)

    def _aliases_of(self, policy: model.Policy) -> set[str]:
        """Return the host names that a policy may answer as CNAME."""
        found = self._aliases.get(policy.pools)
        if found is None:
            pools = (self.nouns.pools.get(pool) for pool in policy.pools)
            members = {one.endpoint for pool in pools if pool for one in pool.members}
            found = {self.nouns.endpoints[one].hostname for one in members if one in self.nouns.endpoints} - {""}
            self._aliases[policy.pools] = found
        return found | {policy.when_all_down.cname} - {""}

    def _free(self, absolute: str, path: marks.Path) -> bool:
        """Say whether a name may be steered here; report why not."""
        if absolute in self._where:
            self.report.doubled(path, self._where[absolute], f"{absolute} is steered twice")
            return False
        self._where[absolute] = path
        if absolute in self._servers:
            self.report.error(
                "steered-nameserver", path, f"{absolute} is a nameserver: it must not be steered", at="key"
            )
            return False
        there = self._types.get(absolute, set())
        if absolute == self.still.zone:
            # At the apex other types must stand beside; only what is steered itself clashes.
            there = there & {static.A, static.AAAA, static.CNAME}
        if there:
            where = self.still.where.get(names.key(absolute), self.path)
            self.report.doubled(path, where, f"{absolute} is both steered and static")
            return False
        return True

    def hidden(self, edges: AbstractSet[str]) -> None:
        """Warn about names at or below `edges`: delegations, and zones of their own, which answer there instead."""
        below = [edge for edge in edges if edge.endswith("." + self.still.zone)]
        for name, path in self._where.items() if below else ():
            edge = next((one for one in below if name == one or name.endswith("." + one)), None)
            if edge:
                why = f"{names.shown(edge)} is delegated, or a zone of its own"
                self.report.warn("hidden-name", path, f"{names.shown(name)} is never answered here: {why}", at="key")

    def _pools_per_name(self, rules: tuple[model.Rule, ...]) -> bool:
        known = self._per_name.get(rules)
        if known is None:
            known = any(self.probes.pool_per_name(pool) for rule in rules for pool in rule.pools)
            self._per_name[rules] = known
        return known

    # --- rules ---

    def _rules_of(self, written: schema.Steer, path: marks.Path) -> tuple[model.Rule, ...]:
        """Return a name's rules. A hundred thousand names say few different things: each is read once."""
        if written.rules is None:
            said: object = tuple(written.pools or ())
        else:
            said = tuple((tuple(one.places) if one.places else None, tuple(one.pools)) for one in written.rules)
        found = self._rules.get(said)
        if found is None:
            before = len(self.report.problems)
            found = self._read_rules(written, path)
            if len(self.report.problems) == before:
                self._rules[said] = found  # what is wrong is said at every name that says it
        return found

    def _read_rules(self, written: schema.Steer, path: marks.Path) -> tuple[model.Rule, ...]:
        if written.rules is None:
            return (model.Rule(None, self._pools(written.pools or [], (*path, "try"))),)
        rules: list[model.Rule] = []
        for index, one in enumerate(written.rules):
            here: marks.Path = (*path, "rules", index)
            clients = nodes.audience_of(self.nouns, one.places, (*here, "for")) if one.places else None
            self._reachable(clients, rules, here)
            rules.append(model.Rule(clients, self._pools(one.pools, (*here, "try"))))
        if rules[-1].audience is not None and not self.nouns.decoded.hurt((*path, "rules")):
            message = "the last rule has a `for`: clients elsewhere would get nothing"
            self.report.error("no-last-rule", (*path, "rules", len(rules) - 1), message, "add {try: [...]} as the last")
        return tuple(rules)

    def _reachable(self, clients: model.Audience | None, rules: list[model.Rule], path: marks.Path) -> None:
        earlier = [one.audience for one in rules if one.audience is not None]
        number = next((at for at, one in enumerate(rules, 1) if one.audience is None), 0)
        nobody = clients is not None and not (clients.places or clients.asns or clients.prefixes)
        if number:
            message = f"this rule can never match: rule {number} is for everybody"
        elif clients is not None and not nobody and audience.covered(clients, earlier):
            message = f"this rule can never match: the rules before it cover {clients.text}"
        else:
            return
        self.report.warn("unreachable-rule", path, message, "put the narrower rule first")

    def _pools(self, written: list[str], path: marks.Path) -> tuple[str, ...]:
        for index, name in enumerate(written):
            self.nouns.known("pools", name, (*path, index), "pool")
            if name in written[:index]:
                self.report.warn("doubled-pool", (*path, index), f"{name!r} is tried twice")
        return tuple(dict.fromkeys(written))


def read(
    nouns: nodes.Nouns, probes: probing.Probing, sources: static.Sources
) -> tuple[tuple[model.Zone, ...], Policies]:
    """Read every zone, in the order of their names."""
    policies = Policies()
    zones: dict[str, model.Zone] = {}
    firsts: dict[str, marks.Path] = {}
    steered: dict[str, tuple[Steering, set[str]]] = {}
    for name, written in sorted(nouns.decoded.config.zones.items()):
        path: marks.Path = ("zones", name)
        absolute = _apex(name, path, nouns.report)
        if absolute is None:
            continue
        if absolute in firsts:
            nouns.report.doubled(path, firsts[absolute], f"the zone {absolute} is written twice")
            continue
        firsts[absolute] = path
        still = static.read(name, written, sources, nouns.report)
        steering = Steering(nouns, probes, still, path, policies)
        for owner, one in sorted(written.steer.items()):
            steering.add(owner, one)
        steering.targets.reserve(map(names.key, (*steering.steer, *map(names.text, still.types()))))
        still.records += steering.targets.records(written.ttl)
        relative = functools.partial(nodes.relative, nouns.report)
        made = _zone(absolute, written, still, steering.steer)
        zones[absolute] = replace(
            made,
            acme=updating.keys(written.acme, functools.partial(relative, (*path, "acme"))),
            transfer=transfers.transfer(written.transfer, functools.partial(relative, (*path, "transfer"))),
        )
        cuts = {names.text(owner) for owner, types in still.types().items() if static.NS in types} - {absolute}
        steered[absolute] = steering, cuts
    for absolute, (steering, cuts) in steered.items():
        steering.hidden(cuts | (zones.keys() - {absolute}))
    served = tuple(zones.values())
    if twice := transfers.doubled(served):
        nouns.report.error("bad-tsig", ("zones",), f"the key {twice} is not the same in all zones", at="key")
    return served, policies


def _zone(absolute: str, written: schema.Zone, still: static.Static, steer: Mapping[str, int]) -> model.Zone:
    return model.Zone(
        name=absolute,
        # Without any, the zone serves itself, as the empty zones of RFC 6303 section 3 do.
        nameservers=still.nameservers or (() if still.has_ns() else ((absolute, ()),)),
        hostmaster=written.hostmaster or "",
        ttl_s=written.ttl,
        negative_ttl_s=written.negative_ttl,
        records=tuple(still.records),
        steer=dict(sorted(steer.items())),
    )


def _apex(name: str, path: marks.Path, report: decode.Report) -> str | None:
    return static.owner_of(name if name.endswith(".") else name + ".", ".", path, report)
