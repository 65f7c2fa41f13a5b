"""A store that fails and comes back under the book: nothing is forgotten, and each change is said once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from gtm import errors, events, model, seen
from gtm.app import book
from gtm.store import memory

KEY = model.CheckKey("web", "one", "ipv4", "")
URL = "sqlite:///somewhere"


class Shaky(memory.MemoryStore):
    """A store whose disk can break; `aside` is what opening says next."""

    def __init__(self) -> None:
        super().__init__(now=lambda: 1000.0)
        self.broken, self.aside, self.room = False, "", 1 << 20

    def _look(self) -> None:
        if self.broken:
            raise errors.StoreError("database or disk is full")

    async def open(self) -> str:
        self._look()
        aside, self.aside = self.aside, ""
        return aside

    async def append(self, happened: Sequence[events.Event]) -> tuple[events.Event, ...]:
        self._look()
        return await super().append(happened)

    async def keep_papers(self, changes: Mapping[tuple[str, str], str | None]) -> None:
        if sum(len(body or "") for body in changes.values()) > self.room:
            raise errors.StoreError("database or disk is full")
        await super().keep_papers(changes)

    async def remember(self, states: Mapping[model.CheckKey, seen.Known]) -> None:
        self._look()
        await super().remember(states)


class Desk:
    """A book in use, with what it says and tells."""

    def __init__(self) -> None:
        self.store = Shaky()
        self.told: list[events.Event] = []
        self.returns: list[bool] = []
        self.book = book.Book(self.store, URL, happened=self.happened, tell=self.told.append, returned=self._returned)

    def happened(self, kind: events.EventKind, subject: str, before: str, after: str, cause: str) -> None:
        self.book.write(events.Event(1000.0, kind, subject, before, after, cause))

    async def _returned(self, begun_anew: bool) -> None:
        self.returns.append(begun_anew)

    async def turn(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def kept(self) -> list[tuple[str, str]]:
        return [(event.subject, event.after) for event in await self.store.events()]


@contextlib.asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    one = Desk()
    running = asyncio.create_task(one.book.run())
    yield one
    one.book.close()
    await running


async def test_F5_a_store_that_cannot_be_used_at_the_start_is_used_as_soon_as_it_can() -> None:
    async with desk() as one:
        one.store.broken = True
        assert await one.book.recall() == ({}, ())
        one.happened("node", "ns1", "", "started", "")
        await one.book.remember({KEY: seen.Known("up", 999.0, "")})
        await one.turn()
        assert not one.book.works
        assert [event.subject for event in one.told] == [URL, "ns1"], "what cannot be kept is told all the same"
        one.store.broken = False
        await one.book.remember({KEY: seen.Known("up", 999.0, "")})
        await one.turn()
        assert one.book.works
        assert one.returns == [False]
        assert await one.kept() == [(URL, "unusable"), ("ns1", "started"), (URL, "usable")]
        assert [event.subject for event in one.told] == [URL, "ns1", URL], "and once only"
        assert await one.store.health() == {KEY: seen.Known("up", 999.0, "")}


async def test_F5_a_store_is_seen_to_be_back_though_nothing_happens_that_would_be_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(book, "AGAIN_S", 0.01)
    async with desk() as one:
        one.store.broken = True
        await one.book.remember({})  # and never again: every check of this node is silent
        await one.turn()
        one.store.broken = False
        async with asyncio.timeout(5):
            while not one.book.works:  # noqa: ASYNC110  # nobody announces it
                await asyncio.sleep(0.01)
        assert one.returns == [False]
        assert one.book.trouble == ""


async def test_F5_a_disk_that_takes_a_little_and_no_more_is_full_still() -> None:
    async with desk() as one:
        one.store.broken = True
        one.happened("node", "ns1", "", "started", "")
        await one.turn()
        one.store.broken, one.store.room = False, 100
        await one.book.remember({})
        assert not one.book.works
        one.store.room = 1 << 20
        await one.book.remember({})
        await one.turn()
        assert one.book.works
        assert await one.kept() == [("ns1", "started"), (URL, "unusable"), (URL, "usable")]
        assert await one.store.papers() == {}


async def test_F5_a_row_of_failures_is_said_once() -> None:
    async with desk() as one:
        one.store.broken = True
        for _ in range(5):
            await one.book.remember({})
            one.happened("pool", "p", "", "failed", "")
            await one.turn()
        assert [event.after for event in one.told].count("unusable") == 1
        one.store.broken = False
        await one.book.remember({})
        await one.turn()
        assert [after for _, after in await one.kept()] == ["unusable", *["failed"] * 5, "usable"]


async def test_what_waits_is_bounded_and_the_oldest_go() -> None:
    async with desk() as one:
        one.store.broken = True
        for at in range(book.MOST_WAITING_EVENTS + 7):
            one.happened("pool", str(at), "", "failed", "")
        await one.turn()
        lost = one.book.lost_events
        assert 7 <= lost <= 8  # the word of the trouble itself waits too
        one.store.broken = False
        await one.book.remember({})
        await one.turn()
        assert next(iter(await one.kept())) != ("0", "failed")
        assert sum(event.kind == "pool" for event in one.told) == book.MOST_WAITING_EVENTS + 7


async def test_a_damaged_store_is_said_and_its_successor_is_handed_the_orders() -> None:
    async with desk() as one:
        await one.book.recall()
        one.store.broken = True
        await one.book.remember({})
        one.store.broken, one.store.aside = False, "gtm.db.corrupt-1"
        await one.book.remember({})
        await one.turn()
        assert one.returns == [True]
        assert [after for _, after in await one.kept()] == ["unusable", "begun anew", "usable"]


async def test_a_store_whose_file_is_gone_is_handed_the_orders_though_nothing_has_failed_yet() -> None:
    async with desk() as one:
        await one.book.recall()
        one.store.aside = "nowhere to be found"
        await one.book.remember({})
        await one.turn()
        assert one.returns == [True]
        assert [after for _, after in await one.kept()] == ["begun anew"]
