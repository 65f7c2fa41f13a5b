"""What happened and what is known of health in, both kept in a store that may fail and come back."""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Awaitable, Callable, Sequence

from gtm import brain, errors, events, ports, seen

# Events wait for the store in this queue; when it is stuck for long, the oldest go, and are counted.
MOST_WAITING_EVENTS = 10_000
MOST_WAITING_ROWS = 1000  # an hour's measurements
AGAIN_S = 3.0  # so often the store is looked at when nobody uses it
# A full disk takes a little now and then, and refuses the next order: so much must fit before it is said to be well.
TRIAL, TRIAL_CHARACTERS = ("trial", "store"), 32 * 1024

Happened = Callable[[events.EventKind, str, str, str, str], None]


class Book:
    """One node's store in use. Nothing here raises `StoreError`: trouble is said once, and its end too.

    `tell` gets every event, with its id when it could be kept. `returned(begun_anew)` is awaited when the store works
    again after a failure; `begun_anew` says that it has lost what was in it.
    """

    def __init__(
        self,
        store: ports.Store,
        url: str,
        *,
        happened: Happened,
        tell: Callable[[events.Event], None],
        returned: Callable[[bool], Awaitable[None]],
    ) -> None:
        self.works, self.trouble, self.failed_at = True, "", 0.0  # wall-clock seconds
        self.lost_events = 0
        self._store, self._url = store, url
        self._happened, self._tell, self._returned = happened, tell, returned
        self._events: collections.deque[events.Event] = collections.deque()
        self._rows: collections.deque[seen.Measured] = collections.deque(maxlen=MOST_WAITING_ROWS)
        self._told = 0  # how many of the events that wait have been told already
        self._news = asyncio.Event()
        self._closing = False

    async def recall(self) -> tuple[brain.Remembered, tuple[seen.Override, ...]]:
        """Open the store and return the health and the orders in it; nothing when it cannot be used."""
        try:
            self._opened(await self._store.open())
            return await self._store.health(), await self._store.orders()
        except errors.StoreError as error:
            self._failed(error)
            return {}, ()

    async def remember(self, states: brain.Remembered) -> None:
        """Keep health for the next start. Here it is seen that the store is back."""
        try:
            aside = await self._store.open()
            await self._store.remember(states)
            if not self.works:
                await self._store.keep_papers({TRIAL: "." * TRIAL_CHARACTERS})
                await self._store.keep_papers({TRIAL: None})
            if aside or not self.works:
                await self._returned(bool(aside))
        except errors.StoreError as error:
            self._failed(error)
            return
        self._opened(aside)
        if not self.works:
            self.works, self.trouble = True, ""
            self._happened("store", self._url, "unusable", "usable", "it can be written again")
        if self._events:
            self._news.set()

    async def measured(self, rows: Sequence[seen.Measured]) -> None:
        """Keep measurements, now or when the store can; of very many that wait the oldest go."""
        self._rows.extend(rows)
        waiting = tuple(self._rows)
        try:
            await self._store.keep_measured(waiting)
        except errors.StoreError as error:
            self._failed(error)
            return
        self._rows.clear()

    async def recall_measured(self, since: float) -> Sequence[seen.Measured]:
        """Return the minutes since then; none when the store cannot be used."""
        try:
            return await self._store.measured(60, "", "", since)
        except errors.StoreError as error:
            self._failed(error)
            return ()

    def write(self, event: events.Event) -> None:
        """Keep an event, now or when the store can; it is told either way."""
        self._events.append(event)
        self._news.set()

    async def run(self) -> None:
        """Keep and tell events as they come, until `close`."""
        while not self._closing:
            await self._turn()
            self._news.clear()
            batch, self._events = self._events, collections.deque()
            if batch:
                await self._keep(list(batch))

    async def _turn(self) -> None:
        """Wait for an event; every few seconds see whether the store works still, or again.

        `remember` would see that too, but a node whose checks are silent, or that has none, remembers nothing.
        """
        try:
            async with asyncio.timeout(AGAIN_S):
                await self._news.wait()
        except TimeoutError:
            await self.remember({})

    def close(self) -> None:
        """Let `run` end after one more look at what waits."""
        self._closing = True
        self._news.set()

    async def _keep(self, batch: list[events.Event]) -> None:
        told = self._told
        try:
            kept = await self._store.append(batch)
            self._told = 0
        except errors.StoreError as error:
            kept = tuple(batch)
            lost = max(0, len(batch) - MOST_WAITING_EVENTS)
            self.lost_events += lost
            self._events.extendleft(reversed(batch[lost:]))
            self._told = len(batch) - lost
            self._failed(error)
        for event in kept[told:]:
            self._tell(event)

    def _opened(self, aside: str) -> None:
        if aside:
            self._happened("store", self._url, "corrupt", "begun anew", f"the old file is now {aside}")

    def _failed(self, error: errors.StoreError) -> None:
        """Say the first of a row of failures. Answering does not need the store (semantics G5, F5)."""
        self.trouble = f"{error}."
        if self.works:
            self.works, self.failed_at = False, time.time()
            why = f"{error}; no order can be given, and nothing will be remembered until it works"
            self._happened("store", self._url, "", "unusable", why)
