"""A packet in, the question that it asks out, or the rcode that it deserves: the one gate of every transport.

RFC 1035 section 4.1, RFC 9619 (one question), RFC 6891 section 6.1.1 (one OPT), RFC 8906 sections 8.1.3, 8.1.4
and 8.2 (what is unknown is answered, not dropped). Strict, in one pass, with nothing allocated by what a count promises
and no pointer followed (RFC 9267 sections 2, 3 and 6).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from gtm.wire import edns

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, NOTAUTH, BADVERS, BADCOOKIE = 0, 1, 2, 3, 4, 5, 9, 16, 23
HEADER_BYTES = 12
MAX_QUERY_BYTES = 4096  # semantics G6
MAX_NAME_BYTES = 255
MAX_LABEL_BYTES = 63
# An OPT and a TSIG are all that a query has reason to carry; two more are borne, and then it is enough.
MAX_ADDITIONAL = 4
IXFR, TSIG = 251, 250
QR, OPCODE, RD = 0x8000, 0x7800, 0x0100

_COUNTS = struct.Struct(">HHHHH")
_TYPE_CLASS = struct.Struct(">HH")
_RECORD = struct.Struct(">HHIH")


class Query(NamedTuple):
    """What was asked. `owner` is the name in lower case, `kind` and `klass` the type and class.

    `rcode` other than 0 is the whole answer. The question stands in the packet from 12 to `end`; `end` is 12 when
    there is none to be echoed. `flags` is the second word of the header.
    """

    flags: int
    end: int = HEADER_BYTES
    owner: bytes = b""
    kind: int = 0
    klass: int = 0
    opt: edns.Opt | None = None
    rcode: int = NOERROR


def read(packet: bytes) -> Query | str:
    """Return the query in `packet`, or one word that says why it gets no answer at all."""
    if len(packet) < HEADER_BYTES:
        return "short"
    flags, questions, answers, authority, additional = _COUNTS.unpack_from(packet, 2)
    if flags & QR:  # E2: answering answers is how loops begin
        return "response"
    if flags & OPCODE:
        return Query(flags, rcode=NOTIMP)  # E4
    if len(packet) > MAX_QUERY_BYTES:  # transports have the same bound, this one holds for all of them
        return Query(flags, rcode=FORMERR)
    if questions == 0 and additional == 1 and not answers and not authority:
        return _cookie_only(_additional(packet, Query(flags), 1))
    if questions != 1:  # RFC 9619 section 4
        return Query(flags, rcode=FORMERR)
    at = _name_end(packet, HEADER_BYTES)
    if at == 0 or at + 4 > len(packet):
        return Query(flags, rcode=FORMERR)
    kind, klass = _TYPE_CLASS.unpack_from(packet, at)
    asked = Query(flags, at + 4, packet[HEADER_BYTES:at].lower(), kind, klass)
    if (
        kind == IXFR and authority == 1
    ):  # RFC 1995 section 3 puts a SOA there; over UDP, and to strangers, the answer is no
        return asked._replace(rcode=REFUSED)
    if answers or authority or additional > MAX_ADDITIONAL:
        return asked._replace(rcode=FORMERR)
    return _additional(packet, asked, additional)


def _cookie_only(asked: Query) -> Query:
    """RFC 7873 section 5.4: no question, but a cookie to be made or looked at. `kind` 0 and no owner say so."""
    if asked.rcode or (asked.opt is not None and asked.opt.cookie):
        return asked
    return asked._replace(rcode=FORMERR)


def _additional(packet: bytes, asked: Query, count: int) -> Query:
    """Read the additional section: an OPT counts, TSIG cannot be honoured, anything else is stepped over."""
    at, opt, signed = asked.end, None, False
    for _ in range(count):
        after = skip_name(packet, at)
        if after == 0 or after + 10 > len(packet):
            return asked._replace(rcode=FORMERR, opt=opt)
        kind, klass, ttl, size = _RECORD.unpack_from(packet, after)
        data = packet[after + 10 : after + 10 + size]
        if len(data) != size:
            return asked._replace(rcode=FORMERR, opt=opt)
        if kind == edns.OPT:
            if opt is not None or after != at + 1:  # RFC 6891 section 6.1.1: one only, owned by the root
                return asked._replace(rcode=FORMERR, opt=opt)
            opt = edns.read(klass, ttl, data)
        signed = signed or kind == TSIG
        at = after + 10 + size
    asked = asked._replace(opt=opt)
    if at != len(packet):
        return asked._replace(rcode=FORMERR)
    if opt is not None and opt.version:
        return asked._replace(rcode=BADVERS)  # RFC 6891 section 6.1.3
    if opt is not None and opt.bad:
        return asked._replace(rcode=FORMERR)
    if signed:  # RFC 8945 section 5.2.1: whoever holds keys looks closer
        return asked._replace(rcode=NOTAUTH)
    return asked


def _name_end(packet: bytes, at: int) -> int:
    """Return where the uncompressed name at `at` ends, or 0 when it is none: pointers are refused in a question.

    Any byte may stand in a label (RFC 2181 section 11).
    """
    start = at
    while at < len(packet):
        size = packet[at]
        at += 1 + size
        if size == 0:
            return at
        if size > MAX_LABEL_BYTES or at - start >= MAX_NAME_BYTES:  # the root's byte still has to follow
            return 0
    return 0


def skip_name(packet: bytes, at: int) -> int:
    """Return where a record's owner ends, or 0. A pointer ends it, and is not followed."""
    start = at
    while at < len(packet) and at - start < MAX_NAME_BYTES:
        size = packet[at]
        if size >= 0xC0:
            return at + 2
        if size > MAX_LABEL_BYTES:
            return 0
        at += 1 + size
        if size == 0:
            return at
    return 0
