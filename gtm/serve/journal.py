"""What workers answer from: one table and the rings that came after it, appended to a memfd that many read.

The control process writes; every worker reads at its own pace; the supervisor merely holds the descriptor and hands
it to a worker that starts, which so answers from the newest rings even while the control process is dead. A message
between the processes is only a doorbell, so one that is lost or late costs nothing.

A record is a head and a body, and the body is written first: a record that a dying writer left half done has no head
and is never seen. (That the body is what it should be, its own digest says: `gtm.wire.pack`.)
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gtm import errors

TABLE, RINGS = 1, 2
_HEAD = struct.Struct("<QQQ")  # body bytes, revision, kind; the kind is last, so zero until all is there


class Record(NamedTuple):
    """One record's head. `at` is where its body stands."""

    kind: int
    revision: int
    at: int
    size_bytes: int


class Writer:
    """A new journal that begins with a packed table. `fd` is the memfd, `size_bytes` what is in it."""

    def __init__(self, table: bytes, revision: int) -> None:
        self.fd = os.memfd_create("gtm-journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        # Readers look into it where it lies, and would die of what is not there any more.
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self.size_bytes = 0
        self.table_bytes = len(table)
        self._append(TABLE, table, revision)

    def rings(self, packed: bytes, revision: int) -> None:
        """Append packed rings."""
        self._append(RINGS, packed, revision)

    def _append(self, kind: int, body: bytes, revision: int) -> None:
        head = _HEAD.pack(len(body), revision, kind)
        self._write(body, self.size_bytes + _HEAD.size)
        self._write(head, self.size_bytes)
        self.size_bytes += _HEAD.size + len(body)

    def _write(self, data: bytes, at: int) -> None:
        view, end = memoryview(data), at + len(data)
        while at < end:
            at += os.pwrite(self.fd, view[len(data) - (end - at) :], at)

    def copy(self) -> Callable[[], bytes]:
        """Return what reads everything that is in it now; call it once, in any thread, whatever becomes of this."""
        fd, size_bytes = os.dup(self.fd), self.size_bytes

        def read() -> bytes:
            try:
                return _read(fd, 0, size_bytes)
            finally:
                os.close(fd)

        return read

    def close(self) -> None:
        """Let go of the memfd; readers that hold it read on."""
        os.close(self.fd)


class Reader:
    """Reads a journal from its beginning; takes the descriptor over."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._at = 0

    def next(self) -> Record | None:
        """Return the next record's head, or None when there is no further one yet."""
        head = os.pread(self._fd, _HEAD.size, self._at)
        if len(head) < _HEAD.size:
            return None
        size_bytes, revision, kind = _HEAD.unpack(head)
        if not kind:  # a body is written, its head not yet
            return None
        record = Record(kind, revision, self._at + _HEAD.size, size_bytes)
        self._at = record.at + size_bytes
        return record

    def body(self, record: Record) -> memoryview:
        """Return a record's body, where it lies: nothing is copied. Raises `TableError` when it is cut off."""
        end = record.at + record.size_bytes
        if os.fstat(self._fd).st_size < end:
            raise errors.TableError("the journal ends inside a record")
        return memoryview(mmap.mmap(self._fd, end, prot=mmap.PROT_READ))[record.at : end]

    def close(self) -> None:
        """Let go of the memfd."""
        os.close(self._fd)


def records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield kind, revision and body of every record in a copy of a journal. Raises `TableError` when it is cut off."""
    at = 0
    while at < len(data):
        if at + _HEAD.size > len(data):
            raise errors.TableError("the journal ends inside a record")
        size_bytes, revision, kind = _HEAD.unpack_from(data, at)
        at += _HEAD.size + size_bytes
        if at > len(data):
            raise errors.TableError("the journal ends inside a record")
        yield kind, revision, data[at - size_bytes : at]


def _read(fd: int, at: int, size_bytes: int) -> bytes:
    parts, end = [], at + size_bytes
    while at < end:
        part = os.pread(fd, end - at, at)
        if not part:
            raise errors.TableError("the journal ends inside a record")
        parts.append(part)
        at += len(part)
    return b"".join(parts)
