"""Tables and rings as they are published in, zones with a growing serial out: to secondaries that ask, and are told.

A change of what secondaries get is gathered for a quarter of a second at most; then the serial grows, is kept in the
store, answered by the workers, and told (RFC 1996). Nothing is given away before health is judged: until then
secondaries have better.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gtm import answering, brain, errors, events, model, ports, table
from gtm.app import notices
from gtm.wire import transfer, tsig

log = logging.getLogger("gtm")

# A serial grows at most so often: four times a second. The first change after a calm goes out at once.
GATHER_S = 0.25
SETTLE_S = 1.0  # so long a NOTIFY waits at most until every worker answers the new serial
PAPER = "serial"
# Serials of zones that are transferred no more: one that comes back goes on from its own, one beyond them from the
# clock, which is newer.
MOST_KEPT = 1000


class Surroundings(Protocol):
    """What a zone's transfers need of the node."""

    snapshot: model.Snapshot
    store: ports.Store
    brain: brain.Brain
    in_charge: asyncio.Event

    def feed(self, change: events.Change) -> None:
        """Give the brain a change."""

    def happened(self, kind: events.EventKind, subject: str, before: str, after: str, cause: str) -> None:
        """Say that something happened."""

    async def settled(self, timeout_s: float) -> bool:
        """Wait until every worker answers from what is published."""


@dataclass(slots=True)
class Zone:
    """A zone that is transferred: who may have it, and what it is now."""

    name: str
    index: int  # in the snapshot, and in its table
    settings: answering.Transfer
    ledger: transfer.Ledger
    waiting: dict[int, tuple[transfer.Rr, ...]] = field(default_factory=dict)  # for the next serial, by steering


