"""A packet and who sent it in, the answer out: the only code between a socket and the answer table.

Two roads to one answer. The short one takes the ordinary question (one of a few header shapes, a name that exists, no
OPT or a plain one, or one with nothing but a client subnet, or with a cookie seen before); whatever it does not
recognise at a glance goes the long one, which reads every byte. What they keep is bounded; neither looks at a clock or
writes a log.
"""

from __future__ import annotations

import bisect
import hashlib
import struct
from collections.abc import Mapping

from gtm import table
from gtm.wire import chaos, edns, extras, pack, query, runtime, steps, tally

# Cells are made on demand, for a name and ring that is asked for; beyond this many (about 50 MB) all begin anew.
MAX_CELLS = 262_144
# Questions are kept with what answers them; beyond this many (3 to 7 MB) all are looked up anew.
MAX_KNOWN = 16_384
# Client subnets are kept with where they lead; beyond this many (about 13 MB) all are looked up anew.
MAX_MET = 32_768
MAX_TCP_BYTES = 65535

_AXFR, _IN = 252, 1
# Types that are no data and that nobody can be asked for: OPT, NXNAME (RFC 9824 section 3.5), TKEY, TSIG.
_NOT_ASKED = frozenset({edns.OPT, 128, 249, query.TSIG})
_TRANSFERS = frozenset({query.IXFR, _AXFR})
# A refusal: its rcode, and the option that says why (RFC 8914 section 4, RFC 9824 section 3.5), or nothing.
_Refusal = tuple[int, bytes]
_PROHIBITED = query.REFUSED, edns.error_option("", 18)
_NOT_OURS = query.REFUSED, edns.error_option("", 20)
_NO_TYPE = query.FORMERR, edns.error_option("", 30)
_SPECIAL = frozenset(kind.to_bytes(2, "big") + runtime.IN for kind in _NOT_ASKED | _TRANSFERS)
_HEAD = struct.Struct(">HHHHH")

# The headers of ordinary questions: any of RD, AD and CD, one question, no or one additional record. AD and CD are not
# ours to set (RFC 4035 section 3.1.6). The value is what `Static.heads` is indexed by.
_SHAPES = {
    _HEAD.pack(rd << 8 | ad_cd, 1, 0, 0, additional): rd | additional << 1
    for rd in (0, 1)
    for ad_cd in (0x00, 0x10, 0x20, 0x30)
    for additional in (0, 1)
}
# What stands behind ordinary questions, by whether an additional record is announced: with the size that the answer
# may have over UDP and the OPT that goes with it. Nothing, or one of the OPT records without options that resolvers
# send in earnest. Others are as welcome and a little dearer.
_TAILS: tuple[Mapping[bytes, tuple[int, bytes]], ...] = (
    {b"": (edns.MIN_UDP_BYTES, b"")},
    {
        struct.pack(">BHHBBHH", 0, edns.OPT, size, 0, 0, flags, 0): (edns.limit(size), edns.record(bool(flags)))
        for size in (512, 1220, 1232, 1280, 1400, 1410, 1432, 1452, 1472, 1500, 1680, 4000, 4096, 8192, 65535)
        for flags in (0, edns.DO)
    },
)
_COOKIE = edns.COOKIE.to_bytes(2, "big")  # behind an OPT record's eleven bytes
_bisect, _number = bisect.bisect_right, int.from_bytes


