"""A worker that reads a new table lets the loop answer after each slice of it, and mistakes come out as they are."""

from __future__ import annotations

import asyncio
import itertools
import os
import types

import pytest

from gtm import errors
from gtm.serve import journal, making
from gtm.wire import pack, steps, unpack
from tests.serve import control


def work(count: int) -> steps.Steps[str]:
    for _ in range(count):
        yield
    return "done"


async def test_the_loop_turns_between_two_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(turn)

    turn()
    milliseconds = itertools.count()  # each look at the clock, so each step, takes one
    clock = types.SimpleNamespace(monotonic=lambda: next(milliseconds) / 1000)
    monkeypatch.setattr(making, "time", clock)
    assert await making.in_slices(work(100)) == "done"
    assert turns >= 100 / (making.SLICE_S * 1000)


async def test_what_is_wrong_with_a_table_comes_out_of_its_slices() -> None:
    with pytest.raises(errors.TableError):
        await making.in_slices(unpack.reading(b"GTMT\x02" + bytes(40)))


def test_emptying_leaves_nothing_of_dictionaries_and_lists() -> None:
    names, rings = dict.fromkeys(range(1000), 1), list(range(700))
    assert steps.finish(steps.emptying(names, rings)) is None
    assert (names, rings) == ({}, [])


def test_a_journal_is_read_where_it_lies_and_cannot_shrink_under_its_reader() -> None:
    packed = pack.pack_table(control.answers("192.0.2.1", 3))
    writer = journal.Writer(packed, 3)
    with pytest.raises(PermissionError), open(writer.fd, "r+b", closefd=False) as file:
        file.truncate(10)
    reader = journal.Reader(os.dup(writer.fd))
    record = reader.next()
    assert record is not None
    body = reader.body(record)
    reader.close()
    writer.close()
    assert unpack.whole(body).revision == 3
