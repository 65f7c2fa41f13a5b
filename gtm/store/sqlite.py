"""Health, orders and events in, rows in one SQLite file out: the embedded store.

All of SQLite runs in one thread of its own, so that a slow disk never stops the event loop; what waits for that
thread is bounded in number and in time. The answer path never comes here (semantics G5).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import glob
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from dataclasses import astuple, replace
from typing import Any, TypeVar, cast

from gtm import errors, events, model, seen
from gtm.store import bounds

T = TypeVar("T")

WAIT_S = 5.0  # longer than any healthy fsync; after it the caller goes on without the store
LOCK_WAIT_S = 2.0  # another process (a backup) may hold the file this long
MAX_PENDING = 256  # a disk that hangs must not gather an endless queue
MAX_ASIDE = 3  # broken files that are kept to be looked at; a disk that breaks each one must not fill itself with them

# Each text lifts the file by one version (PRAGMA user_version); texts are added, never changed.
MIGRATIONS = (
    """
    CREATE TABLE health (
        profile TEXT NOT NULL, endpoint TEXT NOT NULL, family TEXT NOT NULL, name TEXT NOT NULL,
        status TEXT NOT NULL, confirmed_at REAL NOT NULL, reason TEXT NOT NULL,
        PRIMARY KEY (profile, endpoint, family, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE orders (
        id TEXT PRIMARY KEY, target TEXT NOT NULL, "order" TEXT NOT NULL, value REAL NOT NULL,
        by TEXT NOT NULL, why TEXT NOT NULL, at REAL NOT NULL, until REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
        before TEXT NOT NULL, after TEXT NOT NULL, cause TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_at ON events (at);
    """,
    """
    CREATE TABLE papers (
        kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE measured (
        step_s INTEGER NOT NULL, kind TEXT NOT NULL, by TEXT NOT NULL, at INTEGER NOT NULL,
        found BLOB NOT NULL, PRIMARY KEY (step_s, kind, by, at)
    ) STRICT;
    """,
    "ALTER TABLE orders ADD COLUMN break_glass INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE health ADD COLUMN reached INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE measured ADD COLUMN covered_s REAL NOT NULL DEFAULT 0; UPDATE measured SET covered_s = step_s;",
    """
    ALTER TABLE health ADD COLUMN eased INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE health ADD COLUMN overload TEXT NOT NULL DEFAULT '';
    """,
)
# Only these say that the file itself is broken; a full disk or a lock says nothing of the kind.
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
# After these the connection is given up, and the next `open` looks at the file anew.
_UNFIT = _BROKEN | {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


class _Job:
    """A piece of work, for as long as somebody waits for it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work: Callable[[], Any] | None = work


class SqliteStore:
    """A `ports.Store` in one file; every failure is a `StoreError`."""

    def __init__(
        self, path: str, *, now: Callable[[], float], max_events: int = bounds.MAX_EVENTS, wait_s: float = WAIT_S
    ) -> None:
        """`now` is the wall clock in seconds; `wait_s` bounds each call."""
        self._path = path
        self._now = now
        self._max_events = max_events
        self._wait_s = wait_s
        self._thread = futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="gtm-store")
        self._pending = 0
        self._open: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # which file was opened last: device and inode

    # --- the thread and its door ---------------------------------------------------------------------------------

    async def _run(self, work: Callable[[], T], *, last: bool = False) -> T:
        """Do `work` in the store's thread. Raises `StoreError` for whatever SQLite or the disk says.

        The `last` one is let in whatever waits.
        """
        if self._pending >= MAX_PENDING and not last:
            raise errors.StoreError(f"{self._path}: {MAX_PENDING} calls are waiting for the disk already")
        job = _Job(work)
        try:
            future = asyncio.get_running_loop().run_in_executor(self._thread, self._attempt, job)
            self._pending += 1
            future.add_done_callback(self._over)
            try:
                # What is given up stays in the thread's queue, empty, and counts until the disk has let go.
                await asyncio.wait({future}, timeout=self._wait_s)
            finally:
                job.work = None
            if not future.done():
                raise errors.StoreError(f"{self._path}: no answer from the disk within {self._wait_s:g} s")
            if future.cancelled():
                raise errors.StoreError(f"{self._path}: the store was closed")
            return cast(T, future.result())
        except (sqlite3.Error, OSError, RuntimeError, OverflowError) as wrong:
            # RuntimeError: the thread has been shut down. OverflowError: a number that SQLite cannot hold.
            raise errors.StoreError(f"{self._path}: {wrong}") from wrong

    def _over(self, future: asyncio.Future[Any]) -> None:
        self._pending -= 1
        if not future.cancelled():
            future.exception()  # known to whoever waited; nobody may wait any more

    def _attempt(self, job: _Job) -> Any:
        work = job.work
        try:
            return work() if work is not None else None
        except sqlite3.Error as wrong:
            if _code(wrong) in _UNFIT:
                self._end()
            raise

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` as one transaction: all of it or nothing."""

        def whole() -> T:
            db = self._db()
            with db:
                db.execute("BEGIN IMMEDIATE")
                return work(db)

        return await self._run(whole)

    async def _read(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return await self._run(lambda: self._db().execute(sql, values).fetchall())

    def _db(self) -> sqlite3.Connection:
        if self._open is None:
            raise errors.StoreError(f"{self._path}: the store is not open")
        if self._which() != self._file:  # SQLite would go on writing into a file that nobody will find again
            self._end()
            raise errors.StoreError(f"{self._path}: the file was moved away or deleted")
        return self._open

    def _which(self) -> tuple[int, int] | None:
        """Return which file is there now; None for none."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    async def open(self) -> str:
        """See `ports.Store`."""
        return await self._run(self._begin)

    async def close(self) -> None:
        """See `ports.Store`."""
        try:
            await self._run(self._end, last=True)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> str:
        aside, now = "", self._which()
        if self._open is not None and now != self._file:
            self._end()
        if self._open is None:
            if now is None and self._file is not None:
                aside = "nowhere to be found"
            try:
                self._open = _connect(self._path)
            except sqlite3.DatabaseError as wrong:
                if _code(wrong) not in _BROKEN:
                    raise
                aside = self._set_aside()
                self._open = _connect(self._path)
            self._file = self._which()
        return aside

    def _set_aside(self) -> str:
        """Rename the file and what belongs to it, so that somebody may look at them later; return its new name."""
        stamp = datetime.datetime.fromtimestamp(self._now(), datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = f"{self._path}.corrupt-{stamp}"
        for tail in ("", "-wal", "-shm"):
            if os.path.exists(self._path + tail):
                os.replace(self._path + tail, aside + tail)
        self._tidy()
        return aside

    def _tidy(self) -> None:
        """Delete the oldest of the files that were set aside, beyond MAX_ASIDE."""
        prefix = f"{self._path}.corrupt-"
        found = sorted(glob.glob(glob.escape(prefix) + "*"))
        stamps = sorted({one.removeprefix(prefix).partition("-")[0] for one in found})
        for old in stamps[:-MAX_ASIDE]:
            for one in (file for file in found if file.startswith(prefix + old)):
                with contextlib.suppress(OSError):  # it stays; what counts is the new file
                    os.unlink(one)

    def _end(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    # --- what ports.Store asks for -------------------------------------------------------------------------------

    async def health(self) -> Mapping[model.CheckKey, seen.Known]:
        """See `ports.Store`."""
        rows = await self._read(
            "SELECT profile, endpoint, family, name, status, confirmed_at, reason, reached, eased, overload FROM health"
        )
        return {model.CheckKey(*row[:4]): seen.Known(*row[4:])._replace(reached=bool(row[7])) for row in rows}

    async def remember(self, states: Mapping[model.CheckKey, seen.Known]) -> None:
        """See `ports.Store`."""
        rows = [(*key, *state) for key, state in states.items()]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO health VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            now = self._now()
            between = now - bounds.MAX_HEALTH_AGE_S, now + bounds.MAX_AHEAD_S
            db.execute("DELETE FROM health WHERE NOT confirmed_at BETWEEN ? AND ?", between)

        await self._write(work)

    async def orders(self) -> tuple[seen.Override, ...]:
        """See `ports.Store`."""
        rows = await self._read(
            'SELECT id, target, "order", value, by, why, at, until, break_glass FROM orders'
            " WHERE until = 0 OR until > ? ORDER BY at, id",
            (self._now(),),
        )
        return tuple(seen.Override(*(*row[:-1], bool(row[-1]))) for row in rows)

    async def put_order(self, order: seen.Override) -> None:
        """See `ports.Store`."""
        row = astuple(order)

        def work(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            oldest = self._now() - bounds.MAX_EVENT_AGE_S  # not at once: it may be the clock that is wrong
            db.execute("DELETE FROM orders WHERE until != 0 AND until <= ?", (oldest,))
            db.execute(
                "DELETE FROM orders WHERE until != 0 AND until <= ?"
                " AND id NOT IN (SELECT id FROM orders ORDER BY at DESC LIMIT ?)",
                (self._now(), bounds.MAX_ORDERS),
            )

        await self._write(work)

    async def drop_order(self, order_id: str) -> bool:
        """See `ports.Store`."""

        def work(db: sqlite3.Connection) -> bool:
            gone = db.execute("DELETE FROM orders WHERE id = ? RETURNING until", (order_id,)).fetchone()
            return gone is not None and (not gone[0] or gone[0] > self._now())

        return await self._write(work)

    async def append(self, happened: Sequence[events.Event]) -> tuple[events.Event, ...]:
        """See `ports.Store`."""
        happened = tuple(happened)

        def work(db: sqlite3.Connection) -> tuple[events.Event, ...]:
            kept = []
            for one in happened:
                cursor = db.execute(
                    "INSERT INTO events (at, kind, subject, before, after, cause) VALUES (?, ?, ?, ?, ?, ?)",
                    (one.at, one.kind, one.subject, one.before, one.after, one.cause),
                )
                kept.append(replace(one, id=cursor.lastrowid or 0))
            if kept:
                db.execute("DELETE FROM events WHERE id <= ?", (kept[-1].id - self._max_events,))
            db.execute("DELETE FROM events WHERE at < ?", (self._now() - bounds.MAX_EVENT_AGE_S,))
            return tuple(kept)

        return await self._write(work)

    async def events(self, since: float = 0.0, after_id: int = 0, limit: int = 1000) -> tuple[events.Event, ...]:
        """See `ports.Store`."""
        rows = await self._read(
            "SELECT at, kind, subject, before, after, cause, id FROM events WHERE id > ? AND at >= ?"
            " ORDER BY id DESC LIMIT ?",
            (after_id, since, max(0, limit)),
        )
        return tuple(events.Event(*row) for row in reversed(rows))

    async def papers(self) -> Mapping[tuple[str, str], str]:
        """See `ports.Store`."""
        return {(kind, id): body for kind, id, body in await self._read("SELECT kind, id, body FROM papers")}

    async def keep_papers(self, changes: Mapping[tuple[str, str], str | None]) -> None:
        """See `ports.Store`."""
        kept = [(*key, body) for key, body in changes.items() if body is not None]
        gone = [key for key, body in changes.items() if body is None]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO papers VALUES (?, ?, ?)", kept)
            db.executemany("DELETE FROM papers WHERE kind = ? AND id = ?", gone)

        await self._write(work)

    async def keep_measured(self, rows: Sequence[seen.Measured]) -> None:
        """See `ports.Store`."""
        rows = tuple(rows)

        def work(db: sqlite3.Connection) -> None:
            packed = [(row.step_s, row.kind, row.by, row.at, _packed(row.values), row.covered_s) for row in rows]
            db.executemany("INSERT OR REPLACE INTO measured VALUES (?, ?, ?, ?, ?, ?)", packed)
            now = self._now()
            for step_s, age_s in bounds.MAX_MEASURED_AGE_S.items():
                too_old = "DELETE FROM measured WHERE step_s = ? AND kind = ? AND by = ? AND NOT at BETWEEN ? AND ?"
                kinds = {(row.kind, row.by) for row in rows if row.step_s == step_s}
                db.executemany(too_old, [(step_s, *kind, now - age_s, now + bounds.MAX_AHEAD_S) for kind in kinds])

        await self._write(work)

    async def measured(self, step_s: int, kind: str, by: str, since: float) -> tuple[seen.Measured, ...]:
        """See `ports.Store`."""
        sql = "SELECT at, step_s, kind, by, found, covered_s FROM measured WHERE step_s = ? AND at + step_s > ?"
        values: tuple[object, ...] = (step_s, since)
        if kind:
            sql, values = f"{sql} AND kind = ? AND by = ?", (*values, kind, by)

        def work() -> tuple[seen.Measured, ...]:
            rows = self._db().execute(f"{sql} ORDER BY at, kind, by", values)
            try:
                return tuple(
                    seen.Measured(at, step_s, kind, by, json.loads(zlib.decompress(found)), covered_s)
                    for at, step_s, kind, by, found, covered_s in rows
                )
            except (zlib.error, ValueError) as wrong:
                raise errors.StoreError(f"{self._path}: a measurement cannot be read: {wrong}") from None

        return await self._run(work)


def _packed(values: Mapping[str, float]) -> bytes:
    return zlib.compress(json.dumps(values, separators=(",", ":")).encode(), 1)


def _code(wrong: sqlite3.Error) -> int:
    """Return SQLite's primary result code; 0 where an error has none."""
    return int(getattr(wrong, "sqlite_errorcode", 0)) & 0xFF


def _connect(path: str) -> sqlite3.Connection:
    """Open, examine and lift the file to this version. Raises `sqlite3.DatabaseError`, `StoreError`."""
    db = sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            broken = sqlite3.DatabaseError("quick_check found the file corrupt")
            broken.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise broken
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise errors.StoreError(f"{path}: written by a newer gtm (version {version}, known {len(MIGRATIONS)})")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # an order that was confirmed survives a loss of power
        if version < len(MIGRATIONS):  # all of them or none: no file is left between two versions
            lift = " ".join(MIGRATIONS[version:])
            db.executescript(f"BEGIN IMMEDIATE; {lift} PRAGMA user_version = {len(MIGRATIONS)}; COMMIT;")
    except BaseException:
        db.close()
        raise
    return db
