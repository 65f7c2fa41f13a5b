"""Until when resolvers may hold an address, and how much was answered of late: by rings, acknowledgements and time."""

from __future__ import annotations

import asyncio
import types
from typing import Any, cast

import pytest

from gtm import table
from gtm.app import lately, lingering
from gtm.app import node as nodes


def ring(*endpoints: str, ttl_s: int = 5) -> table.Ring:
    return table.Ring(endpoints=tuple((one,) for one in endpoints), ttl_s=ttl_s)


def test_D3_what_is_in_a_ring_is_never_safe_and_what_left_dies_its_ttl_after_the_last_worker() -> None:
    it = lingering.Lingering()
    assert it.until_s(["a"], 0) is None, "nobody has acknowledged anything"
    it.swapped(1, {0: ring("a", "b"), 1: ring("b")}, whole=True)
    it.acknowledged(lambda _: True, 10.0)
    assert it.until_s(["a"], 0) is None
    assert it.until_s(["c"], 0) == 10.0, "never answered by this process"
    assert it.until_s(["c"], 60) == 70.0, "but by one before it"
    it.swapped(2, {0: ring("b")})
    it.acknowledged(lambda revision: revision < 2, 11.0)
    assert it.until_s(["a"], 0) is None, "a worker still answers from the old ring"
    it.acknowledged(lambda _: True, 12.0)
    assert it.until_s(["a"], 0) == 17.0
    assert it.until_s(["a", "b"], 0) is None
    it.swapped(3, {0: ring("a")})
    it.acknowledged(lambda _: True, 13.0)
    assert it.until_s(["a"], 0) is None, "it came back"


def test_D3_an_earlier_answer_with_a_longer_ttl_outlives_the_last_one() -> None:
    it = lingering.Lingering()
    it.swapped(1, {0: ring("a", ttl_s=30)}, whole=True)
    it.acknowledged(lambda _: True, 0.0)
    it.swapped(2, {0: ring("a", ttl_s=5)})  # in doubt: a short TTL
    it.acknowledged(lambda _: True, 10.0)
    it.swapped(3, {0: ring("b", ttl_s=5)})
    it.acknowledged(lambda _: True, 12.0)
    assert it.until_s(["a"], 0) == 40.0


def test_D3_a_whole_new_table_takes_away_what_it_does_not_hold() -> None:
    it = lingering.Lingering()
    it.swapped(1, {0: ring("a"), 1: ring("a", "b", ttl_s=9)}, whole=True)
    it.swapped(2, {0: ring("b")}, whole=True)
    it.acknowledged(lambda _: True, 3.0)
    assert it.until_s(["a"], 0) == 12.0
    assert it.until_s(["b"], 0) is None


def test_G6_swaps_that_a_worker_never_acknowledges_are_bounded_and_nothing_is_safe_too_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lingering, "MOST_LEAVING", 10)
    it = lingering.Lingering()
    it.swapped(1, {0: ring("a", ttl_s=30)}, whole=True)
    it.acknowledged(lambda _: True, 0.0)
    for revision in range(2, 1000):
        it.swapped(revision, {0: ring(f"e{revision % 7}", ttl_s=9)})
    assert len(it._leaving) <= 10
    assert it.until_s(["a"], 0) is None
    it.acknowledged(lambda revision: revision < 999, 50.0)
    assert it.until_s(["e3"], 0) is None, "what was replaced by the last swaps may still be answered"
    it.acknowledged(lambda _: True, 60.0)
    assert it.until_s(["e3"], 0) == 69.0
    assert it.until_s(["e5"], 0) is None, "it is in the ring"
    assert it.until_s(["a"], 0) == 80.0


def test_G6_endpoints_that_come_and_go_for_ever_are_forgotten_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "MOST_ENDS", 5)
    it = lingering.Lingering()
    for at in range(100):
        it.swapped(at, {0: ring("kept", f"e{at}")})
        it.acknowledged(lambda _: True, float(at))
    assert len(it._ends_s) == 5
    assert set(it._holding) == {"kept", "e99"}
    assert it.until_s(["e98"], 0) == 104.0
    assert it.until_s(["kept"], 0) is None


async def test_D3_who_has_waited_for_the_workers_is_told_though_their_word_is_still_on_its_way() -> None:
    it = lingering.Lingering()
    it.swapped(1, {0: ring("a")}, whole=True)
    it.acknowledged(lambda _: True, 0.0)
    it.swapped(2, {0: ring("b")})
    node = types.SimpleNamespace(
        brain=types.SimpleNamespace(pending=lambda: False), answering=lambda: True, lingering=it,
        link=types.SimpleNamespace(answered_by_all=lambda _: True), _moved=asyncio.Event(),
    )  # fmt: skip
    assert it.until_s(["a"], 0) is None
    assert await nodes.Node.settled(cast(Any, node), 1.0)
    assert it.until_s(["a"], 0) is not None


def test_answers_of_late_are_those_of_five_minutes() -> None:
    now = [0.0]
    it = lately.Lately(lambda: now[0])
    it.add({("play.", "eu"): 5})
    now[0] = 90.0
    it.add({("play.", "eu"): 2, ("play.", "us"): 1})
    it.add({})
    assert it.counts() == {("play.", "eu"): 7, ("play.", "us"): 1}
    now[0] = 301.0
    assert it.counts() == {("play.", "eu"): 2, ("play.", "us"): 1}
    now[0] = 1000.0
    assert it.counts() == {}


def test_what_is_kept_of_late_is_bounded() -> None:
    now = [0.0]
    it = lately.Lately(lambda: now[0])
    for minute in range(60):
        now[0] = minute * 60.0
        it.add({("play.", "eu"): 1})
    assert it.counts() == {("play.", "eu"): lately.BUCKETS}
