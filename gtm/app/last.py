"""What the workers answer in, one file in the state directory out; and back, when a node must start without the rest.

The file holds the newest table with the rings that came after it, and what it takes to serve it without a
configuration: the sockets, the web address, whose tokens count. It is written beside the answering, whole or not at
all; a disk that is full or read-only is told and stops nothing (semantics G2, G5).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gtm import errors, events, files, model, table, units
from gtm.app import secrets
from gtm.serve import journal
from gtm.wire import unpack

NAME = "last.table"
_FIRST_LINE = b"GTM last table 1\n"
# A storm of changes is one file; what a loss of power may lose, the store's health makes good.
GATHER_S = 1.0
# A big table on a slow disk is written for a twentieth of the time, but never older than the second of these.
_SHARE, _LONGEST_WAIT_S = 20.0, 5.0
# So often an unchanged file is marked as still true; its age is right to within this.
CONFIRM_S = 30.0
_CLOSE_S = 3.0
_STORE = re.compile(r"^store:\s*[\"']?sqlite://(/[^\"'#\s]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Settings:
    """What it takes to serve a table without its configuration (whose path is `config`)."""

    config: str
    node: str
    digest: str
    listen: tuple[tuple[str, int], ...]
    workers: int
    tcp: tuple[int, int, float]
    rate_limit: tuple[float, int] | None
    web: tuple[str, int] | None
    tokens: tuple[model.Token, ...]
    guards: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[tuple[str, int, str], ...] = ()
    wanted: secrets.Wanted = field(default_factory=secrets.Wanted)

    @classmethod
    def of(cls, snapshot: model.Snapshot, config: str) -> Settings:
        """Return the settings of an accepted configuration. Secrets written in the open are left out: they match
        nobody then (`web.auth`), which is better than a second place to find them in.
        """
        dns, web = snapshot.dns, snapshot.web
        return cls(
            str(Path(config).absolute()),
            snapshot.node,
            snapshot.digest,
            tuple((one.host, one.port) for one in dns.listen),
            dns.workers or os.cpu_count() or 1,
            (dns.tcp_connections, dns.tcp_per_client, dns.tcp_idle_s),
            dns.rate_limit,
            (web.listen.host, web.listen.port) if web.listen else None,
            tuple(replace(one, secret="") for one in web.tokens),
            secrets.guards(dns),
            tuple(secrets.also(dns)),
            secrets.Wanted.of(snapshot),
        )


@dataclass(frozen=True, slots=True)
class Last:
    """A last good table. `at` is the wall-clock time when it was known to be true last."""

    path: str
    settings: Settings
    at: float
    kept: bytes

    def age_s(self, now: float) -> float:
        """Return its age at the wall-clock time `now`."""
        return max(0.0, now - self.at)

    def table(self) -> table.AnswerTable:
        """Return the table with its rings. Raises `TableError` when it is not of this version. Slow when big."""
        whole: table.AnswerTable | None = None
        rings: dict[int, table.Ring] = {}
        changed: dict[bytes, table.Entry | None] = {}
        revision = 0
        for kind, revision, body in journal.records(self.kept):  # noqa: B007 - the last one counts
            if kind == journal.TABLE:
                whole, rings, changed = unpack.whole(body), {}, {}
            else:
                _, newer, entries = unpack.rings(body)
                rings.update(newer)
                changed.update(entries)
        if whole is None:
            raise errors.TableError("there is no table in it")
        newest = tuple(rings.get(at, one) for at, one in enumerate(whole.rings))
        names = {owner: one for owner, one in {**whole.names, **changed}.items() if one is not None}
        return replace(whole, revision=revision, rings=newest, names=names)


def folder(store: str) -> Path | None:
    """Return where the file of a node with this store is: the state directory, else beside the store."""
    if store == "memory:":
        return None
    directory = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(directory or Path(store.removeprefix("sqlite://")).parent)


def find(config: str) -> Last | None:
    """Return the last table of the node with this configuration, which may be broken or gone; None for none.

    Where its store is says the configuration; when that cannot be decoded, a line of it that begins with `store:`.
    """
    stores = [files.default_store(config)]
    with contextlib.suppress(OSError):
        text = Path(config).read_text(encoding="utf-8", errors="replace")
        stores = [f"sqlite://{found}" for found in _STORE.findall(text)] + stores
    for store in stores:
        place = folder(store)
        found = read(str(place / NAME)) if place else None
        if found is not None and found.settings.config == str(Path(config).absolute()):
            return found
    return None


def read(path: str) -> Last | None:
    """Return what is in a file; None when it is not there, damaged, or of another version."""
    try:
        data = Path(path).read_bytes()
        touched = Path(path).stat().st_mtime
    except OSError:
        return None
    head, _, body = data.removeprefix(_FIRST_LINE).partition(b"\n")
    if not data.startswith(_FIRST_LINE) or hashlib.sha256(body).hexdigest().encode() != head:
        return None
    told, _, kept = body.partition(b"\n")
    try:
        return Last(path, _settings(json.loads(told)), touched, kept)
    except (ValueError, TypeError, KeyError):
        return None


def _settings(told: dict[str, Any]) -> Settings:
    told["listen"] = tuple((str(host), int(port)) for host, port in told["listen"])
    told["tokens"] = tuple(
        model.Token(**one | {"endpoints": tuple(one.get("endpoints", ()))}) for one in told["tokens"]
    )
    told["also"] = tuple((str(host), int(port), str(kind)) for host, port, kind in told.get("also", ()))
    told["wanted"] = secrets.Wanted.told(told.get("wanted", {}))
    for name in ("tcp", "rate_limit", "web"):
        told[name] = tuple(told[name]) if told[name] is not None else None
    return Settings(**told)


def write(path: str, settings: Settings, kept: bytes) -> None:
    """Write the file. Raises `OSError`."""
    body = json.dumps(asdict(settings)).encode() + b"\n" + kept
    files.write_atomically(path, _FIRST_LINE + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


async def stand_in(
    config: str,
    digest: str,
    publish: Callable[[bytes], int],
    happened: Callable[[events.EventKind, str, str, str, str], None],
) -> tuple[int, float]:
    """Let the last table answer for a node that has forgotten everything; return its revision and when it was true.

    Both are 0 when there is none of this configuration (`digest`). `publish` is `Links.publish_journal`.
    """
    found = await asyncio.to_thread(find, config)
    if found is None or found.settings.digest != digest:
        return 0, 0.0
    try:
        revision = publish(found.kept)
    except errors.TableError as error:
        happened("node", "last table", "", "unusable", str(error))
        return 0, 0.0
    age = units.show_seconds(round(found.age_s(time.time())))
    happened("node", "last table", "", "in force", f"no health is known: answers are {age} old until it is")
    return revision, found.at


class Keeper:
    """Keeps the file true while the node runs. `copy` is `Links.copy`; `trouble` hears each new state of the disk."""

    def __init__(self, path: str, copy: Callable[[], Callable[[], bytes] | None], trouble: Callable[[str], None]):
        self._path, self._copy, self._trouble = path, copy, trouble
        self._settings: Settings | None = None
        self._changed = asyncio.Event()
        self._wait_s = GATHER_S
        self._said = ""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def changed(self, settings: Settings) -> None:
        """Say that something was published under these settings."""
        self._settings = settings
        self._changed.set()

    async def close(self) -> None:
        """Write what is not written yet."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(TimeoutError):  # a disk that hangs must not keep the node from ending
            async with asyncio.timeout(_CLOSE_S):
                await self._write()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_S):
                    await self._changed.wait()
            if self._changed.is_set():
                await asyncio.sleep(self._wait_s)
            await self._write()

    async def _write(self) -> None:
        """Write the file if it is not what it should be, else mark it as still true."""
        settings, read_all = self._settings, self._copy() if self._changed.is_set() else None
        began_s = time.monotonic()
        try:
            if settings is not None and read_all is not None:
                self._changed.clear()
                await asyncio.to_thread(lambda: write(self._path, settings, read_all()))
                took_s = time.monotonic() - began_s
                self._wait_s = max(GATHER_S, min(_LONGEST_WAIT_S, _SHARE * took_s))
            elif settings is not None:
                await asyncio.to_thread(os.utime, self._path)
            self._say("")
        except OSError as wrong:
            self._changed.set()
            self._wait_s = CONFIRM_S
            self._say(f"{self._path} cannot be written: {wrong.strerror or wrong}")

    def _say(self, trouble: str) -> None:
        if trouble != self._said:
            self._said = trouble
            self._trouble(trouble)
