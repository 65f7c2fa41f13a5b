"""An answer table in, what answering reads out: the same facts in the shape that costs the least while answering.

The shapes are mutable and belong to one `Responder`; a change of rings is patched into them in place.
"""

from __future__ import annotations

import bisect
import collections
import ipaddress
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gtm import table
from gtm.wire import edns, steps

QR, RD, TC = 0x8000, 0x0100, 0x0200
WIDTH = {4: 32, 6: 128}
IN = b"\0\1"

_HEAD = struct.Struct(">HHHHH")
_KIND = struct.Struct(">H")
_bisect = bisect.bisect_right


class Static:
    """One answer. `heads[v]` is the header behind the id, `cut[v]` that of the truncated answer: bit 0 of `v` is the
    asker's RD, bit 1 says that an OPT follows.
    """

    __slots__ = ("body", "cut", "heads", "rcode")
    turns: None = None

    def __init__(self, fixed: table.Fixed) -> None:
        self.body = fixed.body
        self.rcode = fixed.flags & 15
        self.heads = tuple(
            _HEAD.pack(QR | fixed.flags | RD * (v & 1), 1, fixed.answers, fixed.authority, fixed.additional + (v >> 1))
            for v in range(4)
        )
        self.cut = tuple(_HEAD.pack(QR | TC | fixed.flags | RD * (v & 1), 1, 0, 0, v >> 1) for v in range(4))


class Turn:
    """A ring at work. A cell of `cells` is [draws by this owner, draws already counted]; `hits` are draws by reply.

    Each owner has a cursor of its own, so that whoever asks two names (or A and AAAA) in turn still sees every member.
    """

    __slots__ = (
        "cells",
        "endpoints",
        "error",
        "hits",
        "instead",
        "pool",
        "replies",
        "shares",
        "size",
        "slots",
        "sticky",
    )

    def __init__(self, ring: table.Ring) -> None:
        self.cells: dict[bytes, list[int]] = {}
        self.load(ring)

    def load(self, ring: table.Ring) -> None:
        """Take what `ring` says; cursors go on from where they are. The draws must have been counted before."""
        self.slots = ring.slots
        self.size = len(ring.slots)
        self.replies = tuple(Static(reply) for reply in ring.replies)
        self.hits = [0] * len(ring.replies)
        counts = collections.Counter(ring.slots)
        self.shares = tuple(counts[reply] / max(1, len(ring.slots)) for reply in range(len(ring.replies)))
        self.endpoints = ring.endpoints
        self.sticky = ring.sticky
        self.pool = ring.pool
        self.error = edns.error_option(ring.why) if ring.why else b""  # what is said to those who may see reasons
        # What is said when there are no slots; None is NODATA, which needs the zone's SOA.
        self.instead = self.replies[0] if self.replies and not ring.slots else None
        if ring.rcode:
            self.instead = Static(table.Fixed(ring.rcode, 0, 0, 0, b""))


class Prefixes:
    """A PrefixTable, by family."""

    __slots__ = ("by", "nowhere")

    def __init__(self, prefixes: table.PrefixTable) -> None:
        # With the end of the address space behind the last start, which no address is at or beyond.
        self.by = {
            4: ((*prefixes.v4_starts, 1 << 32), prefixes.v4_values),
            6: ((*prefixes.v6_starts, 1 << 128), prefixes.v6_values),
        }
        self.nowhere = prefixes.nowhere

    def find(self, family: int, address: int) -> tuple[int, int]:
        """Return the value at an address and its scope: the shortest prefix around it inside one range (C2).

        A prefix lies inside a range when it holds neither neighbour's nearest address, so it must be one bit longer
        than what the address has in common with them. (With the end it has nothing in common: one bit too long.)
        """
        starts, values = self.by[family]
        after = _bisect(starts, address)
        differs = address ^ starts[after]
        if after > 1:
            before = address ^ (starts[after - 1] - 1)
            differs = before if before < differs else differs  # half of what `min` costs
        return values[after - 1], WIDTH[family] + 1 - differs.bit_length()


class Steered:
    """One family of one policy in one zone. `plain` says that all clients are treated alike, whoever they are."""

    __slots__ = ("nodata", "plain", "prefixes", "sticky", "turns")

    def __init__(self, turns: list[Turn], prefixes: Prefixes, sticky: tuple[int, int] | None, nodata: Static) -> None:
        self.turns = turns
        self.prefixes = prefixes
        self.sticky = sticky
        self.nodata = nodata
        self.plain = len(turns) == 1 and sticky is None


# Where a client leads: the ring, the ECS scope, the family and address that it is known by, its place for counting (-1:
# nothing is counted), and whether its subnet alone says so.
Way = tuple[Turn, int, int, int, int, bool]


def way(  # noqa: PLR0917 - the client is two pairs of numbers, and a record of them would cost more than the way
    hit: Steered, places: Prefixes | None, family: int, address: int, of: int, subnet: int
) -> Way:
    """Return where this client leads.

    `of` and `subnet` are family and address of the client subnet; `of` is 0 where there is none to go by (C4). The
    scope is that of the matched region and of the sticky mask, whichever is longer (C2); it comes from the
    configuration alone, so health does not change it (C7). It may be longer than SOURCE.
    """
    scope, place, alone = 0, -1, False
    if hit.plain:
        turn = hit.turns[0]
        alone = places is None
        if of and places is not None:
            starts, values = places.by[of]
            place = values[_bisect(starts, subnet) - 1]
            alone = place >= 0
    else:
        at = -1
        if of:
            at, scope = hit.prefixes.find(of, subnet)
            if at < 0:
                scope = 0
            else:
                if hit.sticky is not None:
                    scope = max(scope, hit.sticky[of == 6])
                family, address, alone = of, subnet, True
        if at < 0:
            starts, values = hit.prefixes.by[family]
            at = values[_bisect(starts, address) - 1]
        turn = hit.turns[at if at >= 0 else hit.prefixes.nowhere]
    if places is not None and place < 0:
        starts, values = places.by[family]
        place = values[_bisect(starts, address) - 1]
        if place < 0:
            place = places.nowhere
    return turn, scope, family, address, place, alone


