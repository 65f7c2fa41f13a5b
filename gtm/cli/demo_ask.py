"""A name and a client subnet in, what a nameserver answers out: the demo's own small stub resolver.

The drill times answers with it where no `dig` is installed, and never has to guess what a printed text means.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import struct
import time
from dataclasses import dataclass

from gtm import errors, names

PATIENCE_S = 1.0  # a loopback answer takes a millisecond; this waits for a machine that is busy
TRIES = 3
A, OPT = 1, 41
ECS, EDE = 8, 15  # RFC 7871 section 6, RFC 8914 section 2
POINTER = 0xC0  # RFC 1035 section 4.1.4


@dataclass(frozen=True, slots=True)
class Answer:
    """IPv4 addresses, their TTL in seconds (0 when there are none), and the reason that stands in the EDE option."""

    addresses: frozenset[str]
    ttl_s: int
    why: str


class NoAnswer(errors.GtmError):
    """The nameserver said nothing, or something that is no answer."""


def ask(server: tuple[str, int], name: str, subnet: str) -> Answer:
    """Return what `server` answers for the A records of `name` to clients in `subnet`. Raises `NoAnswer`."""
    for _ in range(TRIES):
        ident = secrets.randbits(16)
        packet = question(name, subnet, ident)
        # A new socket, and so a new source port, for each question: every worker of the nameserver gets its turn.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(server)
            sock.send(packet)
            until = time.monotonic() + PATIENCE_S
            while (left_s := until - time.monotonic()) > 0:
                sock.settimeout(left_s)
                try:
                    answer = sock.recv(4096)
                except (TimeoutError, ConnectionRefusedError):
                    break
                if answer[:2] == packet[:2]:
                    return read(answer)
    raise NoAnswer(f"{server[0]}:{server[1]} does not answer for {name}")


def question(name: str, subnet: str, ident: int) -> bytes:
    """Return a query for A records with an EDNS client subnet option (RFC 1035 section 4.1, RFC 7871 section 6)."""
    network = ipaddress.ip_network(subnet)
    prefix = network.network_address.packed[: (network.prefixlen + 7) // 8]
    option = struct.pack("!HBB", 1 if network.version == 4 else 2, network.prefixlen, 0) + prefix
    option = struct.pack("!HH", ECS, len(option)) + option
    header = struct.pack("!6H", ident, 0, 1, 0, 0, 1)
    return (
        header
        + names.wire(name)
        + struct.pack("!HH", A, 1)
        + b"\0"
        + struct.pack("!HHIH", OPT, 1232, 0, len(option))
        + option
    )


def read(packet: bytes) -> Answer:
    """Return what an answer says. Raises `NoAnswer` for an error or a broken packet."""
    try:
        flags, questions, *sections = struct.unpack_from("!5H", packet, 2)
        if flags & 0xF:
            raise NoAnswer(f"the nameserver answers with rcode {flags & 0xF}")
        at, found, ttl_s, why = 12, set(), 0, ""
        for _ in range(questions):
            at = _after_name(packet, at) + 4
        for _ in range(sum(sections)):
            at = _after_name(packet, at)
            rtype, _, record_ttl_s, size = struct.unpack_from("!HHIH", packet, at)
            rdata = packet[at + 10 : at + 10 + size]
            at += 10 + size
            if at > len(packet):
                raise NoAnswer("the nameserver's answer is cut short")
            if rtype == A:
                found.add(str(ipaddress.IPv4Address(rdata)))
                ttl_s = record_ttl_s
            elif rtype == OPT:
                why = _reason(rdata)
    except (struct.error, IndexError, ValueError) as wrong:
        raise NoAnswer(f"the nameserver's answer cannot be read: {wrong}") from wrong
    return Answer(frozenset(found), ttl_s, why)


def _reason(options: bytes) -> str:
    """Return the text of the first EDE option, behind its two bytes of code; empty when there is none."""
    at = 0
    while at < len(options):
        code, size = struct.unpack_from("!HH", options, at)
        if code == EDE:
            return options[at + 6 : at + 4 + size].decode(errors="replace")
        at += 4 + size
    return ""


def _after_name(packet: bytes, at: int) -> int:
    while packet[at]:
        if packet[at] >= POINTER:
            return at + 2
        at += 1 + packet[at]
    return at + 1
