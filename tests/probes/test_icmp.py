"""The icmp kind: by a stand-in for the kernel's echo, and for real where this machine permits it."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm.probes import icmp, prober
from tests.probes.probe_servers import make, run


def permitted() -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
        except PermissionError:
            continue
        return True
    return False


async def test_loopback_answers_or_the_machine_says_that_it_may_not_ask() -> None:
    result = await run(make("icmp", interval=0.0))
    if permitted():
        assert (result.ok, result.measures["loss"]) == (True, 0)
        assert 0 < float(result.measures["rtt"]) <= float(result.measures["rtt.max"]) < 2
    else:
        assert (result.ok, result.reason.partition(":")[0]) == (None, "not permitted to ping")


async def test_A7_a_machine_that_may_not_ping_does_not_blame_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> socket.socket:
        raise PermissionError

    monkeypatch.setattr(socket, "socket", forbidden)
    result = await run(make("icmp"))
    assert result.ok is None
    assert result.reason == "not permitted to ping: needs net.ipv4.ping_group_range or CAP_NET_RAW"


class Echo:
    """Stands in for the kernel's echo: what is sent comes back over UDP, among noise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lose: tuple[int, ...] = (), stall_s: float = 0.0) -> None:
        self.lose, self.stall_s = lose, stall_s
        self.packets: list[bytes] = []
        monkeypatch.setattr(icmp._Ping, "_open", self.open)
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_sendto", self.send)

    def open(self) -> socket.socket:
        self.hears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.hears.bind(("127.0.0.1", 0))
        self.hears.setblocking(False)
        return self.hears

    async def send(self, _: socket.socket, packet: bytes, address: tuple[str, int]) -> int:
        kind, code, _, identifier, number = struct.unpack_from("!BBHHH", packet)
        assert (kind, code) == (8, 0)
        assert icmp.checksum(packet) == 0
        self.packets.append(packet)
        reply = struct.pack("!BBHHH", 0, 0, 0, identifier, number) + packet[8:]
        foreign = struct.pack("!BBHHH", 0, 0, 0, 0, 999) + packet[8:]
        noise = (b"", b"\0" * 5, reply[:8] + b"x" * 56, packet, foreign)
        asyncio.get_running_loop().call_soon(self.come, noise if number in self.lose else (*noise, reply))
        return len(packet)

    def come(self, packets: tuple[bytes, ...]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as says:
            for one in packets:
                says.sendto(one, self.hears.getsockname())
        time.sleep(self.stall_s)  # the process stands still


def hurried(left_s: float) -> prober.Prober:
    """Return the kind with a clock by which so much is left of ten seconds when the echo requests go out.

    The probe's own limit is far away then, and a machine that is busy cannot reach it first.
    """
    return prober.Prober(icmp.KIND, icmp.look, monotonic=itertools.chain([0.0], itertools.repeat(10 - left_s)).__next__)


async def test_replies_are_told_from_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    echo = Echo(monkeypatch)
    result = await run(make("icmp", count=4, interval=0.0, size=100))
    assert (result.ok, result.measures["loss"]) == (True, 0)
    assert [len(packet) for packet in echo.packets] == [108] * 4


async def test_lost_packets_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    Echo(monkeypatch, lose=(1,))
    result = await hurried(0.3).run(make("icmp", count=4, interval=0.0), {})
    assert (result.ok, result.measures["loss"]) == (True, 0.25)


async def test_no_reply_at_all_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    Echo(monkeypatch, lose=(0, 1))
    result = await hurried(0.1).run(make("icmp", count=2, interval=0.0), {})
    assert (result.ok, result.reason) == (False, "no reply to 2 echo requests")
    assert result.measures["loss"] == 1


async def test_A7_replies_that_came_while_the_process_stood_still_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    Echo(monkeypatch, stall_s=0.05)
    result = await hurried(0.01).run(make("icmp", count=1), {})
    assert (result.ok, result.measures["loss"]) == (True, 0)


@given(st.binary(min_size=2, max_size=64))
def test_a_packet_with_its_checksum_in_it_sums_to_zero(data: bytes) -> None:
    even = data + bytes(len(data) % 2)
    assert icmp.checksum(even + icmp.checksum(even).to_bytes(2, "big")) == 0
