"""A zone's nameservers in; findings about each of them, and about what they say differently, out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gtm import names
from gtm.app import delegation, finding
from gtm.probes import ask

MOST_ADDRESSES = 26  # of one zone; thirteen hosts with both families
AT_ONCE = 13  # addresses that are asked at a time; a dead one costs six seconds, and there are half a minute for all
DIGEST = "digest.server."  # CHAOS TXT: the digest of a node's configuration, for those whom it explains itself to
PLAIN_BYTES = 512  # RFC 1035 section 4.2.1: of an answer over UDP to who does not speak EDNS


@dataclass(frozen=True, slots=True)
class Look:
    """What one address of a nameserver was found to be."""

    about: str
    findings: tuple[finding.Finding, ...]
    soa: str = ""
    hosts: tuple[str, ...] = ()
    digest: str = ""


async def examine(
    zone: delegation.Zone, delegated: Mapping[str, tuple[str, ...]], digest: str, asker: delegation.Asker
) -> tuple[finding.Finding, ...]:
    """Ask every address of every nameserver that we or the parent name. `digest` is that of our configuration."""
    hosts = list(dict.fromkeys((*zone.nameservers, *delegated)))[: delegation.MOST_HOSTS]
    known = await asyncio.gather(*(_addresses(host, zone, delegated, asker) for host in hosts))
    found = [
        finding.error(
            f"{names.shown(host)} of {names.shown(zone.name)}", "it has no address", "give it one, or name it no more"
        )
        for host, addresses in zip(hosts, known, strict=True)
        if not addresses
    ]
    pairs = [(host, one) for host, addresses in zip(hosts, known, strict=True) for one in addresses][:MOST_ADDRESSES]
    few = asyncio.Semaphore(AT_ONCE)

    async def one(host: str, address: str) -> Look:
        async with few:
            return await look(zone, host, address, asker)

    looks = await asyncio.gather(*(one(*pair) for pair in pairs))
    found += [each for one in looks for each in one.findings]
    return (*found, *_together(zone, looks, digest))


async def _addresses(
    host: str, zone: delegation.Zone, delegated: Mapping[str, tuple[str, ...]], asker: delegation.Asker
) -> tuple[str, ...]:
    """Return the addresses of a nameserver: ours and the parent's, else what the resolver knows."""
    told = tuple(dict.fromkeys((*zone.nameservers.get(host, ()), *delegated.get(host, ()))))
    return told or await asker.addresses(host)


async def look(zone: delegation.Zone, host: str, address: str, asker: delegation.Asker) -> Look:
    """Ask one address for the SOA, over UDP and TCP, with and without EDNS, and for an answer that is too long."""
    about, way = f"{names.shown(host)} ({address}) of {names.shown(zone.name)}", asker.how
    over_tcp, without_edns = replace(way, tcp=True), replace(way, edns_bytes=0, tries=1)
    said, tcp = await asyncio.gather(*(asker.server(address, zone.name, "SOA", how) for how in (way, over_tcp)))
    if said.no_road:
        do = "look again from where that family of addresses is spoken"
        return Look(about, (finding.warning(about, f"this machine has no road to it: {said.trouble}", do),))
    found: list[finding.Finding] = []
    if said.trouble:
        plain = await asker.server(address, zone.name, "SOA", without_edns)
        found.append(_silent(about, said, plain, tcp, asker.port))
        said, way = (tcp, over_tcp) if plain.trouble else (plain, without_edns)
    elif not said.edns:
        do = "let what stands before it pass EDNS (RFC 6891): without it there is no client subnet"
        found.append(finding.error(about, "it answers without EDNS", do))
    if said.trouble:
        return Look(about, tuple(found))
    if not said.authoritative or not said.data(zone.name, "SOA"):
        what = f"it does not serve the zone (lame): {said.rcode}{'' if said.authoritative else ', not authoritative'}"
        return Look(about, (*found, finding.error(about, what, "serve the zone there, or name it no more")))
    if tcp.trouble:
        do = f"open port {asker.port} for TCP: longer answers come over it (RFC 7766), and transfers"
        found.append(finding.error(about, f"no answer over TCP: {tcp.trouble}", do))
    if not found:
        found = await _long(zone, address, about, asker)
    hosts = await asker.server(address, zone.name, "NS", way)
    told = await asker.server(address, DIGEST, "TXT", replace(way, chaos=True, tries=1))
    found = found or [finding.ok(about, "authoritative over UDP, TCP and EDNS")]
    digest = "".join(one.data.strip('"') for one in told.answer[:1])
    return Look(about, tuple(found), said.data(zone.name, "SOA")[0], hosts.data(zone.name, "NS"), digest)


