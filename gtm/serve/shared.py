"""Who is alive, answers which revision and holds how many connections, on a page of memory that all processes see.

Each worker writes its own row and nobody else does, so nothing is ever locked; sums over the rows are what counts.
The control process has the row after the last worker's, for its heartbeat only.
"""

from __future__ import annotations

import hashlib
import mmap
import os

# Clients are counted in hashed cells: exact for honest loads, fixed in size for any. Two clients that fall into
# one cell share one allowance.
CELLS = 4096
_BEAT, _REVISION, _CONNECTIONS = range(3)  # words of a row; the cells follow
_WORD_BYTES, _CELL_BYTES = 8, 2
_CELLS_AT = 3 * _WORD_BYTES
_ROW_BYTES = _CELLS_AT + _CELL_BYTES * CELLS
_KEY_BYTES = 16  # the page begins with a secret, so that nobody can choose to share a victim's cell


class Page:
    """The page, over a descriptor that all processes hold."""

    def __init__(self, fd: int, workers: int) -> None:
        self.fd = fd
        self.workers = workers
        self._memory = mmap.mmap(fd, _row(workers + 1))
        self._key = self._memory[:_KEY_BYTES]
        # Views, for they write a number at once. struct writes zeros before it, which a process that is put to sleep in
        # between shows to all others: a worker that never turned.
        self._words = memoryview(self._memory).cast("q")
        self._cells = memoryview(self._memory).cast("H")

    @classmethod
    def new(cls, workers: int) -> Page:
        """Return a new page for so many workers."""
        fd = os.memfd_create("gtm-page", os.MFD_CLOEXEC)
        os.ftruncate(fd, _row(workers + 1))
        os.pwrite(fd, os.urandom(_KEY_BYTES), 0)
        return cls(fd, workers)

    def close(self) -> None:
        """Let go of the page."""
        self._words.release()
        self._cells.release()
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
        self._words[_word(worker, _BEAT)] = now_ns

    def beaten_ns(self, worker: int) -> int:
        """Return when the worker's loop turned last (monotonic), or 0 when it has not yet."""
        return self._words[_word(worker, _BEAT)]

    def answers(self, worker: int, revision: int) -> None:
        """Say that the worker answers from `revision` now."""
        self._words[_word(worker, _REVISION)] = revision

    def revisions(self) -> list[int]:
        """Return the revision that each worker answers from; 0 is none yet."""
        return [self._words[_word(worker, _REVISION)] for worker in range(self.workers)]

    def cell(self, client: bytes) -> int:
        """Return the cell that a client is counted in."""
        return int.from_bytes(hashlib.blake2b(client, digest_size=2, key=self._key).digest()) % CELLS

    def count(self, worker: int, cell: int, by: int) -> None:
        """Add to the worker's open connections, and to those of the clients in `cell` (negative: of nobody)."""
        self._words[_word(worker, _CONNECTIONS)] += by
        if cell >= 0:
            self._cells[_cell(worker, cell)] += by

    def connections(self) -> int:
        """Return how many connections all workers hold together."""
        return sum(self._words[_word(worker, _CONNECTIONS)] for worker in range(self.workers))

    def connections_of(self, cell: int) -> int:
        """Return how many connections the clients in `cell` hold, at all workers together."""
        return sum(self._cells[_cell(worker, cell)] for worker in range(self.workers))


def _row(worker: int) -> int:
    return _KEY_BYTES + worker * _ROW_BYTES


def _word(worker: int, which: int) -> int:
    return _row(worker) // _WORD_BYTES + which


def _cell(worker: int, which: int) -> int:
    return (_row(worker) + _CELLS_AT) // _CELL_BYTES + which
