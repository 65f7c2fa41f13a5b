"""A configuration and a store in, orders over the real brain without processes and sockets out; time is a number."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, cast

from gtm import brain, events, model, ports, seen
from gtm.app import lately, lingering, ordering
from gtm.app import node as nodes

WALL_S = 1_700_000_000.0


class Clock:
    """Stands in for the module `time` where orders look at it."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.offset_s = WALL_S

    def monotonic(self) -> float:
        """Return the monotonic clock in seconds."""
        return self.now_s

    def time(self) -> float:
        """Return the wall clock in seconds."""
        return self.offset_s + self.now_s


class Measured:
    """What a node measures, as far as orders ask."""

    def __init__(self, clock: Clock) -> None:
        self.lately = lately.Lately(clock.monotonic)


class Bench(nodes.Node):
    """What `ordering.Ordering` needs of a node, and no more; workers acknowledge at once unless `deaf`."""

    def __init__(self, found: model.Snapshot, store: ports.Store, clock: Clock, *, inherited: bool = False) -> None:
        self.snapshot, self.store, self.clock = found, store, clock
        dice = itertools.cycle((0.1, 0.6))
        self.brain = brain.Brain("ns1", dice=lambda: next(dice))
        self.lingering, self.measuring = lingering.Lingering(), cast(Any, Measured(clock))
        self.on_swapped = lambda: None
        self.inherited, self.deaf = inherited, False
        self.stopping, self.in_charge = asyncio.Event(), asyncio.Event()
        self.in_charge.set()
        self.log: list[events.Event] = []
        self.ordering = ordering.Ordering(self)

    async def start(self) -> None:
        """Begin as a node does: the orders first, then the configuration."""
        orders = await self.store.orders()
        self.brain.orders = orders
        self.feed(events.StoreChanged(orders))
        self.feed(events.ConfigCame(self.snapshot, seen.Networks()))

    def reload(self, found: model.Snapshot) -> None:
        """Put another configuration in force."""
        self.snapshot = found
        self.feed(events.ConfigCame(found, seen.Networks()))

    def go(self, for_s: float) -> None:
        """Let time pass."""
        end_s = self.clock.now_s + for_s
        while (at := self.brain.wake_at()) is not None and at <= end_s:
            self.clock.now_s = max(self.clock.now_s, at)
            self.brain.wake(self.clock.now_s)
            self._carry_out()
        self.clock.now_s = end_s

    async def settled(self, timeout_s: float) -> bool:
        """Let what was fed reach the workers."""
        self.go(0.05)
        return not self.deaf

    def happened(self, kind: events.EventKind, subject: str, before: str, after: str, cause: str) -> None:
        """Note an event."""
        self.log.append(events.Event(self.clock.time(), kind, subject, before, after, cause))

    def acknowledge(self) -> None:
        """Let every worker say that it has swapped."""
        self.lingering.acknowledged(lambda _: True, self.clock.now_s)
        self.on_swapped()

    def _carry_out(self, late_s: float = 0.0) -> None:
        for effect in self.brain.effects():
            match effect:
                case events.SwapTable(table):
                    self.lingering.swapped(table.revision, dict(enumerate(table.rings)), whole=True)
                case events.SwapRings(revision, rings):
                    self.lingering.swapped(revision, rings)
                case events.Emit(event):
                    self.log.append(event)
        if not self.deaf:
            self.acknowledge()

    def held(self, pool: str) -> set[str]:
        """Return who of a pool is in service by the orders in force; everybody is up."""
        laid = self.brain.health.told().laid
        return {
            member.endpoint
            for member in self.snapshot.pools[pool].members
            if not ((one := laid.get(member.endpoint)) and (one.barred or one.factor == 0))
        }
