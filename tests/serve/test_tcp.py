"""TCP as RFC 7766 wants it, and what a client may not do. The responder is a fake: framing is what is tested."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gtm.serve import shared, tcp

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Stream]]


class World:
    """A server on loopback whose answers are the questions in capitals."""

    def __init__(self) -> None:
        self.page = shared.Page.new(2)
        self.wrong: list[str] = []
        self.asked: list[tuple[bytes, int, int, str]] = []
        self.server = tcp.Server(
            self.answer, lambda reason, _: self.wrong.append(reason), tcp.Limits(6, 3), self.page, 0
        )
        self.port = 0
        self.clients: list[asyncio.StreamWriter] = []

    def answer(self, packet: bytes, family: int, address: int, transport: str) -> bytes | None:
        self.asked.append((packet[:8], family, address, transport))
        if packet == b"boom":
            raise ValueError(packet)
        return None if packet == b"hush" else packet.upper()

    async def connect(self, host: str = "127.0.0.1") -> Stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(host, 0))
        self.clients.append(writer)
        return reader, writer

    async def holding(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.server) != count:  # noqa: ASYNC110 - a turn of the loop is what we wait for
                await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    listening = await asyncio.get_running_loop().create_server(made.server.connection, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    for client in made.clients:
        client.transport.abort()
    made.server.close()
    await made.holding(0)
    listening.close()
    await listening.wait_closed()


def framed(*packets: bytes) -> bytes:
    return b"".join(struct.pack("!H", len(packet)) + packet for packet in packets)


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        return await reader.readexactly(size)


async def test_E3_many_questions_in_one_segment_are_all_answered_in_order(world: World) -> None:
    reader, writer = await world.connect()
    packets = [b"question %d" % number for number in range(200)]
    writer.write(framed(*packets))
    assert [await answer(reader) for _ in packets] == [packet.upper() for packet in packets]
    assert world.asked[0] == (b"question", 4, 0x7F000001, "tcp")


async def test_rfc_7766_7_an_answer_that_takes_long_is_overtaken(world: World) -> None:
    update, waiting = b"\0\1" + bytes((5 << 3,)) + bytes(9), []
    usual = world.server.answer
    world.server.answer = lambda packet, *who: None if packet == update else usual(packet, *who)
    world.server.later = lambda packet, send: waiting.append((packet, send))
    reader, writer = await world.connect()
    writer.write(framed(b"one", update, b"two", b"three"))
    assert [await answer(reader) for _ in range(3)] == [b"ONE", b"TWO", b"THREE"]
    ((asked, send),) = waiting
    assert asked == update
    send(b"done")
    writer.write(framed(b"four"))
    assert [await answer(reader) for _ in range(2)] == [b"done", b"FOUR"]


async def test_E3_a_question_that_comes_byte_by_byte_is_answered(world: World) -> None:
    reader, writer = await world.connect()
    for byte in framed(b"slowly", b"again"):
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0)
    assert [await answer(reader), await answer(reader)] == [b"SLOWLY", b"AGAIN"]


async def test_what_gets_no_answer_and_what_goes_wrong_leave_the_connection_open(world: World) -> None:
    reader, writer = await world.connect()
    writer.write(framed(b"hush", b"boom", b"", b"last"))
    assert [await answer(reader), await answer(reader)] == [b"", b"LAST"]
    assert world.wrong == ["internal"]


async def test_a_client_that_sends_no_more_still_gets_its_answers_then_the_end(world: World) -> None:
    reader, writer = await world.connect()
    writer.write(framed(*[b"x"] * 100))
    writer.write_eof()
    async with asyncio.timeout(5):
        assert await reader.read() == framed(*[b"X"] * 100)
    await world.holding(0)


async def test_who_hangs_up_on_many_refused_transfers_writes_nothing_into_our_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.server.hand_over = lambda family, address, sock, waiting: False
    axfr = b"\0\7\0\0\0\1\0\0\0\0\0\0\4live\0\0\xfc\0\1"
    with socket.create_connection(("127.0.0.1", world.port)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # its end is a reset
        sock.sendall(framed(*[axfr] * 30))
    async with asyncio.timeout(5):
        while len(world.asked) < 30:  # noqa: ASYNC110 - a turn of the loop is what we wait for
            await asyncio.sleep(0)
    await world.holding(0)
    assert caplog.messages == []


async def test_half_a_question_and_then_the_end_closes_the_connection(world: World) -> None:
    reader, writer = await world.connect()
    writer.write(framed(b"whole")[:4])
    writer.write_eof()
    async with asyncio.timeout(5):
        assert await reader.read() == b""


async def test_G6_many_idle_connections_end_a_few_in_each_turn_so_that_datagrams_do_not_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "SWEPT", 2)
    for host in ("127.0.0.1", "127.0.0.2"):
        for _ in range(3):
            await world.connect(host)
    await world.holding(6)
    world.server.sweep(asyncio.get_running_loop().time() + 100)
    left = [len(world.server)]
    while left[-1]:
        await asyncio.sleep(0)
        left.append(len(world.server))
    assert left == [4, 2, 0]


async def test_G6_a_question_above_4096_bytes_closes_the_connection_and_one_of_4096_does_not(world: World) -> None:
    reader, writer = await world.connect()
    writer.write(framed(b"a" * 4096))
    assert len(await answer(reader)) == 4096
    writer.write(struct.pack("!H", 4097))
    async with asyncio.timeout(5):
        assert await reader.read() == b""


async def test_G6_an_idle_connection_is_closed_and_one_that_asks_is_not(world: World) -> None:
    loop = asyncio.get_running_loop()
    idle_reader, idle = await world.connect()
    await world.holding(1)
    idle.write(b"\0")  # a byte now and then is not a question
    reader, writer = await world.connect()
    await world.holding(2)
    world.server.sweep(loop.time() + 14)
    assert len(world.server) == 2
    before_s = loop.time()
    while loop.time() == before_s:  # noqa: ASYNC110 - the clock is what we wait for
        await asyncio.sleep(0)
    writer.write(framed(b"busy"))
    assert await answer(reader) == b"BUSY"
    world.server.sweep(before_s + 15)
    async with asyncio.timeout(5):
        assert await idle_reader.read() == b""
    assert len(world.server) == 1


async def test_G6_the_idle_time_shrinks_when_nearly_full(world: World) -> None:
    assert world.server.idle_s() == 15
    world.page.count(1, 0, 4)
    assert world.server.idle_s() == 15
    world.page.count(1, 0, 1)
    assert world.server.idle_s() == pytest.approx(10)
    world.page.count(1, 0, 1)
    assert world.server.idle_s() == 1


async def test_G6_one_client_cannot_hold_more_than_its_share_and_its_newest_connection_works(world: World) -> None:
    streams = []
    for count in range(4):
        streams.append(await world.connect())
        await world.holding(min(count + 1, 3))
    async with asyncio.timeout(5):
        assert await streams[0][0].read() == b""  # the longest idle made room
    for reader, writer in streams[1:]:
        writer.write(framed(b"here"))
        assert await answer(reader) == b"HERE"


async def test_G6_connections_at_other_workers_count_too(world: World) -> None:
    world.page.count(1, world.server.cell(4, 0x7F000001), 3)
    reader, _ = await world.connect()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    assert len(world.server) == 0


async def test_G6_when_all_is_full_the_longest_idle_of_all_makes_room(world: World) -> None:
    streams = []
    for number in range(6):
        streams.append(await world.connect(f"127.0.0.{2 + number // 2}"))
        await world.holding(number + 1)
    streams[0][1].write(framed(b"busy"))
    assert await answer(streams[0][0]) == b"BUSY"
    reader, writer = await world.connect("127.0.0.9")
    writer.write(framed(b"new"))
    assert await answer(reader) == b"NEW"
    async with asyncio.timeout(5):
        assert await streams[1][0].read() == b""
    assert len(world.server) == 6


async def test_a_client_that_never_reads_is_read_from_no_more_and_dropped_when_its_time_is_over(world: World) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await loop.sock_connect(deaf, ("127.0.0.1", world.port))
        flood = framed(*[b"y" * 4000] * 16)
        sent = 0
        stalls = 0
        while stalls < 200:  # turns of the loop without room: everybody's buffers are full
            try:
                sent += deaf.send(flood)
                stalls = 0
            except BlockingIOError:
                stalls += 1
            await asyncio.sleep(0)
        asked = len(world.asked)
        assert asked * 4002 <= sent
        reader, writer = await world.connect("127.0.0.2")
        writer.write(framed(b"me"))
        assert await answer(reader) == b"ME"
        assert len(world.asked) <= asked + 1
        world.server.sweep(loop.time() + 15)
        await world.holding(0)
        assert world.page.connections() == 0


async def test_G6_who_reads_no_answer_that_came_later_is_read_from_no_more_either(world: World) -> None:
    update, waiting = b"\0\1" + bytes((5 << 3,)) + bytes(9), []
    world.server.answer = lambda *packet: None
    world.server.later = lambda packet, send: waiting.append(send)
    loop = asyncio.get_running_loop()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await loop.sock_connect(deaf, ("127.0.0.1", world.port))
        await loop.sock_sendall(deaf, framed(update))
        async with asyncio.timeout(5):
            while not waiting:  # noqa: ASYNC110 - a turn of the loop is what we wait for
                await asyncio.sleep(0)
        (connection,) = world.server._open
        while not connection._stuck:
            waiting[0](b"z" * 60_000)
        sent = stalls = 0
        while stalls < 200 and sent < 32 * 1024 * 1024:  # far more than all buffers of the kernel hold
            try:
                sent += deaf.send(bytes(65536))
                stalls = 0
            except BlockingIOError:
                stalls += 1
            await asyncio.sleep(0)
        assert stalls == 200
        assert len(connection._unanswered) <= tcp._READ_BYTES


async def test_a_client_that_resets_is_forgotten(world: World) -> None:
    _, writer = await world.connect()
    await world.holding(1)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await world.holding(0)
    assert world.page.connections() == 0
