"""A configuration, its table and rings in, what a secondary gets of a zone out: whole, or what has changed.

RFC 5936 (AXFR), RFC 1995 (IXFR), RFC 1982 (serials), RFC 8555 section 8.4 (challenges). A steered name is in a transfer
with the records that a client without a place would get: all that its ring may give, up to eight. What changes is kept
by steering, not by name, so a hundred thousand names that share a policy cost what one does, until they are sent.
"""

from __future__ import annotations

import collections
import hashlib
import itertools
import struct
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import NamedTuple

from gtm import model, names, table
from gtm.wire import compile as compiler
from gtm.wire import query, services
from gtm.wire import zone as zones

AXFR, IXFR = 252, 251
_TXT, _TXT_TTL_S = 16, 10
# A message ends beyond this: room is left for one big record and a TSIG, and a client may begin to work early.
MESSAGE_BYTES = 16 * 1024
# Differences that are kept for IXFR, in number and in records; who is further behind gets the whole zone.
MOST_STEPS, MOST_RECORDS = 1000, 200_000

Rr = tuple[int, int, bytes]  # type, TTL in seconds, rdata


class Change(NamedTuple):
    """What became of the records of some owners, each of them."""

    owners: Sequence[bytes]
    gone: tuple[Rr, ...]
    come: tuple[Rr, ...]

    @property
    def records(self) -> int:
        """How many records it is to send."""
        return len(self.owners) * (len(self.gone) + len(self.come))


class Shape(NamedTuple):
    """What of a zone follows from the configuration alone. `steered` are the owners by steering; `soa` is rdata."""

    apex: bytes
    soa: bytes
    soa_ttl_s: int
    static: MutableMapping[bytes, tuple[Rr, ...]]
    steered: Mapping[int, Sequence[bytes]]


def shapes(snapshot: model.Snapshot) -> dict[str, Shape]:
    """Return the zones of `snapshot` that are transferred, by name."""
    apexes = frozenset(names.key(zone.name) for zone in snapshot.zones)
    owners = services.owners(snapshot.policies)
    found = {}
    for index, zone in enumerate(snapshot.zones):
        if zone.transfer is not None:
            tree = zones.grow(zone, index, 1, apexes, services=owners)
            found[zone.name] = _shape(tree)
    return found


def _shape(tree: zones.Tree) -> Shape:
    static = {
        owner: tuple(
            (kind, rrset.ttl_s, rdata)
            for kind, rrset in sets.items()
            if (owner, kind) != (tree.apex, zones.SOA)
            for rdata in rrset.rdatas
        )
        for owner, sets in tree.sets.items()
    }
    steered: dict[int, list[bytes]] = {}
    for owner, node in tree.nodes.items():
        if node.steering >= 0:
            steered.setdefault(node.steering, []).append(owner)
    return Shape(tree.apex, tree.soa.rdatas[0], tree.soa.ttl_s, static, steered)


def laid_over(shape: Shape, laid: Mapping[bytes, table.Entry], alike: Mapping[bytes, bytes]) -> Shape:
    """Return a zone with what lies over its names: texts of challenges, and names that are as a wildcard is."""
    if not laid:
        return shape
    static: dict[bytes, tuple[Rr, ...]] = {}
    steered: dict[int, list[bytes]] = {}
    for owner, entry in laid.items():
        found = shape.static.get(alike.get(owner, owner), ())
        if owner not in alike and _TXT in entry.fixed:  # its own texts are in the answer, with one TTL for all
            found = (*(one for one in found if one[0] != _TXT), *parsed(entry.fixed[_TXT].body))
        static[owner] = found
        if entry.steering >= 0:
            steered.setdefault(entry.steering, []).append(owner)
    more = {at: (*shape.steered.get(at, ()), *owners) for at, owners in steered.items()}
    return shape._replace(static=collections.ChainMap(static, shape.static), steered={**shape.steered, **more})


# --- what a client without a place gets ---------------------------------------------------------------------------


