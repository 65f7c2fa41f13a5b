"""A linked configuration in, warnings out: what is allowed, and probably not meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gtm import model, places
from gtm.config import kinds, marks, nodes, schema, zones

GUARD_FROM_ENDPOINTS = 10
"""Below this, half of the endpoints may well fail at once; above, it is more likely that we are cut off."""
_SECRET_NAME = re.compile(r"passw|secret|token|passphrase|credential|api.?key|authorization|cookie", re.IGNORECASE)


def give(nouns: nodes.Nouns, policies: zones.Policies) -> None:
    """Warn about all that is doubtful."""
    used = {pool for policy in policies.by_content for pool in policy.pools}
    for name, pool in nouns.pools.items():
        path: marks.Path = ("pools", name)
        if name not in used and not nouns.decoded.lost("zones", "steer"):
            nouns.report.warn("unused-pool", path, f"no steered name tries the pool {name!r}", at="key")
        if not nouns.decoded.hurt(path):
            _pool(nouns, pool, nouns.decoded.config.pools[name], path)
    _unused(nouns)
    _names(nouns, policies)
    _secrets(nouns)
    config = nouns.decoded.config
    if config.guard is None and len(nouns.endpoints) >= GUARD_FROM_ENDPOINTS and ("guard",) not in nouns.decoded.broken:
        message = f"with {len(nouns.endpoints)} endpoints, a guard keeps them served when this node itself is cut off"
        nouns.report.warn("guard-advised", ("endpoints",), message, "guard: {min_alive: 30%}", "key")


def _pool(nouns: nodes.Nouns, pool: model.Pool, written: schema.Pool, path: marks.Path) -> None:
    members = [nouns.endpoints[one.endpoint] for one in pool.members if one.endpoint in nouns.endpoints]
    checks = pool.check.of if pool.check else ()
    mute = bool(checks) and all(one in nouns.profiles and nouns.profiles[one].observe for one in checks)
    if (written.check is None or mute) and any(one.check is None for one in members):
        has = "no check that votes" if mute else "no check"
        message = f"the pool {pool.name!r} has {has}: its members always count as up"
        nouns.report.warn("pool-without-check", path, message, "check: NAME, or `check: none` if that is meant", "key")
    if pool.balance == "round-robin" and len({one.weight for one in pool.members if one.weight}) > 1:
        message = "round-robin gives equal shares: the weights, which differ, have no effect"
        nouns.report.warn("no-effect", (*path, "balance"), message, "balance: weighted")
    if pool.balance == "all" and "answers" in written.model_fields_set:
        nouns.report.warn("no-effect", (*path, "answers"), "`balance: all` gives every member: `answers` has no effect")
    if pool.balance != "sticky" and "sticky" in written.model_fields_set:
        nouns.report.warn("no-effect", (*path, "sticky"), f"`balance: {pool.balance}` is not sticky", "balance: sticky")
    _affinity(nouns, pool, written, path)
    first: dict[str, str] = {}
    for member in members:
        for value in filter(None, (member.ipv4, member.ipv6, member.hostname)):
            other = first.setdefault(value, member.name)
            if other != member.name:
                message = f"{member.name} and {other} are the same to clients: both are {value}"
                nouns.report.warn("same-address", (*path, "members", member.name), message, at="key")
    if pool.balance == "nearest":
        for member in members:
            if not _placed(nouns.sites.get(member.site)):
                message = f"{member.name} has no site with a position: it is never the nearest"
                nouns.report.warn(
                    "no-position", (*path, "members", member.name), message, "sites: {x: {at: EU-DE}}", "key"
                )


def _affinity(nouns: nodes.Nouns, pool: model.Pool, written: schema.Pool, path: marks.Path) -> None:
    """Warn about an ingest whose publishers may be sent elsewhere though the node that they publish to is well."""
    together = max(sum(one.tier == tier for one in pool.members) for tier in {one.tier for one in pool.members} | {0})
    if not pool.when_idle or together < 2:
        return
    if pool.balance != "sticky":
        message = (
            f"a publisher that reconnects may get another member: `balance: {written.balance}` shares questions out"
        )
        nouns.report.warn("no-affinity", (*path, "balance"), message, "balance: sticky, or tiers with one member each")
    elif pool.answers > 1:
        message = f"a publisher that reconnects may take another of the {pool.answers} addresses that it gets"
        nouns.report.warn("no-affinity", (*path, "answers"), message, "answers: 1")


def _placed(site: model.Site | None) -> bool:
    return site is not None and (
        site.lat is not None or (site.at.count("-") > 0 and site.at.split("-")[1] in places.COUNTRIES)
    )


def _unused(nouns: nodes.Nouns) -> None:
    members = {one.endpoint for pool in nouns.pools.values() for one in pool.members}
    needed = {name for endpoint in nouns.endpoints.values() for name in endpoint.depends_on}
    needed |= {name for site in nouns.sites.values() for name in site.depends_on}
    for name, endpoint in nouns.endpoints.items():
        path: marks.Path = ("endpoints", name)
        if name not in members | needed and not nouns.decoded.lost("pools", "members"):
            nouns.report.warn("unused-endpoint", path, f"the endpoint {name!r} is in no pool", at="key")
        if name in needed - members and not (endpoint.check and endpoint.check.of):
            message = f"others depend on {name!r}, which has no check: it never counts as down"
            nouns.report.warn("unchecked-dependency", path, message, "give it a `check`", "key")
    config = nouns.decoded.config
    judges = [one.check for one in config.pools.values() if one.check]
    judges += [one.check for one in config.endpoints.values() if one.check]
    judges += [one.check for zone in config.zones.values() for one in zone.steer.values() if one.check]
    used = {name for expr in judges for name in expr.of}
    lost = any(nouns.decoded.lost(*one) for one in (("pools", "check"), ("endpoints", "check"), ("zones", "steer")))
    for name in nouns.profiles:
        # A file with nothing but checks in it is a collection to choose from.
        if name not in used and not lost and not nouns.report.only(("checks", name)):
            nouns.report.warn("unused-check", ("checks", name), f"nothing uses the check {name!r}", at="key")


def _names(nouns: nodes.Nouns, policies: zones.Policies) -> None:
    for policy, index in policies.by_content.items():
        pools = (nouns.pools.get(pool) for pool in policy.pools)
        members = {one.endpoint for pool in pools if pool for one in pool.members}
        served = [nouns.endpoints[one] for one in members if one in nouns.endpoints]
        if served and not any(one.ipv4 or one.hostname for one in served):
            path = policies.firsts[index]
            message = "no member has an IPv4 address: most clients cannot reach this name"
            nouns.report.warn("ipv6-only", path, message, at="key")


def _secrets(nouns: nodes.Nouns) -> None:
    config = nouns.decoded.config
    for index, token in enumerate(config.web.tokens):
        if token.secret is not None:
            _open(nouns, ("web", "tokens", index, "secret"), "secret_env: NAME, or secret_file: PATH")
    for name, profile in nouns.profiles.items():
        for option, value in profile.options.items():
            if _SECRET_NAME.search(option) and isinstance(value, str) and value:
                _open(nouns, ("checks", name, option))
            for header in _headers(nouns.kinds[profile.kind], option, value):
                _open(nouns, ("checks", name, option, header))


def _headers(kind: model.Kind, option: str, value: model.OptionValue) -> Iterable[str]:
    of_headers = any(one.name == option and one.type == "headers" for one in kinds.options(kind))
    return [one for one in value if _SECRET_NAME.search(one)] if of_headers and isinstance(value, dict) else []


def _open(nouns: nodes.Nouns, path: marks.Path, hint: str = "let only GTM's own user read this file") -> None:
    nouns.report.warn("secret-in-the-open", path, "a secret is written in the open", hint, "key")
