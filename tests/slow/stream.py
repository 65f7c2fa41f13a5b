"""A nameserver's address in, a steady stream of questions out, and what became of each: sent, answered, judged.

`python -m tests.slow.stream ADDRESS PORT RATE REPORT NAME...` asks until SIGTERM, waits for what is under way, and
writes REPORT. It is a process of its own, so that nothing that a test does makes it stutter; all times are
`time.monotonic()`, which all processes of a machine share.
"""

from __future__ import annotations

import itertools
import json
import random
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.rcode

PORTS = 64  # the kernel spreads questions over workers by the asker's port
PATIENCE_S = 4.0  # after the last question; what a hung worker held back comes within three seconds


class Asked(NamedTuple):
    """One question. `got_s` is 0 when nothing came; `rcode` is empty then, and `answers` are sorted."""

    sent_s: float
    name: str
    got_s: float = 0.0
    rcode: str = ""
    answers: tuple[str, ...] = ()


class Heard(NamedTuple):
    """A whole stream. `strange` are packets that fit no question that was still open."""

    asked: list[Asked]
    strange: list[str]

    @property
    def lost(self) -> list[float]:
        """When the questions were sent that got no answer."""
        return [one.sent_s for one in self.asked if not one.got_s]

    @property
    def slowest_s(self) -> float:
        """The longest that an answer took."""
        return max(one.got_s - one.sent_s for one in self.asked if one.got_s)

    @property
    def silence_s(self) -> float:
        """The longest time between two answers, whatever was asked."""
        came = sorted(one.got_s for one in self.asked if one.got_s)
        return max(later - sooner for sooner, later in itertools.pairwise(came))

    def later_than(self, limit_s: float) -> list[float]:
        """Return when the questions were sent whose answers took longer than this."""
        return [one.sent_s for one in self.asked if one.got_s - one.sent_s > limit_s]

    def wrong(self, name: str, *stages: tuple[float, set[str]]) -> list[Asked]:
        """Return the answers for `name` that are not NOERROR with one or more of the records allowed then.

        A stage says what is allowed from a moment on, until the next one. Under way while stages change, an answer
        may be of either.
        """
        found = []
        for one in self.asked:
            if one.name != name or not one.got_s:
                continue
            allowed: set[str] = set()
            for at, (since_s, records) in enumerate(stages):
                until_s = stages[at + 1][0] if at + 1 < len(stages) else float("inf")
                if since_s <= one.got_s and one.sent_s <= until_s:
                    allowed |= records
            if one.rcode != "NOERROR" or not one.answers or not allowed.issuperset(one.answers):
                found.append(one)
        return found

    def figures(self) -> str:
        """Return a line for people."""
        return (
            f"{len(self.asked)} questions, {len(self.lost)} lost, longest silence {self.silence_s * 1000:.0f} ms, "
            f"slowest answer {self.slowest_s * 1000:.0f} ms, {len(self.later_than(0.05))} over 50 ms"
        )


def read(report: Path) -> Heard:
    """Return what a stream wrote."""
    told = json.loads(report.read_text())
    return Heard([Asked(*one)._replace(answers=tuple(one[-1])) for one in told["asked"]], told["strange"])


class Asker:
    """Sockets, questions that are open, and those that are done."""

    def __init__(self, address: str, port: int, names: Sequence[str]) -> None:
        self._names = names
        self._selector = selectors.DefaultSelector()
        self._sockets = []
        for number in range(PORTS):
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.connect((address, port))
            self._selector.register(sock, selectors.EVENT_READ, number)
            self._sockets.append(sock)
        self._texts = {name: dns.message.make_query(name, "A", use_edns=0, payload=1232).to_wire() for name in names}
        self.open: dict[tuple[int, int], Asked] = {}
        self.done: list[Asked] = []
        self.strange: list[str] = []

    def ask(self, number: int) -> None:
        """Send one question from a port of its turn, with an id that no open one of that port has."""
        at, name = number % PORTS, self._names[number // PORTS % len(self._names)]
        ident = random.getrandbits(16)
        while (at, ident) in self.open:
            ident = random.getrandbits(16)
        self.open[at, ident] = Asked(time.monotonic(), name)
        try:
            self._sockets[at].send(ident.to_bytes(2, "big") + self._texts[name][2:])
        except OSError:  # the ICMP error of an earlier one; this one was not sent and is sent now, and may get its own
            try:
                self._sockets[at].send(ident.to_bytes(2, "big") + self._texts[name][2:])
            except OSError:
                return

    def hear(self, wait_s: float) -> None:
        """Take what comes within `wait_s`."""
        for key, _ in self._selector.select(max(0.0, wait_s)):
            while True:
                try:
                    packet = key.fileobj.recv(4096)  # type: ignore[union-attr]
                except BlockingIOError:
                    break
                except OSError:  # connection refused: nobody listens just now, and the question stays unanswered
                    continue
                self._take(key.data, packet, time.monotonic())

    def _take(self, at: int, packet: bytes, now_s: float) -> None:
        one = self.open.pop((at, int.from_bytes(packet[:2], "big")), None)
        if one is None:
            self.strange.append(f"{now_s}: nobody asked for {packet[:60]!r}")
            return
        try:
            reply = dns.message.from_wire(packet)
        except dns.exception.DNSException as error:
            self.done.append(one._replace(got_s=now_s, rcode=f"unreadable: {error}"))
            return
        asked = self._texts[one.name]
        if packet[12 : len(asked) - 11] != asked[12:-11] or not reply.flags & dns.flags.QR:  # 11: the OPT record
            self.done.append(one._replace(got_s=now_s, rcode="another question"))
            return
        records = sorted(rdata.to_text() for rrset in reply.answer for rdata in rrset)
        self.done.append(one._replace(got_s=now_s, rcode=dns.rcode.to_text(reply.rcode()), answers=tuple(records)))


def main(address: str, port: str, rate: str, report: str, *names: str) -> None:
    """Ask until SIGTERM, then write the report."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    asker, pause_s = Asker(address, int(port), names), 1 / float(rate)
    print("asking", flush=True)
    began_s, number = time.monotonic(), 0
    while not ended:
        due_s = began_s + number * pause_s
        asker.hear(due_s - time.monotonic())
        while not ended and time.monotonic() >= began_s + number * pause_s:
            asker.ask(number)
            number += 1
            asker.hear(0)
    until_s = time.monotonic() + PATIENCE_S
    while asker.open and time.monotonic() < until_s:
        asker.hear(until_s - time.monotonic())
    asked = sorted([*asker.done, *asker.open.values()])
    Path(report + ".part").write_text(json.dumps({"asked": asked, "strange": asker.strange}))
    Path(report + ".part").rename(report)


if __name__ == "__main__":
    main(*sys.argv[1:])
