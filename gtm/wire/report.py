"""A question and the answer that it got in, what they say in words out: for the query log and for counting."""

from __future__ import annotations

import contextlib
import ipaddress
import struct
from typing import NamedTuple

from gtm import errors, names
from gtm.wire import query, tally

MAX_RECORDS = 16  # of an answer are read; no ring gives more than eight
_RECORD = struct.Struct(">HHIH")
_TC = 0x02


class Report(NamedTuple):
    """What was asked and answered. `name` is absolute and lower case (empty: none could be read), `type` a word.

    `subnet` is (family 4 or 6, network as a number, prefix bits) or None. `rcode` is a word, empty without an answer.
    `ttl_s` is the first record's (None without any); `values` are addresses and host names.
    """

    name: str
    type: str
    subnet: tuple[int, int, int] | None
    rcode: str
    ttl_s: int | None
    values: tuple[str, ...]
    truncated: bool


def read(question: bytes, answer: bytes) -> Report:
    """Return what stands in them. Any bytes will do; what cannot be read is left out."""
    asked = query.read(question)
    if isinstance(asked, str):
        asked = query.Query(0)
    subnet = asked.opt.subnet if asked.opt is not None else None
    known = subnet is not None and subnet.source
    rcode, ttl_s, values = "", None, tuple[str, ...]()
    if len(answer) >= query.HEADER_BYTES:
        # BADVERS has its upper bits in the OPT; the question says as well that it will be (RFC 6891 section 6.1.3).
        number = asked.rcode if asked.rcode > 15 else answer[3] & 15
        rcode = tally.RCODES.get(number, str(number))
        ttl_s, values = _records(answer, asked.end)
    return Report(
        names.text(asked.owner) if asked.owner else "",
        tally.TYPES.get(asked.kind, f"TYPE{asked.kind}") if asked.owner else "",
        (subnet.family, subnet.address, subnet.source) if subnet is not None and known else None,
        rcode,
        ttl_s,
        values,
        len(answer) > 2 and bool(answer[2] & _TC),
    )


def _records(answer: bytes, at: int) -> tuple[int | None, tuple[str, ...]]:
    """Return the first TTL, and what of the answer section names a place to go to."""
    ttl_s, values = None, []
    for _ in range(min(int.from_bytes(answer[6:8]), MAX_RECORDS)):
        after = query.skip_name(answer, at)
        if after == 0 or after + _RECORD.size > len(answer):
            break
        kind, _, ttl, size = _RECORD.unpack_from(answer, after)
        data = answer[after + _RECORD.size : after + _RECORD.size + size]
        at = after + _RECORD.size + size
        ttl_s = ttl if ttl_s is None else ttl_s
        if (kind, len(data)) in {(1, 4), (28, 16)}:
            values.append(str(ipaddress.ip_address(data)))
        elif kind == 5 and data.endswith(b"\0"):
            with contextlib.suppress(errors.DomainNameError):
                values.append(names.text(data.lower()))
    return ttl_s, tuple(values)
