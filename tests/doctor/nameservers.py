"""Zones in, small nameservers on loopback addresses of one port out, each with the faults that a test plants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone


@dataclass(frozen=True)
class Faults:
    """What is wrong with a server."""

    lame: bool = False
    tcp: bool = True
    udp: bool = True
    edns: str = "yes"  # `drops` questions with it, `ignores` it
    cuts: bool = True  # answers that are too long say so
    digest: str = ""
    recursive: bool = False


class Server(asyncio.DatagramProtocol):
    """One nameserver: zones in master file format, faults."""

    def __init__(self, faults: Faults, *zones: tuple[str, str]) -> None:
        self.faults = faults
        self.zones = {
            dns.name.from_text(origin): dns.zone.from_text(text, origin, relativize=False, check_origin=False)
            for origin, text in zones
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # asyncio's own is no subclass in Python 3.11

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.faults.udp and (reply := self.reply(data, tcp=False)):
            self.transport.sendto(reply, addr)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (size,) = struct.unpack(">H", await reader.readexactly(2))
                reply = self.reply(await reader.readexactly(size), tcp=True) or b""
                writer.write(struct.pack(">H", len(reply)) + reply)
        writer.close()

    def reply(self, data: bytes, *, tcp: bool) -> bytes | None:
        """Return the answer to a packet, or None for silence."""
        query = dns.message.from_wire(data)
        name, kind, klass = query.question[0].name, query.question[0].rdtype, query.question[0].rdclass
        if query.edns >= 0 and self.faults.edns == "drops" and not tcp:
            return None
        answer = dns.message.make_response(query, our_payload=1232)
        if self.faults.edns != "yes":
            answer.use_edns(False)
        if klass == dns.rdataclass.CH:
            self._chaos(answer, name)
        elif self.faults.lame:
            answer.set_rcode(dns.rcode.REFUSED)
        elif self.faults.recursive:
            self._recurse(answer, name, kind)
        else:
            self._serve(answer, name, kind)
        whole = answer.to_wire(max_size=65535)
        most = 65535 if tcp else max(512, query.payload if query.edns >= 0 else 512)
        if len(whole) > most and self.faults.cuts:
            answer.answer, answer.flags = [], answer.flags | dns.flags.TC
            whole = answer.to_wire()
        return whole

    def _chaos(self, answer: dns.message.Message, name: dns.name.Name) -> None:
        if self.faults.digest and str(name) == "digest.server.":
            answer.answer.append(dns.rrset.from_text(name, 0, "CH", "TXT", f'"{self.faults.digest}"'))
        else:
            answer.set_rcode(dns.rcode.REFUSED)

    def _recurse(self, answer: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        found = [one for zone in self.zones.values() if (one := zone.get_rrset(name, kind))]
        answer.answer.extend(found[:1])
        known = any(zone.get_node(name) for zone in self.zones.values())
        answer.set_rcode(dns.rcode.NOERROR if known else dns.rcode.NXDOMAIN)

    def _serve(self, answer: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        origin = max((one for one in self.zones if name.is_subdomain(one)), key=len, default=None)
        if origin is None:
            answer.set_rcode(dns.rcode.REFUSED)
            return
        zone = self.zones[origin]
        cut, labels = name, len(name)
        while labels > len(origin):
            cut = name.split(labels)[1]
            if rrset := zone.get_rrset(cut, "NS"):
                answer.authority.append(rrset)
                glue = (zone.get_rrset(one.target, family) for one in rrset for family in ("A", "AAAA"))
                answer.additional.extend(one for one in glue if one)
                return
            labels -= 1
        answer.flags |= dns.flags.AA
        found = zone.get_rrset(name, kind)
        answer.answer.extend([found] if found else [])
        if not zone.get_node(name):
            answer.set_rcode(dns.rcode.NXDOMAIN)


@dataclass
class Net:
    """Nameservers on loopback addresses that share one port."""

    port: int = 0
    held: list[asyncio.BaseTransport | asyncio.Server] = field(default_factory=list)

    async def serve(self, address: str, server: Server) -> None:
        """Let a server answer at an address."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=(address, self.port))
        self.held.append(transport)
        if server.faults.tcp:
            self.held.append(await asyncio.start_server(server.connected, address, self.port))


@contextlib.asynccontextmanager
async def net(addresses: Iterable[str]) -> AsyncIterator[Net]:
    """Find a port that is free, for UDP and TCP, at all these addresses; end all servers afterwards."""
    made = Net(_free_port(tuple(addresses)))
    try:
        yield made
    finally:
        for one in made.held:
            one.close()


def _free_port(addresses: tuple[str, ...]) -> int:
    for _ in range(50):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            port = 0
            for address in addresses:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    one = held.enter_context(socket.socket(socket.AF_INET, kind))
                    one.bind((address, port))
                    port = one.getsockname()[1]
            return port
    raise AssertionError("no port is free everywhere")
