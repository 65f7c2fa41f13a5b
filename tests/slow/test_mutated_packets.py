"""A million damaged packets in; answers or silence, flat memory and no word in the log out (semantics E8)."""

from __future__ import annotations

import ctypes
import gc
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import pytest

from gtm.wire import cookies, extras, respond
from tests.slow import chaos, hosts
from tests.slow.test_chaos import said
from tests.wire import test_any_bytes, test_subnet, world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

IN_PROCESS, OVER_SOCKETS = 1_000_000, 100_000
GROWTH_MIB = 8.0
WARM_SHARE = 5  # memory is measured from the first fifth on: imports are done, and caches have most of what they hold
SEED = 20261122  # printed with every failure by pytest; another one is another million
FLAGS = (0, 0x0100, 0x0120, 0x0110, 0x0200, 0x8000, 0x0800, 0x2800, 0x010F, 0xFFFF)


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) / 256


def whole(chance: random.Random, names: list[str]) -> list[bytes]:
    """Return questions of every sort, undamaged: names, types, classes, OPT records and options."""
    options = [
        b"",
        test_subnet.ecs(1, 24, 0, b"\xcb\0\x71"),
        test_subnet.ecs(2, 48, 0, b"\x20\x01\x0d\xb8\0\5"),
        b"\0\3\0\0",
        b"\0\x0a\0\x0812345678",
        b"\0\x0a\0\x1812345678\1\0\0\0" + bytes(12),
        b"\0\x0b\0\0\0\x0c\0\3abc",
        b"\0\x0a\0\x0812345678" + test_subnet.ecs(1, 24, 0, b"\xcb\0\x71"),
    ]
    found = []
    for _ in range(4000):
        asked = test_any_bytes.question(
            chance.choice(names), chance.choice((1, 28, 16, 6, 255, 41, 252, 65)), chance.choice((1, 1, 1, 3))
        )
        opt = chance.choice(
            (b"", test_any_bytes.record(chance.choice((0, 512, 1232, 65535)), 0, 0, chance.choice(options)))
        )
        found.append(test_any_bytes.packet(chance.choice(FLAGS), asked, opt, b""))
    return found


def damaged(chance: random.Random, seeds: list[bytes], count: int) -> Iterator[bytes]:
    """Yield packets with bytes changed, cut out, put in, cut off, or two of them grown together."""
    below, pick = chance.random, chance.choice
    for _ in range(count):
        packet = bytearray(pick(seeds))
        how = below()
        if how < 0.1:
            packet = packet[: int(below() * len(packet))] + pick(seeds)[int(below() * 40) :]
        elif how < 0.2:
            del packet[int(below() * len(packet)) :]
        for _ in range(1 + int(below() * 3)):
            at = int(below() * (len(packet) + 1))
            packet[at : at + int(below() * 3)] = chance.randbytes(int(below() * 4))
        yield bytes(packet)


def test_E8_a_million_damaged_packets_leave_memory_flat_and_raise_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(SEED)
    server = world.Server(test_any_bytes.TABLE)
    jar = cookies.Jar((bytes(16),), 1_700_000_000)
    server.responder = respond.Responder(test_any_bytes.TABLE, seed=1, more=extras.Extras(jar))
    senders = [world.number(one) for one in ("198.51.100.9", "203.0.113.200", "127.0.0.1", "2001:db8::1")]
    seeds = whole(chance, test_any_bytes.ASKED)
    began_s, answered, checked, base_mib = time.monotonic(), 0, 0, 0.0
    for number, packet in enumerate(damaged(chance, seeds, IN_PROCESS)):
        transport = "tcp" if number % 8 == 0 else "udp"
        reply = server.responder.answer(packet, *senders[number & 3], transport)
        silence = len(packet) < 12 or packet[2] & 0x80
        assert (reply is None) == bool(silence), (number, packet)
        if reply is not None:
            answered += 1
            assert reply[:2] == packet[:2], (number, packet)
            assert len(reply) <= 1232 or transport == "tcp", (number, packet)
            if number % 16 == 0:  # reading costs fifty times as much as answering
                checked += 1
                assert test_any_bytes.is_well_formed(packet, reply, transport), (number, packet)
        if number % 20_000 == 0:  # a worker does so every second
            server.responder.drain_counts()
        if number == IN_PROCESS // WARM_SHARE:
            gc.collect()
            base_mib = resident_mib()
    gc.collect()
    growth_mib = resident_mib() - base_mib
    took_s = time.monotonic() - began_s
    said(
        capsys,
        "damaged packets in process",
        f"{IN_PROCESS} in {took_s:.0f} s, {answered} answered, {checked} read by dnspython, {growth_mib:+.1f} MiB",
    )
    assert growth_mib < GROWTH_MIB


