"""An OPT record in, what the asker wants out; and the OPT record that goes back.

RFC 6891; options: RFC 5001, 7828, 7830, 7871, 7873, 8914.
"""

from __future__ import annotations

import functools
import struct
from typing import NamedTuple

from gtm.wire import cookies

OPT = 41
# What passes every path unfragmented (DNS flag day 2020, RFC 9715 section 3): we advertise it and never pass it.
MAX_UDP_BYTES = 1232
MIN_UDP_BYTES = 512  # RFC 1035 section 4.2.1; RFC 6891 section 6.2.3: smaller sizes are taken as this
NSID, SUBNET, COOKIE, KEEPALIVE, PADDING, ERROR = 3, 8, cookies.OPTION, 11, 12, 15
DO = 0x8000  # RFC 3225
MAX_ERROR_BYTES = 200  # of an error's text; it is one line for a person
# RFC 8467 section 4.1: answers are padded to a multiple of this, so that their length tells little.
PADDED_BYTES = 468
LONGEST_KEEPALIVE = 0xFFFF  # tenths of a second, in two bytes
MAX_NSID_BYTES = 64  # leaves room for the longest question and a client subnet in the smallest answer

LONE_BYTES = 19  # of an OPT record with a client subnet: all before the address
LONE_SHAPES = 1024  # of them are remembered; sizes, flags and lengths of prefixes that resolvers send are fewer

_OPTION = struct.Struct(">HH")
_SUBNET = struct.Struct(">HBB")
_HEAD = struct.Struct(">BHHBBHH")
# An OPT with one client subnet and nothing else: as _HEAD; then code, length, family, source, scope.
_LONE = struct.Struct(">BHHBBHHHHHBB")
_PLAIN_HEAD = _HEAD.pack(0, OPT, MAX_UDP_BYTES, 0, 0, 0, 0)[:9]
_DO_HEAD = _HEAD.pack(0, OPT, MAX_UDP_BYTES, 0, 0, DO, 0)[:9]
BYTES = tuple(bytes((number,)) for number in range(129))
# The bits behind a prefix of each length, which have to be zero.
_LOW_32 = tuple((1 << (32 - bits)) - 1 for bits in range(33))
_LOW_128 = tuple((1 << (128 - bits)) - 1 for bits in range(129))


class Subnet(NamedTuple):
    """A client subnet (RFC 7871 section 6). `family` is 4 or 6; `source` 0 means that the client opted out.

    `data` is the option's payload as it came, to be copied into the answer.
    """

    family: int
    source: int
    address: int
    data: bytes


class Opt(NamedTuple):
    """What an OPT record says. `bad` marks one that is FORMERR; then, or with `version` above 0, options are unread."""

    size: int
    version: int
    do: bool
    nsid: bool = False
    subnet: Subnet | None = None
    bad: bool = False
    cookie: bytes = b""
    keepalive: bool = False
    padding: bool = False
    options: bool = False  # whether there is any


def read(size: int, ttl: int, data: bytes) -> Opt:
    """Return what an OPT record says, from its class (`size`), TTL and rdata."""
    version, do = ttl >> 16 & 0xFF, bool(ttl & DO)
    if version:  # its options may mean anything
        return Opt(size, version, do)
    if not data:
        return Opt(size, 0, do)
    nsid, keepalive, padding, cookie, client, at = False, False, False, b"", None, 0
    while at < len(data):
        if at + 4 > len(data):
            return Opt(size, 0, do, bad=True)
        code, length = _OPTION.unpack_from(data, at)
        value = data[at + 4 : at + 4 + length]
        at += 4 + length
        if len(value) != length:
            return Opt(size, 0, do, bad=True)
        if code == NSID:
            nsid = True
        elif code == SUBNET and (client is not None or (client := subnet(value)) is None):  # C5
            return Opt(size, 0, do, bad=True)
        elif code == COOKIE and not cookie:  # RFC 7873 section 5.2: the first counts, others are ignored
            if length != cookies.CLIENT_BYTES and not cookies.SHORTEST <= length <= cookies.LONGEST:
                return Opt(size, 0, do, bad=True)  # RFC 7873 section 5.2.2
            cookie = value
        elif code == KEEPALIVE:
            keepalive = True
        elif code == PADDING:
            padding = True
        # RFC 6891 section 6.1.2: what is not known is passed over
    return Opt(size, 0, do, nsid, client, False, cookie, keepalive, padding, True)


