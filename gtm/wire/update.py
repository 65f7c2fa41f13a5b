"""An UPDATE message in (RFC 2136), the texts of challenges that it adds and takes away out, or the rcode it deserves.

Of all that UPDATE can say, what ACME clients say: TXT records at `_acme-challenge`, with prerequisites about names and
TXT records. Anything else is refused whole.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gtm import names, table
from gtm.wire import overlay, query

OPCODE = 5
YXDOMAIN, YXRRSET, NXRRSET, NOTZONE = 6, 7, 8, 10  # RFC 2136 section 2.2
MAX_RECORDS = 64  # of one message: eight names with eight texts each
_SOA, _TXT, _ANY_TYPE = 6, 16, 255
_IN, _NONE, _ANY = 1, 254, 255
_COUNTS = struct.Struct(">HHHH")
_RECORD = struct.Struct(">HHIH")


class Change(NamedTuple):
    """One text to be added at a name, or taken away; no text: all of them."""

    name: bytes
    text: str
    adds: bool


class Update(NamedTuple):
    """What a message wants of a zone. `rcode` other than 0 is the whole answer."""

    zone: bytes = b""
    before: Sequence[Record] = ()
    changes: Sequence[Change] = ()
    rcode: int = 0


class Record(NamedTuple):
    """A record of the message, its owner in lower case."""

    owner: bytes
    kind: int
    klass: int
    ttl_s: int
    rdata: bytes


class _Bad(ValueError):
    """The message deserves this rcode."""

    def __init__(self, rcode: int) -> None:
        self.rcode = rcode
        super().__init__(rcode)


def is_one(packet: bytes | memoryview) -> bool:
    """Say whether a packet is an UPDATE and no answer to one."""
    return len(packet) >= query.HEADER_BYTES and packet[2] >> 3 == OPCODE


def read(packet: bytes) -> Update:
    """Return what is wanted; `packet` has lost its TSIG already."""
    try:
        return _read(packet)
    except _Bad as bad:
        return Update(rcode=bad.rcode)


def reply(packet: bytes, rcode: int) -> bytes:
    """Return the answer to an UPDATE: its header with the rcode, and nothing else (RFC 2136 section 3.8)."""
    return packet[:2] + struct.pack(">HHHHH", query.QR | OPCODE << 11 | rcode & 15, 0, 0, 0, 0)


def _read(packet: bytes) -> Update:
    zones, before, wanted, _ = _COUNTS.unpack_from(packet, 4)
    zone, at = _name(packet, query.HEADER_BYTES)
    if zones != 1 or packet[at : at + 4] != struct.pack(">HH", _SOA, _IN):  # section 3.1.1
        raise _Bad(query.FORMERR)
    if before + wanted > MAX_RECORDS:
        raise _Bad(query.REFUSED)
    at += 4
    found = []
    for _ in range(before + wanted):
        one, at = _record(packet, at)
        if not names.within(one.owner, zone):
            raise _Bad(NOTZONE)
        found.append(one)
    return Update(zone, found[:before], [_change(one) for one in found[before:]])


def _change(one: Record) -> Change:
    """RFC 2136 section 3.4.1."""
    if one.klass == _ANY:
        known = one.kind in {_TXT, _ANY_TYPE}
        text = ""
        if one.ttl_s or one.rdata:
            raise _Bad(query.FORMERR)
    elif one.klass in {_IN, _NONE}:
        known = one.kind == _TXT
        text = _text(one.rdata) if known else ""
        if one.klass == _NONE and one.ttl_s:
            raise _Bad(query.FORMERR)
    else:
        raise _Bad(query.FORMERR)
    if not known or not one.owner.startswith(overlay.LABEL):
        raise _Bad(query.REFUSED)
    return Change(one.owner, text, one.klass == _IN)


def _text(rdata: bytes) -> str:
    """Return the strings of a TXT record as one text, which has to fit into one string again."""
    at, text = 0, b""
    while at < len(rdata):
        end = at + 1 + rdata[at]
        text += rdata[at + 1 : end]
        at = end
    if at != len(rdata):
        raise _Bad(query.FORMERR)
    if not 0 < len(text) <= overlay.MAX_TEXT_BYTES or not text.isascii() or not text.decode().isprintable():
        raise _Bad(query.REFUSED)
    return text.decode()


# --- prerequisites (RFC 2136 section 3.2) ---


def unmet(before: Sequence[Record], known: Callable[[bytes], table.Entry | None]) -> int:
    """Return the rcode of the first prerequisite that is not met, or 0. `known` gives what a name is answered with."""
    try:
        exact: dict[bytes, set[str]] = {}
        for one in before:
            if one.ttl_s or (one.klass != _IN and one.rdata):
                raise _Bad(query.FORMERR)
            entry = known(one.owner)
            if one.klass == _IN and one.kind == _TXT:
                exact.setdefault(one.owner, set()).add(_text(one.rdata))
            elif one.klass in {_ANY, _NONE}:
                _is_there(one, entry)
            else:
                raise _Bad(query.REFUSED if one.klass == _IN else query.FORMERR)
        for owner, texts in exact.items():
            entry = known(owner)
            if entry is None or set(map(_text, overlay.rdatas(entry.fixed.get(_TXT)))) != texts:
                raise _Bad(NXRRSET)
    except _Bad as bad:
        return bad.rcode
    return query.NOERROR


def _is_there(one: Record, entry: table.Entry | None) -> None:
    wanted = one.klass == _ANY
    if one.kind == _ANY_TYPE:
        # A name without records of its own is not in use (section 2.4.4).
        used = entry is not None and bool(entry.fixed or entry.steering >= 0 or entry.cname or entry.cut)
        if used != wanted:
            raise _Bad(query.NXDOMAIN if wanted else YXDOMAIN)
    elif one.kind != _TXT:
        raise _Bad(query.REFUSED)
    elif (entry is not None and _TXT in entry.fixed) != wanted:
        raise _Bad(NXRRSET if wanted else YXRRSET)


# --- names, which may be compressed in here ---


def _record(packet: bytes, at: int) -> tuple[Record, int]:
    owner, at = _name(packet, at)
    if at + _RECORD.size > len(packet):
        raise _Bad(query.FORMERR)
    kind, klass, ttl_s, size = _RECORD.unpack_from(packet, at)
    at += _RECORD.size
    if at + size > len(packet):
        raise _Bad(query.FORMERR)
    return Record(owner, kind, klass, ttl_s, packet[at : at + size]), at + size


def _name(packet: bytes, at: int) -> tuple[bytes, int]:
    """Return a name in lower case, and where it ends. Pointers lead back, each before the last (RFC 1035 4.1.4)."""
    out, end, lowest = b"", 0, at
    while at < len(packet):
        size = packet[at]
        if size >= 0xC0:
            if at + 2 > len(packet):
                break
            end = end or at + 2
            at = int.from_bytes(packet[at : at + 2]) & 0x3FFF
            if at >= lowest:
                break
            lowest = at
            continue
        if size > names.MAX_LABEL_BYTES or at + 1 + size > len(packet):
            break
        out += packet[at : at + 1 + size]
        at += 1 + size
        if len(out) > names.MAX_WIRE_BYTES:
            break
        if size == 0:
            return out.lower(), end or at
    raise _Bad(query.FORMERR)