def test_E8_damaged_packets_over_sockets_restart_no_worker_and_fill_no_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED + 1)
    names = [chaos.PLAY, chaos.STATIC, "live.example.com.", "nope.live.example.com.", "example.org.", "."]
    seeds = whole(chance, names)
    packets = list(damaged(chance, seeds, OVER_SOCKETS))
    with chaos.world("mutated", tmp_path) as node:
        node.serve()
        node.ready()
        workers = node.pids("worker")
        base_mib = 0.0
        began_s = time.monotonic()
        with node.asked() as heard:
            for part in range(4):
                piece = packets[part * OVER_SOCKETS // 4 : (part + 1) * OVER_SOCKETS // 4]
                fire(node, piece)
                if part == 0:
                    base_mib = node.resident_mib("worker")
            tcp(node, packets[:2000])
        took_s = time.monotonic() - began_s
        growth_mib = node.resident_mib("worker") - base_mib
        found = chaos.judged(heard(), (0, set(chaos.ADDRESSES)), lost=5)
        said(capsys, "over sockets", f"{OVER_SOCKETS} in {took_s:.0f} s, {growth_mib:+.1f} MiB; {found.figures()}")
        assert node.pids("worker") == workers
        assert growth_mib < GROWTH_MIB
        assert "Traceback" not in node.log()
        assert node.metric("gtm_worker_restarts_total") == 0
        counted = node.run("curl", "-s", f"http://{chaos.WEB}/metrics")
        assert 'reason="internal"' not in counted


def inside(node: hosts.Namespace, family: int, kind: int) -> socket.socket:
    """Return a socket of the node's network, made by a thread that enters it for as long."""
    made: list[socket.socket] = []

    def enter() -> None:

        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/run/netns/{node.name}").open("rb") as place:
            assert libc.setns(place.fileno(), 0x40000000) == 0  # CLONE_NEWNET
        made.append(socket.socket(family, kind))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return made[0]


def fire(node: hosts.Namespace, packets: list[bytes]) -> None:
    """Send packets from many ports, with a breath now and then so that the kernel drops none."""
    ends = [inside(node, socket.AF_INET, socket.SOCK_DGRAM) for _ in range(16)]
    for end in ends:
        end.connect((chaos.DNS, 53))
        end.setblocking(False)
    good = dns.message.make_query(chaos.PLAY, "A", id=0x4242).to_wire()
    for at in range(0, len(packets), 200):
        for number, packet in enumerate(packets[at : at + 200]):
            ends[number & 15].send(packet)
        for end in ends:  # once this one is answered, all before it were taken
            end.send(good)
        for end in ends:
            drained(end, good[:2])
    for end in ends:
        end.close()


def drained(end: socket.socket, ident: bytes) -> None:
    """Take what has come until the answer with this id."""
    end.settimeout(5)
    while end.recv(4096)[:2] != ident:
        continue
    end.setblocking(False)


def tcp(node: hosts.Namespace, packets: list[bytes]) -> None:
    """Send packets over TCP, forty a connection, cut anywhere, and hang up without reading all."""
    for at in range(0, len(packets), 40):
        stream = b"".join(len(one).to_bytes(2, "big") + one for one in packets[at : at + 40])
        with inside(node, socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.settimeout(5)
            sock.connect((chaos.DNS, 53))
            cut = at * 7 % len(stream)
            try:
                sock.sendall(stream[:cut])
                sock.sendall(stream[cut:])
            except ConnectionError:
                continue  # hung up on: that is an answer too
