"""Endpoints, pools and policies in, every single check to run out: one profile, one address, one name if per name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gtm import model, names
from gtm.config import kinds, nodes

_PLACEHOLDER = re.compile(r"\{(name|label|zone|endpoint|address|site)\}")


class Probing:
    """Collects checks; each is made once however many pools and names ask for it (semantics A8)."""

    def __init__(self, nouns: nodes.Nouns) -> None:
        self.nouns = nouns
        self.checks: dict[model.CheckKey, model.Check] = {}
        self._filled = {name: filled(kind) for name, kind in nouns.kinds.items()}

    def standing(self) -> None:
        """Add what is checked whatever the name: the pools' checks, and those of endpoints."""
        for pool in self.nouns.pools.values():
            for member in pool.members:
                self._add(pool.check, member.endpoint, "", "")
        for endpoint in self.nouns.endpoints.values():
            self._add(endpoint.check, endpoint.name, "", "", own=True)

    def named(self, policy: model.Policy) -> None:
        """Add what a policy asks for beyond that: its own check, and the pools' per name."""
        for pool_name in dict.fromkeys(pool for rule in policy.rules for pool in rule.pools):
            pool = self.nouns.pools.get(pool_name)
            for member in pool.members if pool else ():
                self._add(policy.check, member.endpoint, policy.name, policy.zone, own=True)
                if policy.name and pool:
                    self._add(pool.check, member.endpoint, policy.name, policy.zone)

    def per_name(self, expr: model.CheckExpr | None) -> bool:
        """Say whether a check runs per steered name."""
        found = (self.nouns.profiles.get(name) for name in (expr.of if expr else ()))
        return any(one is not None and one.per_name for one in found)

    def pool_per_name(self, pool_name: str) -> bool:
        """Say whether any member of a pool is judged per steered name."""
        pool = self.nouns.pools.get(pool_name)
        return pool is not None and any(self.per_name(self._judge(pool.check, one.endpoint)) for one in pool.members)

    def _judge(self, expr: model.CheckExpr | None, endpoint: str) -> model.CheckExpr | None:
        """Return who judges a member: an endpoint's own check stands in for its pool's (semantics A13)."""
        noun = self.nouns.endpoints.get(endpoint)
        return noun.check if noun is not None and noun.check is not None else expr

    def _add(self, expr: model.CheckExpr | None, endpoint: str, name: str, zone: str, own: bool = False) -> None:
        noun = self.nouns.endpoints.get(endpoint)
        judge = expr if own else self._judge(expr, endpoint)
        if noun is None or judge is None:
            return
        for profile_name in judge.of:
            profile = self.nouns.profiles.get(profile_name)
            if profile is None or (profile.per_name and not name):
                continue
            for family in noun.families():
                key = model.CheckKey(profile_name, endpoint, family, name if profile.per_name else "")
                if key not in self.checks:
                    kind = self.nouns.kinds[profile.kind]
                    self.checks[key] = check(kind, profile, key, noun, zone=zone, fills=self._filled[kind.name])


def check(
    kind: model.Kind,
    profile: model.Profile,
    key: model.CheckKey,
    endpoint: model.Endpoint,
    *,
    zone: str,
    fills: Mapping[str, bool],
) -> model.Check:
    """Return one profile applied to one endpoint, family and name (`key`); `fills` says where placeholders are."""
    probe = {"ipv4": endpoint.probe_ipv4, "ipv6": endpoint.probe_ipv6}
    address = probe.get(key.family) or endpoint.answer(key.family)
    if key.family == "cname":
        address = endpoint.probe_ipv4 or endpoint.probe_ipv6 or address
    bare = key.name.rstrip(".")
    words = {
        "name": bare,
        "label": _first_label(bare),
        "zone": zone.rstrip("."),
        "endpoint": key.endpoint,
        "address": address.rstrip("."),
        "site": endpoint.site,
    }
    options = {name: _filled(value, words) if fills[name] else value for name, value in profile.options.items()}
    tls = options.get("tls")
    default = (kind.tls_port or kind.port) if isinstance(tls, model.Tls) else (kind.port or kind.tls_port)
    port, host = options.get("port"), options.get("host")
    return model.Check(
        key=key,
        profile=profile,
        address=address,
        port=port if isinstance(port, int) else default,
        host=host if isinstance(host, str) and host else words["name"] or words["address"],
        options=options,
    )


def filled(kind: model.Kind) -> Mapping[str, bool]:
    """Return which options of a kind have placeholders filled in."""
    return {one.name: one.fills or one.type == "tls" for one in kinds.options(kind)}


def _first_label(name: str) -> str:
    first = names.labels(name)[:1]
    return first[0].decode("ascii", "replace") if first else ""


def _filled(value: model.OptionValue, words: Mapping[str, str]) -> model.OptionValue:
    def fill(text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: words[found[1]], text)

    if isinstance(value, str):
        return fill(value)
    if isinstance(value, model.Tls):
        return model.Tls(value.verify, fill(value.server_name), value.ca)
    if isinstance(value, tuple):
        return tuple(fill(one) for one in value)
    if isinstance(value, Mapping):
        return {key: fill(one) for key, one in value.items()}
    return value
