"""A packed table in, a responder for it out, in slices between which the loop answers what waits."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TypeVar

from gtm.wire import extras, respond, runtime, steps, unpack

# So long questions wait while a new table is read; between two slices a batch of them is answered, which takes a
# millisecond when it is full, so that even then a flood of 20,000 a second is answered.
SLICE_S = 0.002

T = TypeVar("T")


async def in_slices(work: steps.Steps[T]) -> T:
    """Do `work`, and let the loop answer what waits after each slice of it."""
    while True:
        until_s = time.monotonic() + SLICE_S
        while time.monotonic() < until_s:
            try:
                next(work)
            except StopIteration as done:
                result: T = done.value
                return result
        await asyncio.sleep(0)


def responder(body: memoryview, more: extras.Extras) -> steps.Steps[respond.Responder]:
    """Return a responder for a packed table. What is left over of the way there goes step by step, too."""
    whole = yield from unpack.reading(body)
    world = yield from runtime.loading(whole)
    made = respond.Responder(whole, seed=seed(), world=world, more=more)
    names, rings = whole.names, list(whole.rings)
    del whole
    yield from steps.emptying(names, rings)
    return made


def seed() -> int:
    """Return where cursors of rings begin: eight bytes, signed, never negative."""
    return int.from_bytes(os.urandom(7))
