"""A node and minutes in, what damaged packets at full speed did to it out: its memory, its answers, its processes.

`python -m tests.fuzz.soak --minutes 5` sends new damage as fast as one core makes it, over UDP, and over TCP cut
anywhere, while somebody well-behaved asks ten times a second. It ends with 1 when memory is not flat, a process was
started anew, anything went wrong inside, or an answer was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import itertools
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks import servers
from gtm.serve import udp
from tests.fuzz import damage, warm

CONFIG = """
node: soak
dns: {listen: ["127.0.0.1:0"], workers: 1, rate_limit: {responses_per_second: 1000, exempt: [127.0.0.1/32]}}
web: {listen: "127.0.0.1:@WEB@"}
store: "memory:"
endpoints: {a: {address: [192.0.2.1, "2001:db8::1"]}, b: {address: [192.0.2.2, "2001:db8::2"]}}
pools:
  p: {members: [a], check: none}
  q: {members: [b], check: none}
  s: {members: [a, b], balance: sticky, check: none}
zones:
  live.example.com:
    nameservers: {ns1: 127.0.0.1}
    records: {www: {TXT: "a text"}, big: {TXT: @BIG@}, sub: {NS: ns.sub}, ns.sub: {A: 192.0.2.53}}
    steer:
      play: {rules: [{for: [203.0.113.0/24], try: [q]}, {try: [p]}], https: {alpn: [h2]}, srv: {_rtmp._tcp: 1935}}
      "*.ch": {try: [s]}