def _silent(about: str, said: ask.Said, plain: ask.Said, tcp: ask.Said, port: int) -> finding.Finding:
    """Return what a server suffers from that says nothing to an ordinary question over UDP."""
    if not plain.trouble:
        do = "find what drops it: a firewall, or an old middle box; most resolvers ask with EDNS"
        return finding.error(about, "it answers nothing to questions with EDNS, but those without", do)
    if not tcp.trouble:
        do = f"open port {port} for UDP; resolvers ask over it first"
        return finding.error(about, f"it answers over TCP, but not over UDP: {said.trouble}", do)
    do = f"is it running, does it listen on port {port} there, does the firewall let UDP and TCP in?"
    return finding.error(about, said.trouble, do)


async def _long(zone: delegation.Zone, address: str, about: str, asker: delegation.Asker) -> list[finding.Finding]:
    """Ask for an answer that does not fit: it must say so, and come over TCP."""
    name, kind = zone.long
    if not name:
        return []
    short = await asker.server(address, name, kind, replace(asker.how, edns_bytes=0))
    whole = await asker.server(address, name, kind, replace(asker.how, tcp=True))
    if short.trouble or whole.trouble:
        do = "what stands before it must pass answers of every length"
        return [finding.error(about, f"{names.shown(name)} {kind}: {short.trouble or whole.trouble}", do)]
    if not short.truncated or short.size_bytes > PLAIN_BYTES:
        do = "is it a GTM? Answers must say when they are cut (RFC 2181 section 9)"
        what = (
            f"{names.shown(name)} {kind} came over UDP with {short.size_bytes} bytes, and did not say that it was cut"
        )
        return [finding.warning(about, what, do)]
    if not whole.answer:
        return [
            finding.error(
                about, f"{names.shown(name)} {kind} is not answered over TCP", "compare its configuration with ours"
            )
        ]
    return []


def _together(zone: delegation.Zone, looks: Sequence[Look], digest: str) -> Iterable[finding.Finding]:
    """Yield what the nameservers say differently from each other and from us."""
    served = [one for one in looks if one.soa]
    ours = tuple(sorted(zone.nameservers))
    for one in served:
        if ours and one.hosts != ours:
            do = "give every node the same `nameservers`"
            theirs = ", ".join(map(names.shown, one.hosts)) or "no nameserver"
            what = f"it names {theirs}, and we {', '.join(map(names.shown, ours))}"
            yield finding.error(one.about, what, do)
    digests = {one.about: one.digest for one in served if one.digest}
    for about, told in digests.items():
        if digest and told != digest:
            do = "copy the same files to every node, and `gtm reload`"
            yield finding.error(about, f"its configuration is another: {told[:12]}, not {digest[:12]}", do)
    if len({" ".join((*one.soa.split()[:2], *one.soa.split()[3:])) for one in served}) > 1:
        what = "its nameservers say different SOA records: " + "; ".join(sorted({one.soa for one in served}))
        yield finding.error(names.shown(zone.name), what, "give every node the same configuration")
    elif served:
        yield _serials(zone, served, digest)


def _serials(zone: delegation.Zone, served: Sequence[Look], digest: str) -> finding.Finding:
    """Return what is to be said of serials. Nodes that secondaries follow count apart; these have one of theirs."""
    serials = {one.about: one.soa.split()[2] for one in served}
    primaries = {serials[one.about] for one in served if one.digest}
    if zone.transferred and primaries:
        late = [f"{about} has {serial}" for about, serial in serials.items() if serial not in primaries]
        wrong = f"{'; '.join(late)}; the nodes have {', '.join(sorted(primaries))}" if late else ""
        do = "look again in a minute; if it stays, see whether NOTIFY and transfers reach it"
    else:
        wrong = f"its nameservers have different serials: {', '.join(sorted({*serials.values()}))}"
        wrong = wrong if len({*serials.values()}) > 1 else ""
        do = "reload the one that has an older configuration, or see whether transfers reach it"
    if wrong:
        return finding.warning(names.shown(zone.name), wrong, do)
    told = sum(one.digest == digest for one in served)
    what = f"the {len(served)} addresses that answer have the serial {', '.join(sorted({*serials.values()}))}"
    return finding.ok(
        zone.name,
        what + (f"; {told} of them tell their configuration's digest, which is ours" if told and digest else ""),
    )
