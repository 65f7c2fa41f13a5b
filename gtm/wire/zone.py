"""One configured zone in, its tree of names out: RRsets by owner, what is cut off, and what exists only as a branch.

RFC 1034 section 4.3.2, RFC 4592 section 2.2.2 and RFC 8020 section 2 (empty non-terminals).
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gtm import model, names

A, NS, CNAME, SOA, HINFO, AAAA, DS, ANY = 1, 2, 5, 6, 13, 28, 43, 255

# Where nobody transfers the zone, refresh and retry mean little; the values are those that zone checkers ask for
# (RIPE-203, RFC 1912 section 2.2: expire two to four weeks).
REFRESH_S, RETRY_S, EXPIRE_S = 14400, 3600, 1209600
# A secondary follows failovers by NOTIFY; one that got none is behind for no longer than this.
SECONDARY_REFRESH_S, SECONDARY_RETRY_S = 60, 15


@dataclass(frozen=True, slots=True)
class RRset:
    """The records of one owner and type. One TTL for all, the smallest that was given (RFC 2181 section 5.2)."""

    ttl_s: int
    rdatas: tuple[bytes, ...]


RRsets = Mapping[int, RRset]


@dataclass(frozen=True, slots=True)
class Node:
    """What exists at one owner. `steering` is the policy's index or -1; `cut` says that the name is delegated away.

    `soa` is the steering of an apex whose serial grows by itself, or -1.
    """

    zone: int
    sets: RRsets = field(default_factory=dict)
    steering: int = -1
    cut: bool = False
    soa: int = -1


@dataclass(slots=True)
class Tree:
    """One zone, readable by owner. `sets` are all RRsets, glue below cuts too; `nodes` only what is to be answered."""

    index: int
    apex: bytes
    sets: Mapping[bytes, RRsets]
    nodes: dict[bytes, Node] = field(default_factory=dict)

    @property
    def soa(self) -> RRset:
        """The apex SOA; `grow` has made sure that there is one."""
        return self.sets[self.apex][SOA]


Services = Sequence[Sequence[tuple[bytes, int]]]


def grow(
    zone: model.Zone, index: int, serial: int, others: frozenset[bytes], *, services: Services = (), soa: int = -1
) -> Tree:
    """Return the tree of `zone`. `others` are the apexes of all zones; what lies in a deeper one is left to it.

    `services` are, by policy, the labels before a steered name that has its services there, and their steerings; `soa`
    is the steering of an apex whose serial grows by itself.
    """
    apex = names.key(zone.name)
    tree = Tree(index, apex, _rrsets(zone, apex, serial))
    cuts = {owner for owner, sets in tree.sets.items() if NS in sets and owner != apex}
    edges = cuts | {other for other in others if other != apex and names.within(other, apex)}
    branch = Node(index)
    steered: dict[int, Node] = {}
    for owner, sets in tree.sets.items():
        if not edges or not _beyond(owner, apex, edges, others):
            tree.nodes[owner] = Node(index, sets, cut=owner in cuts)
    for text, policy in zone.steer.items():
        owner = names.key(text)
        if edges and _beyond(owner, apex, edges, others):
            continue
        beside = tree.nodes.get(owner)
        if beside is None:
            beside = steered[policy] = steered.get(policy) or Node(index, steering=policy)
        else:
            beside = Node(index, beside.sets, steering=policy)
        tree.nodes[owner] = beside
        for labels, steering in services[policy] if services else ():
            there = tree.nodes.get(labels + owner)
            tree.nodes[labels + owner] = Node(index, there.sets if there is not None else {}, steering=steering)
    if soa >= 0:
        tree.nodes[apex] = replace(tree.nodes[apex], soa=soa)
    for owner in (*tree.nodes, *(edges & others)):
        above = names.parent(owner) if len(owner) > len(apex) else apex
        while len(above) > len(apex) and above not in tree.nodes and not _beyond(above, apex, edges, others):
            tree.nodes[above] = branch
            above = names.parent(above)
    return tree


def _beyond(owner: bytes, apex: bytes, edges: set[bytes], others: frozenset[bytes]) -> bool:
    """Say whether `owner` is below a cut, or at or below the apex of a deeper zone."""
    if owner in others and owner != apex:
        return True
    while len(owner) > len(apex):
        owner = names.parent(owner)
        if owner in edges:
            return True
    return False


def _rrsets(zone: model.Zone, apex: bytes, serial: int) -> dict[bytes, RRsets]:
    """Return all static RRsets, with SOA, NS and glue made from the zone's fields where the records have none."""
    lists: dict[bytes, dict[int, dict[bytes, None]]] = {}  # RFC 2181 section 5: an RRset holds no record twice
    lives: dict[tuple[bytes, int], int] = {}

    def add(owner: bytes, kind: int, ttl_s: int, rdata: bytes) -> None:
        lists.setdefault(owner, {}).setdefault(kind, {})[rdata] = None
        lives[owner, kind] = min(ttl_s, lives.get((owner, kind), ttl_s))

    for record in zone.records:
        if zone.nameservers and record.owner == apex and record.type in {SOA, NS}:
            continue  # the fields of the zone say it, and would be doubled
        rdata = record.rdata
        if record.type == SOA and zone.transfer is not None:  # the serial that was written would stand still
            rdata = rdata[:-20] + serial.to_bytes(4) + rdata[-16:]
        add(record.owner, record.type, record.ttl_s, rdata)
    for host, addresses in zone.nameservers:
        add(apex, NS, zone.ttl_s, names.wire(host))
        for text in addresses:
            address = ipaddress.ip_address(text)
            add(names.key(host), A if address.version == 4 else AAAA, zone.ttl_s, address.packed)
    if SOA not in lists.setdefault(apex, {}):
        primary = next(iter(lists[apex].get(NS, {apex: None})))
        add(apex, SOA, zone.ttl_s, _soa(zone, primary, serial))
    return {
        owner: {kind: RRset(lives[owner, kind], tuple(rdatas)) for kind, rdatas in by_type.items()}
        for owner, by_type in lists.items()
    }


def _soa(zone: model.Zone, primary: bytes, serial: int) -> bytes:
    local, _, host = (zone.hostmaster or f"hostmaster@{zone.name}").rpartition("@")
    if local:  # RFC 1035 section 8: the mailbox's local part is one label, its dots escaped
        label = local.encode()[: names.MAX_LABEL_BYTES]
        mailbox = bytes((len(label),)) + label + names.wire(host)
    else:
        mailbox = names.wire(host)
    times = (REFRESH_S, RETRY_S) if zone.transfer is None else (SECONDARY_REFRESH_S, SECONDARY_RETRY_S)
    return primary + mailbox + struct.pack(">IIIII", serial, *times, EXPIRE_S, zone.negative_ttl_s)


def negative_ttl_s(soa: RRset) -> int:
    """Return the TTL of a negative answer: the smaller of the SOA's and its minimum (RFC 2308 sections 3 and 5, D2)."""
    minimum: int = struct.unpack(">I", soa.rdatas[0][-4:])[0]
    return min(soa.ttl_s, minimum)
