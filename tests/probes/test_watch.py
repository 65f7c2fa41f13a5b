"""Watched connections, against servers that break them in every way."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from gtm import model
from gtm.probes import watch
from tests.probes.probe_servers import Clock, make

WITHIN_S = 5.0


class Server:
    """Accepts connections on a free port and keeps them."""

    def __init__(self) -> None:
        self.accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self.readers: dict[asyncio.StreamWriter, asyncio.StreamReader] = {}
        self.port = 0
        self._server: asyncio.Server

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.readers[writer] = reader
        self.accepted.put_nowait(writer)

    async def next(self) -> asyncio.StreamWriter:
        async with asyncio.timeout(WITHIN_S):
            return await self.accepted.get()

    def shut(self) -> None:
        self._server.close()

    async def close(self) -> None:
        self.shut()
        for writer in self.readers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in self.readers), return_exceptions=True)

    async def hung_up_on(self, writer: asyncio.StreamWriter) -> None:
        """Wait until the watcher has let go of a connection."""
        async with asyncio.timeout(WITHIN_S):
            await asyncio.gather(self.readers[writer].read(), return_exceptions=True)


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection as the kernel of a dead process with unread data does."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Bench:
    """A watcher, its server and what it said."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self.server, self.clock = server, clock
        self.broke: asyncio.Queue[tuple[model.CheckKey, ...]] = asyncio.Queue()
        self.watcher = watch.Watcher(self.broke.put_nowait, limit=2, monotonic=lambda: clock.now_s)

    def check(self, endpoint: str = "fra-1") -> model.Check:
        return make("tcp", self.server.port, endpoint=endpoint, watch=True)

    async def hold(self, check: model.Check) -> asyncio.StreamWriter:
        """Begin a watch by a good probe; return the server's end once it is held."""
        self.watcher.came(check, True)
        writer = await self.server.next()
        await self.dialled()
        return writer

    async def said(self) -> tuple[model.CheckKey, ...]:
        async with asyncio.timeout(WITHIN_S):
            return await self.broke.get()

    def watched(self) -> watch._Watched:
        (watched,) = self.watcher._places.values()
        return watched

    async def dialled(self) -> None:
        """Wait until the connection that is being made is held."""
        dialling = self.watched().dialling
        if dialling is not None:
            await asyncio.wait_for(dialling, WITHIN_S)
        assert self.watcher.held == 1


@pytest.fixture
async def bench(clock: Clock) -> AsyncIterator[Bench]:
    server = Server()
    await server.open()
    made = Bench(server, clock)
    yield made
    made.watcher.close()
    await server.close()


@pytest.mark.parametrize("how", [reset, asyncio.StreamWriter.close])
async def test_a_break_runs_one_check_and_its_failure_the_others(bench: Bench, how: object) -> None:
    one, two = bench.check("one"), bench.check("two")
    writer = await bench.hold(one)
    bench.watcher.came(two, True)
    assert bench.watcher.held == 1, "both are at the same place"
    bench.clock.pass_(30)
    assert callable(how)
    how(writer)
    assert await bench.said() == (one.key,)
    bench.watcher.came(one, False)
    assert await bench.said() == (two.key,)
    bench.watcher.came(two, False)
    assert bench.broke.empty()
    assert bench.watcher.held == 0


async def test_an_ordinary_end_costs_one_probe_and_the_watch_goes_on(bench: Bench) -> None:
    one, two = bench.check("one"), bench.check("two")
    writer = await bench.hold(one)
    bench.watcher.came(two, True)
    bench.clock.pass_(60)
    writer.close()
    assert await bench.said() == (one.key,)
    bench.watcher.came(one, True)
    await bench.server.next()
    await bench.dialled()
    assert bench.broke.empty()


async def test_a_time_out_that_shows_twice_is_learnt_and_forestalled(bench: Bench) -> None:
    check = bench.check()
    for _ in range(2):
        writer = await bench.hold(check)
        bench.clock.pass_(watch.SHORT_LIVED_S)
        writer.close()
        await bench.said()
    timers = asyncio.get_running_loop()
    before_s = timers.time()
    bench.watcher.came(check, True)
    await bench.server.next()
    await bench.dialled()
    watched = bench.watched()
    assert watched.renewal is not None
    renew_s = watched.renewal.when() - before_s
    assert renew_s == pytest.approx(watch.RENEW_SHARE * watch.SHORT_LIVED_S, abs=1)
    bench.watcher._dial(watched)  # what the timer does
    await bench.server.next()
    await bench.dialled()
    assert bench.broke.empty(), "what we end ourselves is no break"


async def test_a_renewal_that_is_refused_is_a_break(bench: Bench) -> None:
    check = bench.check()
    await bench.hold(check)
    watched = bench.watched()
    bench.server.shut()
    bench.watcher._dial(watched)
    assert await bench.said() == (check.key,)
    assert bench.watcher.held == 0


async def test_a_server_that_hangs_up_at_once_is_left_alone_for_longer_each_time(bench: Bench) -> None:
    check = bench.check()
    pauses = []
    for _ in range(3):
        writer = await bench.hold(check)
        writer.close()
        await bench.said()
        bench.watcher.came(check, True)
        watched = bench.watched()
        pauses.append(watched.not_before_s - bench.clock.now_s)
        bench.watcher.came(check, True)
        assert watched.dialling is None
        bench.clock.pass_(pauses[-1])
    assert pauses == [1.0, 2.0, 4.0]


async def test_G6_a_server_that_talks_and_talks_is_not_watched(bench: Bench) -> None:
    writer = await bench.hold(bench.check())
    writer.write(b"bla" * watch.HEARD_BYTES)
    await bench.server.hung_up_on(writer)
    assert bench.watcher.held == 0
    assert bench.broke.empty()


async def test_G6_the_places_are_bounded(bench: Bench) -> None:
    for number in range(1, 5):
        check = make("tcp", bench.server.port, endpoint=str(number), address=f"127.0.0.{number}", watch=True)
        bench.watcher.came(check, True)
    assert len(bench.watcher._places) == 2


async def test_only_what_is_asked_for_is_watched_and_only_where_probes_may_go(bench: Bench) -> None:
    bench.watcher.came(make("tcp", bench.server.port), True)
    bench.watcher.came(make("tcp", bench.server.port, address="169.254.169.254", watch=True), True)
    bench.watcher.came(make("tcp", bench.server.port, address="edge.example.com.", watch=True), True)
    bench.watcher.came(bench.check(), False)
    bench.watcher.came(bench.check(), None)
    assert not bench.watcher._places


async def test_checks_that_are_gone_let_go(bench: Bench) -> None:
    one, two = bench.check("one"), bench.check("two")
    writer = await bench.hold(one)
    bench.watcher.came(two, True)
    bench.watcher.keep([two.key])
    assert bench.watcher.held == 1
    bench.watcher.keep([])
    assert bench.watcher.held == 0
    await bench.server.hung_up_on(writer)
    assert bench.broke.empty()


async def test_a_check_that_moves_takes_its_watch_along(bench: Bench) -> None:
    check = bench.check()
    await bench.hold(check)
    other = Server()
    await other.open()
    bench.watcher.came(make("tcp", other.port, watch=True), True)
    await other.next()
    await bench.dialled()
    assert [place[1] for place in bench.watcher._places] == [other.port]
    bench.watcher.close()
    await other.close()


async def test_a_dead_machine_is_known_by_the_kernel(bench: Bench) -> None:
    await bench.hold(bench.check())
    watched = bench.watched()
    assert watched.held is not None
    sock = watched.held.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == watch.UNHEARD_MS
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == watch.KEEPALIVE_AFTER_S
