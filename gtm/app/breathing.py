"""Long work in small steps in, its result out; in between whoever else waits for the loop has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from gtm.wire import steps

T = TypeVar("T")

# So long the loop may belong to one piece of work; probes and the web are waiting.
BREATH_S = 0.01


async def through(work: steps.Steps[T], look: Callable[[], None] = lambda: None) -> T:
    """Take all steps and return what they come to. `look` is called after each breath, and may raise."""
    until_s = time.monotonic() + BREATH_S
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found
        if time.monotonic() >= until_s:
            await asyncio.sleep(0)
            until_s = time.monotonic() + BREATH_S
            look()
