"""Long work in, the same work in short steps out, so that whoever runs it may answer questions between two of them.

A generator that yields often, each time after less than a millisecond or so, and returns what it made.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]
# Of most things here a few hundred are a fraction of a millisecond's work.
ITEMS = 256


def finish(work: Steps[T]) -> T:
    """Do all of `work` now, and return what it made."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result


def emptying(*containers: Mapping[Any, Any] | list[Any]) -> Steps[None]:
    """Take dictionaries and lists apart that nobody else needs: freeing them all at once takes long."""
    for one in containers:
        while one:
            for _ in range(min(ITEMS, len(one))):
                if isinstance(one, dict):
                    one.popitem()
                elif isinstance(one, list):
                    one.pop()
            yield
