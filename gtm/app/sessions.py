"""Connections that ask for transfers in, zones in bounded pieces out: how many at a time, for how long, to whom."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from gtm import names
from gtm.app import transfers
from gtm.serve import handover
from gtm.wire import query, transfer, tsig

# At a time, over all secondaries; one more waits for its turn as long as it likes to, and a few more than that.
MOST, MOST_WAITING = 8, 64
IDLE_S = 15.0  # between two questions
STUCK_S = 30.0  # a client that reads nothing for so long has gone
WHOLE_S = 600.0  # one transfer: a million names to a slow line
EARLY_S = 10.0  # who asks before health is judged waits so long: refused, some secondaries come back after a minute
AUDIT_S = 10.0  # so often at most somebody who may have nothing is written down


class _Refused(NamedTuple):
    rcode: int
    why: str


class Sessions:
    """The connections of secondaries, as workers pass them on."""

    def __init__(self, node: transfers.Surroundings, keys: Callable[[], Mapping[str, tsig.Key]]) -> None:
        self.zones = transfers.Transfers(node, keys)
        self._node = node
        self._turn = asyncio.Semaphore(MOST)
        self._tasks: set[asyncio.Task[None]] = set()
        self._audited_s = -AUDIT_S
        self._unsaid = 0

    def take(self, kind: str, body: bytes, fd: int) -> None:
        """Take a connection (`transfer`), or hear of one that was refused (`knock`)."""
        family, number, waiting = handover.sender(body)
        address = ipaddress.IPv6Address(number) if family == 6 else ipaddress.IPv4Address(number)
        if fd < 0:
            self._audit(waiting[2:], str(address), "no zone may be transferred to this address")
            return
        sock = socket.socket(fileno=fd)
        if len(self._tasks) >= MOST_WAITING:
            sock.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(sock, str(address), waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, sock: socket.socket, address: str, waiting: bytes) -> None:
        sock.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=sock)
        reader.feed_data(waiting)
        try:
            with contextlib.suppress(TimeoutError, ConnectionError, asyncio.IncompleteReadError, OSError):
                while True:
                    async with asyncio.timeout(IDLE_S):
                        size = int.from_bytes(await reader.readexactly(2))
                        if size > query.MAX_QUERY_BYTES:
                            return
                        packet = await reader.readexactly(size)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(EARLY_S):
                            await self.zones.made.wait()
                    async with self._turn, asyncio.timeout(WHOLE_S):
                        await self._answer(packet, address, writer)
        finally:
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _answer(self, packet: bytes, address: str, writer: asyncio.StreamWriter) -> None:
        now_s = time.time()
        keyring = {one.name: one for one in self.zones.keys().values()}
        verified = tsig.verify(packet, keyring, now_s)
        if verified is not None and (verified.error or verified.key is None):
            self._audit(packet, address, f"its signature is not good (TSIG error {verified.error})")
            await _write(writer, tsig.refusal(packet, verified, now_s))
            return
        plain = verified.message if verified is not None else packet
        signer = tsig.Signer(verified.key, verified.mac) if verified is not None and verified.key is not None else None
        for message in self._messages(plain, address, verified.key if verified is not None else None):
            await _write(writer, signer.sign(message, now_s) if signer is not None else message)
            await asyncio.sleep(0)  # probes leave between two messages, however fast the client reads

    def _messages(self, packet: bytes, address: str, key: tsig.Key | None) -> Iterator[bytes]:
        wanted = transfer.read(packet)
        if wanted is None:
            soa = self._soa(packet)
            yield soa if soa is not None else transfer.refusal(packet, query.REFUSED)
            return
        zone = self.zones.zones.get(names.text(wanted.zone))
        refused = self._refused(zone, address, key)
        if refused is not None or zone is None:
            rcode, why = refused or _Refused(query.NOTAUTH, "there is no such zone")
            self._audit(packet, address, why)
            yield transfer.refusal(packet, rcode)
            return
        records = zone.ledger.since(wanted.serial) if wanted.kind == transfer.IXFR else None
        yield from transfer.messages(packet, wanted, records if records is not None else zone.ledger.whole())

    def _refused(self, zone: transfers.Zone | None, address: str, key: tsig.Key | None) -> _Refused | None:
        if zone is None:
            return _Refused(query.NOTAUTH, "the zone is not transferred, or not judged yet")
        if not any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in zone.settings.allow):
            return _Refused(query.REFUSED, f"{names.shown(zone.name)} may not be transferred to this address")
        wanted = zone.settings.tsig
        if wanted is not None and (key is None or names.text(key.name) != wanted.name):
            return _Refused(
                query.REFUSED,
                f"{names.shown(zone.name)} is transferred only to who signs with {names.shown(wanted.name)}",
            )
        return None

    def _soa(self, packet: bytes) -> bytes | None:
        """Answer a question for an SOA, as secondaries ask it between two transfers on one connection."""
        asked = query.read(packet)
        if isinstance(asked, str) or asked.rcode or asked.kind != 6 or asked.klass != 1:
            return None
        zone = self.zones.zones.get(names.text(asked.owner))
        if zone is None:
            return None
        wanted = transfer.Wanted(asked.owner, asked.kind, 0, asked.end)
        record = transfer.record(asked.owner, zone.ledger.soa())
        return next(transfer.messages(packet, wanted, (record,)))

    def _audit(self, packet: bytes, address: str, why: str) -> None:
        """Write down who was refused, the first of some seconds."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._audited_s < AUDIT_S:
            self._unsaid += 1
            return
        end = query.skip_name(packet, query.HEADER_BYTES) if len(packet) > query.HEADER_BYTES else 0
        name = packet[query.HEADER_BYTES : end].lower()
        shown = names.text(name) if end and not name[-1] else "a zone"
        more = f"; {self._unsaid} more since the last time" if self._unsaid else ""
        self._audited_s, self._unsaid = now_s, 0
        self._node.happened("node", f"transfer of {shown}", "", "refused", f"{address}: {why}{more}")

    async def close(self) -> None:
        """End every connection, and tell nobody any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.zones.close()


async def _write(writer: asyncio.StreamWriter, message: bytes) -> None:
    writer.write(len(message).to_bytes(2) + message)
    async with asyncio.timeout(STUCK_S):
        await writer.drain()
