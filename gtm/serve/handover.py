"""A connection that asks for a transfer in, its way to the control process out, with what it sent and got no answer to.

A worker does nothing that takes long: a transfer may be a million records for a slow client.
"""

from __future__ import annotations

import asyncio
import os
import socket

from gtm.serve import channel, keys
from gtm.wire import networks

# So often the control process hears that somebody who may have nothing asked for a transfer, and got a refusal.
_KNOCK_S = 1.0


class Handover:
    """Passes connections of those who may ask at all. Whoever takes them looks closer."""

    def __init__(self, line: channel.Channel) -> None:
        self._line = line
        self._may = networks.Networks(())
        self._knocked_s = -_KNOCK_S

    def take(self, secret: keys.Keys) -> None:
        """Let these networks ask."""
        self._may = networks.Networks(secret.secondaries)

    def pass_on(self, family: int, address: int, sock: socket.socket, waiting: bytes) -> bool:
        """Pass a connection on; False when this client may not ask, or nobody takes it: then it is refused."""
        who = bytes((family,)) + address.to_bytes(16)
        if not self._may.holds(family, address):
            now_s = asyncio.get_running_loop().time()
            if now_s - self._knocked_s >= _KNOCK_S:
                self._knocked_s = now_s
                self._line.send("knock", who + waiting)
            return False
        own = os.dup(sock.fileno())
        try:
            return self._line.send("transfer", who + waiting, own)
        finally:
            os.close(own)


def sender(body: bytes) -> tuple[int, int, bytes]:
    """Return of what was passed on: the client's family and address, and what it sent."""
    return body[0], int.from_bytes(body[1:17]), body[17:]
