"""When a node wakes its brain: however busy its loop is, and whatever is still to come."""

from __future__ import annotations

import asyncio

from gtm.app import waking

TURNS = 1000


async def test_A3_a_wake_that_is_due_is_not_put_off_by_results_that_come_in_every_turn() -> None:
    late: list[float] = []
    one, turns = waking.Waking(late.append), 0
    due_s = asyncio.get_running_loop().time()
    while not late and turns < TURNS:
        one.by(due_s)
        turns += 1
        await asyncio.sleep(0)
    assert turns <= 3
    assert late[0] >= 0


async def test_a_wake_comes_sooner_when_something_is_due_sooner_and_not_at_all_when_it_is_cancelled() -> None:
    loop, woken = asyncio.get_running_loop(), asyncio.Event()
    one, never = waking.Waking(lambda _: woken.set()), waking.Waking(lambda _: woken.clear())
    never.by(loop.time())
    never.cancel()
    one.by(loop.time() + 3600)
    one.by(loop.time() + 0.001)
    async with asyncio.timeout(10):
        await woken.wait()


async def test_after_a_mistake_the_next_wake_is_later_than_what_is_due() -> None:
    loop, late = asyncio.get_running_loop(), list[float]()
    one = waking.Waking(late.append)
    one.by(loop.time())
    one.anew(loop.time() + 3600)
    for _ in range(5):
        await asyncio.sleep(0)
    assert late == []
    one.cancel()
