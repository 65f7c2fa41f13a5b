"""What others lose while one network floods, what half-open connections cost, and by how much answers are longer.

`python -m benchmarks.abuse [--seconds 5]` runs one worker with a rate limit on one core. Two hundred well-behaved
clients, each in a /24 of its own, ask ten times a second each, first alone, then while one /24 sends as fast as a core
can. Then 10,000 TCP connections are opened that never say a word. The last table is bytes out for bytes in.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks import servers
from gtm import names
from gtm.serve import udp
from gtm.wire import guard
from tests.wire import test_reliability_answers

CLIENTS, EACH_PER_S = 200, 10
HALF_OPEN = 10_000
# What is promised: what well-behaved clients keep under a flood, and by how much half-open connections delay them.
KEPT_SHARE, LATE_MS = 0.9, 20.0
MOST_TIMES = 10.0  # what docs/configuration.md shows
_OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
_NAME = names.wire("play.live.example.com.")


class Round(NamedTuple):
    """What well-behaved clients got: answers and how long they took, of so many questions."""

    asked: int
    took_ms: list[float]

    def share(self) -> float:
        """Return which part of the questions was answered."""
        return len(self.took_ms) / max(self.asked, 1)

    def late_ms(self) -> float:
        """Return the time that 99 of 100 answers do not pass."""
        return statistics.quantiles(self.took_ms, n=100)[98] if len(self.took_ms) > 1 else float("inf")


def question(ident: int) -> bytes:
    """Return a query for the one steered name."""
    return ident.to_bytes(2, "big") + b"\1\0\0\1\0\0\0\0\0\1" + _NAME + b"\0\1\0\1" + _OPT


def well_behaved(address: tuple[str, int], seconds: float) -> Round:
    """Ask from many networks, steadily; a question that is not answered within a second is lost."""
    clients = []
    for at in range(CLIENTS):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((f"127.1.{at}.1", 0))
        sock.connect(address)
        sock.setblocking(False)
        clients.append(sock)
    poll, sent_s, took_ms = select.poll(), {}, []
    for sock in clients:
        poll.register(sock, select.POLLIN)
    by_fd = {sock.fileno(): sock for sock in clients}
    begun_s, asked, every_s = time.monotonic(), 0, 1 / (CLIENTS * EACH_PER_S)
    while (now_s := time.monotonic()) < begun_s + seconds + 1:
        while asked * every_s < min(now_s - begun_s, seconds):
            sock = clients[asked % CLIENTS]
            with contextlib.suppress(BlockingIOError):
                sock.send(question(asked & 0xFFFF))
            sent_s[sock.fileno(), asked & 0xFFFF] = now_s
            asked += 1
        for fd, _ in poll.poll(1):
            with contextlib.suppress(BlockingIOError):
                reply = by_fd[fd].recv(2048)
                then_s = sent_s.pop((fd, int.from_bytes(reply[:2], "big")), None)
                if then_s is not None and not reply[2] & 2:
                    took_ms.append(1000 * (time.monotonic() - then_s))
    for sock in clients:
        sock.close()
    return Round(asked, took_ms)


def flood(host: str, port: int) -> None:
    """Send as fast as one core can, from many ports of one /24, and read nothing; for ever."""
    send_all = ctypes.CDLL(None).sendmmsg
    packets = [question(at) for at in range(udp.BATCH)]
    kept = [ctypes.create_string_buffer(packet, len(packet)) for packet in packets]
    pieces = (udp.Piece * len(packets))(*(udp.Piece(ctypes.addressof(one), len(one)) for one in kept))
    heads = (udp.Head * len(packets))()
    for at in range(len(packets)):
        heads[at].message.pieces = ctypes.addressof(pieces) + at * ctypes.sizeof(udp.Piece)
        heads[at].message.piece_count = 1
    socks = []
    for at in range(64):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind((f"127.9.9.{1 + at}", 0))
        sock.connect((host, port))
        socks.append(sock)
    while True:
        for sock in socks:
            send_all(sock.fileno(), ctypes.byref(heads), len(packets), 0)


@contextlib.contextmanager
def flooding(address: tuple[str, int], core: int) -> Iterator[None]:
    """Flood from another process while this lasts."""
    command = ["taskset", "-c", str(core), sys.executable, "-m", "benchmarks.abuse", "--flood", *map(str, address)]
    process = subprocess.Popen(command)
    time.sleep(1.0)  # until it is under way, and the limiter has had its second
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def half_open(address: tuple[str, int]) -> Iterator[int]:
    """Hold connections that never say a word, as many as the server lets stand; yield how many were opened."""
    socks = []
    for at in range(HALF_OPEN):
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((f"127.2.{at // 200}.{1 + at % 200}", 0))
        sock.connect_ex(address)
        socks.append(sock)
        if at % 50 == 0:
            time.sleep(0.002)  # a burst above the kernel's queue is the kernel's affair
    yield len(socks)
    for sock in socks:
        sock.close()


def amplification() -> list[str]:
    """Return a table: bytes out for bytes in, by kind of question, for a zone with one of each; last when bounded."""
    server, lines = test_reliability_answers.SERVER, []
    bounded = guard.Guard(None, None, most_times=MOST_TIMES).over(server.responder.answer, 0.0)
    kinds = (
        ("www", "A"), ("www", "TXT"), ("www", "ANY"), ("www", "MX"), ("nope", "A"), ("cname", "A"), ("https", "HTTPS"),
        ("deep.sub", "A"), ("deep.many", "A"), ("big", "TXT"), ("", "SOA"), ("", "NS"), ("", "AXFR"),
    )  # fmt: skip
    for name, rtype in kinds:
        asked = test_reliability_answers.packet_of(name, rtype)
        reply, cut = server.raw(asked) or b"", bounded(asked, 4, 1, "udp") or b""
        times, most = len(reply) / len(asked), len(cut) / len(asked)
        lines.append(f"  {name or '@':10} {rtype:6} {len(asked):4} in {len(reply):5} out {times:6.1f} {most:6.1f}")
    return lines


def tried(seconds: float) -> list[str]:
    """Measure once, say what was found, and return what is not as promised."""
    cores = sorted(os.sched_getaffinity(0))
    broken = []
    with servers.gtm("gtm-abuse.yaml", core=cores[-1]) as server:
        alone = well_behaved(server.address, seconds)
        with flooding(server.address, cores[0]):
            flooded = well_behaved(server.address, seconds)
        kept = flooded.share() / alone.share()
        with half_open(server.address) as opened:
            beside = well_behaved(server.address, seconds)
    rounds = (("alone", alone), ("while one /24 floods", flooded), (f"beside {opened:,} connections", beside))
    for word, one in rounds:
        rate, half_ms = len(one.took_ms) / seconds, statistics.median(one.took_ms or [0.0])
        print(
            f"{word:28} {rate:6.0f} answers a second ({100 * one.share():5.1f} % of what was asked), "
            f"half within {half_ms:5.1f} ms, 99 of 100 within {one.late_ms():6.1f} ms"
        )
    if kept < KEPT_SHARE:
        broken.append(f"under a flood {100 * kept:.0f} % is kept, less than {100 * KEPT_SHARE:.0f} %")
    if beside.late_ms() > alone.late_ms() + LATE_MS:
        broken.append(f"beside half-open connections an answer takes {beside.late_ms():.0f} ms")
    return broken


def main() -> None:
    """Measure; end with 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--flood", nargs=2, help="only flood this host and port")
    args = parser.parse_args()
    if args.flood:
        flood(args.flood[0], int(args.flood[1]))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, HALF_OPEN + 2000)), hard))
    broken = tried(args.seconds)
    print(f"bytes out for bytes in, over UDP, and with max_amplification: {MOST_TIMES:.0f}", *amplification(), sep="\n")
    sys.exit("\n".join(broken) or 0)


if __name__ == "__main__":
    main()
