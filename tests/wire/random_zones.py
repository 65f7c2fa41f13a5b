"""Dice in, a zone and questions for it out; and RFC 1034 section 4.3.2 said plainly, over dnspython's own zone."""

from __future__ import annotations

import random
from typing import NamedTuple

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.zone

APEX = "z.example."
ORIGIN = dns.name.from_text(APEX)
LABELS = ("a", "b", "c", "www", "x-1")
TYPES = ("A", "AAAA", "TXT", "MX", "CNAME", "NS", "SOA", "DS", "SRV", "HTTPS", "TYPE65280")
STAR = dns.name.from_text("*", None)


class Said(NamedTuple):
    """What matters of an answer: rcode, AA, and the sections as sets of (owner, type, TTL, rdata), in small letters."""

    rcode: int
    authoritative: bool
    answer: frozenset[tuple[str, str, int, str]]
    authority: frozenset[tuple[str, str, int, str]]


def text(dice: random.Random) -> str:
    """Return a zone as a zone file."""
    lines = ["@ 300 IN SOA ns1 ops 1 2 3 4 60", "@ 300 IN NS ns1", "ns1 300 IN A 192.0.2.53"]
    owners = {".".join(dice.choices(LABELS, k=dice.randint(1, 3))) for _ in range(dice.randint(3, 14))}
    owners |= {f"*.{owner}" for owner in sorted(owners) if dice.random() < 0.2} | (
        {"*"} if dice.random() < 0.2 else set()
    )
    cuts = {owner for owner in sorted(owners) if dice.random() < 0.1 and not owner.startswith("*")}
    for owner in sorted(owners):
        if any(owner.endswith(f".{cut}") for cut in cuts):
            continue
        if owner in cuts:
            lines += [
                f"{owner} 120 IN NS ns.{owner}",
                f"ns.{owner} 120 IN A 192.0.2.99",
                f"{owner} 60 IN NS ns.far.test.",
            ]
        elif dice.random() < 0.2:
            target = dice.choice([*sorted(owners), "nothing", "ns1", "far.test."])
            lines.append(f"{owner} {dice.choice((5, 60))} IN CNAME {target.replace('*', 'star')}")
        else:
            lines += _records(dice, owner)
    return "\n".join(lines) + "\n"


def _records(dice: random.Random, owner: str) -> list[str]:
    ttl_s = dice.choice((5, 60, 3600))
    every = [
        f"A 192.0.2.{dice.randint(1, 200)}", f"AAAA 2001:db8::{dice.randint(1, 200):x}", f'TXT "{dice.randint(1, 99)}"',
        "MX 10 ns1", "SRV 1 2 3 ns1", "HTTPS 1 . alpn=h2", r"TYPE65280 \# 2 abcd",
    ]  # fmt: skip
    return [f"{owner} {ttl_s} IN {one}" for one in dice.sample(every, dice.randint(1, 3))]


def question(dice: random.Random, zone: str, apex: str = APEX) -> tuple[str, str]:
    """Return a name and a type to ask for: names of the zone, near it, below it, and beside it."""
    owners = [line.split()[0] for line in zone.splitlines()]
    owner = dice.choice(owners)
    how = dice.random()
    if how < 0.3:
        owner = f"{dice.choice(LABELS)}.{owner}" if owner != "@" else dice.choice(LABELS)
    elif how < 0.5:
        owner = ".".join(dice.choices(LABELS, k=dice.randint(1, 4)))
    elif how < 0.6:
        owner = owner.partition(".")[2] or "@"
    name = apex if owner in {"@", ""} else f"{owner}.{apex}"
    return "".join(dice.choice((one.lower(), one.upper())) for one in name), dice.choice(TYPES)


def said(message: dns.message.Message) -> Said:
    """Return what an answer says."""
    sections = [
        frozenset(
            (str(rrset.name).lower(), dns.rdatatype.to_text(rrset.rdtype), rrset.ttl, rdata.to_text().lower())
            for rrset in section
            for rdata in rrset
        )
        for section in (message.answer, message.authority)
    ]
    return Said(message.rcode(), bool(message.flags & dns.flags.AA), *sections)


class Model:
    """The zone by the book: slow, and as the RFC says it."""

    def __init__(self, zone: str) -> None:
        self._zone = dns.zone.from_text(zone, ORIGIN, relativize=False)
        self._names = set(self._zone.nodes)
        for name in list(self._names):  # empty non-terminals exist (RFC 4592 section 2.2.2)
            self._names |= {name.split(depth)[1] for depth in range(len(ORIGIN), len(name))}

    def answer(self, name: str, rtype: str) -> Said:
        """Return what an authoritative server says of a question inside the zone."""
        at, kind = dns.name.from_text(name), dns.rdatatype.from_text(rtype)
        found: set[tuple[str, str, int, str]] = set()
        met: set[dns.name.Name] = set()
        while True:
            # We leave a target that is delegated to the asker, who asks for its DS anew (semantics E7).
            cut = self._cut(at, kind if not found else 0)
            if cut is not None:
                return Said(0, bool(found), frozenset(found), frozenset() if found else self._set(cut, "NS", cut))
            source = at if at in self._names else self._wildcard(at)
            if source is None:
                return Said(3, True, frozenset(found), self._soa())
            if kind != dns.rdatatype.CNAME and (alias := self._zone.get_rdataset(source, "CNAME")) is not None:
                found |= self._set(source, "CNAME", at)
                met.add(at)
                at = alias[0].target
                if not at.is_subdomain(ORIGIN) or at in met:
                    return Said(0, True, frozenset(found), frozenset())
                continue
            have = self._set(source, rtype, at)
            return Said(0, True, frozenset(found) | have, frozenset() if have else self._soa())

    def _cut(self, at: dns.name.Name, kind: int) -> dns.name.Name | None:
        above = [at.split(depth)[1] for depth in range(len(ORIGIN) + 1, len(at) + 1)]
        for name in above:
            if self._zone.get_rdataset(name, "NS") is not None and not (name == at and kind == dns.rdatatype.DS):
                return name
        return None

    def _wildcard(self, at: dns.name.Name) -> dns.name.Name | None:
        encloser = at
        while encloser not in self._names:
            encloser = encloser.parent()
        star = STAR + encloser
        return star if star in self._names else None

    def _soa(self) -> frozenset[tuple[str, str, int, str]]:
        (one,) = self._set(ORIGIN, "SOA", ORIGIN)
        return frozenset({(*one[:2], 60, one[3])})  # RFC 2308 section 3: the minimum, where it is smaller

    def _set(self, source: dns.name.Name, rtype: str, owner: dns.name.Name) -> frozenset[tuple[str, str, int, str]]:
        rdataset = self._zone.get_rdataset(source, rtype)
        if rdataset is None:
            return frozenset()
        shown = dns.rdatatype.to_text(rdataset.rdtype)
        return frozenset((str(owner).lower(), shown, rdataset.ttl, one.to_text().lower()) for one in rdataset)
