"""A connection that is to be encrypted in, its handler inside of TLS out: counted from its first packet.

asyncio tells a handler of its connection when the handshake is over, so whoever never shakes hands would be counted
nowhere, and hold an open file for a minute.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Protocol, cast

HANDSHAKE_S = 10.0  # a client that takes longer is not one, or is better served by nobody


class Handler(Protocol):
    """What speaks inside of TLS; it leaves the place of `address` when its connection is over."""

    def entered(self, transport: asyncio.Transport, address: str) -> None:
        """Take a connection whose place is taken already."""


class Places:
    """Connections by address. `most` says how many there may be, in all and of one address, now."""

    def __init__(self, most: Callable[[], tuple[int, int]]) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        """Whether there is room for nobody."""
        return self._open.total() >= self._most()[0]

    def take(self, address: str) -> bool:
        """Take a place, and say whether there was one."""
        if self.full or self._open[address] >= self._most()[1]:
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Give a place back."""
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


class Shaking(asyncio.Protocol):
    """One connection until its handshake is over. `tasks` holds what is under way."""

    def __init__(
        self, tls: ssl.SSLContext, places: Places, make: Callable[[], Handler], tasks: set[asyncio.Task[None]]
    ) -> None:
        self._tls, self._places, self._make, self._tasks = tls, places, make, tasks
        self._early = b""  # what came with the end of the handshake
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if there is room."""
        peer = transport.get_extra_info("peername")
        address = peer[0] if peer else ""
        if not self._places.take(address):
            transport.close()
            return
        raw = cast(asyncio.Transport, transport)
        raw.pause_reading()  # what comes is for TLS
        task = asyncio.get_running_loop().create_task(self._shake(raw, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def data_received(self, data: bytes) -> None:
        """Keep what comes before the handler is there: one read at most."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that there is nobody to be handed on."""
        self._lost = True

    async def _shake(self, raw: asyncio.Transport, address: str) -> None:
        secure = None
        try:
            secure = await asyncio.get_running_loop().start_tls(
                raw, self, self._tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
        except OSError:  # it hung up, was too slow, or does not speak TLS: nobody's business but its own
            raw.abort()
        finally:
            if secure is None or self._lost:
                self._places.leave(address)
        if secure is not None and not self._lost:
            handler = self._make()
            secure.set_protocol(cast(asyncio.Protocol, handler))
            handler.entered(secure, address)
            if self._early:
                cast(asyncio.Protocol, handler).data_received(self._early)
