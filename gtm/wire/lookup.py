"""A table and a question in words in, its answer in words out: for people, never on the answer path."""

from __future__ import annotations

from typing import Any, NamedTuple

import dnslib

from gtm import names, table
from gtm.wire import records, respond

_SOA = 6


class Found(NamedTuple):
    """An answer as people read it. `ttl_s` is the first record's, or how long its absence is believed (RFC 2308
    section 5); 0 where nothing says.
    """

    rcode: str
    ttl_s: int
    answers: tuple[str, ...]


class Essence(NamedTuple):
    """What of an answer two nameservers must agree on: not its TTLs, nor the order of its records."""

    readable: bool
    rcode: str = ""
    authoritative: bool = False
    records: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Say it in a few words."""
        return " ".join([self.rcode, *sorted(self.records)]) if self.readable else "nothing that can be read"


def essence(reply: bytes) -> Essence:
    """Return what a reply says."""
    try:
        message = dnslib.DNSRecord.parse(reply)  # type: ignore[no-untyped-call]
    except dnslib.DNSError:
        return Essence(False)
    found = frozenset(map(_record, message.rr))
    rcode = str(dnslib.RCODE.get(message.header.rcode))  # type: ignore[no-untyped-call]
    return Essence(True, rcode, bool(message.header.aa), found)


def _record(one: Any) -> str:
    """Return a record without its owner and TTL, an SOA without its serial: each nameserver counts for itself."""
    data = str(one.rdata)
    if one.rtype == _SOA:
        data = " ".join(word for at, word in enumerate(data.split()) if at != 2)
    return f"{dnslib.QTYPE.get(one.rtype)} {data}"  # type: ignore[no-untyped-call]


def question(name: str, rtype: str) -> bytes:
    """Return a query without EDNS (RFC 1035 section 4.1). Raises `RecordError` and `DomainNameError`."""
    kind = records.type_number(rtype.upper())
    return b"\0\0\1\0\0\1\0\0\0\0\0\0" + names.wire(name) + kind.to_bytes(2) + b"\0\1"


def find(of: table.AnswerTable, name: str, rtype: str) -> Found:
    """Return what a worker with this table answers, over TCP, to somebody without a place."""
    # Nothing well-formed is dropped, so there is an answer; nothing at all would be a message without records.
    reply = respond.Responder(of, seed=0).answer(question(name, rtype), 4, 0, "tcp") or bytes(12)
    message = dnslib.DNSRecord.parse(reply)  # type: ignore[no-untyped-call]
    answers = tuple(str(record.rdata) for record in message.rr)
    rcode = str(dnslib.RCODE.get(message.header.rcode))  # type: ignore[no-untyped-call]
    said = message.rr or message.auth
    return Found(rcode, said[0].ttl if said else 0, answers)
