"""Bytes of TCP connections in, framed answers out, with a bound on everything a client can hold (RFC 7766).

A client may send many questions at once, or one byte at a time; what it may not do is hold a connection for long
without asking, send questions without end, or ask without reading. UDP keeps its turns of the loop throughout.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, cast

from gtm.serve import shared, udp
from gtm.wire import transfer, update

QUERY_BYTES = udp.QUERY_BYTES  # semantics G6; a longer length prefix closes the connection
# Questions answered in one turn of the loop, so that a pipeline of a thousand delays a datagram by under a millisecond.
_BATCH = 32
# Connections taken, and closed for idleness, in one turn of the loop: each costs some tenths of a millisecond, and
# datagrams wait meanwhile. Thousands that come or end at once are many short turns.
ACCEPTED, SWEPT = 4, 8
_READ_BYTES = 16 * 1024
# Unread answers beyond this stop the reading of questions; the idle time then runs out.
_BACKLOG_BYTES = 64 * 1024
NOBODY = -1  # the cell of a connection that is counted for no client
# With this share of all connections in use the idle time begins to shrink, to no less than _SHORTEST_IDLE_S.
_PRESSURE = 0.75
_SHORTEST_IDLE_S = 1.0


class Limits(NamedTuple):
    """What clients may hold: connections of all workers together, those of one address, and how long idle."""

    connections: int = 1024
    per_client: int = 32
    idle_s: float = 15.0


# A client (family, address), its socket, and what it sent and nobody answered: says whether somebody else answers it.
HandOver = Callable[[int, int, socket.socket, bytes], bool]


class Server:
    """All connections of one worker, longest idle first."""

    def __init__(
        self,
        answer: udp.Answer,
        oops: udp.Oops,
        limits: Limits,
        page: shared.Page,
        worker: int,
        *,
        drop: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.answer = answer
        self.oops = oops
        self.drop = drop  # counts what is not let in
        self.hand_over: HandOver | None = None  # takes connections that ask for transfers
        self.later: udp.Later | None = None  # hears of each UPDATE that got no answer
        self.scratch = memoryview(bytearray(_READ_BYTES))  # read into and emptied within one turn: one for all
        self._limits = limits
        self._page = page
        self._worker = worker
        self._open: OrderedDict[Connection, float] = OrderedDict()  # when it was last active
        self._sweeping: asyncio.Handle | None = None

    def connection(self) -> Connection:
        """Return the protocol for a new connection."""
        return Connection(self)

    def __len__(self) -> int:
        return len(self._open)

    def cell(self, family: int, address: int) -> int:
        """Return where this client's connections are counted. One network of 2**64 IPv6 addresses is one client."""
        return self._page.cell((address >> 64 if family == 6 else address).to_bytes(9))

    def admit(self, new: Connection, now_s: float) -> bool:
        """Count a new connection; say whether there is room for it. The longest idle makes room for the newest.

        At the limit of one client only its own connections make room (RFC 7766 section 6.2.2).
        """
        room = self._page.connections() < self._limits.connections or self._evict(None)
        if room and new.cell != NOBODY and self._page.connections_of(new.cell) >= self._limits.per_client:
            room = self._evict(new.cell)
        if room:
            self._open[new] = now_s
            self._page.count(self._worker, new.cell, 1)
        return room

    def _evict(self, cell: int | None) -> bool:
        """Close the connection that was idle for the longest (in `cell`, if given); say whether there was one."""
        for connection in self._open:
            if cell is None or connection.cell == cell:
                connection.drop()
                return True
        return False

    def active(self, connection: Connection, now_s: float) -> None:
        """Note that a connection asked a whole question."""
        if connection in self._open:
            self._open[connection] = now_s
            self._open.move_to_end(connection)

    def forget(self, connection: Connection) -> None:
        """Note that a connection is closed. May be told twice."""
        if self._open.pop(connection, None) is not None:
            self._page.count(self._worker, connection.cell, -1)

    def idle_s(self) -> float:
        """Return how long a connection may be idle now: less when nearly full (RFC 7766 section 6.2.3)."""
        used = self._page.connections() / self._limits.connections
        share = min(1.0, max(0.0, (1.0 - used) / (1.0 - _PRESSURE)))
        return max(min(_SHORTEST_IDLE_S, self._limits.idle_s), self._limits.idle_s * share)

    def sweep(self, now_s: float) -> None:
        """Close what has been idle for too long, a few in each turn of the loop. Call it a few times a second."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        oldest = now_s - self.idle_s()  # which grows while there is more room
        for connection, active_s in list(itertools.islice(self._open.items(), SWEPT)):
            if active_s > oldest:
                return
            connection.drop()
        if self._open:
            self._sweeping = asyncio.get_running_loop().call_soon(self.sweep, now_s)

    def close(self) -> None:
        """Close every connection; answers already written still go out."""
        for connection in list(self._open):
            connection.finish()


class Connection(asyncio.BufferedProtocol):
    """One client's connection."""

    WORD = "tcp"  # the transport, as answering is told

    def __init__(self, server: Server) -> None:
        self.cell = 0
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._unanswered = bytearray()
        self._family = 4
        self._address = 0
        self._stuck = False  # the client does not read
        self._ending = False  # the client sends no more
        self._scheduled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find out who it is, and whether there is room."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if not peer:  # gone before we looked
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=_BACKLOG_BYTES)
        kind = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
        self._arrived(6 if kind == socket.AF_INET6 else 4, udp.number(kind, peer[0]))

    def _arrived(self, family: int, address: int) -> None:
        """Take a client that is known now."""
        self._family, self._address = family, address
        self.cell = self._server.cell(family, address)
        self._admit()

    def _admit(self) -> None:
        if not self._server.admit(self, self._loop.time()):
            self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._server.forget(self)
        self._transport = None
        self._unanswered.clear()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to."""
        return self._server.scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        self._received(self._server.scratch[:nbytes])

    def _received(self, data: bytes | memoryview) -> None:
        self._unanswered += data
        if not self._scheduled:
            self._work()

    def _work(self) -> None:
        """Answer up to _BATCH whole questions, and come back for the rest when others have had their turn.

        RFC 7766 section 6.2.1.1: what is asked at once is answered, and in order, since no answer takes longer than
        another. That of an UPDATE, which does, comes when it is there (RFC 7766 section 7).
        """
        self._scheduled = False
        if self._transport is None or self._stuck:
            return
        at, waiting = 0, self._unanswered
        replies: list[bytes] = []
        for _ in range(_BATCH):
            size = int.from_bytes(waiting[at : at + 2]) if len(waiting) >= at + 2 else 0
            if size > QUERY_BYTES:
                self.drop()
                return
            if len(waiting) < at + 2 + size or len(waiting) < at + 2:
                break
            packet = bytes(waiting[at + 2 : at + 2 + size])
            if transfer.is_asked(packet) and self._handed_over(bytes(waiting[at:]), replies):
                return
            reply = self._answered(packet)
            if reply is not None:
                # RFC 7766 section 8: the length and the message in one write.
                replies.append(len(reply).to_bytes(2) + reply)
            at += 2 + size
        if at:
            del waiting[:at]
            self._server.active(self, self._loop.time())
            self._send(b"".join(replies))
        self._go_on()

    def _handed_over(self, waiting: bytes, replies: list[bytes]) -> bool:
        """Let somebody else go on with this connection, who has the time that a transfer takes (RFC 5936)."""
        if self._server.hand_over is None or type(self) is not Connection or self._transport is None:
            return False  # inside of something else than TCP it cannot be passed on
        self._send(b"".join(replies))
        replies.clear()
        sock = self._transport.get_extra_info("socket")
        if self._transport.get_write_buffer_size() or not self._server.hand_over(
            self._family, self._address, sock, waiting
        ):
            return False
        self._server.forget(self)
        self._transport.abort()  # this end of it; the other process has its own
        return True

    def _send_later(self, reply: bytes) -> None:
        self._send(len(reply).to_bytes(2) + reply)

    def _send(self, data: bytes) -> None:
        self._write(data)

    def _write(self, data: bytes) -> None:
        """Write, unless the connection is over: the loop would put a line into the log for each try after some."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _answered(self, packet: bytes) -> bytes | None:
        try:
            reply = self._server.answer(packet, self._family, self._address, self.WORD)
            if reply is None and self._server.later is not None and update.is_one(packet):
                self._server.later(packet, self._send_later)
            return reply
        except Exception as error:
            self._server.oops("internal", error)
            return None

    def _whole_question_waits(self) -> bool:
        waiting = self._unanswered
        return len(waiting) >= 2 and len(waiting) >= 2 + min(int.from_bytes(waiting[:2]), QUERY_BYTES)

    def _go_on(self) -> None:
        """Decide what comes next: more answers, more reading, or the end."""
        if self._transport is None:
            return
        more = self._whole_question_waits()
        if not self._ending:  # after the end of file the loop reads no more, and must not be asked to
            if self._stuck or more:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
        if more and not self._stuck and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._work)
        if self._ending and not more and not self._stuck:
            self._close()

    def pause_writing(self) -> None:
        """Too much is unread: read and answer no more until the client has read, or its idle time is over."""
        self._stuck = True
        self._go_on()

    def resume_writing(self) -> None:
        """The client has read."""
        self._stuck = False
        self._go_on()

    def eof_received(self) -> bool:
        """The client sends no more, but may still read: answer what waits, then close (RFC 7766 section 6.2.4)."""
        self._ending = True
        self._go_on()
        return True

    def drop(self) -> None:
        """Close at once; unread answers are lost."""
        self._server.forget(self)
        if self._transport is not None:
            if self._transport.get_write_buffer_size():
                self._transport.abort()
            else:
                self._close()

    def finish(self) -> None:
        """Close when what is written has gone."""
        self._close()
