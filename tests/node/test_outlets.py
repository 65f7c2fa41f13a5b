"""The query log and the dnstap sender give what they can and count the rest; neither is ever waited for."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gtm import answering
from gtm.app import querylog, watching
from gtm.serve import stream, tap
from gtm.wire import dnstap

FRAMES = dnstap.frames(dnstap.head(b"ns1", b"GTM"), 1.7e9, 4, 1, 53, "udp", b"question", b"answer")


def log(path: Path | str, said: list[tuple[str, ...]], per_second: int = 100) -> querylog.Writer:
    return querylog.Writer(answering.QueryLog(str(path), 1.0, per_second), lambda *words: said.append(words))


def test_lines_are_written_in_order_and_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path, said = tmp_path / "log", list[tuple[str, ...]]()
    one = log(path, said)
    one.offer(b"1\n")
    one.offer(b"2\n")
    until(lambda: path.exists() and path.read_bytes() == b"1\n2\n")
    path.rename(tmp_path / "log.1")
    one.offer(b"3\n")
    one.close()
    assert path.read_bytes() == b"3\n"
    assert (tmp_path / "log.1").read_bytes() == b"1\n2\n"
    assert path.stat().st_mode & 0o777 == 0o640 & ~_umask()
    assert (one.written, one.dropped, said) == (3, {"rate": 0, "queue": 0, "disk": 0}, [])


def test_a_file_that_is_big_enough_becomes_the_one_before_and_two_is_all_there_ever_are(tmp_path: Path) -> None:
    path, said = tmp_path / "log", list[tuple[str, ...]]()
    one = querylog.Writer(answering.QueryLog(str(path), max_bytes=4), lambda *words: said.append(words))
    for number in range(5):
        one.offer(b"%d1\n" % number)
        until(lambda number=number: one.written == number + 1)  # type: ignore[misc]
    one.close()
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"log": b"41\n", "log.1": b"21\n31\n"}
    assert said == []


def test_a_disk_that_cannot_be_written_is_said_once_counted_and_tried_again(tmp_path: Path) -> None:
    folder, said = tmp_path / "gone", list[tuple[str, ...]]()
    one = log(folder / "log", said)
    for number in range(3):
        one.offer(b"x\n")
        until(lambda number=number: one.dropped["disk"] == number + 1)  # type: ignore[misc]
    folder.mkdir()
    one.offer(b"y\n")
    one.close()
    assert (folder / "log").read_bytes() == b"y\n"
    assert [words[:2] for words in said] == [("usable", "unusable"), ("unusable", "usable")]


def test_a_stuck_disk_bounds_the_lines_that_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")  # opening it for writing waits for a reader
    one = log(tmp_path / "log", [])
    for _ in range(querylog.MOST_WAITING + 2000):
        one.offer(b"x\n")
    assert one.dropped["queue"] >= 1000
    reader = threading.Thread(target=(tmp_path / "log").read_bytes)
    reader.start()
    one.close()
    reader.join(10)
    assert not reader.is_alive()


def test_more_lines_than_wanted_in_a_second_are_counted(tmp_path: Path) -> None:
    one = log(tmp_path / "log", [], per_second=2)
    assert [one.wants(10.0 + at / 10) for at in range(4)] == [True, True, False, False]
    assert one.wants(11.0)
    assert one.dropped["rate"] == 2
    one.close()


def until(true: Callable[[], bool]) -> None:
    """Wait for what a thread does."""
    turn = threading.Event()
    for _ in range(1000):
        if true():
            return
        turn.wait(0.01)
    raise AssertionError("it never came")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class Reader:
    """A dnstap reader that reads as it is told."""

    def __init__(self) -> None:
        self.accepts, self.reads = True, asyncio.Event()
        self.got = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.reads.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(EOFError, OSError):
            await reader.readexactly(len(dnstap.control(dnstap.READY)))
            writer.write(dnstap.control(dnstap.ACCEPT if self.accepts else dnstap.FINISH))
            await reader.readexactly(len(dnstap.control(dnstap.START)))
            await self.reads.wait()
            while size := int.from_bytes(await reader.readexactly(4)):
                await reader.readexactly(size)
                self.got += 1
            writer.write(dnstap.control(dnstap.FINISH, says_what=False))
        writer.close()


@contextlib.asynccontextmanager
async def connected(path: Path) -> AsyncIterator[tuple[Reader, stream.Sender, list[tuple[str, ...]]]]:
    """Yield a reader, and a sender to it over TCP."""
    reader, said = Reader(), list[tuple[str, ...]]()
    server = await asyncio.start_server(reader.serve, "127.0.0.1", 0, limit=1024)
    host, port = server.sockets[0].getsockname()[:2]
    sender = stream.Sender(answering.Dnstap("", (host, port)), lambda *words: said.append(words))
    yield reader, sender, said
    await sender.close()
    server.close()
    for one in reader.writers:
        one.close()


async def when(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - turns of the loop are what we wait for
            await asyncio.sleep(0.005)


async def test_frames_reach_a_reader_and_it_is_taken_leave_of(tmp_path: Path) -> None:
    async with connected(tmp_path) as (reader, sender, said):
        for _ in range(1000):
            sender.offer(FRAMES)
        await when(lambda: reader.got == 2000)
        await sender.close()
        assert (sender.sent, sender.dropped) == (2000, 0)
        assert [words[:2] for words in said] == [("unusable", "connected")]


async def test_what_a_slow_reader_misses_is_counted_and_the_rest_is_whole(tmp_path: Path) -> None:
    async with connected(tmp_path) as (reader, sender, _):
        reader.reads.clear()
        await when(lambda: sender.connected)
        big = (FRAMES[0][:4] and (len(FRAMES[0]) - 4 + 60_000).to_bytes(4) + FRAMES[0][4:] + bytes(60_000),)
        offered = 400
        for _ in range(offered):
            sender.offer(big)
            await asyncio.sleep(0)
        assert sender.dropped > 100
        reader.reads.set()
        await when(lambda: reader.got + sender.dropped == offered)
        assert sender.sent == reader.got


async def test_a_reader_that_refuses_or_leaves_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_BACKOFF_S", (0.01, 0.02))
    async with connected(tmp_path) as (reader, sender, said):
        reader.accepts = False
        await when(lambda: bool(said))
        assert said[0][:2] == ("", "unusable")
        reader.accepts = True
        await when(lambda: sender.connected)
        reader.writers[-1].transport.abort()
        await when(lambda: len(said) == 3)
        assert said[2][:2] == ("connected", "unusable")
        await when(lambda: sender.connected)
        sender.offer(FRAMES)
        await when(lambda: reader.got == 2)


async def test_a_reader_that_takes_nothing_is_left_and_it_is_said_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_STUCK_S", 0.05)
    async with connected(tmp_path) as (reader, sender, said):
        reader.reads.clear()
        await when(lambda: sender.connected)
        async with asyncio.timeout(10):
            while len(said) < 2:  # the kernel holds some megabytes for it
                sender.offer((bytes([0, 0, 234, 96]) + bytes(60_000),))
                await asyncio.sleep(0.001)
        assert said[1] == ("connected", "unusable", "the reader takes nothing; what it misses is counted")
        reader.reads.set()


@pytest.mark.parametrize("every", tap.EVERY)
@pytest.mark.parametrize("share", [1.0, 0.5, 0.1, 0.01])
def test_a_share_of_all_answers_passes_whatever_one_sample_stands_for(share: float, every: int) -> None:
    if every * share > 1:
        every = tap.every(share)
    thinner, answers = watching._Thinner(share), 200_000
    passed = sum(thinner.passes(every) for _ in range(answers // every))
    assert passed == pytest.approx(answers * share, rel=0.02, abs=2)


def test_addresses_of_clients_are_cut_in_the_query_log() -> None:
    assert watching._cut(4, int(ipaddress.ip_address("192.0.2.53")), 24, 128) == "192.0.2.0/24"
    assert watching._cut(6, int(ipaddress.ip_address("2001:db8:1:2ff::1")), 56, 128) == "2001:db8:1:200::/56"
    assert watching._cut(4, int(ipaddress.ip_address("198.51.100.0")), 20, 24) == "198.51.96.0/20"
    assert json.dumps(watching._cut(6, 1, 128, 128)) == '"::1/128"'
