"""This node's table and the workers of another version in; whether they answer as this one does, out.

The version that runs is the judge: it asks the candidates a sample of everything that its own table can be asked, and
accepts an answer when it would have given it itself, at any turn of the ring. TTLs may differ, for they follow health.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from gtm import names, table
from gtm.serve import channel, links
from gtm.wire import lookup, respond

T = TypeVar("T")

# How many of each are asked about: enough for every kind of answer, few enough for a second.
POLICIES, ZONES, CLIENTS = 64, 32, 6
# A ring has fewer slots than this, and each is drawn in turn.
MOST_DRAWS = 4096
# Health may be seen a moment earlier here or there: a difference that lasts for this long is one.
AGREES_WITHIN_S, AGAIN_S = 10.0, 0.5
REPLY_S = 5.0
OUTSIDE = names.wire("not-served.gtm-test.invalid.")  # RFC 6761 section 6.4: nobody serves it
_HEADER = b"GT\1\0\0\1\0\0\0\0\0\0"
_A, _NS, _SOA, _AAAA = 1, 2, 6, 28


class Question(NamedTuple):
    """A packet and who asks: IPv4, for that is what most places are told by."""

    packet: bytes
    address: int
    outside: bool = False

    @property
    def name(self) -> str:
        """The name that is asked for, for people."""
        return names.text(self.packet[len(_HEADER) : -4])


def questions(of: table.AnswerTable) -> list[Question]:
    """Return what to ask: each zone's SOA and NS, one name of many policies from many places, and a foreign name."""
    found = [(zone.apex, kind, 0) for zone in _some(of.zones, ZONES) for kind in (_SOA, _NS)]
    one_of = {entry.steering: owner for owner, entry in of.names.items() if entry.steering >= 0}
    for steering in _some(sorted(one_of), POLICIES):
        prefixes = of.steerings[steering].prefixes
        starts = of.prefixes[prefixes].v4_starts if prefixes >= 0 else (0,)
        for kind, address in itertools.product((_A, _AAAA), _some(starts, CLIENTS)):
            found.append((one_of[steering], kind, address))
    asked = [Question(_packet(owner, kind), address) for owner, kind, address in found]
    return [*asked, Question(_packet(OUTSIDE, _A), 0, outside=True)]


def _packet(owner: bytes, kind: int) -> bytes:
    return _HEADER + owner + kind.to_bytes(2) + b"\0\1"


def _some(of: Sequence[T], most: int) -> Sequence[T]:
    return of[:: -(-len(of) // most)] if len(of) > most else of


def differs(ours: respond.Responder, draws: int, one: Question, reply: bytes, lenient: bool) -> str:
    """Say what is wrong with a candidate's reply; nothing when it is right. `lenient`: any real answer is."""
    got = lookup.essence(reply)
    if lenient and got.readable and got.rcode == ("REFUSED" if one.outside else "NOERROR"):
        return ""
    wanted: set[lookup.Essence] = set()
    seen: dict[bytes, lookup.Essence] = {}
    for _ in range(draws):
        right = ours.answer(one.packet, 4, one.address, "tcp") or b""
        if right not in seen:
            seen[right] = lookup.essence(right)
            wanted.add(seen[right])
            if got in wanted:
                return ""
    return f"{one.name} was answered with {got}, not with {min(wanted, key=str)}"


class Judge:
    """Asks the candidates that the supervisor introduces, and tells it the verdict."""

    def __init__(self, link: links.Links, ours: Callable[[], table.AnswerTable]) -> None:
        self._link, self._ours = link, ours
        self._lenient = False
        self._outcome: asyncio.Future[str] | None = None
        self._judging: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a replacement is under way."""
        return self._outcome is not None

    async def replace(self, within_s: float, *, lenient: bool) -> str:
        """Ask the supervisor for a new generation; return why there is none, or nothing when it has taken over."""
        self._lenient = lenient
        self._outcome = asyncio.get_running_loop().create_future()
        self._link.tell("replace", {"within_s": within_s})
        try:
            return await self._outcome
        finally:
            self._outcome = None

    def told(self, kind: str, body: Mapping[str, Any]) -> None:
        """Hear the supervisor: `judge`, or how it went (`replaced`)."""
        if kind == "judge":
            self._judging = asyncio.get_running_loop().create_task(self._judge(float(body["within_s"])))
            return
        if self._judging is not None:
            self._judging.cancel()
        for one in self._link.candidates:
            one.close()
        self._link.candidates.clear()
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_result("" if body["ok"] else str(body["why"]))

    async def _judge(self, within_s: float) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + min(AGREES_WITHIN_S, within_s / 2)
        while why := await self._round():
            if loop.time() > until_s:
                break
            await asyncio.sleep(AGAIN_S)
        self._link.tell("verdict", {"ok": not why, "why": why})

    async def _round(self) -> str:
        """Ask every candidate everything; return the first thing that is wrong."""
        ours = self._ours()
        asked, responder = await asyncio.to_thread(lambda: (questions(ours), respond.Responder(ours, seed=0)))
        draws = min(MOST_DRAWS, max((len(ring.slots) for ring in ours.rings), default=0) + 1)
        for candidate in tuple(self._link.candidates):
            for one in asked:
                try:
                    async with asyncio.timeout(REPLY_S):
                        reply = await _ask(candidate, one)
                except (TimeoutError, EOFError):
                    return f"a worker did not answer a question for {one.name}"
                if why := differs(responder, draws, one, reply, self._lenient):
                    return why
        return ""


async def _ask(candidate: channel.Channel, one: Question) -> bytes:
    """Return a candidate's reply; empty when it says nothing. Raises `EOFError` when it is gone."""
    loop = asyncio.get_running_loop()
    if not candidate.send_json("ask", [4, one.address, one.packet.hex()]):
        raise EOFError
    while (message := candidate.receive()) is None:
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(candidate.fileno(), _once, readable)
        try:
            await readable
        finally:
            loop.remove_reader(candidate.fileno())
    return message.body


def _once(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
