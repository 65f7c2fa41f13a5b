"""An answer of ours in, for how long it holds out."""

from __future__ import annotations

import struct

from gtm.wire import edns, query

_COUNTS = struct.Struct(">HHHH")
_RECORD = struct.Struct(">HHIH")


def seconds(reply: bytes) -> int:
    """Return the shortest TTL in `reply`, whose compression pointers end names; 0 when it holds no record.

    The SOA of a negative answer has the TTL that RFC 2308 section 5 gives the whole of it.
    """
    questions, *others = _COUNTS.unpack_from(reply, 4)
    at, shortest = query.HEADER_BYTES, -1
    for _ in range(questions):
        at = query.skip_name(reply, at) + 4
    for _ in range(sum(others)):
        at = query.skip_name(reply, at)
        kind, _klass, ttl_s, size = _RECORD.unpack_from(reply, at)
        at += _RECORD.size + size
        if kind != edns.OPT and (shortest < 0 or ttl_s < shortest):
            shortest = ttl_s
    return max(shortest, 0)
