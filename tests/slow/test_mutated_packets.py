"""A million damaged packets in; answers or silence, flat memory and no word in the log out (semantics E8)."""

from __future__ import annotations

import ctypes
import gc
import random
import socket
import threading
import time
from pathlib import Path

import dns.message
import pytest

from gtm.wire import cookies, extras, respond
from tests.fuzz import damage
from tests.slow import chaos, hosts
from tests.slow.test_chaos import said
from tests.wire import test_any_bytes, world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

IN_PROCESS, OVER_SOCKETS = 1_000_000, 100_000
GROWTH_MIB = 8.0
WARM_SHARE = 5  # memory is measured from the first fifth on: imports are done, and caches have most of what they hold
SEED = 20261122  # printed with every failure by pytest; another one is another million


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) / 256


def test_E8_a_million_damaged_packets_leave_memory_flat_and_raise_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(SEED)
    server = world.Server(test_any_bytes.TABLE)
    jar = cookies.Jar((bytes(16),), 1_700_000_000)
    server.responder = respond.Responder(test_any_bytes.TABLE, seed=1, more=extras.Extras(jar))
    senders = [world.number(one) for one in ("198.51.100.9", "203.0.113.200", "127.0.0.1", "2001:db8::1")]
    seeds = damage.whole(chance, test_any_bytes.ASKED)
    began_s, answered, checked, base_mib = time.monotonic(), 0, 0, 0.0
    for number, packet in enumerate(damage.damaged(chance, seeds, IN_PROCESS)):
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
    seeds = damage.whole(chance, names)
    packets = list(damage.damaged(chance, seeds, OVER_SOCKETS))
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
