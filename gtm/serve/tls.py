"""Records of TLS in, framed answers in records of TLS out: DNS over TLS (RFC 7858 section 3.1), as `tcp` has it.

What a client may hold is bounded before its handshake; and of handshakes, which are a thousand times dearer than an
answer, one is gone on with in a turn of the loop, so that a datagram waits for no more than one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque

from gtm.serve import encryption, tcp

ALPN = ("dot",)  # RFC 7301 section 3.1; the name is IANA's
# What a client may have sent ahead of its turn to shake hands: a hello with everything takes 4 KiB at most.
_AHEAD_BYTES = 64 * 1024
_READ_BYTES = 16 * 1024


class Door:
    """Makes the connections of the encrypted listeners of one worker."""

    def __init__(self, server: tcp.Server) -> None:
        self.changing = encryption.Changing(ALPN)
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Connection] = deque()  # no longer than there may be connections

    def connection(self) -> Connection:
        """Return the protocol for a new connection."""
        return Connection(self._server, self)

    def shake(self, one: Connection) -> None:
        """Go on with this handshake when its turn comes."""
        self._waiting.append(one)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        self._waiting.popleft().shake()
        if self._waiting:
            self._loop.call_soon(self._next)


class Connection(tcp.Connection):
    """One client's encrypted connection."""

    WORD = "tls"

    def __init__(self, server: tcp.Server, door: Door) -> None:
        super().__init__(server)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = door.changing.context.wrap_bio(self._in, self._out, server_side=True)
        self._door = door
        self._is_open = self._waits = False

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        self._in.write(self._server.scratch[:nbytes])
        if self._is_open:
            self._decrypt()
        elif self._in.pending > _AHEAD_BYTES:
            self.drop()
        elif not self._waits:
            self._waits = True
            self._door.shake(self)

    def shake(self) -> None:
        """Go on with the handshake."""
        self._waits = False
        if self._transport is None:
            return
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except (ssl.SSLError, OSError) as wrong:
            self._server.oops("tls", wrong)
            self._flush()  # the alert that says why
            self.drop()
        else:
            self._is_open = True
            self._flush()
            self._decrypt()

    def _decrypt(self) -> None:
        """Take all questions that came; answer them."""
        found = []
        try:
            while data := self._tls.read(_READ_BYTES):
                found.append(data)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError) as end:
            ended = isinstance(end, ssl.SSLZeroReturnError)
        except (ssl.SSLError, OSError) as wrong:
            self._server.oops("tls", wrong)
            self.drop()
            return
        else:
            ended = True
        self._flush()
        if found:
            self._received(b"".join(found))
        if ended and not self._ending:
            self.eof_received()

    def _flush(self) -> None:
        if self._out.pending:
            self._write(self._out.read())

    def _send(self, data: bytes) -> None:
        if data:
            try:
                self._tls.write(data)
            except (ssl.SSLError, OSError) as wrong:  # the other end has ended what we still write to
                self._server.oops("tls", wrong)
                self.drop()
            self._flush()

    def _close(self) -> None:
        """Say that this is the end (RFC 8446 section 6.1), then close."""
        if self._is_open:
            try:
                self._tls.unwrap()
            except (ssl.SSLError, OSError):  # it wants to read the other end's goodbye, which nobody waits for
                self._is_open = False
            self._flush()
        super()._close()
