"""Health, orders and events in, the same out until the process ends: for tests and demos."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gtm import events, model, seen
from gtm.store import bounds


class MemoryStore:
    """A `ports.Store` that forgets everything when the process ends."""

    def __init__(self, *, now: Callable[[], float] = time.time, max_events: int = bounds.MAX_EVENTS) -> None:
        """`now` is the wall clock in seconds."""
        self._now = now
        self._health: dict[model.CheckKey, seen.Known] = {}
        self._orders: dict[str, seen.Override] = {}
        self._events: deque[events.Event] = deque(maxlen=max_events)
        self._last_id = 0
        self._papers: dict[tuple[str, str], str] = {}
        self._measured: dict[tuple[int, str, str, int], seen.Measured] = {}

    async def open(self) -> str:
        """There is nothing to make ready."""
        return ""

    async def close(self) -> None:
        """There is nothing to let go."""

    async def health(self) -> Mapping[model.CheckKey, seen.Known]:
        """See `ports.Store`."""
        return dict(self._health)

    async def remember(self, states: Mapping[model.CheckKey, seen.Known]) -> None:
        """See `ports.Store`."""
        oldest, newest = self._now() - bounds.MAX_HEALTH_AGE_S, self._now() + bounds.MAX_AHEAD_S
        self._health = {
            key: known for key, known in {**self._health, **states}.items() if oldest <= known.at_s <= newest
        }

    async def orders(self) -> tuple[seen.Override, ...]:
        """See `ports.Store`."""
        now = self._now()
        live = (order for order in self._orders.values() if not order.until or order.until > now)
        return tuple(sorted(live, key=lambda order: (order.at, order.id)))

    async def put_order(self, order: seen.Override) -> None:
        """See `ports.Store`."""
        self._orders[order.id] = order
        live = {one.id for one in await self.orders()}
        newest = sorted(self._orders.values(), key=lambda one: one.at)[-bounds.MAX_ORDERS :]
        kept = live.union(one.id for one in newest)
        self._orders = {key: one for key, one in self._orders.items() if key in kept}

    async def drop_order(self, order_id: str) -> bool:
        """See `ports.Store`."""
        order = self._orders.pop(order_id, None)
        return order is not None and (not order.until or order.until > self._now())

    async def append(self, happened: Sequence[events.Event]) -> tuple[events.Event, ...]:
        """See `ports.Store`."""
        kept = tuple(replace(event, id=self._last_id + n) for n, event in enumerate(happened, 1))
        self._last_id += len(kept)
        self._events.extend(kept)
        oldest = self._now() - bounds.MAX_EVENT_AGE_S
        while self._events and self._events[0].at < oldest:
            self._events.popleft()
        return kept

    async def events(self, since: float = 0.0, after_id: int = 0, limit: int = 1000) -> tuple[events.Event, ...]:
        """See `ports.Store`."""
        found = [event for event in self._events if event.at >= since and event.id > after_id]
        return tuple(found[-limit:]) if limit > 0 else ()

    async def papers(self) -> Mapping[tuple[str, str], str]:
        """See `ports.Store`."""
        return dict(self._papers)

    async def keep_papers(self, changes: Mapping[tuple[str, str], str | None]) -> None:
        """See `ports.Store`."""
        left = {key: body for key, body in self._papers.items() if key not in changes}
        self._papers = left | {key: body for key, body in changes.items() if body is not None}

    async def keep_measured(self, rows: Sequence[seen.Measured]) -> None:
        """See `ports.Store`."""
        self._measured |= {(row.step_s, row.kind, row.by, row.at): row for row in rows}
        now = self._now()
        self._measured = {
            key: row
            for key, row in self._measured.items()
            if now - bounds.MAX_MEASURED_AGE_S[row.step_s] <= row.at <= now + bounds.MAX_AHEAD_S
        }

    async def measured(self, step_s: int, kind: str, by: str, since: float) -> tuple[seen.Measured, ...]:
        """See `ports.Store`."""
        found = (
            row
            for row in self._measured.values()
            if row.step_s == step_s and row.at + step_s > since and (not kind or (row.kind, row.by) == (kind, by))
        )
        return tuple(sorted(found, key=lambda row: (row.at, row.kind, row.by)))
