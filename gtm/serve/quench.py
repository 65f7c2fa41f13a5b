"""Networks that flood in, a filter on our UDP sockets out: the kernel drops what would be dropped here, but cheaper.

A worker looks at some hundred thousand packets a second, and when more come, the kernel drops whatever finds the queue
full, whoever sent it. So of a network that floods far above the rate limit only a sample is let through (by a classic
BPF program, which needs no privilege): enough to see that it still floods, and to truncate an answer now and then.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
import sys
from collections.abc import Mapping, Sequence

from gtm.wire import limit, runtime

# Held back by one worker in a second. Below it the worker copes, and who is honest in that network is better served by
# truncated answers, which the limiter gives.
FLOOD_PER_S = 20_000
# The same in a second in which packets found the queue full: then others lose theirs, however slow this machine is.
FULL_PER_S = 1000
SAMPLED = 64  # of so many packets one is let through
MOST = 16  # networks at a time, of each family; the worst first
HOLD_S = 10.0  # so long the filter stays after the last second in which a network flooded

# SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_MEMINFO (asm-generic/socket.h); SK_MEMINFO_DROPS (linux/sock_diag.h).
_ATTACH, _DETACH, _MEMORY, _DROPS_AT = 26, 27, 55, 8
_ONE = struct.Struct("=HBBI")
# linux/filter.h: load a word at an offset, and with a constant, jump if equal, return.
_LOAD, _AND, _JUMP, _RETURN = 0x20, 0x54, 0x15, 0x06
_NET, _RANDOM = 0xFFF00000, 0xFFFFF000 + 56  # SKF_NET_OFF; SKF_AD_OFF + SKF_AD_RANDOM
_EVERYTHING = 0xFFFFFFFF
_SOURCE_AT = {4: 12, 6: 8}  # in the IP header

Network = tuple[int, int]  # the family, and the address without the bits behind its /24 or /56


def program(family: int, networks: Sequence[int]) -> bytes:
    """Return what lets through everything but these networks, and a sample of them (`struct sock_filter`s)."""
    tests: list[tuple[int, int, int, int]] = []
    size = 1 if family == 4 else 5
    first = [(_LOAD, 0, 0, _NET + _SOURCE_AT[4]), (_AND, 0, 0, 0xFFFFFF00)] if family == 4 else []
    for at, network in enumerate(networks):
        sample = (len(networks) - at - 1) * size + 1  # over the other tests and the return behind them
        if family == 4:
            tests.append((_JUMP, sample, 0, network << 8 & 0xFFFFFFFF))
        else:
            high, low = network >> 24, (network & 0xFFFFFF) << 8
            tests += [
                (_LOAD, 0, 0, _NET + _SOURCE_AT[6]), (_JUMP, 0, 3, high),
                (_LOAD, 0, 0, _NET + _SOURCE_AT[6] + 4), (_AND, 0, 0, 0xFFFFFF00), (_JUMP, sample, 0, low),
            ]  # fmt: skip
    last = [
        (_RETURN, 0, 0, _EVERYTHING),
        (_LOAD, 0, 0, _RANDOM), (_AND, 0, 0, SAMPLED - 1), (_JUMP, 0, 1, 0), (_RETURN, 0, 0, _EVERYTHING),
        (_RETURN, 0, 0, 0),
    ]  # fmt: skip
    return b"".join(_ONE.pack(*one) for one in (*first, *tests, *last))


def text(network: Network) -> str:
    """Return a network for people."""
    family, prefix = network
    bits = limit.PREFIX_BITS[family]
    base = prefix << runtime.WIDTH[family] - bits
    return str(ipaddress.IPv4Network((base, bits)) if family == 4 else ipaddress.IPv6Network((base, bits)))


class Quench:
    """The filters of one worker's sockets."""

    def __init__(self) -> None:
        self._socks: list[socket.socket] = []
        self._until_s: dict[Network, float] = {}
        self._lost = 0  # packets that found a queue full, or that a filter dropped

    def add(self, sock: socket.socket) -> None:
        """Take care of a socket. A worker before this one may have left its filter on it."""
        self._socks.append(sock)
        _set(sock, b"")
        self._lost = sum(map(_drops, self._socks))

    def forget(self) -> None:
        """Let go of all sockets; filters stay until somebody else takes care of them."""
        self._socks = []

    def look(self, held_per_s: Mapping[Network, float], now_s: float) -> list[Network]:
        """Set the filters by what was held back in the last second; return the networks that are newly filtered."""
        before, lost = set(self._until_s), sum(map(_drops, self._socks))
        enough, self._lost = FULL_PER_S if lost > self._lost else FLOOD_PER_S, lost
        for network, rate in held_per_s.items():
            if rate * (SAMPLED if network in before else 1) >= enough:
                self._until_s[network] = now_s + HOLD_S
        self._until_s = {network: until_s for network, until_s in self._until_s.items() if until_s > now_s}
        for family, kind in ((4, socket.AF_INET), (6, socket.AF_INET6)):
            worst = sorted(self._of(family), key=lambda one: -held_per_s.get(one, 0.0))
            for network in worst[MOST:]:
                del self._until_s[network]
            if set(worst[:MOST]) != {one for one in before if one[0] == family}:
                code = program(family, [network for _, network in worst[:MOST]]) if worst else b""
                for sock in self._socks:
                    if sock.family == kind:
                        _set(sock, code)
        return [network for network in self._until_s if network not in before]

    def _of(self, family: int) -> list[Network]:
        return [network for network in self._until_s if network[0] == family]


def _drops(sock: socket.socket) -> int:
    return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, _MEMORY, 64)[4 * _DROPS_AT :][:4], sys.byteorder)


def _set(sock: socket.socket, code: bytes) -> None:
    if code:
        kept = ctypes.create_string_buffer(code, len(code))
        head = struct.pack("HP", len(code) // _ONE.size, ctypes.addressof(kept))  # struct sock_fprog
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH, head)
        return
    try:
        sock.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
    except FileNotFoundError:
        return  # there was none