@functools.lru_cache(LONE_SHAPES)
def lone_subnet(head: bytes) -> tuple[int, bytes, int, int, int, int] | None:
    """Read the first LONE_BYTES of an OPT record that holds one client subnet, in order so far, and nothing else.

    Returned are the limit of the answer over UDP, the beginning of its OPT up to the scope, the family, how long the
    record must be, by how much the number behind `head` is to be shifted for the address, and the bits of the address
    that must be zero. None for every other record, right or wrong. Resolvers send few different heads, so this is
    `read` and `subnet` ahead of time for the most asked kind.
    """
    if len(head) < LONE_BYTES:
        return None
    root, kind, size, _, version, flags, length, code, inner, family, source, scope = _LONE.unpack(head)
    held = (source + 7) >> 3
    if root or kind != OPT or version or length != held + 8 or code != SUBNET or inner != held + 4 or scope:
        return None
    if not source or family not in {1, 2} or source > (32, 128)[family - 1]:
        return None
    width, low = (32, _LOW_32) if family == 1 else (128, _LOW_128)
    answer = (_DO_HEAD if flags & DO else _PLAIN_HEAD) + head[9:18]
    return limit(size), answer, 4 if family == 1 else 6, LONE_BYTES + held, width - 8 * held, low[source]


def with_option(opt: bytes, option: bytes, room: int) -> bytes:
    """Return an OPT record with one more option, or as it is when it would be longer than `room` bytes."""
    if len(opt) + len(option) > room:
        return opt
    return opt[:9] + (len(opt) - 11 + len(option)).to_bytes(2, "big") + opt[11:] + option


def cookie_of(data: bytes) -> bytes:
    """Return the option that holds a cookie, whole, of an OPT record's rdata that we made; empty when there is none."""
    at = 0
    while at < len(data):
        code, length = _OPTION.unpack_from(data, at)
        if code == COOKIE:
            return data[at : at + 4 + length]
        at += 4 + length
    return b""


def subnet(data: bytes) -> Subnet | None:
    """Read a client subnet option; None when it breaks a rule of RFC 7871 section 6 or 7.1.2 (semantics C5).

    Family 0 with nothing in it is what `dig +subnet=0` sends for "do not use my address": an opt-out (C4).
    """
    if len(data) < 4:
        return None
    family, source, scope = _SUBNET.unpack_from(data)
    size = len(data) - 4
    if family == 0:
        return Subnet(4, 0, 0, data) if source == scope == size == 0 else None
    if family > 2 or scope or size != (source + 7) >> 3:
        return None
    low = _LOW_32 if family == 1 else _LOW_128
    if source >= len(low):
        return None
    address = int.from_bytes(data[4:], "big") << (len(low) - 1 - 8 * size)
    if address & low[source]:
        return None
    return Subnet(4 if family == 1 else 6, source, address, data)


def limit(size: int) -> int:
    """Return how long an answer over UDP may be for an asker that offers `size` bytes (RFC 6891 section 6.2.3)."""
    return max(MIN_UDP_BYTES, min(size, MAX_UDP_BYTES))


def record(do: bool, options: bytes = b"", extended_rcode: int = 0) -> bytes:
    """Return the OPT record of an answer: our size, version 0, DO as asked (RFC 3225 section 3), other flags clear."""
    return _HEAD.pack(0, OPT, MAX_UDP_BYTES, extended_rcode, 0, DO if do else 0, len(options)) + options


def subnet_option(asked: Subnet, scope: int) -> bytes:
    """Return the option to answer with: FAMILY, SOURCE and ADDRESS as asked (C1), and how far the answer holds."""
    data = asked.data
    return _OPTION.pack(SUBNET, len(data)) + data[:3] + bytes((scope,)) + data[4:]


def nsid_option(node: bytes) -> bytes:
    """Return the option that names this nameserver (RFC 5001 section 2.3)."""
    name = node[:MAX_NSID_BYTES]
    return _OPTION.pack(NSID, len(name)) + name


def error_option(text: str, code: int = 0) -> bytes:
    """Return an Extended DNS Error (RFC 8914 section 2); `code` 0 is "other". `text` is cut to a bounded length."""
    line = text.encode()[:MAX_ERROR_BYTES].decode(errors="ignore").encode()  # cut between characters
    return _OPTION.pack(ERROR, 2 + len(line)) + code.to_bytes(2, "big") + line


def keepalive_option(idle_s: float) -> bytes:
    """Return the option that says how long a connection may be idle (RFC 7828 section 3.3.2)."""
    return _OPTION.pack(KEEPALIVE, 2) + min(LONGEST_KEEPALIVE, int(idle_s * 10)).to_bytes(2, "big")


def padded(opt: bytes, before: int, most: int) -> bytes:
    """Return an OPT record with padding, for an answer with `before` bytes ahead of it (RFC 7830, RFC 8467)."""
    whole = before + len(opt) + _OPTION.size
    wanted = min(-whole % PADDED_BYTES, most - whole)
    return with_option(opt, _OPTION.pack(PADDING, wanted) + bytes(wanted), most - before) if wanted >= 0 else opt
