"""A node under soak in, the same node with everything full that it keeps of what it was asked out.

What grows in a node that is asked nonsense are its caches, each with its bound (docs/architecture.md, Bounds): some
fill within minutes, some within an hour. Memory can only be said to be flat, or not, when they are full.
"""

from __future__ import annotations

import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from gtm import names
from gtm.serve import tap
from gtm.wire import cookies, edns, query, respond

# A TXT record set as long as a message may be: a few of them fill the ring in which answers are shown.
BIG = [f"{number:03}" + 250 * "x" for number in range(240)]
_AT_ONCE = 64  # so many are under way, so that none is lost
_PATIENCE_S = 60.0
_A, _TXT, _IN = 1, 16, 1


def warm(address: tuple[str, int], family: Sequence[int], steered: str, wildcard: str, big: str) -> None:
    """Fill the caches of one worker at `address` to their bounds, with the longest that they take.

    `steered` is a name whose answers depend on the client, `wildcard` what stands below a wildcard's star, `big` has
    the records of BIG. `family` are the node's processes: the ring is full when the memory that they share is.
    """
    for sort in (_questions(wildcard), _subnets(steered), _cookies(steered)):
        _ask_all(address, sort)
    _fill_the_ring(address, family, big)


def _questions(wildcard: str) -> Iterator[bytes]:
    room = query.MAX_NAME_BYTES - len(names.wire(wildcard)) - 7
    longest = ".".join("y" * min(63, room - at - 1) for at in range(0, room - 1, 64))
    for number in range(respond.MAX_KNOWN):
        yield _question(f"{number:06}.{longest}.{wildcard}", _A)


def _subnets(steered: str) -> Iterator[bytes]:
    for number in range(respond.MAX_MET):
        option = struct.pack(">HBB", 2, 128, 0) + (0x20010DB8 << 96 | number).to_bytes(16)
        yield _question(steered, _A, edns.SUBNET, option)


def _cookies(steered: str) -> Iterator[bytes]:
    for number in range(cookies.MAX_KEPT):
        yield _question(steered, _A, edns.COOKIE, number.to_bytes(cookies.LONGEST))


def _question(name: str, kind: int, option: int = 0, data: bytes = b"") -> bytes:
    opt = b""
    if option:
        opt = struct.pack(">BHHIHHH", 0, edns.OPT, edns.MAX_UDP_BYTES, 0, len(data) + 4, option, len(data)) + data
    return struct.pack(">6H", 7, 0x0100, 1, 0, 0, bool(opt)) + names.wire(name) + struct.pack(">HH", kind, _IN) + opt


def _ask_all(address: tuple[str, int], packets: Iterable[bytes]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(_PATIENCE_S)
        sock.connect(address)
        while some := list(itertools.islice(packets, _AT_ONCE)):
            for packet in some:
                sock.send(packet)
            for _ in some:
                sock.recv(edns.MAX_UDP_BYTES)


def _fill_the_ring(address: tuple[str, int], family: Sequence[int], big: str) -> None:
    """Ask for what is big until both ends of the ring have been at each of its bytes."""
    asked = _question(big, _TXT)
    message = len(asked).to_bytes(2) + asked

    def both_have_it() -> bool:
        return sum(_shared_bytes(pid) >= tap.RING_BYTES for pid in family) >= 2

    def ask() -> None:
        with socket.create_connection(address, _PATIENCE_S) as sock, sock.makefile("rb") as file:
            sock.sendall(message)
            length = int.from_bytes(file.read(2))
            if length < sum(map(len, BIG)) or len(file.read(length)) != length:
                raise RuntimeError(f"{big} is not what it should be")

    _until(both_have_it, ask)


def _until(done: Callable[[], bool], do: Callable[[], None]) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > until_s:
            raise TimeoutError("the ring is not full")
        do()


def _shared_bytes(pid: int) -> int:
    """Return how much of the memory that it shares with others a process has touched."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.partition("RssShmem:")[2].split()[0])
