"""Two snapshots in, what lies between them out: in words, as the share of answers that move, and what needs a yes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gtm import model, names, units

YES_ABOVE: Final = 0.5
"""Semantics G3: a change that moves more than half of all answers is probably a mistake."""
NAMED: Final = 5
"""How many names of a group are written out."""

Shares = Mapping[str, float]
Answers = Mapping[model.Family, Shares]


@dataclass(frozen=True, slots=True)
class Plan:
    """`lines` say what changes; `moved_share` is 0..1; `emptied` names would have no answer.

    `restart` are the settings that a running node takes only when it is started anew.
    """

    lines: tuple[str, ...] = ()
    moved_share: float = 0.0
    emptied: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    @property
    def needs_yes(self) -> bool:
        """Whether somebody must say yes first (semantics G3)."""
        return self.moved_share > YES_ABOVE or bool(self.emptied)


def compare(old: model.Snapshot, new: model.Snapshot) -> Plan:
    """Return what changes when `new` follows `old`."""
    moved, emptied = _moved(old, new)
    lines = [
        *_settings(old, new),
        *_nouns("region", old.regions, new.regions, lambda a, b: [f"{a.text} now means {_audience(b)}"]),
        *_nouns("check", old.profiles, new.profiles, _fields),
        *_nouns("site", old.sites, new.sites, _fields),
        *_nouns("endpoint", old.endpoints, new.endpoints, _fields),
        *_nouns("pool", old.pools, new.pools, _pool),
        *_zones(old, new),
    ]
    pairs = (
        ("node", old.node, new.node),
        ("dns.listen", old.dns.listen, new.dns.listen),
        ("dns.workers", old.dns.workers, new.dns.workers),
        ("dns.rate_limit", old.dns.rate_limit, new.dns.rate_limit),
        ("dns.rate_limit.exempt", old.dns.rate_exempt, new.dns.rate_exempt),
        ("dns.max_amplification", old.dns.max_amplification, new.dns.max_amplification),
        ("dns.tls.listen", old.dns.tls_listen, new.dns.tls_listen),
        ("dns.proxy", (old.dns.proxy_listen, old.dns.proxies), (new.dns.proxy_listen, new.dns.proxies)),
        ("web.tls", bool(old.web.certificate), bool(new.web.certificate)),
        ("web.doh", old.web.doh, new.web.doh),
        ("dns.cookies", _cookies(old.dns), _cookies(new.dns)),
        ("dns.tcp", _tcp(old.dns), _tcp(new.dns)),
        ("store", old.store, new.store),
        ("web.listen", old.web.listen, new.web.listen),
    )
    return Plan(tuple(lines), moved, emptied, tuple(setting for setting, a, b in pairs if a != b))


def _cookies(dns: model.DnsSettings) -> tuple[bool, bool]:
    return dns.cookies.enabled, dns.cookies.require  # secrets are taken at a reload


def _tcp(dns: model.DnsSettings) -> tuple[int, int, float]:
    return dns.tcp_connections, dns.tcp_per_client, dns.tcp_idle_s


# --- answers that move ----------------------------------------------------------------------------------------------


def answers(snapshot: model.Snapshot, policy: model.Policy) -> Answers:
    """Return who gets which share of a policy's answers when everything is up, for clients of its last rule."""
    families: tuple[model.Family, ...] = ("ipv4", "ipv6", "cname")
    found: dict[model.Family, Shares] = {}
    for name in policy.rules[-1].pools:
        here = {family: _shares(snapshot, snapshot.pools[name], family) for family in families}
        here = {family: shares for family, shares in here.items() if shares}
        if not found:
            found = here
        elif "cname" not in found:  # each family looks further for itself; a CNAME answers for all of them
            found |= {family: here[family] for family in here.keys() - found.keys() - {"cname"}}
    return found


