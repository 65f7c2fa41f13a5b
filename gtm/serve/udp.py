"""Datagrams in, answers out, as many as wait: one wake-up of the loop drains the socket up to a bound.

asyncio's own datagram transport spends a turn of the loop on every packet, which costs more than the answer does;
draining 64 at a time shares that turn. `benchmarks/udp_path.py` says what an answer costs in all.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from gtm.serve import sockets

Answer = Callable[[bytes, int, int, str], bytes | None]
Oops = Callable[[str, BaseException], None]

# A bound, so that TCP, new tables and the heartbeat get their turn in a flood: 64 answers take about a millisecond.
BATCH = 64
QUERY_BYTES = 4096  # semantics G6; a longer datagram is cut here, and a cut packet is malformed
# Resolvers ask again and again: the numbers of so many addresses are kept (about 2 MB), then all are forgotten.
SENDERS = 16_384
_ANCILLARY_BYTES = 64
_IP_PKTINFO = 8  # linux/in.h; Python 3.11 has no name for it


def number(kind: int, host: str) -> int:
    """Return an address of the socket family `kind` as a number."""
    # A link-local sender has its interface behind a percent sign.
    return int.from_bytes(socket.inet_pton(kind, host.partition("%")[0]))


def drain(sock: socket.socket, answer: Answer, oops: Oops) -> Callable[[], None]:
    """Return what to call when `sock` can be read: it answers up to BATCH datagrams.

    `answer` takes packet, family (4 or 6), address as a number and "udp". Whatever it raises goes to `oops` with the
    word `internal`, what the kernel refuses to send with `send`: one bad packet is one packet (semantics E8).
    """
    kind = sock.family
    family = 6 if kind == socket.AF_INET6 else 4
    # On a socket for all addresses the answer must leave from the address that was asked (RFC 2181 section 4.1).
    everywhere = sock.getsockname()[0] in sockets.EVERYWHERE
    receive, send, receive_all, send_all = sock.recvfrom, sock.sendto, sock.recvmsg, sock.sendmsg
    ancillary: list[tuple[int, int, bytes]] = []
    numbers: dict[str, int] = {}

    def ready() -> None:
        nonlocal ancillary
        for _ in range(BATCH):
            try:
                if everywhere:
                    packet, ancillary, _, client = receive_all(QUERY_BYTES, _ANCILLARY_BYTES)
                else:
                    packet, client = receive(QUERY_BYTES)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP error about an earlier answer; the next call reads on
                oops("receive", error)
                continue
            try:
                address = numbers.get(client[0])
                if address is None:
                    if len(numbers) >= SENDERS:
                        numbers.clear()
                    address = numbers[client[0]] = number(kind, client[0])
                reply = answer(packet, family, address, "udp")
            except Exception as error:
                oops("internal", error)
                continue
            if reply is None:
                continue
            try:
                if everywhere:
                    send_all([reply], _back(ancillary), 0, client)
                else:
                    send(reply, client)
            except OSError as error:
                oops("send", error)

    return ready


def _back(ancillary: list[tuple[int, int, bytes]]) -> list[tuple[int, int, Any]]:
    """Turn what a packet came with into what its answer goes with: the same local address, any interface."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            # struct in_pktinfo: interface index, our address (ipi_spec_dst), address in the header.
            # Index 0 lets routing choose the interface.
            return [(level, kind, bytes(4) + data[4:8] + bytes(4))]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            link_local = data[0] == 0xFE and data[1] & 0xC0 == 0x80
            return [(level, kind, data[:16] + (data[16:20] if link_local else bytes(4)))]
    return []