"""
NAMES = (
    "play.live.example.com.", "x.ch.live.example.com.", "www.live.example.com.", "live.example.com.", "example.org.",
    ".", "nope.live.example.com.", "a.sub.live.example.com.", "_rtmp._tcp.play.live.example.com.",
)  # fmt: skip
# All that is kept of questions is full before the first packet (`warm`); the allocator has taken what it ever will
# after a fifth of the time. From then on the most that there ever was may be so much above what there was: tables are
# made anew as they fill again, in other places.
WARM_SHARE, GROWTH_MIB = 5, 3.0
POLITE_S = 0.1
# Of the polite questions. More comes than one worker can take, so the kernel's queue is full, and loses.
LOST = 0.5
# What is refused is written down once in ten seconds; what goes wrong, once a second.
LINES_AT_FIRST, LINES_A_SECOND = 20, 0.5


class Found(NamedTuple):
    """What a soak found. Memory of all processes, when it was warm, at its most and at the end."""

    sent: int
    taken: int
    connections: int
    polite: int
    answered: int
    wrong: int
    warm_mib: float
    most_mib: float
    last_mib: float
    anew: bool
    internal: bool
    log: str
    seconds: float

    def text(self) -> str:
        """Return the figures in a line."""
        return (
            f"{self.sent:,} packets sent, {self.taken:,} taken, {self.connections:,} connections; resident "
            f"{self.warm_mib:.1f} MiB when warm, {self.most_mib:.1f} at most, {self.last_mib:.1f} at the end; "
            f"{self.answered} of {self.polite} polite questions answered"
        )

    def broken(self) -> list[str]:
        """Return what is not as it must be."""
        found = {
            "a process was started anew": self.anew,
            "something went wrong inside": self.internal,
            f"{self.wrong} answers are wrong": self.wrong > 0,
            "memory is not flat": self.most_mib > self.warm_mib + GROWTH_MIB,
            "polite questions are lost": self.answered < self.polite * (1 - LOST),
            "the log is not held back": self.log.count("\n") > LINES_AT_FIRST + LINES_A_SECOND * self.seconds,
        }
        broken = [words for words, is_so in found.items() if is_so]
        return [*broken, self.log[-3000:]] if broken else []


def fire(host: str, port: int, seed: int) -> None:
    """Send damage until the pipe that is our stdin ends; then say how many packets and connections there were."""
    dice, send_all = random.Random(seed), ctypes.CDLL(None).sendmmsg
    seeds = damage.whole(dice, NAMES)
    socks = []
    for at in range(64):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # nobody reads the answers
        sock.bind((f"127.5.{at}.1", 0))
        sock.connect((host, port))
        socks.append(sock)
    os.set_blocking(0, False)
    sent = connections = 0
    for number in itertools.count():
        packets = list(damage.damaged(dice, seeds, udp.BATCH))
        sent += send_all(socks[number & 63].fileno(), _heads(packets), len(packets), 0)
        if number % 64 == 0:
            connections += 1
            with contextlib.suppress(OSError):
                _stream(host, port, packets, dice)
            with contextlib.suppress(BlockingIOError):
                if not os.read(0, 1):
                    break
    print(sent, connections)


def _heads(packets: list[bytes]) -> ctypes.Array[udp.Head]:
    kept = [ctypes.create_string_buffer(packet, max(len(packet), 1)) for packet in packets]
    pieces = (udp.Piece * len(packets))(
        *(udp.Piece(ctypes.addressof(one), len(packet)) for one, packet in zip(kept, packets, strict=True))
    )
    heads = (udp.Head * len(packets))()
    for at in range(len(packets)):
        heads[at].message.pieces = ctypes.addressof(pieces) + at * ctypes.sizeof(udp.Piece)
        heads[at].message.piece_count = 1
    heads._kept = (kept, pieces)  # type: ignore[attr-defined]  # they must live as long
    return heads


def _stream(host: str, port: int, packets: list[bytes], dice: random.Random) -> None:
    stream = b"".join(len(one).to_bytes(2) + one for one in packets)
    with socket.socket() as sock:
        sock.settimeout(1)
        sock.bind((f"127.6.{dice.randrange(250)}.1", 0))
        sock.connect((host, port))
        sock.sendall(stream[: dice.randrange(len(stream))])


@contextlib.contextmanager
def firing(address: tuple[str, int], seed: int) -> Iterator[list[int]]:
    """Fire from another process inside the block; what is yielded holds packets and connections after it.

    It takes what is left of the machine: a node that gets no time at all looks as if it hung.
    """
    command = ["nice", "-n", "10", sys.executable, "-m", "tests.fuzz.soak", "--fire", *map(str, address)]
    process = subprocess.Popen(
        [*command, "--seed", str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    found: list[int] = []
    try:
        yield found
        found += map(int, process.communicate(timeout=60)[0].split())
    finally:
        process.kill()
        process.wait()


def soak(seconds: float, seed: int) -> Found:
    """Run a node under fire."""
    with servers.gtm(CONFIG, BIG=json.dumps(warm.BIG)) as server, contextlib.ExitStack() as fire_on:
        family = servers.family(server.process.pid)
        warm.warm(server.address, family, NAMES[0], "ch.live.example.com.", "big.live.example.com.")
        fired = fire_on.enter_context(firing(server.address, seed))
        begun_s, sizes = time.monotonic(), []
        polite = answered = wrong = 0
        while (spent_s := time.monotonic() - begun_s) < seconds:
            reply = servers.ask(server.address, wait_s=2.0)
            polite += 1
            answered += reply is not None
            wrong += reply is not None and bytes((192, 0, 2, 1)) not in reply
            sizes.append((spent_s, resident_mib(family)))
            time.sleep(POLITE_S)
        fire_on.close()
        last = servers.ask(server.address, wait_s=5.0)
        wrong += last is None or bytes((192, 0, 2, 1)) not in last
        with urllib.request.urlopen(f"http://127.0.0.1:{server.web}/metrics", timeout=30) as said:
            metrics = said.read().decode()
        later = [mib for at_s, mib in sizes if at_s >= seconds / WARM_SHARE]
        sent, connections = fired
        return Found(
            sent, total(metrics, "gtm_dns_queries_total"), connections, polite, answered, wrong,
            later[0], max(later), later[-1],
            servers.family(server.process.pid) != family, 'reason="internal"' in metrics,
            Path(f"/proc/{server.process.pid}/fd/2").read_text(errors="replace"), seconds,
        )  # fmt: skip


def total(metrics: str, name: str) -> int:
    """Return the sum of a counter over its labels."""
    return int(sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", metrics, re.MULTILINE)))


def resident_mib(pids: list[int]) -> float:
    """Return the resident memory of these processes together; of one that has ended it is none."""
    found = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            found += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) / 256
    return found


def main() -> None:
    """Soak, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fire", nargs=2, help="only fire at this host and port")
    args = parser.parse_args()
    if args.fire:
        fire(args.fire[0], int(args.fire[1]), args.seed)
        return
    found = soak(60 * args.minutes, args.seed)
    print(f"{args.minutes:g} minutes: {found.text()}")
    sys.exit("\n".join(found.broken()) or 0)


if __name__ == "__main__":
    main()