def _shares(snapshot: model.Snapshot, pool: model.Pool, family: model.Family) -> Shares:
    there = [one for one in pool.members if snapshot.endpoints[one.endpoint].answer(family)]
    tier = min((one.tier for one in there), default=0)
    there = [one for one in there if one.tier == tier]
    # Standbys serve only when no member of positive weight is there (B2); two balances ignore weights (B8).
    serving = [one for one in there if one.weight] or there
    equal = pool.balance in {"round-robin", "all"} or not any(one.weight for one in serving)
    total = sum(1 if equal else one.weight for one in serving)
    shares: dict[str, float] = {}
    for one in serving:
        value = snapshot.endpoints[one.endpoint].answer(family)
        shares[value] = shares.get(value, 0.0) + (1 if equal else one.weight) / total
    return shares


def _moved(old: model.Snapshot, new: model.Snapshot) -> tuple[float, tuple[str, ...]]:
    """Return the share of answers that move, averaged over names, and the names that are left with nothing."""
    before, after = _steered(old), _steered(new)
    static = {record.owner for zone in new.zones for record in zone.records}
    old_answers = [answers(old, policy) for policy in old.policies]
    new_answers = [answers(new, policy) for policy in new.policies]
    pairs: dict[tuple[int, int], float] = {}
    total, emptied = 0.0, []
    for name, index in before.items():
        other = _covering(name, after)
        if other is None:
            total += 1
            if names.key(name) not in static:
                emptied.append(name)
            continue
        if (index, other) not in pairs:
            pairs[index, other] = _difference(old_answers[index], new_answers[other])
        total += pairs[index, other]
        if _lost(old_answers[index], new_answers[other]):
            emptied.append(name)
    kept = {zone.name for zone in new.zones}
    emptied += [zone.name for zone in old.zones if zone.name not in kept and zone.name not in before]
    return (total / len(before) if before else 0.0), tuple(sorted(emptied))


def _steered(snapshot: model.Snapshot) -> dict[str, int]:
    return {name: index for zone in snapshot.zones for name, index in zone.steer.items()}


def _covering(name: str, steered: Mapping[str, int]) -> int | None:
    """Return the policy that answers a name: its own, or that of the nearest wildcard above (RFC 4592)."""
    found = steered.get(name)
    while found is None and "." in name.rstrip("."):
        name = name.partition(".")[2]
        found = steered.get("*." + name)
    return found


def _difference(old: Answers, new: Answers) -> float:
    gone = [
        sum(max(0.0, share - new.get(family, {}).get(value, 0.0)) for value, share in shares.items())
        for family, shares in old.items()
    ]
    return sum(gone) / len(gone) if gone else 0.0


def _lost(old: Answers, new: Answers) -> bool:
    """Say whether a name has nothing left, or nothing that IPv4 clients can use."""
    if not new:
        return bool(old)
    return bool({"ipv4", "cname"} & set(old)) and not {"ipv4", "cname"} & set(new)


# --- in words -------------------------------------------------------------------------------------------------------


