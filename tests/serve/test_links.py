"""The control process's end, with the supervisor and a worker played by the test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from gtm import errors, table
from gtm.serve import channel, counters, journal, links, shared
from gtm.wire import pack, unpack
from tests.serve import control


class World:
    """Links with one worker; what they call back is kept."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.supervisor, theirs = channel.pair()
        self.worker, self.workers_control = channel.pair()
        self.page = shared.Page.new(1)
        self.links = links.Links(
            theirs,
            on_counts=lambda worker, counts: self.heard.append(("counts", worker, counts)),
            on_swapped=lambda worker, revision: self.heard.append(("swapped", worker, revision)),
            on_supervisor=lambda kind, body: self.heard.append((kind, body)),
        )

    async def open(self) -> links.Bound:
        opening = asyncio.create_task(self.links.open(listen=[("127.0.0.1", 0)], workers=1))
        await asyncio.sleep(0)
        wanted = (await self.next(self.supervisor)).json()
        assert wanted == {
            "listen": [["127.0.0.1", 0]],
            "workers": 1,
            "tcp": [1024, 32, 15.0],
            "rate_limit": None,
            "guards": {},
            "also": [],
        }
        self.supervisor.send("worker", fd=self.workers_control.fileno())
        self.supervisor.send_json("bound", {"listen": [["127.0.0.1", 5300]], "workers": 1}, self.page.fd)
        bound = await opening
        await self.tapped()
        return bound

    async def tapped(self) -> None:
        """Take the ring that a worker gets first."""
        message = await self.next(self.worker)
        assert message.kind == "tap"
        os.close(message.fd)

    async def next(self, end: channel.Channel) -> channel.Message:
        async with asyncio.timeout(5):
            while (message := end.receive()) is None:  # noqa: ASYNC110 - turns of the loop are what we wait for
                await asyncio.sleep(0)
            return message

    async def hear(self) -> tuple[Any, ...]:
        async with asyncio.timeout(5):
            while not self.heard:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
            return self.heard.pop(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    made.links.close()
    for end in (made.supervisor, made.worker, made.workers_control):
        end.close()


def final(fd: int) -> tuple[int, Mapping[int, table.Ring]]:
    """Return the revision at the end of a journal, and its rings as they are after all of them."""
    reader = journal.Reader(os.dup(fd))
    rings: dict[int, table.Ring] = {}
    revision = 0
    while (record := reader.next()) is not None:
        revision = record.revision
        if record.kind == journal.RINGS:
            rings.update(unpack.rings(reader.body(record))[1])
    reader.close()
    return revision, rings


async def test_what_workers_and_supervisor_say_is_called_back(world: World) -> None:
    world.page.answers(0, 7)
    assert await world.open() == links.Bound((("127.0.0.1", 5300),), 1, 7)
    counts: counters.Counts = {"queries": {("udp", "A"): 2}}
    world.worker.send("counts", next(counters.pack(counts)))
    assert await world.hear() == ("counts", 0, counts)
    world.worker.send_json("swapped", {"revision": 8})
    assert await world.hear() == ("swapped", 0, 8)
    world.supervisor.send_json("reload", {})
    assert await world.hear() == ("reload", {})
    assert world.links.answered_by_all(7)
    assert not world.links.answered_by_all(8)
    assert world.page.beaten_ns(1) > 0


async def test_rings_without_a_table_are_a_mistake(world: World) -> None:
    await world.open()
    with pytest.raises(errors.GtmError):
        world.links.publish_rings(pack.pack_rings(1, {}), 1)


async def test_a_journal_goes_to_everybody_and_is_sent_again_to_a_worker_that_says_hello(world: World) -> None:
    await world.open()
    world.links.publish_table(pack.pack_table(control.answers("192.0.2.1", 1)), 1)
    world.links.publish_rings(pack.pack_rings(2, {0: control.ring("192.0.2.2")}), 2)
    first = await world.next(world.worker)
    assert (await world.next(world.worker)).kind == "rings"
    world.worker.send("hello")
    await world.tapped()
    again = await world.next(world.worker)
    to_supervisor = await world.next(world.supervisor)
    for message in (first, again, to_supervisor):
        assert message.kind == "journal"
        assert final(message.fd) == (2, {0: control.ring("192.0.2.2")})
        os.close(message.fd)


async def test_a_worker_that_does_not_read_gets_the_newest_journal_when_it_does(world: World) -> None:
    await world.open()
    for revision in range(1, 1000):
        world.links.publish_table(pack.pack_table(control.answers("192.0.2.1", revision)), revision)
        if not revision % 10:  # the supervisor does read
            while (message := world.supervisor.receive()) is not None:
                os.close(message.fd)
    highest = 0
    async with asyncio.timeout(5):
        while highest < 999:
            message = await world.next(world.worker)
            highest = max(highest, final(message.fd)[0])
            os.close(message.fd)


async def test_a_journal_that_grew_is_begun_anew_with_the_newest_of_every_ring(world: World) -> None:
    await world.open()
    world.links.publish_table(pack.pack_table(control.answers("192.0.2.1", 1)), 1)
    first = await world.next(world.worker)
    big = table.Ring((0,) * 2000, control.ring("192.0.2.3").replies, (("e",),), why="x" * 50_000)
    revision = 1
    while (message := world.worker.receive()) is None or message.kind != "journal":
        revision += 1
        world.links.publish_rings(pack.pack_rings(revision, {revision % 2: big}), revision)
        assert revision < 100
    assert os.fstat(message.fd).st_size < os.fstat(first.fd).st_size / 5
    assert final(message.fd) == (revision, {0: big, 1: big})
    for fd in (first.fd, message.fd):
        os.close(fd)


async def test_a_process_that_nobody_started_says_how_it_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(channel.VARIABLE, raising=False)
    with pytest.raises(errors.GtmError, match="gtm serve"):
        links.Links.from_environment(
            on_counts=lambda *_: None, on_swapped=lambda *_: None, on_supervisor=lambda *_: None
        )
