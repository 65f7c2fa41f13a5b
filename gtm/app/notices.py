"""Zones that changed in, NOTIFY messages out until they are acknowledged, or somebody has heard nothing five times."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import time
from collections.abc import Sequence

from gtm.wire import transfer, tsig

# RFC 1996 section 3.6 has 60 s and five tries; who follows failovers cannot wait so long for a lost packet.
FIRST_S, TRIES = 0.4, 6
_ACKNOWLEDGED = 0x8000 | 4 << 11


class _Heard(asyncio.DatagramProtocol):
    """Waits for the answer to one message."""

    def __init__(self, ident: int) -> None:
        self.done = asyncio.Event()
        self._ident = ident.to_bytes(2)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Look whether it is the answer; the socket hears its peer alone. Any rcode ends it: it has been heard."""
        if data[:2] == self._ident and int.from_bytes(data[2:4]) & 0xF800 == _ACKNOWLEDGED:
            self.done.set()

    def error_received(self, exc: Exception) -> None:
        """Nobody is there now; perhaps at the next try."""


class Notices:
    """What is being told. A newer serial of a zone takes the place of one that is still being told."""

    def __init__(self, source: Sequence[str]) -> None:
        self._sources = [one for one in source if not ipaddress.ip_address(one).is_unspecified]
        self._tasks: dict[tuple[tuple[str, int], bytes], asyncio.Task[None]] = {}

    def send(self, targets: Sequence[tuple[str, int]], apex: bytes, soa: transfer.Rr, key: tsig.Key | None) -> None:
        """Tell all targets."""
        self._tasks = {key: task for key, task in self._tasks.items() if not task.done()}
        for target in targets:
            old = self._tasks.pop((target, apex), None)
            if old is not None:
                old.cancel()
            self._tasks[target, apex] = asyncio.get_running_loop().create_task(self._tell(target, apex, soa, key))

    async def _tell(self, target: tuple[str, int], apex: bytes, soa: transfer.Rr, key: tsig.Key | None) -> None:
        ident = random.getrandbits(16)
        message = transfer.notice(ident, apex, soa)
        # Secondaries know their primary by its address: the one that it answers at.
        host = next((one for one in self._sources if (":" in one) == (":" in target[0])), None)
        loop = asyncio.get_running_loop()
        try:
            transport, heard = await loop.create_datagram_endpoint(
                lambda: _Heard(ident), remote_addr=target, local_addr=(host, 0) if host else None
            )
        except OSError:
            return  # no such address or way; the secondary asks by itself every minute
        try:
            for tried in range(TRIES):
                transport.sendto(tsig.Signer(key).sign(message, time.time()) if key is not None else message)
                try:
                    async with asyncio.timeout(FIRST_S * 2**tried):
                        await heard.done.wait()
                    return
                except TimeoutError:
                    continue
        finally:
            transport.close()

    def close(self) -> None:
        """Tell nobody any more."""
        for task in self._tasks.values():
            task.cancel()
