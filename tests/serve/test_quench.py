"""Floods that the kernel drops: who is filtered, how much comes through, and that nobody else feels it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from gtm.serve import quench

SENT = 1000
FLOOD_V4 = (4, int.from_bytes(bytes((127, 9, 9))))
FLOOD_V6 = (6, 0)  # ::/56, where loopback is


@pytest.fixture
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, quench.Quench]]:
    """A socket that is taken care of."""
    kind, host = request.param if hasattr(request, "param") else (socket.AF_INET, "127.0.0.1")
    sock = socket.socket(kind, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    sock.bind((host, 0))
    sock.setblocking(False)
    one = quench.Quench()
    one.add(sock)
    yield sock, one
    sock.close()


def arrived(at: socket.socket, source: str) -> int:
    """Send SENT datagrams from `source`, in parts that the queue holds; return how many came."""
    came = 0
    with socket.socket(at.family, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        for _ in range(SENT // 50):
            for _ in range(50):
                sender.sendto(b"question", at.getsockname())
            while True:
                try:
                    at.recv(100)
                except BlockingIOError:
                    break
                came += 1
    return came


def test_of_a_network_that_floods_a_sample_comes_through_and_of_others_everything(
    pair: tuple[socket.socket, quench.Quench],
) -> None:
    sock, one = pair
    others = {(4, 1000 + at): 10.0**6 for at in range(5)}
    assert one.look({FLOOD_V4: quench.FLOOD_PER_S - 1}, 0.0) == []
    assert arrived(sock, "127.9.9.1") == SENT
    assert set(one.look({FLOOD_V4: quench.FLOOD_PER_S, **others}, 1.0)) == {FLOOD_V4, *others}
    assert 0 < arrived(sock, "127.9.9.200") < SENT / 10
    assert arrived(sock, "127.9.8.1") == SENT


@pytest.mark.parametrize("pair", [(socket.AF_INET6, "::1")], indirect=True)
def test_an_ipv6_network_is_its_first_56_bits(pair: tuple[socket.socket, quench.Quench]) -> None:
    sock, one = pair
    others = {(6, at + 1 << 24 | 5): 10.0**6 for at in range(3)}
    one.look(others, 0.0)
    assert arrived(sock, "::1") == SENT
    one.look({FLOOD_V6: 10.0**6, **others}, 1.0)
    assert 0 < arrived(sock, "::1") < SENT / 10


def test_a_filter_stays_while_the_sample_says_so_and_is_lifted_afterwards(
    pair: tuple[socket.socket, quench.Quench],
) -> None:
    sock, one = pair
    assert one.look({FLOOD_V4: 10.0**6}, 0.0) == [FLOOD_V4]
    assert one.look({FLOOD_V4: quench.FLOOD_PER_S / quench.SAMPLED}, 9.0) == []
    one.look({}, 18.0)
    assert arrived(sock, "127.9.9.1") < SENT / 10
    one.look({}, 19.0)
    assert arrived(sock, "127.9.9.1") == SENT


def test_G6_so_many_networks_are_filtered_and_no_more_the_worst_first(
    pair: tuple[socket.socket, quench.Quench],
) -> None:
    sock, one = pair
    told = {(4, 5000 + at): 10.0**6 + at for at in range(100)}
    found = one.look({FLOOD_V4: 10.0**7, **told}, 0.0)
    assert len(found) == quench.MOST
    assert FLOOD_V4 in found
    assert arrived(sock, "127.9.9.1") < SENT / 10


def test_when_the_queue_is_full_less_is_a_flood(pair: tuple[socket.socket, quench.Quench]) -> None:
    sock, one = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(20_000):
            sender.sendto(bytes(1000), sock.getsockname())
    assert one.look({FLOOD_V4: quench.FULL_PER_S - 1.0, (4, 1): float(quench.FULL_PER_S)}, 0.0) == [(4, 1)]
    assert one.look({FLOOD_V4: quench.FULL_PER_S}, 1.0) == []


def test_a_network_is_told_as_people_write_it() -> None:
    assert quench.text(FLOOD_V4) == "127.9.9.0/24"
    assert quench.text((6, 0x20010DB8000000)) == "2001:db8::/56"


def test_who_takes_over_a_socket_takes_its_filter_off(pair: tuple[socket.socket, quench.Quench]) -> None:
    sock, one = pair
    one.look({FLOOD_V4: 10.0**6}, 0.0)
    quench.Quench().add(sock)
    assert arrived(sock, "127.9.9.1") == SENT
