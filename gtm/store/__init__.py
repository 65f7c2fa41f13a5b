"""A store's URL in, the store that keeps health, orders and events out."""

from __future__ import annotations

import time
from collections.abc import Callable

from gtm import errors, ports
from gtm.store import memory, sqlite


def open_store(url: str, *, now: Callable[[], float] = time.time) -> ports.Store:
    """Return the store of `sqlite:///absolute/path` or `memory:`, not yet opened. `now` is the wall clock in seconds.

    Raises `StoreError` for any other URL.
    """
    if url == "memory:":
        return memory.MemoryStore(now=now)
    path = url.removeprefix("sqlite://")
    if path == url or not path.startswith("/"):
        raise errors.StoreError(f"{url!r} is not a store: write sqlite:///absolute/path or memory:")
    return sqlite.SqliteStore(path, now=now)