Hit = Static | Steered
Node = dict[bytes, Hit]  # by type and class as they stand in a question, and by the two keys below
# Longer than a type and class, so that no packet says it: the answer to every type that has none of its own.
ANYTHING = b"anything"
BELOW = b"below"  # the answer for names below that do not exist: NXDOMAIN, or the referral


@dataclass(frozen=True, slots=True)
class World:
    """Everything of one table. `explain` holds (bits to drop, network) by family; `makers` makes nodes of it anew."""

    nodes: dict[bytes, Node]
    turns: list[Turn]
    places: Prefixes | None
    explain: Mapping[int, Sequence[tuple[int, int]]]
    makers: Nodes


def load(whole: table.AnswerTable) -> World:
    """Return `whole` in runtime form; entries that are shared stay shared."""
    return steps.finish(loading(whole))


def loading(whole: table.AnswerTable) -> steps.Steps[World]:
    """Do what `load` does, step by step."""
    turns: list[Turn] = []
    for ring in whole.rings:
        turns.append(Turn(ring))
        if not len(turns) % steps.ITEMS:
            yield
    makers = Nodes(whole, turns)
    explain: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    for family, base, bits in whole.explain_to:
        dropped = WIDTH[family] - bits
        explain[family].append((dropped, base >> dropped))
    nodes = yield from makers.all(whole.names)
    return World(nodes, turns, Prefixes(whole.places) if whole.places is not None else None, explain, makers)


def unloading(world: World) -> steps.Steps[None]:
    """Take a world apart that nobody answers from any more."""
    yield from steps.emptying(world.nodes)
    for turn in world.turns:
        yield from steps.emptying(turn.cells)
    yield from steps.emptying(world.turns)


class Nodes:
    """Makes the nodes of one table, each shared thing once."""

    def __init__(self, whole: table.AnswerTable, turns: list[Turn]) -> None:
        self._steerings = whole.steerings
        self._turns = turns
        self._prefixes = [Prefixes(one) for one in whole.prefixes]
        self._nodata = [Static(zone.nodata) for zone in whole.zones]
        self._nxdomain = [Static(zone.nxdomain) for zone in whole.zones]
        self._steered: dict[tuple[int, int], Node] = {}

    def all(self, names: Mapping[bytes, table.Entry]) -> steps.Steps[dict[bytes, Node]]:
        """Return the nodes of all names, step by step."""
        made: dict[int, Node] = {}
        nodes: dict[bytes, Node] = {}
        for owner, entry in names.items():
            node = made.get(id(entry))
            if node is None:
                node = made[id(entry)] = self.node(entry)
            nodes[owner] = node
            if not len(nodes) % steps.ITEMS:
                yield
        return nodes

    def fits(self, entry: table.Entry) -> bool:
        """Say whether an entry that came by itself is one of this table."""
        return 0 <= entry.zone < len(self._nodata) and -1 <= entry.steering < len(self._steerings)

    def node(self, entry: table.Entry) -> Node:
        """Return what is at one name."""
        node: Node = dict(self._steer(entry.zone, entry.steering)) if entry.steering >= 0 else {}
        node |= {_KIND.pack(kind) + IN: Static(fixed) for kind, fixed in entry.fixed.items()}
        node[BELOW] = self._nxdomain[entry.zone]
        if entry.cut is not None:
            node[ANYTHING] = node[BELOW] = Static(entry.cut)
        elif entry.cname is not None:
            node[ANYTHING] = Static(entry.cname)
        elif entry.steering < 0:
            node[ANYTHING] = self._nodata[entry.zone]
        return node

    def _steer(self, zone: int, index: int) -> Node:
        known = self._steered.get((zone, index))
        if known is None:
            of = self._steerings[index]
            rings = {table.TYPE_A: of.a, table.TYPE_AAAA: of.aaaa, **of.more}
            known = {_KIND.pack(kind) + IN: self._hit(zone, of, some) for kind, some in rings.items()}
            known[ANYTHING] = self._hit(zone, of, of.other)
            self._steered[zone, index] = known
        return known

    def _hit(self, zone: int, of: table.Steering, rings: Sequence[int]) -> Hit:
        if not rings:
            return self._nodata[zone]
        prefixes = self._prefixes[of.prefixes] if of.prefixes >= 0 else _EVERYBODY
        turns = [self._turns[ring] for ring in rings]
        sticky = of.sticky or next((turn.sticky for turn in turns if turn.sticky), None)
        return Steered(turns, prefixes, sticky, self._nodata[zone])


def _everybody() -> Prefixes:
    """Return the table of a policy with one audience: even there, some addresses say nothing of a client (C6)."""
    starts: dict[int, list[int]] = {4: [0], 6: [0]}
    values: dict[int, list[int]] = {4: [0], 6: [0]}
    for network in sorted(map(ipaddress.ip_network, table.PLACELESS), key=lambda one: int(one.network_address)):
        first, after = int(network.network_address), int(network.broadcast_address) + 1
        starts[network.version] += [first, after]
        values[network.version] += [-1, 0]
    return Prefixes(table.PrefixTable(tuple(starts[4]), tuple(values[4]), tuple(starts[6]), tuple(values[6]), 0))


_EVERYBODY = _everybody()
