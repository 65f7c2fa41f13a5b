"""The host names at zones' apexes in, their addresses out: looked up in time, the last good ones kept in the store.

A CNAME cannot stand beside SOA and NS (RFC 1034 section 3.6.2), so what it would lead to is answered instead. A
resolver that fails changes nothing: an address of an hour ago is better than none.
"""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from gtm import errors, events, seen
from gtm.app import transfers
from gtm.probes import follow
from gtm.steer import followed

AT_ONCE = 8  # looks at a time: a start with many names is no flood for the resolver
RETRY_S = 5.0
MOST = 1000  # host names that are remembered though nobody wants them now: a configuration may come back
PAPER = "followed"


class Following:
    """Follows the host names of one node."""

    def __init__(self, node: transfers.Surroundings) -> None:
        self._node = node
        self._known: dict[str, seen.Followed] = {}
        self._failing: set[str] = set()
        self._due_s: dict[str, float] = {}
        self._changed = asyncio.Event()

    async def recall(self) -> None:
        """Take what the store has, so that an apex is answered before any resolver is."""
        try:
            papers = await self._node.store.papers()
        except errors.StoreError:
            return  # its trouble is said elsewhere
        for (kind, host), text in papers.items():
            if kind == PAPER:
                self._known[host] = seen.Followed(tuple(json.loads(text)), follow.LEAST_TTL_S)
        self._node.brain.hosts = dict(self._known)

    def configured(self) -> None:
        """Look at what another configuration wants."""
        self._changed.set()

    async def run(self) -> None:
        """Follow for ever; nothing is asked while no apex needs it."""
        loop, turn = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)
        while True:
            self._changed.clear()
            wanted = followed.wanted(self._node.snapshot)
            self._due_s = {host: self._due_s.get(host, 0.0) for host in wanted}
            self._failing &= self._due_s.keys()
            await self._forget()
            now_s = loop.time()
            await asyncio.gather(*(self._look(host, turn) for host, at_s in self._due_s.items() if at_s <= now_s))
            next_s = min(self._due_s.values(), default=None)
            try:
                async with asyncio.timeout_at(next_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _forget(self) -> None:
        """Forget the names that nobody wants, when they have become many."""
        if len(self._known) <= len(self._due_s) + MOST:
            return
        gone = self._known.keys() - self._due_s.keys()
        self._known = {host: one for host, one in self._known.items() if host not in gone}
        await self._keep(dict.fromkeys((PAPER, host) for host in gone))

    async def _look(self, host: str, turn: asyncio.Semaphore) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with turn:
                found = await follow.look(follow.resolver(self._node.snapshot.dns.resolvers), host)
        except errors.GtmError as error:
            self._due_s[host] = loop.time() + RETRY_S
            if host not in self._failing:
                self._failing.add(host)
                kept = "its last addresses stay" if host in self._known else "it has no addresses yet"
                self._node.happened("node", f"host name {host}", "", "unusable", f"{error}; {kept}")
            return
        self._due_s[host] = loop.time() + found.ttl_s * random.uniform(0.8, 1.0)  # noqa: S311 - spreads the looks
        if host in self._failing:
            self._failing.remove(host)
            self._node.happened("node", f"host name {host}", "unusable", "followed", ", ".join(found.addresses))
        await self._take(host, found)

    async def _take(self, host: str, found: seen.Followed) -> None:
        before = self._known.get(host)
        if before is not None and before.addresses == found.addresses:
            return  # a resolver's TTL runs down with each look: that is no news
        self._known[host] = found
        self._node.feed(events.HostsFollowed(dict(self._known)))
        await self._keep({(PAPER, host): json.dumps(found.addresses)})

    async def _keep(self, papers: dict[tuple[str, str], Any]) -> None:
        try:
            await self._node.store.keep_papers(papers)
        except errors.StoreError:
            return  # its trouble is said elsewhere; what is followed is found again
