"""Addresses in, bound sockets out: for every worker its own UDP socket and TCP listener on every address."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# Linux values that Python 3.11 has no names for (linux/in.h, linux/in6.h, asm-generic/socket.h).
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE = 10, 23, 3
_IP_PKTINFO, _SO_RCVBUFFORCE = 8, 33
# Room for what arrives while a worker restarts: about 0.3 s at 20,000 packets/s of 700 bytes of kernel memory each.
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
BACKLOG = 1024  # as many as may be open in all when nothing else is written: a burst of them waits in the kernel
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104
STORED = "gtm-dns"  # the name under which systemd keeps our sockets for the next start
_PORT_TRIES = 20  # a number that is free for UDP is nearly always free for TCP


PLAIN, TLS, PROXY = "", "tls", "proxy"  # what is spoken on an address: DNS, or DNS inside of something
# An address, a port, and what is spoken there.
Place = tuple[str, int] | tuple[str, int, str]


class Bound(NamedTuple):
    """What one worker answers on for one address."""

    udp: socket.socket | None
    tcp: socket.socket | None
    kind: str = PLAIN


class Cannot(Exception):
    """An address cannot be listened on; the text says which and why."""


def open_all(listen: Sequence[Place], workers: int) -> list[list[Bound]]:
    """Return for each worker the sockets of each address. Port 0 picks one that is free for UDP and TCP.

    The very first socket is bound alone and becomes shareable afterwards, so a second node on the same port is
    refused, where SO_REUSEPORT from the start would let it take half of the questions. Raises `Cannot`.
    """
    by_address = [_open_address(one[0], one[1], workers, _kind(one)) for one in listen]
    return [list(row) for row in zip(*by_address, strict=True)]


def _kind(place: Place) -> str:
    return place[2] if len(place) > 2 else PLAIN


def _open_address(host: str, port: int, workers: int, kind: str) -> list[Bound]:
    if kind == TLS:
        return _open_streams(host, port, workers)
    for attempt in range(_PORT_TRIES):
        opened: list[socket.socket] = []
        try:
            udp = _socket(host, socket.SOCK_DGRAM, opened)
            udp.bind((host, port))
            number = udp.getsockname()[1]
            tcp = _socket(host, socket.SOCK_STREAM, opened)
            tcp.bind((host, number))
            tcp.listen(BACKLOG)
            for first in (udp, tcp):
                first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            return [Bound(udp, tcp, kind), *(_another(host, number, opened, kind) for _ in range(workers - 1))]
        except OSError as error:
            for sock in opened:
                sock.close()
            if port == 0 and error.errno == errno.EADDRINUSE and attempt + 1 < _PORT_TRIES:
                continue  # free for UDP, not for TCP: let the kernel pick another
            raise _cannot(host, port, error) from error
    raise AssertionError("the last attempt returns or raises")


def _open_streams(host: str, port: int, workers: int) -> list[Bound]:
    """Return listeners alone, for what has no datagrams."""
    opened: list[socket.socket] = []
    try:
        first = _socket(host, socket.SOCK_STREAM, opened)
        first.bind((host, port))
        first.listen(BACKLOG)
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        number = first.getsockname()[1]
        others = (_one_more(host, number, socket.SOCK_STREAM, opened) for _ in range(workers - 1))
        return [Bound(None, sock, TLS) for sock in (first, *others)]
    except OSError as error:
        for sock in opened:
            sock.close()
        raise _cannot(host, port, error) from error


def _cannot(host: str, port: int, error: OSError) -> Cannot:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Cannot(f"cannot listen on {where}: {error.strerror or error}")


def _another(host: str, port: int, opened: list[socket.socket], kind: str) -> Bound:
    udp, tcp = (_one_more(host, port, one, opened) for one in (socket.SOCK_DGRAM, socket.SOCK_STREAM))
    return Bound(udp, tcp, kind)


def _one_more(host: str, port: int, kind: socket.SocketKind, opened: list[socket.socket]) -> socket.socket:
    sock = _socket(host, kind, opened)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((host, port))
    if kind == socket.SOCK_STREAM:
        sock.listen(BACKLOG)
    return sock


def _socket(host: str, kind: socket.SocketKind, opened: list[socket.socket]) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    opened.append(sock)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_STREAM:
        # A port with old connections in TIME_WAIT is free for us; one that somebody listens on is not.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    else:
        _prepare_udp(sock, everywhere=host in EVERYWHERE)
    return sock


def _prepare_udp(sock: socket.socket, *, everywhere: bool) -> None:
    """Set what every UDP socket of ours wants. `everywhere`: it must tell which of our addresses was asked."""
    # RFC 9715 section 3.1 (R1, R2): never fragment. PROBE rather than DO: a forged "too big" then changes nothing.
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, everywhere)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, everywhere)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    except PermissionError:  # then as much as net.core.rmem_max allows
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


def take(passed: Sequence[tuple[str, socket.socket]], listen: Sequence[Place], workers: int) -> list[list[Bound]]:
    """Return for each worker its sockets: those that were passed by name, and new ones for what is missing.

    Sockets of a socket unit decide alone what plain DNS is listened on; all workers share them. Those whose name
    (FileDescriptorName=) is `tls` or `proxy` are for that. Sockets of our own (`STORED`),
    left with systemd by the process before this one, are used where the configuration still wants their address;
    the others are closed. Raises `Cannot`.
    """
    given = [sock for name, sock in passed if name != STORED]
    ours = [sock for name, sock in passed if name == STORED]
    if given:
        kinds = {sock: name for name, sock in passed if name in {TLS, PROXY}}
        missing = [one for one in listen if _kind(one) and _kind(one) not in kinds.values()]
        return _joined(deal(given, workers, kinds), missing, workers)
    wanted = [sock for sock in ours if _is_wanted(sock, listen)]
    for sock in ours:
        if sock not in wanted:
            sock.close()
    there = [sock.getsockname()[:2] for sock in wanted]
    missing = [one for one in listen if not any(one[0] == a and one[1] in {0, b} for a, b in there)]
    kinds = {sock: _kind(one) for sock in wanted for one in listen if (one[0], one[1]) == sock.getsockname()[:2]}
    return _joined(deal(wanted, workers, kinds), missing, workers)


def _joined(old: list[list[Bound]], missing: Sequence[Place], workers: int) -> list[list[Bound]]:
    new = open_all(missing, workers) if missing else [[] for _ in range(workers)]
    return [row + more for row, more in zip(old, new, strict=True)]


def own(bound: Sequence[Sequence[Bound]], passed: Sequence[tuple[str, socket.socket]]) -> list[socket.socket]:
    """Return every socket that is ours to leave with systemd: not those of a socket unit."""
    given = [sock for name, sock in passed if name != STORED]
    return list(dict.fromkeys(sock for row in bound for one in row for sock in one[:2] if sock and sock not in given))


def _is_wanted(sock: socket.socket, listen: Sequence[Place]) -> bool:
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    host, port = sock.getsockname()[:2]
    return any(host == one[0] and port == (one[1] or port) for one in listen)


def deal(
    passed: Sequence[socket.socket], workers: int, kinds: Mapping[socket.socket, str] | None = None
) -> list[list[Bound]]:
    """Deal sockets out to the workers so that each socket is read, and each worker reads on each address.

    Several on one address are one SO_REUSEPORT group, a queue each: where there are fewer than workers they are
    shared, where there are more some worker has two. Raises `Cannot` for what is neither UDP nor a TCP listener.
    """
    groups: dict[tuple[int, str, int], list[Bound]] = {}
    for sock in passed:
        if sock.family not in {socket.AF_INET, socket.AF_INET6}:
            raise Cannot("systemd passed a socket that is not an internet socket")
        sock.setblocking(False)
        host, port = sock.getsockname()[:2]
        if sock.type == socket.SOCK_DGRAM:
            _prepare_udp(sock, everywhere=host in EVERYWHERE)
            one = Bound(sock, None, (kinds or {}).get(sock, PLAIN))
        else:
            one = Bound(None, sock, (kinds or {}).get(sock, PLAIN))
        groups.setdefault((sock.type, str(host), int(port)), []).append(one)
    rows: list[list[Bound]] = []
    for number in range(workers):
        mine = [group[number::workers] or [group[number % len(group)]] for group in groups.values()]
        rows.append([one for some in mine for one in some])
    return rows


def fds_of(row: Sequence[Bound]) -> list[tuple[int, int]]:
    """Return a worker's sockets as descriptors (-1: none)."""
    return [(udp.fileno() if udp else -1, tcp.fileno() if tcp else -1) for udp, tcp, _ in row]


