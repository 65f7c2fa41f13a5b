"""Wishes for ACME challenges in, the challenges to be answered now out; each ends by itself, and outlives this process.

They stand in this node's store and nowhere else: whoever has several nameservers tells each of them (semantics F1: a
node knows nothing that another one was told).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

from gtm import brain, errors, events, names, ports, seen
from gtm.web import node as desk
from gtm.wire import overlay

log = logging.getLogger("gtm")

PAPER = "acme"  # of the store's papers
# A certificate takes one text for each name in it, two with a wildcard; a hundred names are asked for at a time.
MOST, MOST_A_NAME = 200, 8
# An authority looks within minutes; what a hook forgets to clear is gone on the same day.
DEFAULT_S, LONGEST_S = 3600.0, 86400.0
_PREFIX = overlay.LABEL[1:].decode() + "."
_Key = tuple[str, str]
# Where, what, and for how many seconds; for none: it is to go, and without a text all at the name are.
Wish = tuple[str, str, float]


class Surroundings(Protocol):
    """What challenges need of the node."""

    store: ports.Store
    brain: brain.Brain
    in_charge: asyncio.Event

    def feed(self, change: events.Change) -> None:
        """Give the brain a change."""

    def happened(self, kind: events.EventKind, subject: str, before: str, after: str, cause: str) -> None:
        """Say that something happened."""


class Challenges:
    """The challenges of one node."""

    def __init__(self, node: Surroundings) -> None:
        self._node = node
        self._held: dict[_Key, tuple[seen.Challenge, float]] = {}  # with the monotonic end (semantics G4)
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    def all(self) -> Sequence[seen.Challenge]:
        """Return what is held, in the order of names."""
        return [one for _, (one, _) in sorted(self._held.items())]

    async def recall(self) -> None:
        """Take what the store holds, beside what is known already."""
        try:
            papers = await self._node.store.papers()
        except errors.StoreError as wrong:  # the book says so to everybody
            log.warning("challenges are not known: %s", wrong)
            return
        late = []
        for (kind, key), body in papers.items():
            if kind != PAPER:
                continue
            one = _read(body)
            if one is not None and one.until > time.time():
                self._held.setdefault((one.name, one.value), (one, _ends(one)))
            else:
                late.append(key)
        if late:
            await self._write(dict.fromkeys(late))
        self._tell()

    async def returned(self, begun_anew: bool) -> None:
        """Take what a store knows that can be used again, or tell a new one what is known here."""
        if begun_anew:
            await self._write({_key(one): _body(one) for one in self.all()})
        await self.recall()

    async def put(self, name: str, value: str, for_s: float, by: str) -> seen.Challenge:
        """Hold a challenge, or hold it for longer. Raises `Refused`, `StoreError`; then nothing is held."""
        absolute = owner(name)
        await self.change([(absolute, value, for_s or DEFAULT_S)], by)
        return self._held[absolute, value][0]

    async def drop(self, name: str, value: str, by: str) -> Sequence[seen.Challenge]:
        """Let go of one challenge at a name, or (without a value) of all; return those that there were."""
        async with self._one_at_a_time:
            absolute = owner(name)
            gone = [one for key, (one, _) in self._held.items() if key[0] == absolute and value in {"", key[1]}]
            for one in gone:
                del self._held[one.name, one.value]
            if gone:
                self._node.happened("order", absolute, "challenge", "", f"{len(gone)} ACME challenges cleared by {by}")
                self._tell()
                await self._write({_key(one): None for one in gone})
            return gone

    async def change(self, changes: Sequence[Wish], by: str) -> None:
        """Do all of these, one after the other, or nothing. Raises `Refused`, `StoreError`."""
        async with self._one_at_a_time:
            before, now = dict(self._held), time.time()
            held = dict(before)
            for name, value, for_s in changes:
                if not for_s:
                    held = {key: one for key, one in held.items() if key[0] != name or value not in {"", key[1]}}
                    continue
                if refused := self._refusal((name, value), held):
                    self._node.happened("order", name, "", "refused", f"ACME challenge by {by}: {refused.args[0]}")
                    raise refused
                made = seen.Challenge(name, value, by, now, now + min(for_s, LONGEST_S))
                held[name, value] = made, _ends(made)
            new = [one for key, (one, _) in held.items() if before.get(key, (None, 0.0))[0] is not one]
            gone = [one for key, (one, _) in before.items() if key not in held]
            papers: dict[str, str | None] = {_key(one): _body(one) for one in new}
            papers |= {_key(one): None for one in gone}
            await self._node.store.keep_papers({(PAPER, key): body for key, body in papers.items()})
            # What ran out while the disk was busy is not held again.
            self._held = {key: one for key, one in held.items() if key in self._held or key not in before}
            for one in gone:
                self._node.happened("order", one.name, "challenge", "", f"ACME challenge cleared by {by}")
            for one in new:
                self._node.happened("order", one.name, "", "challenge", f"ACME challenge set by {by}")
            self._tell()

    def close(self) -> None:
        """Wait for no more ends."""
        if self._timer is not None:
            self._timer.cancel()

    def _refusal(self, key: _Key, held: Mapping[_Key, object]) -> desk.Refused | None:
        name, value = key
        if not 0 < len(value) <= overlay.MAX_TEXT_BYTES or not value.isascii() or not value.isprintable():
            return desk.Refused("bad-value", "a challenge is 1 to 255 printable ASCII characters")
        if why := self._node.brain.overlay.why_not(names.key(name)):
            return desk.Refused("refused", f"no challenge can stand at {names.shown(name)}: {why}")
        if key in held:
            return None
        if len(held) >= MOST:
            return desk.Refused("refused", f"{MOST} challenges are held already", "clear some: see `gtm acme list`")
        if sum(one[0] == name for one in held) >= MOST_A_NAME:
            return desk.Refused(
                "refused", f"{names.shown(name)} has {MOST_A_NAME} challenges already", "clear some of them"
            )
        return None

    def _tell(self) -> None:
        """Give the brain what is held now, and come back when the next one ends."""
        self._node.feed(events.ChallengesCame(tuple(self.all())))
        self.close()
        if self._held:
            at = min(ends for _, ends in self._held.values())
            self._timer = asyncio.get_running_loop().call_later(max(0.0, at - time.monotonic()), self._expire)

    def _expire(self) -> None:
        now = time.monotonic()
        over = [one for one, ends in self._held.values() if ends <= now]
        for one in over:
            del self._held[one.name, one.value]
            self._node.happened("order", one.name, "challenge", "", f"the ACME challenge by {one.by} has run out")
        self._tell()
        task = asyncio.get_running_loop().create_task(self._write({_key(one): None for one in over}))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, papers: dict[str, str | None]) -> None:
        """Write down what may also be lost: it ends by itself. On trial nothing is written."""
        if not self._node.in_charge.is_set():
            return
        try:
            await self._node.store.keep_papers({(PAPER, key): body for key, body in papers.items()})
        except errors.StoreError as wrong:
            log.warning("challenges are not written down: %s", wrong)


def owner(name: str) -> str:
    """Return where the challenge for a domain stands: `_acme-challenge` before it, and once only for `*.NAME`.

    Raises `Refused` for what is no name.
    """
    bare = name.lower().removeprefix("*.").rstrip(".") + "."
    absolute = bare if bare.startswith(_PREFIX) else _PREFIX + bare
    try:
        return names.text(names.key(absolute))
    except errors.DomainNameError as wrong:
        raise desk.Refused("bad-value", str(wrong)) from None


def shown(one: seen.Challenge, problem: str) -> dict[str, object]:
    """Return a challenge for people; `problem` says why it is not answered."""
    return {**asdict(one), "problem": problem}


def _key(one: seen.Challenge) -> str:
    return f"{one.name} {one.value}"


def _body(one: seen.Challenge) -> str:
    return json.dumps(asdict(one))


def _read(body: str) -> seen.Challenge | None:
    try:
        return seen.Challenge(**json.loads(body))
    except (ValueError, TypeError):
        return None


def _ends(one: seen.Challenge) -> float:
    return time.monotonic() + min(one.until - time.time(), LONGEST_S)
