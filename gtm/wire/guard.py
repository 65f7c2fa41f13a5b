"""An answerer in, one that nobody can use against others out: what UDP answers may be, by rate and by size.

Who sent a good cookie, or is in an exempt network, is held to neither: the answer reaches who asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gtm.wire import cookies, limit, networks, runtime, tally

# Of answers that are held back, every so many-th is noted with its network; a flood is millions of them.
NOTED = 16
MOST_NOTED = 1024  # networks between two looks
Answer = Callable[[bytes, int, int, str], bytes | None]


class Guard:
    """The bounds on answers over UDP.

    `limiter` None: no rate limit. `most_times`: an answer to a sender that is not proved is at most so many times as
    long as its question, else it is truncated; 0: no such limit.
    """

    def __init__(
        self,
        limiter: limit.Limiter | None,
        jar: cookies.Jar | None,
        *,
        exempt: Sequence[str] = (),
        most_times: float = 0.0,
    ) -> None:
        self._limiter, self._jar, self._most_times = limiter, jar, most_times
        self._exempt = networks.Networks(exempt)
        self._dropped = self._truncated = self._held = 0
        # Of whom answers are held back, by family and network: a sample of them, and of no more networks than so many.
        self._floods: dict[tuple[int, int], int] = {}
        self.is_needed = limiter is not None or most_times > 0

    def over(self, answer: Answer, now_s: float) -> Answer:
        """Return `answer` held to the bounds, for one batch of datagrams that came at `now_s` (monotonic)."""
        times, free = self._most_times, self._is_free
        passes = self._limiter.passed if self._limiter is not None else _everything

        def guarded(packet: bytes, family: int, address: int, transport: str) -> bytes | None:
            reply = answer(packet, family, address, transport)
            if reply is None:
                return None
            if times and len(reply) > times * len(packet) and not free(packet, family, address):
                cut = limit.truncated(reply)
                if len(cut) > times * len(packet):  # what a cookie adds to a short question may be too much as well
                    cut = limit.truncated(reply, with_cookie=False)
                if len(cut) < len(reply):
                    self._truncated += 1
                    reply = cut
            passed = passes(reply, family, address, now_s)
            if passed is reply or free(packet, family, address):
                return reply
            if passed is None:
                self._dropped += 1
            else:
                self._truncated += 1
            self._held += 1
            if self._held % NOTED == 0:
                self._note(family, address)
            return passed

        return guarded

    def _is_free(self, packet: bytes, family: int, address: int) -> bool:
        if self._exempt.holds(family, address):
            return True
        return self._jar is not None and self._jar.is_good((address, packet[packet.find(b"\0", 12) + 5 :]))

    def _note(self, family: int, address: int) -> None:
        network = family, address >> runtime.WIDTH[family] - limit.PREFIX_BITS[family]
        if network in self._floods or len(self._floods) < MOST_NOTED:
            self._floods[network] = self._floods.get(network, 0) + 1

    def drain_floods(self) -> dict[tuple[int, int], int]:
        """Return how many answers were held back since the last time, about, by family and network (its first bits)."""
        found, self._floods = {network: NOTED * number for network, number in self._floods.items()}, {}
        return found

    def drain_counts(self) -> tally.Counts:
        """Return what was held back since the last time."""
        counts: tally.Counts = {}
        if self._dropped:
            counts["dropped"] = {("rate_limit",): self._dropped}
        if self._truncated:
            counts["truncated"] = {(): self._truncated}
        self._dropped = self._truncated = 0
        return counts


def _everything(reply: bytes, family: int, address: int, now_s: float) -> bytes | None:
    return reply
