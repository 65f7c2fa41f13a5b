"""Paths in: a whole configuration read with all that it names, a geography database opened, a file written whole."""

from __future__ import annotations

import contextlib
import glob
import ipaddress
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import maxminddb

from gtm import errors, model, ports
from gtm.config import load as config_load
from gtm.config import marks

_V4_IN_V6 = 32
"""MaxMind's format keeps IPv4 in ::/96: the last 32 bits of an IPv6 address."""
_CORRUPT = (maxminddb.InvalidDatabaseError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
"""What the readers, the one in C and the one in Python, raise on bytes that make no sense."""
_ALIASES = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("::ffff:0:0/96"), ipaddress.ip_network("2001::/32"))
"""Trees of the format in which IPv4 shows up again: 6to4, mapped addresses, Teredo."""


def load(
    path: str,
    *,
    kinds: Mapping[str, model.Kind],
    records: ports.RecordReader,
    node: str | None = None,
    store: str | None = None,
    senders: Mapping[str, model.Kind] | None = None,
) -> config_load.Loaded:
    """Read a configuration with all that it includes. What is wrong is in `problems`; nothing is raised for it."""
    main = os.path.normpath(path)
    texts = _Texts()
    parsed: dict[str, config_load.Parsed] = {}
    todo = [main]
    while todo:
        file = todo.pop(0)
        if file in parsed or not texts.take(file):
            continue
        parsed[file] = config_load.parse(file, texts.found[file])
        wanted = config_load.wanted(parsed[file].document)
        for pattern in wanted.includes:
            todo += sorted(map(os.path.normpath, glob.glob(pattern))) if config_load.is_glob(pattern) else [pattern]
        for one in wanted.zone_files:
            texts.take(one)
        texts.missing |= {one: reason for one in wanted.databases if (reason := _unusable(one))}
    return config_load.load(
        main,
        texts.found,
        kinds=kinds,
        records=records,
        node=node or socket.gethostname(),
        store=store or default_store(main),
        senders=senders,
        missing=texts.missing,
        parsed=parsed,
    )


def default_store(main: str) -> str:
    """Return where the store is when nothing is said: in `$STATE_DIRECTORY`, else beside the configuration."""
    directory = os.environ.get("STATE_DIRECTORY", "").split(":")[0] or str(Path(main).absolute().parent)
    return f"sqlite://{Path(directory) / 'gtm.db'}"


class _Texts:
    """What was read by path, and why the rest could not be. All together is bounded (semantics G6)."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self._left_bytes = marks.MAX_BYTES

    def take(self, file: str) -> bool:
        """Read one file, unless it was read already; say whether it is there."""
        if file not in self.found and file not in self.missing:
            try:
                with Path(file).open("rb") as stream:
                    data = stream.read(self._left_bytes + 1)
                if len(data) > self._left_bytes:
                    self.missing[file] = "it is over 64 MiB" + (", with what was read before it" if self.found else "")
                    return False
                self.found[file] = data.decode("utf-8-sig")
                self._left_bytes -= len(data)
            except UnicodeDecodeError as wrong:
                self.missing[file] = f"it is not UTF-8: byte {wrong.start} cannot be read"
            except (OSError, ValueError) as wrong:
                self.missing[file] = (getattr(wrong, "strerror", None) or str(wrong)).lower()
        return file in self.found


def _unusable(path: str) -> str:
    """Return why a geography database cannot be used, or nothing."""
    try:
        _reader(path).close()
    except errors.GtmError as wrong:
        return str(wrong)
    return ""


def write_atomically(path: str, data: bytes) -> None:
    """Write a file so that everybody sees either the old or the new one, even after a crash. Raises `OSError`."""
    target = Path(path)
    _tidy(target)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.{os.getpid()}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # else a crash may forget the new name
    finally:
        os.close(directory)


def _tidy(target: Path) -> None:
    """Delete what processes have left that were killed while they wrote: else each such death costs a file for ever."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.*"):
        pid = left.name.removeprefix(f".{target.name}.").partition(".")[0]
        if pid.isdigit() and Path("/proc/self").exists() and not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(OSError):  # it stays, and is met again at the next write
                left.unlink()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


@contextlib.contextmanager
def _copied(path: str) -> Iterator[str]:
    """Give a path to a private copy in memory, where the system has such files.

    The fast reader maps the file: one that is overwritten in place under it would kill the process (SIGBUS).
    """
    if sys.platform != "linux":
        yield path
        return
    try:
        handle = os.memfd_create("gtm-geo")
        with os.fdopen(handle, "wb") as copy, Path(path).open("rb") as original:
            shutil.copyfileobj(original, copy)
            copy.flush()
            yield f"/proc/self/fd/{handle}"
    except OSError as wrong:
        raise errors.GtmError((wrong.strerror or str(wrong)).lower()) from None


def _reader(path: str) -> maxminddb.Reader:
    """Open a database. Raises `GtmError` with the reason."""
    try:
        return maxminddb.open_database(path)
    except OSError as wrong:
        raise errors.GtmError((wrong.strerror or str(wrong)).lower()) from None
    except _CORRUPT as wrong:
        raise errors.GtmError(f"it is no MaxMind database: {wrong}") from None


class Geo:
    """An open database in MaxMind's format: `ports.GeoReader`."""

    def __init__(self, path: str) -> None:
        self.path = path
        with _copied(path) as copy:
            self._reader = _reader(copy)
        self.build_epoch = int(self._reader.metadata().build_epoch)

    def ranges(self) -> Iterator[tuple[int, int, int, Mapping[str, Any]]]:
        """Yield (family 4 or 6, network as a number, prefix length, record), in address order.

        Raises `GtmError` when the file turns out to be corrupt on the way.
        """
        try:
            for network, record in self._reader:
                if not isinstance(record, dict):
                    continue
                first, bits = int(network.network_address), network.prefixlen
                if network.version == 4:
                    yield 4, first, bits, record
                elif first >> _V4_IN_V6 == 0 and bits >= 128 - _V4_IN_V6:
                    yield 4, first, bits - (128 - _V4_IN_V6), record
                elif not any(isinstance(one, _V6) and network.subnet_of(one) for one in _ALIASES):
                    yield 6, first, bits, record
        except _CORRUPT as wrong:
            raise errors.GtmError(f"{self.path} is corrupt: {wrong}") from None

    def get(self, address: str) -> Mapping[str, Any] | None:
        """Return the record for one address. Raises `GtmError` when the file is corrupt there."""
        if ":" in address and self._reader.metadata().ip_version == 4:
            return None
        try:
            record = self._reader.get(address)
        except _CORRUPT as wrong:
            raise errors.GtmError(f"{self.path} is corrupt: {wrong}") from None
        return record if isinstance(record, dict) else None

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()


_V6 = ipaddress.IPv6Network


def open_geo(path: str) -> Geo:
    """Open a geography database. Raises `GtmError` with the reason."""
    return Geo(path)
