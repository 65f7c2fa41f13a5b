"""A question and a nameserver in, what it said out, or why it said nothing: for whoever looks from outside.

Other than the probe of `kind: dns`, it never fails: that a server is silent, closed or odd is what is looked for.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass
from typing import NamedTuple

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver

from gtm import errors, model

PAYLOAD_BYTES = 1232  # what passes everywhere without fragments (DNS flag day 2020, RFC 9715)
RECORDS = 500  # of an answer; nothing that is looked at here has more


class Record(NamedTuple):
    """One record; names are absolute and lower case."""

    name: str
    kind: str
    ttl_s: int
    data: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a nameserver said. Where it said nothing, `trouble` tells why, and `no_road` that we could not even ask."""

    trouble: str = ""
    no_road: bool = False
    rcode: str = ""
    authoritative: bool = False
    truncated: bool = False
    edns: bool = False
    size_bytes: int = 0
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()

    def data(self, name: str, kind: str) -> tuple[str, ...]:
        """Return the data of one RRset in the answer, sorted."""
        return tuple(sorted(one.data for one in self.answer if (one.name, one.kind) == (name, kind)))


@dataclass(frozen=True, slots=True)
class How:
    """How to ask. `edns_bytes` 0 asks without EDNS."""

    tcp: bool = False
    edns_bytes: int = PAYLOAD_BYTES
    recurse: bool = False
    chaos: bool = False
    timeout_s: float = 2.0
    tries: int = 2  # of datagrams; a connection is tried once


async def ask(where: model.Listen, name: str, kind: str, how: How) -> Said:
    """Ask a nameserver. Raises `GtmError` for a question that cannot be asked."""
    question = _question(name, kind, how)
    if why := _no_road(where):
        return Said(why, no_road=True)
    said = Said()
    for _ in range(1 if how.tcp else how.tries):
        said = await _once(where, question, how)
        if not said.trouble:
            break
    return said


def system_resolvers() -> tuple[str, ...]:
    """Return the addresses of the resolvers that this machine uses."""
    try:
        return tuple(str(one) for one in dns.resolver.Resolver().nameservers)
    except (dns.exception.DNSException, OSError):
        return ()


def _no_road(where: model.Listen) -> str:
    """Return why nothing can be sent to an address from here; empty where it can. Nothing is sent by asking this."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.connect((where.host, where.port))
    except OSError as error:
        return _why(error)
    return ""


def _why(error: OSError) -> str:
    return (os.strerror(error.errno) if error.errno else str(error)).lower()  # asyncio's own words are long


def _question(name: str, kind: str, how: How) -> dns.message.QueryMessage:
    options = {"use_edns": 0, "payload": how.edns_bytes} if how.edns_bytes else {"use_edns": False}
    klass = dns.rdataclass.CH if how.chaos else dns.rdataclass.IN
    try:
        question = dns.message.make_query(name, kind, klass, **options)
    except (dns.exception.DNSException, ValueError) as error:
        raise errors.GtmError(f"{name} {kind} cannot be asked: {error or type(error).__name__}") from None
    if not how.recurse:
        question.flags &= ~dns.flags.RD
    return question


async def _once(where: model.Listen, question: dns.message.QueryMessage, how: How) -> Said:
    try:
        async with asyncio.timeout(how.timeout_s):
            if how.tcp:
                found = await dns.asyncquery.tcp(question, where.host, how.timeout_s, where.port)
            else:  # what is no answer to the question is passed over, and more is waited for (CVE-2023-29483)
                found = await dns.asyncquery.udp(
                    question, where.host, how.timeout_s, where.port, ignore_unexpected=True, ignore_errors=True
                )
    except (TimeoutError, dns.exception.Timeout):
        return Said(f"no answer within {how.timeout_s:g} s")
    except OSError as error:
        return Said(_why(error))
    except EOFError:
        return Said("connection closed without an answer")
    except (dns.exception.DNSException, ValueError) as error:
        return Said(f"not a DNS answer: {error or type(error).__name__}")
    return Said(
        rcode=dns.rcode.to_text(found.rcode()),
        authoritative=bool(found.flags & dns.flags.AA),
        truncated=bool(found.flags & dns.flags.TC),
        edns=found.edns >= 0,
        size_bytes=len(found.wire or b""),
        answer=_records(found.answer),
        authority=_records(found.authority),
        additional=_records(found.additional),
    )


def _records(section: list[dns.rrset.RRset]) -> tuple[Record, ...]:
    found = []
    for rrset in section:
        kind = dns.rdatatype.to_text(rrset.rdtype)
        for rdata in rrset:
            data = rdata.to_text()
            found.append(Record(str(rrset.name).lower(), kind, rrset.ttl, data.lower() if kind == "NS" else data))
    return tuple(found[:RECORDS])
