"""The answer table: plain data that a worker needs to answer DNS, and nothing else.

Law: nothing in here that C could not read. Numbers, bytes, tuples and mappings of them; no callables, no lazies.
`gtm.wire.compile` builds it, `gtm.wire.respond` reads it, `pack` and `unpack` carry it between processes and
over restarts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Qtypes with rings of their own; every type that is neither here nor in `Steering.more` is answered from `other`.
TYPE_A, TYPE_AAAA = 1, 28

# Semantics C6: networks that say nothing about a place, unless a configured prefix names them (RFC 7871 section 10):
# RFC 1918 section 3, RFC 6598 section 7, RFC 1122 section 3.2.1.3, RFC 3927 section 2.1; RFC 4193 section 3.1 and
# RFC 4291 sections 2.5.3 and 2.5.6.
PLACELESS = (
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
    "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fixed:
    """One whole answer, less what comes with the question: id, RD, question and OPT.

    `flags` are header bits without QR (always set) and RD (copied): AA 0x0400, TC 0x0200, rcode in the low four.
    `answers`, `authority`, `additional` are section counts (OPT not counted), `body` the sections in wire form.
    Owners equal to the question's name are the compression pointer 0xC00C; nothing else in `body` points anywhere,
    so it fits behind any question.
    """

    flags: int
    answers: int
    authority: int
    additional: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Ring:
    """What one policy answers to one audience for one family: `replies[slots[i]]`.

    Exact rings (`sticky` is None) advance `i` by one at each draw; sticky rings take `i` from a keyed hash of the
    client's prefix, cut to `sticky` = (IPv4 bits, IPv6 bits). No slots at all means NODATA with the zone's SOA,
    unless `rcode` says otherwise (2 is SERVFAIL), or there is a reply: then it is given, and is nobody's (an SOA).
    `pool`, `rung`, `rule` (from 1) and `why` are for people; `endpoints[r]` names the endpoints in `replies[r]`, for
    counting.
    """

    slots: tuple[int, ...] = ()
    replies: tuple[Fixed, ...] = ()
    endpoints: tuple[tuple[str, ...], ...] = ()
    sticky: tuple[int, int] | None = None
    rcode: int = 0
    ttl_s: int = 0
    pool: str = ""
    rung: str = ""
    rule: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class PrefixTable:
    """Which audience an address belongs to: sorted ranges that cover the whole address space.

    Range `i` goes from `starts[i]` to before `starts[i + 1]`; `values[i]` is its audience. Neighbouring ranges
    differ, so the shortest prefix that holds an address and lies inside one range is the honest ECS scope
    (RFC 7871 section 7.2.1). A value of -1 marks addresses that say nothing about a place (private, loopback, ...):
    for a client subnet the resolver's own address decides instead, and for that one `nowhere` is the audience.
    """

    v4_starts: tuple[int, ...]
    v4_values: tuple[int, ...]
    v6_starts: tuple[int, ...]
    v6_values: tuple[int, ...]
    nowhere: int


@dataclass(frozen=True, slots=True)
class Steering:
    """A compiled policy. `prefixes` indexes `AnswerTable.prefixes`, or is -1 when all clients are one audience (0).

    `a`, `aaaa` and `other` hold, by audience, indices into `AnswerTable.rings`; `other` answers every remaining
    type: with a CNAME when all that is served is a CNAME, else with NODATA. An empty one stands for a family that the
    configuration can never answer: NODATA, the same for everybody. `sticky` are the longest client prefixes that any
    ring of this policy may hash, so that the ECS scope stays as it is when health changes (semantics C7). `more` holds
    the rings of further types, by qtype (HTTPS, SRV).
    """

    prefixes: int
    a: tuple[int, ...]
    aaaa: tuple[int, ...]
    other: tuple[int, ...]
    sticky: tuple[int, int] | None = None
    more: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One node of the tree of names: what exists at an owner. Entries may be shared by names that answer alike.

    `zone` indexes `AnswerTable.zones`; `fixed` holds answers by qtype (ANY, 255, too: RFC 8482); `steering` indexes
    `AnswerTable.steerings` or is -1. `cname` answers every type but those in `fixed`; `cut` is the referral for
    this name and all below it (RFC 1034 section 4.3.2 step 3b). With none of these the node is an empty
    non-terminal: NODATA.
    """

    zone: int
    fixed: Mapping[int, Fixed]
    steering: int = -1
    cname: Fixed | None = None
    cut: Fixed | None = None


# What has become of single names since a table was made, by owner; None: the name does not exist any more.
Changed = Mapping[bytes, Entry | None]


@dataclass(frozen=True, slots=True)
class ZoneEntry:
    """A served zone: its apex as a key, and its two negative answers (SOA in authority: RFC 2308)."""

    apex: bytes
    nodata: Fixed
    nxdomain: Fixed


@dataclass(frozen=True, slots=True)
class AnswerTable:
    """Everything that a worker needs. `names` is keyed by lower-case wire name; wildcards stand under `\\x01*...`.

    `explain_to` are (family 4 or 6, network as a number, prefix length); `places` finds the continent of an address
    (values index `place_names`; for counting only). `shared_key` keys the sticky hash, the same on every nameserver
    with the same configuration.
    """

    revision: int
    digest: str
    node: str
    zones: tuple[ZoneEntry, ...]
    names: Mapping[bytes, Entry]
    steerings: tuple[Steering, ...]
    prefixes: tuple[PrefixTable, ...]
    rings: tuple[Ring, ...]
    places: PrefixTable | None = None
    place_names: tuple[str, ...] = ()
    explain_to: tuple[tuple[int, int, int], ...] = ()
    shared_key: bytes = b""
