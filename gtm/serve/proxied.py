"""A connection from a proxy in, its client's answers out: the header comes first, and says whose connection it is."""

from __future__ import annotations

from gtm.serve import tcp
from gtm.wire import proxy


class Connection(tcp.Connection):
    """One connection from a proxy; a proxy sends a client's questions over a connection of its own."""

    def __init__(self, server: tcp.Server, trust: proxy.Trust) -> None:
        super().__init__(server)
        self._trust = trust
        self._head: bytearray | None = bytearray()  # while the header is awaited

    def _arrived(self, family: int, address: int) -> None:
        """A proxy may hold as many connections as there are; its clients may hold their share."""
        if not self._trust.holds(family, address):
            self._server.drop("proxy_peer")
            self._abort()
            return
        self._family, self._address, self.cell = family, address, tcp.NOBODY
        self._admit()

    def _received(self, data: bytes | memoryview) -> None:
        if self._head is None:
            super()._received(data)
            return
        self._head += data
        try:
            header = proxy.read(bytes(self._head[: proxy.MAX_BYTES]))
        except ValueError:
            self._server.drop("proxy_header")
            self.drop()
            return
        if header is None:
            return
        rest, self._head = bytes(self._head[header.size :]), None
        if header.family:
            self._server.forget(self)
            super()._arrived(header.family, header.address)
        if rest:
            super()._received(rest)
