"""SIGHUP in, reloads out: however many come, one more reload sees what they were about."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from gtm.app import __main__ as control
from gtm.web import node as desk


class Slow:
    """A desk whose reloads end when they are let, and the node behind it."""

    def __init__(self) -> None:
        self.reloads = self.readies = 0
        self.gate = asyncio.Event()
        self.link = self

    async def reload(self, yes: bool, by: str) -> desk.Reloaded:
        self.reloads += 1
        await self.gate.wait()
        return desk.Reloaded(True)

    def ready(self) -> None:
        self.readies += 1


async def test_a_storm_of_hang_ups_is_one_reload_and_one_more() -> None:
    one, asked = Slow(), asyncio.Event()
    running = asyncio.create_task(control._reload_when(asked, cast(Any, one), cast(Any, one)))
    for _ in range(300):
        asked.set()
        await asyncio.sleep(0)
    assert one.reloads == 1
    one.gate.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert (one.reloads, one.readies) == (2, 2)
    asked.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert one.reloads == 3
    running.cancel()
