"""Samples pass from a worker to the control process: whole, in order, bounded; nothing that is there is believed."""

from __future__ import annotations

import mmap
import os
import random
from collections.abc import Iterator

import pytest

from gtm.serve import tap

SAMPLE = tap.Sample(1_700_000_000.25, 1, 6, 2**127 + 1, 5353, "udp", b"question", b"answer")


@pytest.fixture
def ends() -> Iterator[tuple[tap.Writer, tap.Reader]]:
    reader, writer = tap.Reader(), tap.Writer()
    writer.use(os.dup(reader.fd))
    reader.want(1)
    yield writer, reader
    reader.close()


def test_what_is_put_is_read_once_and_in_order(ends: tuple[tap.Writer, tap.Reader]) -> None:
    writer, reader = ends
    samples = [SAMPLE, SAMPLE._replace(family=4, address=1, port=0, transport="tcp", answer=b"")]
    for one in samples:
        writer.put(one)
    assert list(reader.read(10)) == samples
    assert list(reader.read(10)) == []


def test_samples_are_whole_when_they_go_around_the_end_of_the_ring(ends: tuple[tap.Writer, tap.Reader]) -> None:
    writer, reader = ends
    dice = random.Random(1)
    for number in range(3000):
        one = SAMPLE._replace(question=dice.randbytes(dice.randrange(4096)), port=number)
        writer.put(one)
        assert list(reader.read(10)) == [one]
    assert reader.lost() == 0


def test_a_full_ring_loses_the_new_and_counts_them(ends: tuple[tap.Writer, tap.Reader]) -> None:
    writer, reader = ends
    number = tap.RING_BYTES // 4096 + 500
    for port in range(number):
        writer.put(SAMPLE._replace(question=bytes(4096), port=port))
    found = [one.port for one in reader.read(number)]
    assert found == list(range(len(found)))
    assert reader.lost() == number - len(found) > 0
    assert reader.lost() == 0
    writer.put(SAMPLE)
    assert list(reader.read(10)) == [SAMPLE]


def test_with_little_room_a_sudden_load_is_counted_and_not_copied(ends: tuple[tap.Writer, tap.Reader]) -> None:
    writer, reader = ends
    reader.want(1, room=1000)
    for _ in range(1000):
        for _ in writer.picks(64):
            writer.put(SAMPLE)
    waiting = len(list(reader.read(100_000)))
    assert 1 <= waiting < 100
    assert waiting + reader.lost() == 64_000
    assert len(writer.picks(64)) == 64, "there is room again"
    writer.put(SAMPLE._replace(answer=bytes(60_000)))
    assert [len(one.answer) for one in reader.read(10)] == [60_000], "one always has room, however long"


def test_a_writer_that_begins_anew_goes_on_behind_the_one_before(ends: tuple[tap.Writer, tap.Reader]) -> None:
    writer, reader = ends
    writer.put(SAMPLE)
    again = tap.Writer()
    again.use(os.dup(reader.fd))
    again.put(SAMPLE._replace(port=1))
    assert [one.port for one in reader.read(10)] == [5353, 1]


@pytest.mark.parametrize("every", tap.EVERY)
def test_one_of_so_many_is_picked_however_they_come(ends: tuple[tap.Writer, tap.Reader], every: int) -> None:
    writer, reader = ends
    reader.want(every)
    dice, seen, picked = random.Random(every), 0, []
    while seen < 20 * every:
        batch = dice.randrange(1, 65)
        picked += [seen + at for at in writer.picks(batch)]
        seen += batch
    assert picked == list(range(0, seen, every))


def test_nothing_is_picked_when_nobody_wants_it(ends: tuple[tap.Writer, tap.Reader]) -> None:
    writer, reader = ends
    reader.want(0)
    assert list(writer.picks(64)) == list(tap.Writer().picks(64)) == []
    tap.Writer().put(SAMPLE)
    assert list(reader.read(1)) == []


def test_garbage_in_the_ring_is_passed_over(ends: tuple[tap.Writer, tap.Reader]) -> None:
    writer, reader = ends
    dice = random.Random(7)
    with mmap.mmap(reader.fd, tap.RING_BYTES) as memory:
        for _ in range(300):
            memory[64 : 64 + 4096] = dice.randbytes(4096)
            memory[0:8] = dice.choice([dice.randbytes(8), dice.randrange(8192).to_bytes(8, "little")])
            assert all(isinstance(one, tap.Sample) for one in reader.read(1000))
        memory[0:8] = memory[8:16]
    writer.put(SAMPLE)
    assert list(reader.read(10)) == [SAMPLE]


def test_the_memory_cannot_be_taken_away_while_it_is_read(ends: tuple[tap.Writer, tap.Reader]) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(ends[1].fd, 0)


@pytest.mark.parametrize(("share", "step"), [(1.0, 1), (0.5, 1), (0.01, 61), (0.001, 509), (0.0001, 4093), (0.0, 0)])
def test_the_step_samples_at_least_the_share_that_is_wanted(share: float, step: int) -> None:
    assert tap.every(share) == step