def records(
    of: table.Steering, whole: table.AnswerTable, rings: Sequence[table.Ring], *, address: bool
) -> tuple[Rr, ...]:
    """Return the records of a steering for somebody whose place is unknown.

    `address`: its names exist whatever happens (semantics B4). When they have nothing to say an empty TXT stands there,
    for a secondary would call a name without records one that does not exist.
    """
    audience = whole.prefixes[of.prefixes].nowhere if of.prefixes >= 0 else 0
    found: dict[Rr, None] = {}
    for kind, some in ((zones.A, of.a), (zones.AAAA, of.aaaa), *of.more.items()):
        ring = rings[some[audience]] if some else None
        if ring is None or not ring.slots:
            continue
        first = parsed(ring.replies[ring.slots[0]].body)
        if first[0][0] == zones.CNAME:  # a CNAME stands alone: RFC 1034 section 3.6.2
            return first[:1]
        if kind in {zones.A, zones.AAAA}:  # others are whole in each reply
            every = itertools.chain(first, *(parsed(reply.body) for reply in ring.replies))
            first = tuple(dict.fromkeys(one for one in every if one[0] == kind))[: compiler.MAX_ANSWERS]
        found |= dict.fromkeys(first)
    return tuple(found) or (((_TXT, _TXT_TTL_S, b"\0"),) if address else ())


def parsed(body: bytes) -> tuple[Rr, ...]:
    """Return the records of a compiled answer; each owner in it is the question's name."""
    at, found = 0, []
    while at < len(body):
        kind, _, ttl_s, size = struct.unpack_from(">HHIH", body, at + 2)
        found.append((kind, ttl_s, body[at + 12 : at + 12 + size]))
        at += 12 + size
    return tuple(found)


# --- serials and differences --------------------------------------------------------------------------------------


def newer(one: int, other: int) -> bool:
    """Say whether a serial comes after another (RFC 1982 section 3.2)."""
    return 0 < (one - other) % 2**32 < 2**31


def following(serial: int, now_s: float) -> int:
    """Return a serial after `serial`: the time, unless that is past; so it grows though the store be lost."""
    clock = int(now_s) % 2**32
    after = clock if newer(clock, serial) else (serial + 1) % 2**32
    return after or 1  # some take 0 for none


