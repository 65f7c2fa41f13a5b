"""A nameserver's address and a question in, a steady stream of it out; and what became of every single one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import dns.message


@dataclass
class Stream(asyncio.DatagramProtocol):
    """Every question has an id of its own; times are monotonic seconds."""

    wire: bytes
    sent: dict[int, float] = field(default_factory=dict)
    replies: list[bytes] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    arrived_s: list[float] = field(default_factory=list)
    asked: int = 0
    late_s: float = 0.0
    silence_s: float = 0.0  # the longest time with a question open and no answer to any
    all_there: asyncio.Event = field(default_factory=asyncio.Event)

    def datagram_received(self, data: bytes, addr: object) -> None:
        now = time.monotonic()
        if self.sent:
            since = max(min(self.sent.values()), self.arrived_s[-1] if self.arrived_s else 0.0)
            self.silence_s = max(self.silence_s, now - since)
        at = self.sent.pop(int.from_bytes(data[:2]), None)
        if at is not None:
            self.took_s.append(now - at)
            self.arrived_s.append(now)
            self.replies.append(data)
        if not self.sent:
            self.all_there.set()

    @property
    def waited_s(self) -> float:
        """The longest time that one question waited."""
        return max(self.took_s)

    @property
    def gap_s(self) -> float:
        """The longest time between two answers; the asker's own delays are in it."""
        return max(b - a for a, b in itertools.pairwise(self.arrived_s))

    def answers(self) -> set[str]:
        """Return every record that any answer held."""
        whole = {reply[2:]: reply for reply in self.replies}
        return {
            rdata.to_text() for one in whole.values() for rrset in dns.message.from_wire(one).answer for rdata in rrset
        }


@contextlib.asynccontextmanager
async def asking(address: tuple[str, int], name: str, per_second: float) -> AsyncIterator[Stream]:
    """Ask from a changing port, so that the kernel may pick any worker; when it ends, the last answers are awaited."""
    loop = asyncio.get_running_loop()
    stream = Stream(dns.message.make_query(name, "A", use_edns=0).to_wire())
    ends = [await loop.create_datagram_endpoint(lambda: stream, remote_addr=address) for _ in range(32)]

    async def ask() -> None:
        began = time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(began + number / per_second - time.monotonic())
            stream.late_s = max(stream.late_s, time.monotonic() - began - number / per_second)
            ident = number % 65536
            stream.sent[ident] = time.monotonic()
            stream.all_there.clear()
            stream.asked += 1
            ends[number % len(ends)][0].sendto(ident.to_bytes(2) + stream.wire[2:])

    task = asyncio.create_task(ask())
    try:
        yield stream
        task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await stream.all_there.wait()
    finally:
        task.cancel()
        for transport, _ in ends:
            transport.close()