def _said(name: str, value: object) -> str:
    """Return a field's value as the operator would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and name.endswith("_s"):
        return "manual" if math.isinf(value) else units.show_seconds(value)
    if value is None or value in ("", ()):
        return "nothing"
    if isinstance(value, model.CheckExpr):
        wanted = "all" if value.need == len(value.of) else str(value.need)
        return f"{wanted} of {', '.join(value.of)}" if len(value.of) > 1 else (value.of[0] if value.of else "none")
    if isinstance(value, tuple):
        return "[" + ", ".join(one.text if isinstance(one, model.Condition) else str(one) for one in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_said(str(key), one)}" for key, one in value.items() if one) + "}"
    return str(value)


def _fields(old: Any, new: Any) -> list[str]:
    out = []
    for one in dataclasses.fields(old):
        before, after = getattr(old, one.name), getattr(new, one.name)
        if before != after:
            out.append(f"{one.name.removesuffix('_s')} {_said(one.name, before)} → {_said(one.name, after)}")
    return out


def _pool(old: model.Pool, new: model.Pool) -> list[str]:
    before = {one.endpoint: one for one in old.members}
    after = {one.endpoint: one for one in new.members}
    out = [f"{name} joins with weight {one.weight}" for name, one in after.items() if name not in before]
    out += [f"{name} leaves" for name in before if name not in after]
    for name, one in after.items():
        if name in before:
            out += [f"{name} {change}" for change in _fields(before[name], one)]
    if not out and old.members != new.members:
        out.append("its members change their order")
    return out + _fields(dataclasses.replace(old, members=()), dataclasses.replace(new, members=()))


def _audience(one: model.Audience) -> str:
    return ", ".join((*one.places, *(f"AS{asn}" for asn in one.asns), *one.prefixes)) or "nobody"


def _nouns(
    word: str, old: Mapping[str, Any], new: Mapping[str, Any], differ: Callable[[Any, Any], Sequence[str]]
) -> Iterator[str]:
    yield from (f"{word} {name}: added" for name in sorted(new.keys() - old.keys()))
    yield from (f"{word} {name}: removed" for name in sorted(old.keys() - new.keys()))
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            yield f"{word} {name}: {'; '.join(differ(old[name], new[name]))}"


def _settings(old: model.Snapshot, new: model.Snapshot) -> Iterator[str]:
    if old.node != new.node:
        yield f"node: {old.node} → {new.node}"
    for section, before, after in (
        ("dns", old.dns, new.dns),
        ("flap", old.flap, new.flap),
        ("orders", old.orders, new.orders),
    ):
        yield from (f"{section}: {change}" for change in _fields(before, after))
    if old.web.listen != new.web.listen:
        yield f"web: listen {old.web.listen or 'off'} → {new.web.listen or 'off'}"
    if old.web.tokens != new.web.tokens:
        yield "web: tokens change"
    if old.web.public != new.web.public:
        yield f"web: public {old.web.public} → {new.web.public}"
    if old.web.event_streams != new.web.event_streams:
        yield f"web: event_streams {old.web.event_streams} → {new.web.event_streams}"
    if old.store != new.store:
        yield f"store: {old.store} → {new.store}"
    if old.geo_databases != new.geo_databases:
        yield f"geo: databases {_said('', old.geo_databases)} → {_said('', new.geo_databases)}"
    if old.guard_min_alive != new.guard_min_alive:
        shown = [f"{one:.0%}" if one is not None else "off" for one in (old.guard_min_alive, new.guard_min_alive)]
        yield f"guard: min_alive {shown[0]} → {shown[1]}"
    if old.alerts != new.alerts:
        yield "alerts change"


def _group(what: str, found: list[str]) -> Iterator[str]:
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        yield f"{what}: {', '.join(map(names.shown, found[:NAMED]))}{more}"


def _zones(old: model.Snapshot, new: model.Snapshot) -> Iterator[str]:
    before, after = ({zone.name: zone for zone in one.zones} for one in (old, new))
    yield from (f"zone {names.shown(name)}: added" for name in sorted(after.keys() - before.keys()))
    yield from (f"zone {names.shown(name)}: removed" for name in sorted(before.keys() - after.keys()))
    for name in sorted(before.keys() & after.keys()):
        a, b, what = before[name], after[name], f"zone {names.shown(name)}"
        rest = [dataclasses.replace(one, records=(), steer={}) for one in (a, b)]
        yield from (f"{what}: {change}" for change in _fields(*rest))
        gone, come = set(a.records) - set(b.records), set(b.records) - set(a.records)
        if gone or come:
            yield f"{what}: {len(come)} static records added, {len(gone)} removed"
        yield from _group(f"{what}: steered names added", sorted(b.steer.keys() - a.steer.keys()))
        yield from _group(f"{what}: steered names removed", sorted(a.steer.keys() - b.steer.keys()))
        same: dict[tuple[int, int], bool] = {}
        changed: list[str] = []
        for owner in a.steer.keys() & b.steer.keys():
            pair = a.steer[owner], b.steer[owner]
            if pair not in same:
                same[pair] = old.policies[pair[0]] == new.policies[pair[1]]
            if not same[pair]:
                changed.append(owner)
        yield from _group(f"{what}: rules changed for", sorted(changed))