class Ledger:
    """One zone as secondaries know it: its serial, its records, and how they came to be."""

    def __init__(self, shape: Shape, serial: int) -> None:
        self.shape, self.serial = shape, serial
        self._bare = shape
        self._laid: Mapping[bytes, table.Entry] = {}
        self.now: dict[int, tuple[Rr, ...]] = {}  # by steering
        self._steps: collections.deque[tuple[int, int, tuple[Change, ...]]] = collections.deque()
        self._records = 0

    def soa(self, serial: int | None = None) -> Rr:
        """Return the SOA of a serial, the newest without one."""
        rdata = with_serial(self.shape.soa, self.serial if serial is None else serial)
        return zones.SOA, self.shape.soa_ttl_s, rdata

    def replace(self, steering: int, records: tuple[Rr, ...]) -> Change | None:
        """Take what the names of a steering have now; return what is another, if anything is."""
        before = self.now.get(steering, ())
        self.now[steering] = records
        gone = tuple(one for one in before if one not in records)
        come = tuple(one for one in records if one not in before)
        return Change(self.shape.steered[steering], gone, come) if gone or come else None

    def lay(self, laid: Mapping[bytes, table.Entry], alike: Mapping[bytes, bytes]) -> list[Change]:
        """Take what lies over the zone's names now, and nothing else; return what is another."""
        owners = {*self._laid, *laid}
        before = {owner: self._at(owner) for owner in owners}
        self.shape, self._laid = laid_over(self._bare, laid, alike), dict(laid)
        found = []
        for owner, had in before.items():
            has = self._at(owner)
            if had != has:
                found.append(Change((owner,), tuple(had - has), tuple(has - had)))
        return found

    def _at(self, owner: bytes) -> frozenset[Rr]:
        """Return what a name has now on which something lies, or may come to lie."""
        steering = self._laid[owner].steering if owner in self._laid else -1
        return frozenset((*self.shape.static.get(owner, ()), *self.now.get(steering, ())))

    def grow(self, changes: Iterable[Change], now_s: float) -> None:
        """Give what was changed a serial of its own."""
        before, self.serial = self.serial, following(self.serial, now_s)
        step = tuple(changes)
        self._steps.append((before, self.serial, step))
        self._records += sum(one.records for one in step)
        while self._steps and (self._records > MOST_RECORDS or len(self._steps) > MOST_STEPS):
            self._records -= sum(one.records for one in self._steps.popleft()[2])

    def inherit(self, old: Ledger | None, digest: str, now_s: float) -> bool:
        """Go on from what was before a reload: differences and serial; say whether anything is another now.

        Without an old one the digest of what the serial stood for tells, but not what the difference is.
        """
        if old is None:
            another = digest != self.digest()
            self.serial = following(self.serial, now_s) if another else self.serial
            return another
        # A copy: what is made here may be thrown away, and the old one is read meanwhile.
        self.serial, self._steps, self._records = old.serial, old._steps.copy(), old._records
        before, after = old._flat(), self._flat()
        changes = [
            Change((owner,), tuple(gone - come), tuple(come - gone))
            for owner in before.keys() | after.keys()
            if (gone := before.get(owner, frozenset())) != (come := after.get(owner, frozenset()))
        ]
        if changes or old.shape.soa != self.shape.soa:
            self.grow(changes, now_s)
            return True
        return False

    def _flat(self) -> dict[bytes, frozenset[Rr]]:
        found = {owner: frozenset(some) for owner, some in self.shape.static.items() if some}
        for steering, owners in self.shape.steered.items():
            for owner in owners:
                if self.now.get(steering):
                    found[owner] = found.get(owner, frozenset()) | frozenset(self.now[steering])
        return found

    def digest(self) -> str:
        """Return a hash of all that the serial stands for."""
        hashed = hashlib.sha256(self.shape.soa)
        for owner, some in sorted(self.shape.static.items()):
            hashed.update(owner + repr(sorted(some)).encode())
        for steering, owners in sorted(self.shape.steered.items()):
            hashed.update(b"".join(owners) + repr(sorted(self.now.get(steering, ()))).encode())
        return hashed.hexdigest()[:32]

    def whole(self) -> Iterator[bytes]:
        """Yield every record, the SOA first and last (RFC 5936 section 2.2)."""
        soa, now, shape = record(self.shape.apex, self.soa()), dict(self.now), self.shape  # a slow client may read long
        yield soa
        for owner, some in shape.static.items():
            yield from (record(owner, one) for one in some)
        for steering, owners in shape.steered.items():
            for owner in owners:
                yield from (record(owner, one) for one in now.get(steering, ()))
        yield soa

    def since(self, serial: int) -> Iterator[bytes] | None:
        """Yield what has changed since then (RFC 1995 section 4); None when that is not known any more, or as long.

        Who has the newest, or one that is newer still, gets the SOA alone.
        """
        if not newer(self.serial, serial):
            return iter((record(self.shape.apex, self.soa()),))
        steps = list(itertools.dropwhile(lambda step: step[0] != serial, self._steps))
        records = sum(change.records for _, _, changes in steps for change in changes)
        if not steps or records > self._size():
            return None
        return self._differences(steps)

    def _size(self) -> int:
        static = sum(map(len, self.shape.static.values()))
        return static + sum(len(owners) * len(self.now.get(at, ())) for at, owners in self.shape.steered.items())

    def _differences(self, steps: Sequence[tuple[int, int, tuple[Change, ...]]]) -> Iterator[bytes]:
        apex = self.shape.apex
        newest = record(apex, self.soa())
        yield newest
        for before, after, changes in steps:
            for serial, is_come in ((before, False), (after, True)):
                yield record(apex, self.soa(serial))
                for change in changes:
                    for owner in change.owners:
                        yield from (record(owner, one) for one in (change.come if is_come else change.gone))
        yield newest