class Responder:
    """Answers from one table at a time. `seed` sets where exact rings begin, so that workers differ.

    `world` is the table in its runtime form, where whoever makes a responder has made that already; `more` is what
    outlives tables: cookies, and the idle time of connections.
    """

    def __init__(
        self,
        whole: table.AnswerTable,
        *,
        seed: int,
        world: runtime.World | None = None,
        more: extras.Extras | None = None,
    ) -> None:
        self._more = more or extras.Extras()
        # What goes behind answers to senders whose cookies were seen, by address and what stood behind the question.
        self._cookies = self._more.jar.kept if self._more.jar is not None else {}
        self._seed = (seed % 2**64).to_bytes(8, "big")
        self._shapes: Mapping[bytes, int] = _SHAPES
        self._tally = tally.Tally()
        self._use(whole, world if world is not None else runtime.load(whole))

    def _use(self, whole: table.AnswerTable, world: runtime.World) -> None:
        self.revision = whole.revision
        self._world = world
        self._nodes = world.nodes
        self._known: dict[bytes, tuple[runtime.Hit, bytes]] = {}
        # By what stands behind a question with nothing but a client subnet: whom it asked, the way, limit and OPT.
        self._met: dict[bytes, tuple[runtime.Steered, runtime.Way, int, bytes]] = {}
        self._places = world.places
        self._explain = world.explain
        self._place_names = whole.place_names
        self._key = whole.shared_key[: hashlib.blake2b.MAX_KEY_SIZE]
        self._node_name = whole.node.encode()
        self._chaos = chaos.answers(whole.node, whole.digest)
        self._cells = 0
        self._ages = 0

    # --- the table ---

    def swap(self, whole: table.AnswerTable) -> bool:
        """Answer from `whole` from now on; False, and nothing done, when it is older than what is here (G1)."""
        if whole.revision < self.revision:
            return False
        self._tally.gather(self._world.turns)
        self._tally.place(self._place_names)
        self._use(whole, runtime.load(whole))
        return True

    def ending(self) -> steps.Steps[None]:
        """Take apart what is here, step by step; nothing may be asked of it any more."""
        yield from steps.emptying(self._known)
        yield from steps.emptying(self._met)
        yield from runtime.unloading(self._world)

    def update(self, revision: int, rings: Mapping[int, table.Ring], entries: table.Changed = pack.NOTHING) -> bool:
        """Put `rings` and `entries` in place; False, and nothing done, when they are older or not of the table (G1)."""
        turns, makers = self._world.turns, self._world.makers
        if revision < self.revision or not all(0 <= index < len(turns) for index in rings):
            return False
        if not all(one is None or makers.fits(one) for one in entries.values()):
            return False
        self._tally.gather(turns[index] for index in rings)
        for index, ring in rings.items():
            turns[index].load(ring)
        for owner, entry in entries.items():
            if entry is not None:
                self._nodes[owner] = makers.node(entry)
            else:
                self._nodes.pop(owner, None)
        if entries:  # what was found before may be found elsewhere now
            self._known.clear()
        self.revision = revision
        return True

    def drain_counts(self) -> tally.Counts:
        """Return what was counted since the last time, by counter and labels."""
        return steps.finish(self.draining())

    def draining(self) -> steps.Steps[tally.Counts]:
        """Do as `drain_counts`, step by step, and answer in between."""
        yield from self._tally.gathering(self._world.turns)
        done, self._tally = self._tally, tally.Tally()
        yield from done.placing(self._place_names)
        counts = yield from done.labelling()
        return counts

    # --- the short road ---

    def answer(self, packet: bytes, family: int, address: int, transport: str) -> bytes | None:
        """Return the answer to `packet`, or None when there is to be none.

        `family` is 4 or 6 and `address` the sender's as a number; `transport` is "udp", "tcp", "tls" or "https".
        """
        # A label may hold a zero byte, but then what is cut off here is no name of ours: keys are whole names.
        stop = packet.find(b"\0", 12) + 5
        question = packet[12:stop]
        shape = self._shapes.get(packet[2:12])
        known = self._known.get(question) or self._look(question)
        if shape is None or known is None:
            return self._long(packet, family, address, transport)
        hit, owner = known
        tail = packet[stop:]
        plain = _TAILS[shape >> 1].get(tail)
        error, way = b"", None
        if plain is not None:
            limit, opt = plain
        elif (met := self._met.get(tail)) is not None and met[0] is hit and shape > 1:
            _, way, limit, opt = met
            self._tally.subnets += 1
        elif tail[11:13] == _COOKIE and shape > 1:
            plain = self._cookies.get((address, tail))
            if plain is None:
                return self._long(packet, family, address, transport)
            limit, opt = plain
        else:
            found = self._meet(hit, tail, family, address) if shape > 1 else None
            if found is None:
                return self._long(packet, family, address, transport)
            way, limit, opt = found
            self._tally.subnets += 1
        if isinstance(hit, runtime.Static):
            reply = hit
        else:
            reply, error = self._draw(hit, owner, way or runtime.way(hit, self._places, family, address, 0, 0))
        if error and opt and self._explains(family, address):
            opt = edns.with_option(
                opt, error, (limit if transport == "udp" else MAX_TCP_BYTES) - stop - len(reply.body)
            )
        return self._finish(packet, question, shape, reply, limit, opt, transport)

    def _look(self, question: bytes) -> tuple[runtime.Hit, bytes] | None:
        """Return what answers an ordinary question for a name in a zone of ours, and the owner that it stands under.

        It is kept, for the next time, unless it was asked with capitals (a resolver's dice, not likely to come again)
        or does not exist: of such names there is no end.
        """
        asked, spelt = question[-4:], question[:-4]
        owner = spelt.lower()  # RFC 4343 section 3; length bytes are below the letters
        lower = spelt == owner
        node, missing = self._nodes.get(owner), False
        if node is None:
            node, owner = self._closest(owner)
            if node is None or len(spelt) > query.MAX_NAME_BYTES:
                return None
            wildcard = self._nodes.get(b"\x01*" + owner)
            if wildcard is not None:
                node, owner = wildcard, b"\x01*" + owner
            missing = wildcard is None
        hit = None if missing else node.get(asked)
        if hit is None:
            if asked[2:] != runtime.IN or asked in _SPECIAL:
                return None
            hit = node[runtime.BELOW if missing else runtime.ANYTHING]
        known = hit, owner
        if lower and not missing:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[question] = known
        return known

    def _meet(
        self, hit: runtime.Hit, tail: bytes, family: int, address: int
    ) -> tuple[runtime.Way | None, int, bytes] | None:
        """Return the way, limit and OPT for a client subnet that stands behind a question; None when more stands there.

        It is kept for the next time, where the subnet alone leads there: resolvers ask for the same ones again.
        """
        lone = edns.lone_subnet(tail[: edns.LONE_BYTES])
        if lone is None:
            return None
        limit, opt, of, size, shift, low = lone
        subnet = _number(tail[edns.LONE_BYTES :]) << shift
        if len(tail) != size or subnet & low:
            return None
        if isinstance(hit, runtime.Static):
            return None, limit, opt + edns.BYTES[0] + tail[edns.LONE_BYTES :]
        way = runtime.way(hit, self._places, family, address, of, subnet)
        opt += edns.BYTES[way[1]] + tail[edns.LONE_BYTES :]
        if way[5]:
            if len(self._met) >= MAX_MET:
                self._met.clear()
            self._met[tail] = hit, way, limit, opt
        return way, limit, opt

    def _finish(  # noqa: PLR0917 - a record of these seven would cost more than what it holds
        self, packet: bytes, question: bytes, shape: int, reply: runtime.Static, limit: int, opt: bytes, transport: str
    ) -> bytes:
        """Put an answer together and count it; too long for `limit` over UDP, it is cut (RFC 2181 section 9)."""
        counts = self._tally
        asks = counts.udp if transport == "udp" else counts.asked[transport]
        asks[question[-4:]] += 1
        counts.rcodes[reply.rcode] += 1
        # The question as it was asked: RFC 4343 section 4.1.
        out = b"".join((packet[:2], reply.heads[shape], question, reply.body, opt))
        if len(out) <= limit or (transport != "udp" and len(out) <= MAX_TCP_BYTES):
            return out
        counts.truncated += 1
        return b"".join((packet[:2], reply.cut[shape], question, opt))

    # --- drawing ---

    def _draw(self, hit: runtime.Steered, owner: bytes, way: runtime.Way) -> tuple[runtime.Static, bytes]:
        """Return what a client gets that leads there, and the option that explains it."""
        turn, _, family, address, place, _ = way
        if place >= 0:
            seen = self._tally.seen_from.get(owner)
            if seen is None:
                seen = self._tally.seen_from[owner] = [0] * len(self._place_names)
            seen[place] += 1
        if not turn.size:
            return turn.instead or hit.nodata, turn.error
        cell = turn.cells.get(owner)
        if cell is None:
            cell = self._cell(turn, owner)
        at = cell[0]
        cell[0] = at + 1
        if turn.sticky is not None:
            at = self._client_hash(family, address, turn.sticky[family == 6])
        which = turn.slots[at % turn.size]
        turn.hits[which] += 1
        return turn.replies[which], turn.error

    def _client_hash(self, family: int, address: int, bits: int) -> int:
        """Return a number that every nameserver with the same key finds for this client prefix (B8).

        Of a client subnet no more than SOURCE is known; what lies behind it is zero, and so hashes the same (C2).
        """
        prefix = address >> (runtime.WIDTH[family] - bits) << (runtime.WIDTH[family] - bits)
        data = bytes((family,)) + prefix.to_bytes(16, "big")
        return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=self._key).digest(), "big")

    def _cell(self, turn: runtime.Turn, owner: bytes) -> list[int]:
        """Make the cursor of one owner in one ring. Where it begins differs by owner, worker and age."""
        if self._cells >= MAX_CELLS:
            self._tally.gather(self._world.turns)
            for one in self._world.turns:
                one.cells.clear()
            self._cells = 0
            self._ages += 1
        self._cells += 1
        salt = self._ages.to_bytes(8, "big")
        begin = int.from_bytes(hashlib.blake2b(owner, digest_size=4, key=self._seed, salt=salt).digest(), "big")
        cell = turn.cells[owner] = [begin, begin]
        return cell

    def _explains(self, family: int, address: int) -> bool:
        for dropped, network in self._explain[family]:  # noqa: SIM110 - a generator costs more than what it looks at
            if address >> dropped == network:
                return True
        return False

    # --- the long road ---

    def _long(  # noqa: PLR0912 - a branch for each kind of message that there is
        self, packet: bytes, family: int, address: int, transport: str
    ) -> bytes | None:
        asked = query.read(packet)
        if isinstance(asked, str):
            self._tally.drop(asked)
            return None
        if asked.rcode == query.NOTAUTH and self._more.keyring.keys:  # it is signed: RFC 8945 section 5.2
            most = (asked.opt and edns.limit(asked.opt.size)) or edns.MIN_UDP_BYTES
            return self._more.keyring.answered(
                packet, lambda plain: self.answer(plain, family, address, transport),
                most if transport == "udp" else MAX_TCP_BYTES,
            )  # fmt: skip
        if asked.rcode == query.NOTIMP and self._more.updating(packet, transport):
            return self._more.updates(packet, family, address)
        options, rcode = b"", asked.rcode
        if asked.opt is not None and asked.opt.options:
            key = address, packet[asked.end :]
            options, other = self._more.options(asked.opt, self._node_name, family, key, transport)
            rcode = rcode or other
        if rcode:
            return self._refusal(packet, asked, (rcode, b""), transport, options)
        hit, owner = self._hit(asked, family, address)
        if isinstance(hit, tuple):
            return self._refusal(packet, asked, hit, transport, options)
        scope, error, of, subnet = 0, b"", 0, 0
        if isinstance(hit, runtime.Static):
            reply = hit
        else:
            client = asked.opt.subnet if asked.opt is not None else None
            if client is not None and client.source:  # C4: without SOURCE the client opted out
                of, subnet = client.family, client.address
            way = runtime.way(hit, self._places, family, address, of, subnet)
            scope = way[1]
            reply, error = self._draw(hit, owner, way)
        shape, limit, opt = (asked.flags & query.RD) >> 8, edns.MIN_UDP_BYTES, b""
        if asked.opt is not None:
            self._tally.subnets += bool(asked.opt.subnet and asked.opt.subnet.source)
            shape |= 2
            limit, opt = edns.limit(asked.opt.size), self._opt(asked.opt, options, scope)
            if self._more.jar is not None and self._more.keeps(asked.opt):
                self._more.jar.keep(key, (limit, opt))
            room = limit if transport == "udp" else MAX_TCP_BYTES
            before = asked.end + len(reply.body)
            if error and self._explains(family, address):
                opt = edns.with_option(opt, error, room - before)
            if asked.opt.padding:
                opt = extras.finished(opt, before, transport, room)
        return self._finish(packet, packet[12 : asked.end], shape, reply, limit, opt, transport)

    def _hit(self, asked: query.Query, family: int, address: int) -> tuple[runtime.Hit | _Refusal, bytes]:
        """Return what answers, and the owner that it stands under; or a refusal."""
        if not asked.owner:  # RFC 7873 section 5.4: it only wanted a cookie
            return (query.NOERROR, b""), b""
        if asked.klass == chaos.CLASS and asked.kind == chaos.TXT and self._explains(family, address):
            return self._chaos.get(asked.owner, _PROHIBITED), b""
        if asked.klass != _IN or asked.kind in _TRANSFERS:
            return _PROHIBITED, b""
        if asked.kind in _NOT_ASKED:
            return _NO_TYPE, b""
        nodes, owner = self._nodes, asked.owner
        node = nodes.get(owner)
        if node is None:  # RFC 1034 section 4.3.2 step 3: up to the closest encloser
            node, owner = self._closest(owner)
            if node is None:
                return _NOT_OURS, b""
            wildcard = nodes.get(b"\x01*" + owner)
            if wildcard is None:
                return node[runtime.BELOW], owner
            node, owner = wildcard, b"\x01*" + owner  # RFC 4592 sections 2.2.2 and 3.3.1
        return node.get(asked.kind.to_bytes(2, "big") + runtime.IN) or node[runtime.ANYTHING], owner

    def _closest(self, owner: bytes) -> tuple[runtime.Node | None, bytes]:
        node = None
        while node is None and owner and 0 < owner[0] <= query.MAX_LABEL_BYTES:  # the short road has not looked yet
            owner = owner[1 + owner[0] :]
            node = self._nodes.get(owner)
        return node, owner

    @staticmethod
    def _opt(asked: edns.Opt, options: bytes, scope: int, extended_rcode: int = 0) -> bytes:
        """Return the OPT record of an answer, with the client subnet's option where it was asked for."""
        if asked.subnet is not None:
            options += edns.subnet_option(asked.subnet, scope)
        return edns.record(asked.do, options, extended_rcode)

    def _refusal(self, packet: bytes, asked: query.Query, of: _Refusal, transport: str, options: bytes) -> bytes:
        """Return an answer that is nothing but an rcode: AA clear, the question only where it could be read."""
        counts = self._tally
        rcode, why = of
        counts.rcodes[rcode] += 1
        label = packet[asked.end - 4 : asked.end] if asked.end > query.HEADER_BYTES else b""
        counts.asked[transport][label] += 1
        flags = runtime.QR | asked.flags & (query.OPCODE | query.RD) | rcode & 15
        question = packet[query.HEADER_BYTES : asked.end]
        opt = b""
        if asked.opt is not None:
            opt = self._opt(asked.opt, options + why, 0, rcode >> 4)
            if asked.opt.padding:
                opt = extras.finished(opt, asked.end, transport, MAX_TCP_BYTES)
        return packet[:2] + _HEAD.pack(flags, bool(question), 0, 0, bool(opt)) + question + opt
