"""Signed UPDATEs in (RFC 2136, RFC 8945), challenges set and cleared, and signed answers out."""

from __future__ import annotations

import asyncio
import collections
import ipaddress
import json
import time
from collections.abc import Callable
from typing import Protocol

from gtm import brain, errors, events, model, names
from gtm.app import challenges, secrets
from gtm.serve import updates
from gtm.web import node as desk
from gtm.wire import query, tsig, update

MOST_AT_ONCE = 64  # they are done one after the other, so more would only wait longer than clients do
# Answers that are kept, by signature: who sends the same message again, or records one and plays it back within the
# fudge of its clock, gets the same answer, and changes nothing (RFC 8945 section 10).
MOST_KEPT = 1024
TELL_S = 1.0  # between two events of what was refused
CONFIRM_S = 2.0


class Surroundings(Protocol):
    """What UPDATE needs of the node."""

    snapshot: model.Snapshot
    brain: brain.Brain
    challenges: challenges.Challenges
    vault: secrets.Vault

    def happened(self, kind: events.EventKind, subject: str, before: str, after: str, cause: str) -> None:
        """Say that something happened."""

    async def settled(self, timeout_s: float) -> bool:
        """Wait until every worker answers from what is published."""


class Updates:
    """What UPDATE may do to a node."""

    def __init__(self, node: Surroundings) -> None:
        self._node = node
        self._kept: collections.OrderedDict[bytes, bytes] = collections.OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._told_s = -TELL_S

    def take(self, kind: str, body: bytes, reply: Callable[[bytes], object]) -> None:
        """Take what a worker passes on: an `update`, or word of one that it refused."""
        if kind != "update":
            family, address, why = json.loads(body)
            made = ipaddress.IPv4Address(address) if family == 4 else ipaddress.IPv6Address(address)
            self._refused("UPDATE", f"from {made}: {why}")
        elif len(self._tasks) < MOST_AT_ONCE:
            task = asyncio.get_running_loop().create_task(self._answer(body, reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, body: bytes, reply: Callable[[bytes], object]) -> None:
        found = await self.answered(body[updates.NUMBER_BYTES :])
        if found is not None:
            reply(body[: updates.NUMBER_BYTES] + found)

    async def answered(self, packet: bytes) -> bytes | None:
        """Return the answer to an UPDATE; None where it is not signed, which a worker does not pass on."""
        verified = tsig.verify(packet, {one.name: one for one in self._node.vault.signing().values()}, time.time())
        if verified is None or verified.key is None or verified.error:
            return None if verified is None else tsig.refusal(packet, verified, time.time())
        known = self._kept.get(verified.mac)
        if known is not None:
            return known
        rcode = await self._done(verified.message, names.text(verified.key.name))
        made = tsig.Signer(verified.key, verified.mac).sign(update.reply(packet, rcode), time.time())
        self._kept[verified.mac] = made
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return made

    async def _done(self, message: bytes, key: str) -> int:
        """Do what a message wants; return the rcode."""
        wanted = update.read(message)
        rcode = (
            wanted.rcode or self._refusal(wanted, key) or update.unmet(wanted.before, self._node.brain.overlay.entry)
        )
        if rcode:
            where = names.text(wanted.zone) if wanted.zone else "UPDATE"
            self._refused(where, f"UPDATE with the key {key}: rcode {rcode}")
            return rcode
        lasts_s = challenges.DEFAULT_S
        wishes = [(names.text(one.name), one.text, lasts_s if one.adds else 0.0) for one in wanted.changes]
        try:
            await self._node.challenges.change(wishes, f"UPDATE with the key {key}")
        except desk.Refused:
            return query.REFUSED
        except errors.StoreError:
            return query.SERVFAIL
        return query.NOERROR if await self._node.settled(CONFIRM_S) else query.SERVFAIL

    def _refusal(self, wanted: update.Update, key: str) -> int:
        snapshot, zone = self._node.snapshot, names.text(wanted.zone)
        found = next((one for one in snapshot.zones if one.name == zone), None)
        if found is None:  # RFC 2136 section 3.1.2
            return query.NOTAUTH
        if key not in {one.name for one in found.acme}:  # RFC 2136 section 3.3
            return query.REFUSED
        over = self._node.brain.overlay
        if any(snapshot.zones[over.zone(one.name)].name != zone for one in wanted.changes):
            return update.NOTZONE  # a deeper zone of ours has it
        return query.NOERROR

    def _refused(self, what: str, why: str) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= TELL_S:
            self._told_s = now_s
            self._node.happened("order", what, "", "refused", why)