def with_serial(soa: bytes, serial: int) -> bytes:
    """Return SOA rdata with another serial; behind it stand four more numbers (RFC 1035 section 3.3.13)."""
    return soa[:-20] + serial.to_bytes(4) + soa[-16:]


def record(owner: bytes, rr: Rr) -> bytes:
    """Return a record in wire form, its owner written out."""
    return compiler.record(owner, *rr)


# --- messages -----------------------------------------------------------------------------------------------------


class Wanted(NamedTuple):
    """A question for a transfer. `serial` is what the asker has (IXFR), `end` where the question ends."""

    zone: bytes
    kind: int
    serial: int
    end: int


def is_asked(packet: bytes) -> bool:
    """Say at a glance whether a message asks for a transfer."""
    stop = packet.find(b"\0", 12) + 1
    return packet[2] & 0xF8 == 0 and packet[stop : stop + 4] in {b"\0\xfc\0\1", b"\0\xfb\0\1"} if stop else False


def read(packet: bytes) -> Wanted | None:
    """Return what an unsigned question wants, or None when it is no question for a transfer."""
    if len(packet) < query.HEADER_BYTES or not is_asked(packet):
        return None
    _, flags, questions, _, authority, _ = struct.unpack_from(">HHHHHH", packet)
    at = query.skip_name(packet, query.HEADER_BYTES)
    if flags & 0x8000 or questions != 1 or not at or packet[at - 1] or at + 4 > len(packet):
        return None
    kind = int.from_bytes(packet[at : at + 2])
    zone, end = packet[query.HEADER_BYTES : at].lower(), at + 4
    if kind == AXFR:
        return Wanted(zone, kind, 0, end)
    after = query.skip_name(packet, end) if authority == 1 else 0  # RFC 1995 section 3: the SOA that the client has
    if not after or after + 10 > len(packet):
        return None
    of, _, _, size = struct.unpack_from(">HHIH", packet, after)
    rdata = packet[after + 10 : after + 10 + size]
    if of != zones.SOA or len(rdata) != size or size < 22:
        return None
    return Wanted(zone, kind, int.from_bytes(rdata[-20:-16]), end)


def messages(packet: bytes, wanted: Wanted, records: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the messages of an answer; the first has the question (RFC 5936 section 2.2.1)."""
    question, size = packet[query.HEADER_BYTES : wanted.end], 0
    some: list[bytes] = []
    for one in records:
        if some and size + len(one) > MESSAGE_BYTES:
            yield _message(packet, question, some)
            question, some, size = b"", [], 0
        some.append(one)
        size += len(one)
    yield _message(packet, question, some)


def _message(packet: bytes, question: bytes, records: Sequence[bytes]) -> bytes:
    head = struct.pack(">HHHHH", 0x8000 | compiler.AA, bool(question), len(records), 0, 0)
    return packet[:2] + head + question + b"".join(records)


def refusal(packet: bytes, rcode: int) -> bytes:
    """Return an answer that is nothing but an rcode; the question is echoed where there is one."""
    end = query.skip_name(packet, query.HEADER_BYTES) + 4
    question = packet[query.HEADER_BYTES : end] if end > 4 else b""
    return packet[:2] + struct.pack(">HHHHH", 0x8000 | rcode, bool(question), 0, 0, 0) + question


def notice(ident: int, apex: bytes, soa: Rr) -> bytes:
    """Return a NOTIFY with the newest SOA (RFC 1996 section 3)."""
    head = struct.pack(">HHHHHH", ident, 4 << 11 | compiler.AA, 1, 1, 0, 0)
    return head + apex + struct.pack(">HH", zones.SOA, compiler.IN) + record(compiler.OWNER_IS_QUESTION, soa)