def kinds_of(row: Sequence[Bound]) -> list[str]:
    """Return what is spoken on each of a worker's sockets."""
    return [one.kind for one in row]


def of_fds(
    rows: Sequence[Sequence[tuple[int, int]]], kinds: Sequence[Sequence[str]] | None = None
) -> list[list[Bound]]:
    """Return sockets for each worker from descriptors (-1: none). A descriptor that several share is one socket.

    Without `kinds`, as a version before this one tells it, all are plain.
    """
    made = {fd: socket.socket(fileno=fd) for fd in {fd for row in rows for pair in row for fd in pair} - {-1}}
    known = kinds or [[PLAIN] * len(row) for row in rows]
    return [
        [Bound(made.get(udp), made.get(tcp), kind) for (udp, tcp), kind in zip(row, of, strict=True)]
        for row, of in zip(rows, known, strict=True)
    ]


def addresses(row: Sequence[Bound], kind: str = PLAIN) -> list[tuple[str, int]]:
    """Return the different addresses that these sockets are bound to, in order: those where `kind` is spoken."""
    names = [
        sock.getsockname()[:2]
        for bound in row
        for sock in (bound.udp, bound.tcp)
        if sock is not None and bound.kind == kind
    ]
    return list(dict.fromkeys((str(host), int(port)) for host, port in names))
