"""A zone and a resolver in; its parent's servers, what they say of it, and findings about that out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gtm import model, names
from gtm.app import finding
from gtm.probes import ask

MOST_HOSTS = 13  # the root has so many; nobody needs more
MOST_PARENTS = 4  # of the parent's addresses: they say the same, or are between two updates


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone as we serve it. `nameservers` are absolute names with addresses, none for those outside of the zone.

    `long` is the name and type of the longest RRset that does not fit into 512 bytes, if there is one. `transferred`:
    secondaries follow it, and each node counts its serial by itself.
    """

    name: str
    nameservers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    long: tuple[str, str] = ("", "")
    transferred: bool = False


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is asked how: the resolvers, and the port of every nameserver."""

    resolvers: tuple[model.Listen, ...]
    port: int = 53
    how: ask.How = field(default_factory=ask.How)

    @classmethod
    def of(cls, resolvers: Sequence[model.Listen], port: int) -> Asker:
        """Return one that asks these resolvers, or this machine's when there are none."""
        return cls(tuple(resolvers) or tuple(model.Listen(one, 53) for one in ask.system_resolvers()), port)

    async def resolve(self, name: str, kind: str) -> ask.Said:
        """Ask the resolvers, one after the other, until one answers."""
        said = ask.Said("there is no resolver")
        for one in self.resolvers:
            said = await ask.ask(one, name, kind, replace(self.how, recurse=True))
            if said.truncated:
                said = await ask.ask(one, name, kind, replace(self.how, recurse=True, tcp=True))
            if not said.trouble and said.rcode in {"NOERROR", "NXDOMAIN"}:
                break
        return said

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return a host's addresses of both families, as the resolvers know them."""
        said = await asyncio.gather(*(self.resolve(host, kind) for kind in ("A", "AAAA")))
        return tuple(one.data for each in said for one in each.answer if one.kind in {"A", "AAAA"})

    async def server(self, address: str, name: str, kind: str, how: ask.How | None = None) -> ask.Said:
        """Ask a nameserver for what it knows itself."""
        return await ask.ask(model.Listen(address, self.port), name, kind, how or self.how)


@dataclass(frozen=True, slots=True)
class Delegation:
    """What the parent says: the zone's nameservers with their glue."""

    findings: tuple[finding.Finding, ...]
    nameservers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


async def examine(zone: Zone, asker: Asker) -> Delegation:
    """Ask the parent's servers for the zone, and compare what they say with what we serve."""
    parent, servers, trouble = await _parent(zone.name, asker)
    shown = names.shown(parent)
    about = f"{names.shown(zone.name)} at its parent"
    if not servers:
        do = "the rest was looked at without it; give a resolver that works with --resolver"
        return Delegation((finding.error(about, f"the parent's nameservers were not found: {trouble}", do),))
    said = await asyncio.gather(*(_referral(zone.name, address, asker) for address in servers))
    views = {address: one for address, one in zip(servers, said, strict=True) if not one.trouble}
    if not views:
        return Delegation((finding.error(about, f"no server of {shown} answers", "try again, or from elsewhere"),))
    told = {address: _told(zone.name, one) for address, one in views.items()}
    delegated: dict[str, tuple[str, ...]] = {}
    for one in told.values():
        for host, glue in one.items():
            delegated[host] = tuple(dict.fromkeys((*delegated.get(host, ()), *glue)))
    if not delegated:
        do = f"give the registrar (or whoever runs {shown}) these nameservers: {_listed(zone.nameservers)}"
        return Delegation((finding.error(about, f"{shown} does not delegate it", do),))
    found = _names(zone, shown, delegated) + _glue(zone, shown, delegated)
    if len({tuple(sorted(one)) for one in told.values()}) > 1:
        do = "wait until the parent's servers have all been updated, and look again"
        found.append(finding.warning(about, f"the servers of {shown} do not say the same", do))
    if not found:
        found = [finding.ok(about, f"{shown} names {_listed(delegated)}, as we do, with the same glue")]
    return Delegation(tuple(found), delegated)


async def _parent(zone: str, asker: Asker) -> tuple[str, tuple[str, ...], str]:
    """Return the parent zone, some addresses of its servers, and what went wrong where there are none."""
    at, trouble = zone, "the resolver knows none"
    while at != ".":
        at = names.text(names.parent(names.key(at)))
        said = await asker.resolve(at, "NS")
        trouble = said.trouble or (f"the resolver says {said.rcode}" if said.rcode != "NOERROR" else trouble)
        if said.trouble:
            break  # a resolver that is silent now is silent one label up
        if hosts := said.data(at, "NS"):
            found = await asyncio.gather(*(asker.addresses(host) for host in hosts[:MOST_PARENTS]))
            by_turns = [one for turn in range(2) for each in found for one in each[turn : turn + 1]]
            return at, tuple(dict.fromkeys(by_turns))[:MOST_PARENTS], f"{_listed(hosts)} have no addresses"
    return at, (), trouble


async def _referral(zone: str, address: str, asker: Asker) -> ask.Said:
    said = await asker.server(address, zone, "NS")
    return await asker.server(address, zone, "NS", replace(asker.how, tcp=True)) if said.truncated else said


def _told(zone: str, said: ask.Said) -> dict[str, tuple[str, ...]]:
    """Return the nameservers in a referral with their glue; a server of parent and child answers instead."""
    hosts = sorted({one.data for one in said.authority + said.answer if (one.name, one.kind) == (zone, "NS")})
    glue = [one for one in said.additional if one.kind in {"A", "AAAA"}]
    return {host: tuple(one.data for one in glue if one.name == host) for host in hosts[:MOST_HOSTS]}


def _names(zone: Zone, shown: str, delegated: Mapping[str, tuple[str, ...]]) -> list[finding.Finding]:
    found, about = [], f"{names.shown(zone.name)} at its parent"
    if missing := sorted(set(zone.nameservers) - set(delegated)):
        do = f"have {shown} name them, or take them out of `nameservers`"
        found.append(finding.warning(about, f"{shown} does not name {_listed(missing)}, as we do", do))
    if strange := sorted(set(delegated) - set(zone.nameservers)):
        do = f"have {shown} name them no more, or put them into `nameservers` on every node"
        found.append(finding.error(about, f"{shown} names {_listed(strange)}, and we do not", do))
    return found


def _glue(zone: Zone, shown: str, delegated: Mapping[str, tuple[str, ...]]) -> list[finding.Finding]:
    found, key = [], names.key(zone.name)
    for host in sorted(set(delegated) & set(zone.nameservers)):
        glue, ours = set(delegated[host]), set(zone.nameservers[host])
        about = f"{names.shown(host)} at the parent of {names.shown(zone.name)}"
        if names.within(names.key(host), key) and not glue:
            do = f"give {shown} its addresses: {_listed(sorted(ours))}"
            found.append(finding.error(about, f"{shown} has no glue for it: nobody can find it", do))
        elif glue - ours and ours:
            do = f"give {shown} the addresses that we serve: {_listed(sorted(ours))}"
            found.append(finding.error(about, f"its glue {_listed(sorted(glue - ours))} is not what we serve", do))
        elif glue and ours - glue:
            do = f"give {shown} all of its addresses"
            found.append(finding.warning(about, f"{shown} has no glue for {_listed(sorted(ours - glue))}", do))
    return found


def _listed(words: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(map(names.shown, words)) or "none"
