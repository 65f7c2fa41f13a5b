"""Work that makes very many objects to keep, in; the same work without the collector walking over all of them, out.

With 100,000 names Python's collector takes more than half of the time of loading them, and it would look at them again
for ever after, each time stopping the loop that probes for most of a second.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

# The collector looks at what is young when there is so much more of it than before: of a thousand probes a second a
# few times a second. At Python's own 700 that is a hundred times, a tenth of all that this process does.
YOUNG = 5000


def seldom() -> None:
    """Let the collector look more seldom at what is young; the probes of a few seconds are little memory."""
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])


@contextlib.contextmanager
def resting(wanted: bool = True) -> Iterator[None]:
    """Let the collector rest, and never look at what was made meanwhile (it goes when nobody refers to it).

    What is left of work that failed is collected as ever: a traceback holds on to everything that was half done.
    """
    if not wanted:
        yield
        return
    was = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was:
            gc.enable()