class Transfers:
    """All zones of a node that are transferred."""

    def __init__(self, node: Surroundings, keys: Callable[[], Mapping[str, tsig.Key]]) -> None:
        self.zones: dict[str, Zone] = {}
        self.made = asyncio.Event()  # once zones are made of a judged table
        self._node, self.keys = node, keys
        self._kept: dict[str, tuple[int, str]] = {}  # serial and digest, as the store has them
        self._whole: table.AnswerTable | None = None
        self._rings: list[table.Ring] = []
        self._users: dict[int, set[int]] = {}  # steerings by ring
        self._timer: asyncio.TimerHandle | None = None
        self._grown_s = 0.0
        # Tables and rings are of one another only: while zones are made of a new table, rings wait.
        self._new_table = self._shaping = self._relaid = False
        self._missed: set[int] = set()  # rings that came meanwhile
        self._tasks: set[asyncio.Task[None]] = set()
        self._notices = notices.Notices([one.host for one in node.snapshot.dns.listen])

    @property
    def wanted(self) -> bool:
        """Whether any zone is transferred."""
        return any(zone.transfer is not None for zone in self._node.snapshot.zones)

    async def recall(self) -> dict[str, int]:
        """Return the serials that the store has, by zone."""
        try:
            papers = await self._node.store.papers()
        except errors.StoreError:
            return {}  # the store's trouble is said elsewhere; the clock makes a serial that is newer
        for (kind, name), text in papers.items():
            if kind == PAPER:
                told = json.loads(text)
                self._kept[name] = int(told["serial"]), str(told["digest"])
        return {name: serial for name, (serial, _) in self._kept.items()}

    def use(self, whole: table.AnswerTable) -> None:
        """Take a new table: shapes are made anew, what has changed is found by comparing."""
        self._whole, self._rings = whole, list(whole.rings)
        self._new_table = True
        self._soon()

    def rings(self, rings: Mapping[int, table.Ring], entries: table.Changed) -> None:
        """Take rings that changed, and hear of single names that did."""
        whole = self._whole
        if whole is None:
            return
        for at, ring in rings.items():
            self._rings[at] = ring
        self._relaid = self._relaid or bool(entries)
        if self._new_table:
            self._missed |= rings.keys()
        elif self.zones:
            self._compare(rings)

    def _compare(self, rings: Iterable[int]) -> None:
        """See what these rings, or what lies over names now, make another."""
        for steering in {one for at in rings for one in self._users.get(at, ())}:
            for zone in self.zones.values():
                if steering in zone.ledger.shape.steered:
                    self._look(zone, steering)
        if self._relaid or any(zone.waiting for zone in self.zones.values()):
            self._soon()

    def _look(self, zone: Zone, steering: int) -> None:
        """See what the names of a steering are to have with the next serial; what the last one stands for stays."""
        found = self._records(steering)
        if found == zone.ledger.now.get(steering, ()):
            zone.waiting.pop(steering, None)
        else:
            zone.waiting[steering] = found

    def _records(self, steering: int) -> tuple[transfer.Rr, ...]:
        if self._whole is None:
            return ()
        policies = len(self._node.snapshot.policies)
        return transfer.records(self._whole.steerings[steering], self._whole, self._rings, address=steering < policies)

    def _soon(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._grown_s + GATHER_S), self._publish)

    def _publish(self) -> None:
        self._timer = None
        if not self._node.brain.judged() or not self._node.in_charge.is_set():
            if self.wanted:
                self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._publish)
            return
        self._grown_s = asyncio.get_running_loop().time()
        if self._new_table:
            if not self._shaping:
                self._shaping = True
                self._spawn(self._reshape())
            return
        self._tell([zone for zone in self.zones.values() if self._grow(zone)])
        self._relaid = False

    def _grow(self, zone: Zone) -> bool:
        """Give what waits for it a serial; say whether anything did."""
        before = zone.ledger.serial
        # Each has a serial of its own: in one difference a record cannot both come and go (RFC 1995 section 4).
        if self._relaid and (changes := self._lay(zone)):
            zone.ledger.grow(changes, time.time())
        if zone.waiting:
            moved = [zone.ledger.replace(steering, found) for steering, found in zone.waiting.items()]
            zone.ledger.grow(filter(None, moved), time.time())
            zone.waiting = {}
        return zone.ledger.serial != before

    def _lay(self, zone: Zone) -> list[transfer.Change]:
        """Lay over a zone what lies over the names that are published: challenges."""
        over = self._node.brain.overlay
        return zone.ledger.lay({owner: one for owner, one in over.laid.items() if one.zone == zone.index}, over.alike)

    async def _reshape(self) -> None:
        try:
            await self._shape()
        finally:
            self._shaping = False

    async def _shape(self) -> None:
        """Make all zones anew from the table; go on from the serials and differences of before."""
        whole, snapshot = self._whole, self._node.snapshot
        if not self.zones:  # whoever was in charge before may have written since we began
            await self.recall()
        made = await asyncio.to_thread(transfer.shapes, snapshot)
        if whole is None or whole is not self._whole:
            self._soon()
            return
        if whole.digest != snapshot.digest:
            return  # the table of another snapshot is on its way
        self._missed, self._relaid = set(), False
        zones: dict[str, Zone] = {}
        news = []
        for index, zone in enumerate(snapshot.zones):
            if zone.transfer is None:
                continue
            serial, digest = self._kept.get(zone.name, (0, ""))
            mine = zones[zone.name] = Zone(
                zone.name, index, zone.transfer, transfer.Ledger(made[zone.name], serial or int(time.time()))
            )
            self._lay(mine)
            for steering in mine.ledger.shape.steered:
                mine.ledger.replace(steering, self._records(steering))
            old = self.zones.get(zone.name)
            # Half a second with a hundred thousand names, in which probes want to leave.
            before = old.ledger if old is not None else None
            another = await asyncio.to_thread(mine.ledger.inherit, before, digest, time.time())
            if another or old is None or old.settings != zone.transfer:
                news.append(mine)
        if whole is not self._whole:
            self._soon()
            return
        self.zones, self._users, self._new_table = zones, _users(whole), False
        self.made.set()
        self._compare(self._missed)
        for mine in zones.values():
            self._number(mine)  # what grew while the table was made is not in it
        self._tell(news)

    def _number(self, zone: Zone) -> None:
        _, ttl_s, soa = zone.ledger.soa()
        self._node.brain.serials[zone.name] = zone.ledger.serial
        self._node.feed(events.SerialGrew(zone.name, soa, ttl_s))

    def _tell(self, grown: Sequence[Zone]) -> None:
        """Let everybody know of new serials: workers, store, secondaries."""
        for zone in grown:
            self._number(zone)
        if grown:
            self._spawn(self._spread(tuple(grown)))

    async def _spread(self, grown: Sequence[Zone]) -> None:
        await self._node.settled(SETTLE_S)
        for zone in grown:
            key = self.keys().get(zone.settings.tsig.name) if zone.settings.tsig is not None else None
            if zone.settings.tsig is None or key is not None:
                self._notices.send(zone.settings.notify, zone.ledger.shape.apex, zone.ledger.soa(), key)
        gone = [name for name in self._kept if name not in self.zones][:-MOST_KEPT]
        papers: dict[tuple[str, str], str | None] = dict.fromkeys((PAPER, name) for name in gone)
        for name in gone:
            del self._kept[name]
        for zone in grown:
            serial = zone.ledger.serial
            kept = serial, await asyncio.to_thread(zone.ledger.digest)  # long with a hundred thousand names
            if self._kept.get(zone.name) != kept:
                self._kept[zone.name] = kept
                papers[PAPER, zone.name] = json.dumps({"serial": kept[0], "digest": kept[1]})
        try:
            await self._node.store.keep_papers(papers)
        except errors.StoreError as error:  # the store's trouble is said elsewhere
            log.debug("serials are not kept: %s", error)

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what is under way."""
        if self._timer is not None:
            self._timer.cancel()
        self._notices.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _users(whole: table.AnswerTable) -> dict[int, set[int]]:
    """Return the steerings that draw from a ring, by ring."""
    found: dict[int, set[int]] = {}
    for at, one in enumerate(whole.steerings):
        for some in (one.a, one.aaaa, *one.more.values()):
            for ring in some:
                found.setdefault(ring, set()).add(at)
    return found
