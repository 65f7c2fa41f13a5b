"""Who is alive, answers which revision and holds how many connections, on a page of memory that all processes see.

Each worker writes its own row and nobody else does, so nothing is ever locked; sums over the rows are what counts.
The control process has the row after the last worker's, for its heartbeat only.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct

# Clients are counted in hashed cells: exact for honest loads, fixed in size for any. Two clients that fall into
# one cell share one allowance.
CELLS = 4096
_BEAT, _REVISION, _CONNECTIONS, _CELLS_AT = 0, 8, 16, 24
_ROW_BYTES = _CELLS_AT + 2 * CELLS
_KEY_BYTES = 16  # the page begins with a secret, so that nobody can choose to share a victim's cell
_NUMBER, _CELL = struct.Struct("=q"), struct.Struct("=H")


class Page:
    """The page, over a descriptor that all processes hold."""

    def __init__(self, fd: int, workers: int) -> None:
        self.fd = fd
        self.workers = workers
        self._memory = mmap.mmap(fd, _row(workers + 1))
        self._key = self._memory[:_KEY_BYTES]

    @classmethod
    def new(cls, workers: int) -> Page:
        """Return a new page for so many workers."""
        fd = os.memfd_create("gtm-page", os.MFD_CLOEXEC)
        os.ftruncate(fd, _row(workers + 1))
        os.pwrite(fd, os.urandom(_KEY_BYTES), 0)
        return cls(fd, workers)

    def close(self) -> None:
        """Let go of the page."""
        self._memory.close()
        os.close(self.fd)

    @property
    def secret(self) -> bytes:
        """Return what all processes of this node know, and nobody else."""
        return self._key

    def clear(self, worker: int) -> None:
        """Forget a worker that is dead."""
        at = _row(worker)
        self._memory[at : at + _ROW_BYTES] = bytes(_ROW_BYTES)

    def beat(self, worker: int, now_ns: int) -> None:
        """Say that the worker's answering loop turned at `now_ns` (monotonic)."""
        _NUMBER.pack_into(self._memory, _row(worker) + _BEAT, now_ns)

    def beaten_ns(self, worker: int) -> int:
        """Return when the worker's loop turned last (monotonic), or 0 when it has not yet."""
        return int(_NUMBER.unpack_from(self._memory, _row(worker) + _BEAT)[0])

    def answers(self, worker: int, revision: int) -> None:
        """Say that the worker answers from `revision` now."""
        _NUMBER.pack_into(self._memory, _row(worker) + _REVISION, revision)

    def revisions(self) -> list[int]:
        """Return the revision that each worker answers from; 0 is none yet."""
        return [int(_NUMBER.unpack_from(self._memory, _row(worker) + _REVISION)[0]) for worker in range(self.workers)]

    def cell(self, client: bytes) -> int:
        """Return the cell that a client is counted in."""
        return int.from_bytes(hashlib.blake2b(client, digest_size=2, key=self._key).digest()) % CELLS

    def count(self, worker: int, cell: int, by: int) -> None:
        """Add to the worker's open connections, and to those of the clients in `cell` (negative: of nobody)."""
        row = _row(worker)
        total = _NUMBER.unpack_from(self._memory, row + _CONNECTIONS)[0]
        _NUMBER.pack_into(self._memory, row + _CONNECTIONS, total + by)
        if cell < 0:
            return
        at = row + _CELLS_AT + 2 * cell
        _CELL.pack_into(self._memory, at, _CELL.unpack_from(self._memory, at)[0] + by)

    def connections(self) -> int:
        """Return how many connections all workers hold together."""
        rows = map(_row, range(self.workers))
        return sum(int(_NUMBER.unpack_from(self._memory, row + _CONNECTIONS)[0]) for row in rows)

    def connections_of(self, cell: int) -> int:
        """Return how many connections the clients in `cell` hold, at all workers together."""
        at = _CELLS_AT + 2 * cell
        return sum(int(_CELL.unpack_from(self._memory, row + at)[0]) for row in map(_row, range(self.workers)))


def _row(worker: int) -> int:
    return _KEY_BYTES + worker * _ROW_BYTES
