"""What only the file knows: it survives, it is set aside when it is broken, and it never stops the loop."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gtm import errors, events, model, seen
from gtm.store import sqlite

NOW = 1_700_000_000.0
CHECK = model.CheckKey("hls", "fra-1", "ipv6")
ORDER = seen.Override("a1", "fra-1", "drain", at=NOW)


def names(directory: Path) -> list[str]:
    return sorted(one.name for one in directory.iterdir())


@asynccontextmanager
async def opened(path: Path, aside: str | None = None, **more: float) -> AsyncIterator[sqlite.SqliteStore]:
    store = sqlite.SqliteStore(str(path), now=lambda: NOW, **more)  # type: ignore[arg-type]
    where = await store.open()
    assert aside is None or where == aside
    try:
        yield store
    finally:
        await store.close()


async def emptied(store: sqlite.SqliteStore) -> None:
    """Wait until the thread has run through what was given up."""
    async with asyncio.timeout(10):
        while store._pending:  # noqa: ASYNC110 - a turn of the loop is what we wait for
            await asyncio.sleep(0)


async def test_everything_survives_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path / "gtm.db") as store:
        await store.remember({CHECK: seen.Known("down", NOW, "refused")})
        await store.put_order(ORDER)
        kept = await store.append([events.Event(NOW, "order", "fra-1", "", "drain", "by ops")])
    async with opened(tmp_path / "gtm.db") as store:
        assert await store.health() == {CHECK: seen.Known("down", NOW, "refused")}
        assert await store.orders() == (ORDER,)
        assert await store.events() == kept
    assert names(tmp_path) == ["gtm.db"]


async def test_ids_go_on_growing_after_everything_was_pruned(tmp_path: Path) -> None:
    old = events.Event(1.0, "node", "ns1", "", "started", "")
    async with opened(tmp_path / "gtm.db") as store:
        first = await store.append([old])
        assert await store.events() == ()
        second = await store.append([old])
    assert second[0].id > first[0].id


@pytest.mark.parametrize("content", [b"this is not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 8000])
async def test_a_corrupt_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gtm.db"
    path.write_bytes(content)
    async with opened(path, aside=f"{path}.corrupt-20231114T221320Z") as store:
        assert await store.open() == "", "it is open"
        await store.put_order(ORDER)
        assert await store.orders() == (ORDER,)
    assert names(tmp_path) == ["gtm.db", "gtm.db.corrupt-20231114T221320Z"]
    assert (tmp_path / "gtm.db.corrupt-20231114T221320Z").read_bytes() == content


async def test_a_file_with_a_broken_page_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "gtm.db"
    async with opened(path) as store:
        await store.append([events.Event(NOW, "node", "x" * 500, "", "", "")] * 200)
    content = bytearray(path.read_bytes())
    content[3 * 4096 : 8 * 4096] = b"\xa5" * (5 * 4096)
    path.write_bytes(content)
    async with opened(path) as store:
        assert await store.events() == ()
    assert names(tmp_path) == ["gtm.db", "gtm.db.corrupt-20231114T221320Z"]


async def test_a_file_that_breaks_while_it_is_open_is_looked_at_anew(tmp_path: Path) -> None:
    path = tmp_path / "gtm.db"
    async with opened(path) as store:
        await store.append([events.Event(NOW, "node", "x" * 500, "", "", "")] * 8000)  # more than SQLite's cache holds
    async with opened(path) as store:
        path.write_bytes(b"\xa5" * path.stat().st_size)
        with pytest.raises(errors.StoreError):
            await store.events(limit=8000)
        assert await store.open() == f"{path}.corrupt-20231114T221320Z"
        await store.put_order(ORDER)
        assert await store.orders() == (ORDER,)


async def test_a_file_that_is_moved_away_or_deleted_is_noticed_and_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "gtm.db"
    async with opened(path) as store:
        await store.put_order(ORDER)
        path.rename(tmp_path / "away.db")
        with pytest.raises(errors.StoreError, match="moved away or deleted"):
            await store.put_order(ORDER)
        assert await store.open() == "nowhere to be found"
        assert await store.orders() == ()  # the new file is empty; whoever opened it is told so
        await store.put_order(ORDER)
    async with opened(path) as store:
        assert await store.orders() == (ORDER,)


async def test_a_file_of_a_newer_gtm_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "gtm.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    before = path.read_bytes()
    with pytest.raises(errors.StoreError, match="newer gtm"):
        await sqlite.SqliteStore(str(path), now=lambda: NOW).open()
    assert path.read_bytes() == before
    assert names(tmp_path) == ["gtm.db"]


async def test_an_older_file_is_lifted_with_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path / "gtm.db") as store:
        await store.put_order(ORDER)
    monkeypatch.setattr(sqlite, "MIGRATIONS", (*sqlite.MIGRATIONS, "CREATE TABLE more (x INTEGER) STRICT;"))
    async with opened(tmp_path / "gtm.db") as store:
        assert await store.orders() == (ORDER,)
    db = sqlite3.connect(tmp_path / "gtm.db")
    assert db.execute("PRAGMA user_version").fetchone() == (len(sqlite.MIGRATIONS),)
    assert db.execute("SELECT count(*) FROM more").fetchone() == (0,)
    db.close()


async def test_a_directory_that_is_missing_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(errors.StoreError, match=r"gtm\.db"):
        await sqlite.SqliteStore(str(tmp_path / "nowhere" / "gtm.db"), now=lambda: NOW).open()


async def test_a_store_that_is_not_open_is_a_store_error(tmp_path: Path) -> None:
    store = sqlite.SqliteStore(str(tmp_path / "gtm.db"), now=lambda: NOW)
    with pytest.raises(errors.StoreError, match="not open"):
        await store.orders()
    await store.close()
    with pytest.raises(errors.StoreError):
        await store.orders()


async def test_what_sqlite_cannot_hold_is_a_store_error_and_nothing_is_written(tmp_path: Path) -> None:
    async with opened(tmp_path / "gtm.db") as store:
        good = events.Event(NOW, "node", "ns1", "", "", "")
        with pytest.raises(errors.StoreError):
            await store.append([good, events.Event(float("nan"), "node", "ns1", "", "", "")])
        with pytest.raises(errors.StoreError):
            await store.events(after_id=2**70)
        assert await store.events() == ()


async def test_a_disk_that_hangs_costs_a_bounded_wait_and_never_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "MAX_PENDING", 2)
    async with opened(tmp_path / "gtm.db") as store:
        store._wait_s = 0.05  # opening took its own time
        go = threading.Event()
        stuck = asyncio.create_task(store._run(go.wait))
        queued = asyncio.create_task(store.orders())
        await asyncio.sleep(0)
        with pytest.raises(errors.StoreError, match="waiting for the disk"):
            await store.orders()
        with pytest.raises(errors.StoreError, match="no answer from the disk"):
            await stuck
        with pytest.raises(errors.StoreError, match="no answer from the disk"):
            await queued
        go.set()
        store._wait_s = 10.0  # a busy machine is no hanging disk
        await emptied(store)
        await store.put_order(ORDER)
        assert await store.orders() == (ORDER,)


async def test_a_disk_that_hangs_for_long_gathers_no_more_than_the_bound_and_nothing_of_what_was_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "MAX_PENDING", 5)
    async with opened(tmp_path / "gtm.db") as store:
        store._wait_s = 0.01
        go, ran = threading.Event(), []
        with pytest.raises(errors.StoreError, match="no answer from the disk"):
            await store._run(go.wait)
        said = []
        held = []
        for _ in range(20):
            batch = [events.Event(NOW, "node", "ns1", "", "started", "")]
            work = weakref.ref(one := lambda batch=batch: ran.append(batch))
            held.append(work)
            with pytest.raises(errors.StoreError) as wrong:
                await store._run(one)
            said.append("waiting for the disk" in str(wrong.value))
            del one, wrong
        gc.collect()
        assert said == [False] * 4 + [True] * 16
        assert [work() for work in held] == [None] * 20
        go.set()
        store._wait_s = 10.0
        await emptied(store)
        await store.put_order(ORDER)
        assert ran == []


async def test_of_files_that_were_set_aside_the_newest_three_are_kept(tmp_path: Path) -> None:
    path, now = tmp_path / "gtm.db", [NOW]
    for tail in ("", "-wal"):
        (tmp_path / f"gtm.db.corrupt-20200101T000000Z{tail}").write_bytes(b"x")
    for at in range(6):
        path.write_bytes(b"this is not a database at all" * 100)
        now[0] = NOW + at
        store = sqlite.SqliteStore(str(path), now=lambda: now[0])
        assert await store.open()
        await store.close()
    (tmp_path / "gtm.db.copy").write_bytes(b"")
    aside = [f"gtm.db.corrupt-20231114T22132{at}Z" for at in (3, 4, 5)]
    assert names(tmp_path) == ["gtm.db", "gtm.db.copy", *aside]


async def test_a_file_that_another_process_holds_is_a_store_error_not_a_corrupt_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOCK_WAIT_S", 0.01)
    path = tmp_path / "gtm.db"
    async with opened(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(errors.StoreError, match="locked"):
            await store.put_order(ORDER)
        other.execute("ROLLBACK")
        other.close()
        await store.put_order(ORDER)
        assert await store.orders() == (ORDER,)


async def test_a_file_of_the_first_version_is_lifted_with_the_orders_in_it(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "gtm.db") as db:
        db.executescript(f"{sqlite.MIGRATIONS[0]} PRAGMA user_version = 1;")
        db.execute("INSERT INTO orders VALUES ('a1', 'fra-1', 'drain', 1.0, '', '', ?, 0.0)", (NOW,))
    db.close()
    async with opened(tmp_path / "gtm.db") as store:
        assert await store.orders() == (ORDER,)
        await store.put_order(replace(ORDER, id="a2", break_glass=True))
        assert [one.break_glass for one in await store.orders()] == [False, True]


async def test_a_full_disk_is_a_store_error_leaves_the_file_in_place_and_heals(tmp_path: Path) -> None:
    big = [events.Event(NOW, "node", "x" * 500, "", "", "")] * 400
    async with opened(tmp_path / "gtm.db") as store:
        await store.put_order(ORDER)
        (pages,) = (await store._read("PRAGMA page_count"))[0]
        await store._read(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(errors.StoreError, match="full"):
            await store.append(big)
        assert await store.events() == ()
        assert await store.orders() == (ORDER,)
        await store._read("PRAGMA max_page_count = 1000000")
        await store.append(big)
        assert (await store._read("PRAGMA journal_mode")) == [("wal",)]
    assert names(tmp_path) == ["gtm.db"]
