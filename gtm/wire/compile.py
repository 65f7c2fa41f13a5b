"""A whole accepted configuration and its rings in, an answer table out: every answer that can be made beforehand is."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from gtm import model, names, seen, table
from gtm.wire import services
from gtm.wire import zone as zones

AA, NXDOMAIN = 0x0400, 3
OWNER_IS_QUESTION = b"\xc0\x0c"  # RFC 1035 section 4.1.4: a pointer to offset 12, where the question's name stands
IN = 1
MAX_ANSWERS = 8  # semantics B7
MAX_HOPS = 8  # CNAMEs in one answer; resolvers give up at 8 to 16, and a loop ends sooner
# RFC 8482 section 4.2: an HINFO that says why, long-lived so that nobody asks again soon.
_ANY_RDATA, _ANY_TTL_S = b"\x07RFC8482\x00", 3600

PACKED = 65536  # addresses remembered in wire form: rings are made again and again of the same ones

Record = tuple[bytes, int, int, bytes]  # owner, type, TTL in seconds, rdata


def record(owner: bytes, kind: int, ttl_s: int, rdata: bytes) -> bytes:
    """Return one resource record of class IN in wire form (RFC 1035 section 3.2.1)."""
    return owner + struct.pack(">HHIH", kind, IN, ttl_s, len(rdata)) + rdata


def answer(
    flags: int, answers: Iterable[bytes] = (), authority: Iterable[bytes] = (), extra: Iterable[bytes] = ()
) -> table.Fixed:
    first, second, third = list(answers), list(authority), list(extra)
    return table.Fixed(flags, len(first), len(second), len(third), b"".join(first + second + third))


def any_answer() -> table.Fixed:
    """Return what ANY is answered where there is no HINFO (E5)."""
    return answer(AA, [record(OWNER_IS_QUESTION, zones.HINFO, _ANY_TTL_S, _ANY_RDATA)])


# --- rings -------------------------------------------------------------------------------------------------------


def reply(answers: Sequence[seen.Answer], ttl_s: int) -> table.Fixed:
    """Return addresses as an answer, up to eight, or one CNAME alone (semantics B7, E7)."""
    return answer(AA, (_steered_record(one, ttl_s) for one in answers[: _room(answers)]))


def ring(decision: seen.Decision, encode: Callable[[Sequence[seen.Answer], int], table.Fixed] = reply) -> table.Ring:
    """Return what steering decided in wire form; `encode` makes an answer of a reply and its TTL."""
    return table.Ring(
        slots=decision.slots,
        replies=tuple(encode(one, decision.ttl_s) for one in decision.replies),
        endpoints=tuple(
            tuple(dict.fromkeys(one.endpoint for one in some[: _room(some)] if one.endpoint))
            for some in decision.replies
        ),
        sticky=decision.sticky,
        rcode=decision.rcode,
        ttl_s=decision.ttl_s,
        pool=decision.pool,
        rung=decision.rung,
        rule=decision.rule,
        why=decision.why,
    )


def _room(answers: Sequence[seen.Answer]) -> int:
    alone = answers and answers[0].family == "cname" and not isinstance(answers[0], seen.Offer)
    return 1 if alone else MAX_ANSWERS


def _steered_record(answer: seen.Answer, ttl_s: int) -> bytes:
    if answer.family == "cname":
        return record(OWNER_IS_QUESTION, zones.CNAME, ttl_s, names.wire(answer.value))
    kind = zones.A if answer.family == "ipv4" else zones.AAAA
    return record(OWNER_IS_QUESTION, kind, ttl_s, _packed(answer.value))


@functools.lru_cache(maxsize=PACKED)
def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


# --- the table ---------------------------------------------------------------------------------------------------


class Grown(NamedTuple):
    """What of a table follows from the configuration alone, and takes long with many names."""

    zones: tuple[table.ZoneEntry, ...]
    names: Mapping[bytes, table.Entry]
    soas: Mapping[str, tuple[bytes, int]]  # rdata and TTL, of the zones that are transferred


def soa_ring(soa: bytes, ttl_s: int) -> table.Ring:
    """Return what answers for the SOA of a zone whose serial grows by itself."""
    return table.Ring((), (answer(AA, (record(OWNER_IS_QUESTION, zones.SOA, ttl_s, soa),)),), ((),), ttl_s=ttl_s)


def grow(snapshot: model.Snapshot, serials: Mapping[str, int] | None = None) -> Grown:
    """Return the names of `snapshot`.

    The SOA serial comes from the configuration's digest: the same on every nameserver that has the same
    configuration, another after an edit. A zone that is transferred has one of its own, in `serials`.
    """
    serial = int.from_bytes(hashlib.sha256(snapshot.digest.encode()).digest()[:4], "big") or 1
    apexes = frozenset(names.key(zone.name) for zone in snapshot.zones)
    owners = services.owners(snapshot.policies)
    known, soas = serials or {}, services.serials(snapshot.policies, snapshot.zones)
    trees = []
    for index, zone in enumerate(snapshot.zones):
        own = known.get(zone.name, serial)
        trees.append(zones.grow(zone, index, own, apexes, services=owners, soa=soas.get(zone.name, -1)))
    compiler = _Compiler(trees)
    found = {
        zone.name: (tree.soa.rdatas[0], tree.soa.ttl_s)
        for zone, tree in zip(snapshot.zones, trees, strict=True)
        if zone.name in soas
    }
    return Grown(compiler.zones, compiler.entries(), found)


def build(
    snapshot: model.Snapshot,
    *,
    revision: int,
    steerings: tuple[table.Steering, ...],
    prefixes: tuple[table.PrefixTable, ...],
    rings: tuple[table.Ring, ...],
    places: table.PrefixTable | None = None,
    place_names: tuple[str, ...] = (),
    shared_key: bytes = b"",
    grown: Grown | None = None,
    service_rings: Mapping[int, int] | None = None,
    soa_rings: Mapping[str, int] | None = None,
) -> table.AnswerTable:
    """Return the answer table of `snapshot`; `steerings` stand in the order of its policies.

    `grown` is what `grow` made of the same snapshot, if it was asked before; `service_rings` says where the rings of a
    policy's services begin, `soa_rings` where that of a zone's SOA is.
    """
    grown = grown or grow(snapshot)
    made = services.steerings(
        [_steering(one, policy, snapshot) for one, policy in zip(steerings, snapshot.policies, strict=True)],
        snapshot.policies,
        service_rings or {},
        [len(one.a) for one in steerings],
    )
    return table.AnswerTable(
        revision=revision,
        digest=snapshot.digest,
        node=snapshot.node,
        zones=grown.zones,
        names=grown.names,
        steerings=(*made, *services.apexes(made, snapshot.zones, soa_rings or {})),
        prefixes=prefixes,
        rings=rings,
        places=places,
        place_names=place_names,
        explain_to=tuple(_network(text) for text in snapshot.dns.explain_to),
        shared_key=shared_key,
    )


def _network(text: str) -> tuple[int, int, int]:
    network = ipaddress.ip_network(text, strict=False)
    return network.version, int(network.network_address), network.prefixlen


def _steering(steering: table.Steering, policy: model.Policy, snapshot: model.Snapshot) -> table.Steering:
    """Add what only the configuration knows: how sticky it can get, and which families it can never answer."""
    pools = [snapshot.pools[name] for name in policy.pools]
    masks = [pool.sticky for pool in pools if pool.balance == "sticky"]
    families: set[model.Family] = {
        family for pool in pools for member in pool.members for family in snapshot.endpoints[member.endpoint].families()
    }
    families |= {"ipv6" if ":" in address else "ipv4" for address in policy.when_all_down.addresses}
    families |= {"cname"} if policy.when_all_down.cname else set()
    return replace(
        steering,
        a=steering.a if families & {"ipv4", "cname"} else (),
        aaaa=steering.aaaa if families & {"ipv6", "cname"} else (),
        other=steering.other if "cname" in families and not policy.follow else (),
        sticky=(max(v4 for v4, _ in masks), max(v6 for _, v6 in masks)) if masks else None,
    )


@dataclass(frozen=True, slots=True)
class _Chain:
    """Where a CNAME leads: the records on the way, and the node at its end when that can be answered along with it."""

    records: tuple[bytes, ...]
    end: zones.Node | None
    missing: int = -1  # the zone in which the last target does not exist
    target: bytes = b""


class _Compiler:
    """All zones' trees together, so that a CNAME can be followed from one into another."""

    def __init__(self, trees: Sequence[zones.Tree]) -> None:
        self.trees = trees
        self.nodes: dict[bytes, zones.Node] = {}
        for tree in trees:
            self.nodes.update(tree.nodes)
        self.negatives = [self._negative_authority(tree) for tree in trees]
        self.zones = tuple(
            table.ZoneEntry(tree.apex, answer(AA, (), (soa,)), answer(AA | NXDOMAIN, (), (soa,)))
            for tree, soa in zip(trees, self.negatives, strict=True)
        )

    @staticmethod
    def _negative_authority(tree: zones.Tree) -> bytes:
        return record(tree.apex, zones.SOA, zones.negative_ttl_s(tree.soa), tree.soa.rdatas[0])

    def entries(self) -> dict[bytes, table.Entry]:
        """Return the entry of every name; names whose node is shared share the entry too."""
        made: dict[int, table.Entry] = {}
        out: dict[bytes, table.Entry] = {}
        for owner, node in self.nodes.items():
            if node.sets or node.cut:
                out[owner] = self._entry(owner, node)
                continue
            entry = made.get(id(node))
            if entry is None:
                entry = made[id(node)] = self._entry(owner, node)
            out[owner] = entry
        return out

    def _entry(self, owner: bytes, node: zones.Node) -> table.Entry:
        if node.cut:
            return self._cut(owner, node)
        if zones.CNAME in node.sets and node.steering < 0:
            return self._cname(owner, node)
        steered = {zones.A, zones.AAAA, zones.CNAME} if node.steering >= 0 else set()
        fixed = {
            kind: answer(AA, _at_question(kind, rrset))
            for kind, rrset in node.sets.items()
            if kind not in steered and (kind != zones.SOA or node.soa < 0)
        }
        if fixed or steered:  # E5; a bare branch of the tree has nothing to be asked for
            fixed[zones.ANY] = fixed.get(zones.HINFO) or any_answer()
        above = self._parent_zone(owner, node)
        if above is not None:  # RFC 4035 section 3.1.4.1: DS is the parent's, and the parent is here too
            fixed[zones.DS] = self._ds(owner, above)
        return table.Entry(node.zone, fixed, node.soa if node.soa >= 0 else node.steering)

    def _parent_zone(self, owner: bytes, node: zones.Node) -> zones.Tree | None:
        if owner != self.trees[node.zone].apex:
            return None
        above = [tree for tree in self.trees if tree.apex != owner and names.within(owner, tree.apex)]
        return max(above, key=lambda tree: len(tree.apex), default=None)

    def _ds(self, owner: bytes, tree: zones.Tree) -> table.Fixed:
        rrset = tree.sets.get(owner, {}).get(zones.DS)
        return answer(AA, _at_question(zones.DS, rrset)) if rrset else self.zones[tree.index].nodata

    def _cut(self, owner: bytes, node: zones.Node) -> table.Entry:
        """A referral: NS in authority, AA clear, all glue that the zone holds (RFC 1034 4.3.2 3b, RFC 9471 section 3).

        Glue is told here alone, and is no answer (RFC 2181 section 5.4.1).
        """
        tree = self.trees[node.zone]
        rrset = node.sets[zones.NS]
        glue = [
            record(host, kind, addresses.ttl_s, rdata)
            for host in rrset.rdatas
            for kind in (zones.A, zones.AAAA)
            if (addresses := tree.sets.get(host.lower(), {}).get(kind))
            for rdata in addresses.rdatas
        ]
        # Asked for names below it too, so the owner is written out.
        hosts = [record(owner, zones.NS, rrset.ttl_s, host) for host in rrset.rdatas]
        return table.Entry(node.zone, {zones.DS: self._ds(owner, tree)}, cut=answer(0, (), hosts, glue))

    # --- CNAMEs (RFC 1034 section 3.6.2) ---

    def _cname(self, owner: bytes, node: zones.Node) -> table.Entry:
        chain = self._follow(owner, node)
        alone = answer(AA, chain.records[:1])
        fixed = {zones.CNAME: alone, zones.ANY: alone}
        if chain.missing >= 0:  # RFC 6604 section 3: the rcode is that of the last name
            return table.Entry(
                node.zone, fixed, cname=answer(AA | NXDOMAIN, chain.records, (self.negatives[chain.missing],))
            )
        if chain.end is None:
            return table.Entry(node.zone, fixed, cname=answer(AA, chain.records))
        for kind, rrset in chain.end.sets.items():
            found = [record(chain.target, kind, rrset.ttl_s, rdata) for rdata in rrset.rdatas]
            fixed.setdefault(kind, answer(AA, (*chain.records, *found)))
        return table.Entry(node.zone, fixed, cname=answer(AA, chain.records, (self.negatives[chain.end.zone],)))

    def _follow(self, owner: bytes, node: zones.Node) -> _Chain:
        """Follow a CNAME through static data. A steered, delegated or foreign target ends the chain (semantics E7)."""
        met, at = {owner}, OWNER_IS_QUESTION
        found: list[bytes] = []
        while True:
            rrset = node.sets[zones.CNAME]
            target = rrset.rdatas[0]
            found.append(record(at, zones.CNAME, rrset.ttl_s, target))
            below = self._find(target.lower())
            if isinstance(below, int):
                return _Chain(tuple(found), None, missing=below)
            if below is None or below.cut or below.steering >= 0 or target.lower() in met or len(found) == MAX_HOPS:
                return _Chain(tuple(found), None)
            if zones.CNAME not in below.sets:
                return _Chain(tuple(found), below, target=target)
            met.add(target.lower())
            node, at = below, target

    def _find(self, name: bytes) -> zones.Node | int | None:
        """Return the node that answers for `name`, the index of the zone in which it does not exist, or None."""
        node = self.nodes.get(name)
        encloser = name
        while node is None and encloser != names.ROOT:
            encloser = names.parent(encloser)
            node = self.nodes.get(encloser)
        if node is None or encloser == name or node.cut:
            return node
        return self.nodes.get(b"\x01*" + encloser, node.zone)


def _at_question(kind: int, rrset: zones.RRset) -> list[bytes]:
    return [record(OWNER_IS_QUESTION, kind, rrset.ttl_s, rdata) for rdata in rrset.rdatas]
